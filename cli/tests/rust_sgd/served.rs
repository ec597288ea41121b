//! A function that runs as in a pod: from a folder it can't write, without rights, with only /tmp of its own.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The user of the image.
const USER: u32 = 12000;

/// A running function.
pub(crate) struct Served {
    process: Child,
    address: String,
    image: TempDir,
    _temporary: TempDir,
}

impl Served {
    /// Starts `binary` and waits until it listens.
    pub(crate) fn start(binary: &Path, environment: &[(&str, &str)]) -> Self {
        let (image, temporary) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let program = image.path().join("function");
        fs::copy(binary, &program).unwrap();
        fs::set_permissions(image.path(), Permissions::from_mode(0o555)).unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(image.path())
            .env_clear()
            .envs([("bind_address", "127.0.0.1"), ("port", "0"), ("metrics_port", "0")])
            .env("TMPDIR", temporary.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        // Nobody else can change users.
        if rustix::process::geteuid().is_root() {
            chown(temporary.path(), Some(USER), Some(USER)).unwrap();
            command.uid(USER).gid(USER);
        }
        let mut process = command.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let address = address(&mut log);
        // So that the function never waits for a reader of its log.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { process, address, image, _temporary: temporary }
    }

    /// Status and body of an answer.
    pub(crate) fn answer(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = "Host: function\r\nConnection: close";
        write!(stream, "{method} {path} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Else it can't be deleted.
        let _ = fs::set_permissions(self.image.path(), Permissions::from_mode(0o755));
    }
}

/// Where a function listens, by its log.
fn address(log: &mut impl BufRead) -> String {
    let mut lines = String::new();
    while log.read_line(&mut lines).unwrap() > 0 {
        let line = lines.lines().last().unwrap();
        if let Some((_, rest)) = line.split_once("listening on ") {
            return rest.split(',').next().unwrap().to_owned();
        }
    }
    panic!("the function ended: {lines}");
}
