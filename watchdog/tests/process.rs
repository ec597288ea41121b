//! A function as a process: its start, its log, its signals and exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// For what must not hang; no test's result depends on its length.
const PATIENCE: Duration = Duration::from_secs(20);

struct Function {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    log: Receiver<String>,
}

fn command(folder: &TempDir, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchdog-echo"));
    command.env_clear().envs([("bind_address", "127.0.0.1"), ("port", "0"), ("metrics_port", "0")]);
    command.env("TMPDIR", folder.path()).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Function {
    fn start(variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut child = command(&folder, variables).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut function = Self { child, address: ([127, 0, 0, 1], 0).into(), folder, log };
        let line = function.log_line("listening on ");
        let address = line.split("listening on ").nth(1).unwrap().split(',').next().unwrap();
        function.address = address.parse().unwrap();
        function
    }

    /// The next log line that contains `text`.
    fn log_line(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("no log line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a request without waiting for the answer.
    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = "HTTP/1.1\r\nhost: x\r\nconnection: close";
        stream.write_all(request.replace("HTTP", head).as_bytes()).unwrap();
        stream.write_all(b"\r\n\r\n").unwrap();
        stream
    }

    fn ask(&self, request: &str) -> String {
        read(self.send(request))
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the function does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn has_lock(&self) -> bool {
        self.folder.path().join(".lock").exists()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A call that the function has begun to serve; needs `max_inflight=1`. The thread returns the answer.
fn in_flight(function: &Function, path: &str) -> JoinHandle<String> {
    let stream = function.send(&format!("GET {path} HTTP"));
    // Readiness says that the function is full once the call is counted.
    let deadline = Instant::now() + PATIENCE;
    while !function.ask("GET /_/ready HTTP").starts_with("HTTP/1.1 429") {
        assert!(Instant::now() < deadline, "the call never arrives");
    }
    std::thread::spawn(move || read(stream))
}

const ONE: (&str, &str) = ("max_inflight", "1");

#[test]
fn sigterm_lets_calls_finish_and_exits_with_0() {
    let mut function = Function::start(&[ONE, ("healthcheck_interval", "10ms")]);
    assert!(function.has_lock());
    let call = in_flight(&function, "/until-stopped");
    function.signal(Signal::TERM);
    assert!(call.join().unwrap().ends_with("stopped"));
    assert_eq!(function.wait().code(), Some(0));
    assert!(!function.has_lock());
}

#[test]
fn sigterm_lets_background_work_finish() {
    let mut function = Function::start(&[ONE, ("healthcheck_interval", "0")]);
    assert!(function.ask("GET /background HTTP").starts_with("HTTP/1.1 202"));
    assert!(function.ask("GET /_/ready HTTP").starts_with("HTTP/1.1 429"));
    function.signal(Signal::TERM);
    function.log_line("background work saved");
    assert_eq!(function.wait().code(), Some(0));
}

#[test]
fn sigint_needs_no_drain_delay() {
    let mut function = Function::start(&[("healthcheck_interval", "1h")]);
    function.signal(Signal::INT);
    assert_eq!(function.wait().code(), Some(0));
    assert!(!function.has_lock());
}

#[test]
fn a_second_signal_ends_at_once() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut function = Function::start(&[
            ONE,
            ("healthcheck_interval", "1h"),
            ("exec_timeout", "0"),
            ("write_timeout", "1h"),
        ]);
        let call = in_flight(&function, "/hang");
        function.signal(Signal::TERM);
        function.log_line("SIGTERM");
        function.signal(second);
        assert_eq!(function.wait().code(), Some(code));
        assert!(!function.has_lock());
        call.join().unwrap();
    }
}

#[test]
fn the_end_of_stdin_ends_the_function_only_if_wanted() {
    let mut wanted = Function::start(&[("exit_on_stdin_close", "true"), ("healthcheck_interval", "1h")]);
    wanted.child.stdin.as_mut().unwrap().write_all(b"ignored").unwrap();
    assert!(wanted.ask("GET /_/health HTTP").starts_with("HTTP/1.1 200"));
    drop(wanted.child.stdin.take());
    assert_eq!(wanted.wait().code(), Some(0));
    assert!(!wanted.has_lock());

    let mut unwanted = Function::start(&[]);
    drop(unwanted.child.stdin.take());
    assert!(unwanted.ask("GET /_/health HTTP").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_wrong_setting_is_named_and_exits_with_64() {
    let folder = TempDir::new().unwrap();
    let output = command(&folder, &[("exec_timeout", "1 minute")]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("exec_timeout") && text.contains("1 minute"), "{text}");
}

#[test]
fn a_taken_port_and_an_impossible_lock_are_named_and_exit_with_1() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let no_folder = folder.path().join("file");
    std::fs::write(&no_folder, "").unwrap();
    for (variable, value) in [("metrics_port", port.as_str()), ("TMPDIR", no_folder.to_str().unwrap())] {
        let output = command(&folder, &[(variable, value)]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(variable) && text.contains(value), "{text}");
    }
}

#[test]
fn calls_are_logged_as_openfaas_does_and_kubernetes_probes_are_not() {
    let function = Function::start(&[("log_callid", "true")]);
    function.ask("GET /quiet HTTP\r\nuser-agent: kube-probe/1.31");
    function.ask("GET /loud?x=1 HTTP\r\nx-call-id: id-7");
    let line = function.log_line(" - ");
    let (before, after) = line.split_once("GET /loud?x=1 - 200 OK - ContentLength: 0 (").unwrap();
    assert!(!before.contains('\u{1b}'), "no colours in a pipe");
    let (seconds, id) = after.split_once("s) ").unwrap();
    assert_eq!(seconds.split_once('.').unwrap().1.len(), 4, "{line}");
    assert_eq!(id, "id-7");
}

#[test]
fn json_logs_have_fields_for_calls_and_panics_too() {
    let function = Function::start(&[("log_format", "json")]);
    assert!(function.ask("GET /panic HTTP\r\nx-call-id: id-8").starts_with("HTTP/1.1 500"));
    let json = |line: String| serde_json::from_str::<serde_json::Value>(&line).unwrap();
    let panic = json(function.log_line("panicked"));
    assert_eq!(panic["level"], "ERROR");
    let call = json(function.log_line("\"uri\""));
    assert_eq!(
        (&call["method"], &call["uri"], &call["status"], &call["call_id"]),
        (&"GET".into(), &"/panic".into(), &500.into(), &"id-8".into())
    );
    assert!(call["seconds"].is_f64());
}

#[test]
fn the_log_filter_is_heeded() {
    let folder = TempDir::new().unwrap();
    let mut child = command(&folder, &[("RUST_LOG", "off"), ("exit_on_stdin_close", "1")]).spawn().unwrap();
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_function_whose_log_nobody_reads_any_more_goes_on_and_ends_well() {
    let mut function = Function::start(&[("exit_on_stdin_close", "true")]);
    // The thread that reads the log ends with the next line; then each line is an error.
    function.log = channel().1;
    for _ in 0..20 {
        assert!(function.ask("GET /echo HTTP").starts_with("HTTP/1.1 200 "));
    }
    drop(function.child.stdin.take());
    assert_eq!(function.wait().code(), Some(0));
}
