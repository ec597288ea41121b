//! A real server on loopback, its clients, and nothing else.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use watchdog::{Call, Config, Listeners, Reply, ServeError, StatusCode, Stop, serve};

/// For what must not hang; no test's result depends on its length.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    pub address: SocketAddr,
    pub metrics: SocketAddr,
    /// Holds the lock file.
    pub folder: TempDir,
    stop: oneshot::Sender<Stop>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// Starts a server with these environment variables, on free ports and with a lock file of its own.
    pub async fn start<H, F, E>(variables: &[(&str, &str)], handler: H) -> Self
    where
        H: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let folder = TempDir::new().unwrap();
        let config = Config::from_lookup(|name| match name {
            "bind_address" => Some("127.0.0.1".to_owned()),
            "port" | "metrics_port" => Some("0".to_owned()),
            "TMPDIR" => Some(folder.path().to_str().unwrap().to_owned()),
            _ => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        })
        .unwrap();
        let listeners = Listeners::bind(&config).await.unwrap();
        let address = listeners.function.local_addr().unwrap();
        let metrics = listeners.metrics.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(config, listeners, handler, async {
            match stopped.await {
                Ok(stop) => stop,
                Err(_) => std::future::pending().await,
            }
        }));
        let server = Self { address, metrics, folder, stop, task };
        server.get("/_/health").await;
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(self.url(path)).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        reqwest::Client::new().post(self.url(path)).body(body).send().await.unwrap()
    }

    pub async fn metrics_text(&self) -> String {
        let url = format!("http://{}/metrics", self.metrics);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    /// Waits until a line of the metrics is `line`.
    pub async fn wait_for_metric(&self, line: &str) {
        let seen = async {
            while !self.metrics_text().await.lines().any(|found| found == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            panic!("no {line} in\n{}", self.metrics_text().await);
        }
    }

    /// Waits until health answers `status`.
    pub async fn wait_for_health(&self, status: StatusCode) {
        let seen = async {
            while self.get("/_/health").await.status() != status {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap();
    }

    pub fn lock_file(&self) -> std::path::PathBuf {
        self.folder.path().join(".lock")
    }

    /// Begins the end; [`Stopping::ended`] waits for it.
    pub fn stop(self, how: Stop) -> Stopping {
        self.stop.send(how).unwrap();
        Stopping { task: self.task, folder: self.folder }
    }

    /// Sends raw bytes on a new connection, which stays open for writing.
    pub async fn raw(&self, bytes: &[u8]) -> Raw {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Raw(stream)
    }
}

pub struct Stopping {
    task: JoinHandle<Result<(), ServeError>>,
    pub folder: TempDir,
}

impl Stopping {
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    pub async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.task).await.expect("the server goes on").unwrap().unwrap();
    }
}

/// A client that speaks bytes.
pub struct Raw(pub TcpStream);

impl Raw {
    /// What the server sends until it closes the connection; empty if it closed without a word.
    pub async fn read_to_close(&mut self) -> String {
        let mut text = Vec::new();
        // A reset is a way to close, too: no error, unlike a connection that stays open.
        let closed = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut text)).await.is_ok();
        let text = String::from_utf8(text).unwrap();
        assert!(closed, "the connection stays open after {text:?}");
        text
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }
}

pub type Answer = Result<Reply, String>;

/// Answers with the body it was sent.
pub async fn echo(call: Call) -> Answer {
    let mut reply = Reply::empty(StatusCode::OK);
    reply.body = call.body;
    Ok(reply)
}

/// Never answers.
pub async fn hang(_call: Call) -> Answer {
    std::future::pending().await
}
