//! `downpour up` and `down`, with a real Redis.
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise, too")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

use common::{TestEnv, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const NO_FUNCTIONS: &[u8] = b"version: 1.0\nprovider:\n  name: openfaas\nfunctions: {}\n";

/// A `downpour up` that is ready.
struct Up {
    process: Child,
    ready: Value,
}

impl Up {
    fn start(env: &TestEnv) -> Self {
        env.write("stack.yml", NO_FUNCTIONS);
        Self::start_with(env, &[])
    }

    fn start_with(env: &TestEnv, more: &[&str]) -> Self {
        let args = [&["up", "--port", "0", "--json"], more].concat();
        let mut process = env.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, ready: serde_json::from_str(&line).unwrap() }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn redis(&self) -> String {
        let url = self.ready["store_url"].as_str().unwrap();
        url.strip_prefix("redis+unix://").unwrap().to_owned()
    }

    fn answers(&self, path: &str) -> String {
        self.ask("GET", path)
    }

    fn ask(&self, method: &str, path: &str) -> String {
        let address = self.ready["gateway"].as_str().unwrap().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn up_is_ready_when_it_says_so_and_ctrl_c_ends_all_of_it() {
    let env = TestEnv::new();
    let mut up = Up::start(&env);
    assert!(up.answers("/healthz").starts_with("HTTP/1.1 200"));
    UnixStream::connect(up.redis()).unwrap();
    up.signal(Signal::INT);
    assert_eq!(up.process.wait().unwrap().code(), Some(0));
    assert!(UnixStream::connect(up.redis()).is_err());
}

#[test]
fn down_stops_what_up_started_and_says_when_there_is_nothing() {
    let env = TestEnv::new();
    let mut up = Up::start(&env);
    let answer = env.run(&["down"]).succeeded();
    assert!(answer.contains(up.ready["gateway"].as_str().unwrap()), "{answer}");
    assert_eq!(up.process.wait().unwrap().code(), Some(0));
    assert_eq!(env.run(&["down"]).succeeded(), "nothing was running\n");
    assert_eq!(env.run(&["down", "--json"]).succeeded(), "{\"stopped\":false}\n");
}

#[test]
fn a_second_platform_in_the_same_folder_is_refused() {
    let env = TestEnv::new();
    let up = Up::start(&env);
    let message = env.run(&["up", "--port", "0"]).failed(1);
    assert!(message.contains("runs already"), "{message}");
    assert!(up.answers("/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_killed_platform_takes_redis_along_and_can_be_started_again() {
    let env = TestEnv::new();
    let up = Up::start(&env);
    let redis = up.redis();
    drop(up);
    eventually("Redis outlived a killed platform", || UnixStream::connect(&redis).is_err());
    let up = Up::start(&env);
    assert!(up.answers("/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn builds_are_off_until_there_is_a_secret_which_is_made() {
    let env = TestEnv::new();
    let up = Up::start(&env);
    assert!(up.ask("POST", "/build").starts_with("HTTP/1.1 404"));
    drop(up);
    env.write("stack.yml", b"not looked at");
    let up = Up::start_with(&env, &["--no-deploy", "--payload-secret", "secret"]);
    assert_eq!(up.ready["functions"], Value::Array(Vec::new()));
    let secret = std::fs::read_to_string(up.ready["payload_secret"].as_str().unwrap()).unwrap();
    assert_eq!(secret.trim().len(), 64);
    assert!(up.ask("POST", "/build").starts_with("HTTP/1.1 401"));
}

#[test]
fn an_open_address_needs_authentication() {
    let env = TestEnv::new();
    let message = env.run(&["up", "--host", "0.0.0.0"]).failed(2);
    assert!(message.contains("--basic-auth"), "{message}");
}

#[test]
fn a_stack_that_is_none_is_named() {
    let env = TestEnv::new();
    let message = env.run(&["up", "-f", "nowhere.yml"]).failed(1);
    assert!(message.contains("nowhere.yml"), "{message}");
}
