//! A gateway as a process of its own: to be killed, and to be kept from writing.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use openfaas::types::FunctionStatus;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

use super::{deployment, eventually};

/// A folder for a gateway, and what is to be started in it.
pub(crate) struct Home {
    folder: TempDir,
}

/// A gateway that runs.
pub(crate) struct Server {
    child: Child,
    address: String,
    client: Client,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        super::link_image(&folder.path().join("images"));
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a gateway that runs so many queued calls of a function at a time.
    pub(crate) fn start(&self, concurrency: usize) -> Server {
        self.start_by(Command::new(env!("CARGO_BIN_EXE_gateway-test-server")), concurrency)
    }

    /// The same, where no file may become larger than 64 or 128 KiB, as the shell counts: as if the disk were full then.
    pub(crate) fn start_on_a_small_disk(&self) -> Server {
        let mut shell = Command::new("sh");
        // Without the trap the signal would end the process.
        shell.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""]);
        shell.arg(env!("CARGO_BIN_EXE_gateway-test-server"));
        self.start_by(shell, 16)
    }

    fn start_by(&self, mut command: Command, concurrency: usize) -> Server {
        command.arg(self.path("state")).arg(self.path("images")).arg(concurrency.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Server { child, address: address.trim().to_owned(), client: Client::new() }
    }
}

impl Server {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn status(&self, name: &str) -> FunctionStatus {
        self.get(&format!("/system/function/{name}")).await.json().await.unwrap()
    }

    /// Deploys the image `echo` and waits until it is ready.
    pub(crate) async fn deploy(&self, name: &str, more: Value) {
        let response = self.post("/system/functions").json(&deployment(name, more)).send().await.unwrap();
        assert_eq!(response.status(), 202, "{}", response.text().await.unwrap());
        self.ready(name).await;
    }

    pub(crate) async fn ready(&self, name: &str) {
        eventually(async || (self.status(name).await.available_replicas > 0).then_some(())).await;
    }

    /// Queues so many calls at once; the ids of those that were accepted.
    pub(crate) async fn queue(self: &Arc<Self>, path: &str, ids: std::ops::Range<usize>) -> Vec<String> {
        let push = |id: usize| {
            let id = id.to_string();
            let request = self.post(path).header("x-call-id", &id).send();
            tokio::spawn(
                async move { request.await.is_ok_and(|answer| answer.status() == 202).then_some(id) },
            )
        };
        let mut accepted = Vec::new();
        for pushed in ids.map(push).collect::<Vec<_>>() {
            accepted.extend(pushed.await.unwrap());
        }
        accepted
    }

    /// Ends it as a crash would, at once.
    pub(crate) fn kill(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a file that may not be there yet.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
