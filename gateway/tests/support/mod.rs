//! A gateway in a folder of its own, with the test function as its image `echo`.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at the first surprise")]
#![allow(clippy::needless_pass_by_value, reason = "so that tests can write json!({}) in place")]

pub(crate) mod kubernetes;
pub(crate) mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::{Config, Gateway};
use openfaas::types::FunctionStatus;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a test waits for what has to happen: only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Platform {
    pub(crate) folder: TempDir,
    pub(crate) config: Config,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) client: reqwest::Client,
}

impl Platform {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        link_image(&images);
        let mut config = Config::new(folder.path().join("state"), images);
        config.queue.min_wait = Duration::from_millis(20);
        config.queue.max_wait = Duration::from_millis(200);
        change(&mut config);
        let gateway = Gateway::start(config.clone()).unwrap();
        Self { folder, config, gateway: Some(gateway), client: reqwest::Client::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// Ends the gateway as a crash would, and starts another on the same folder.
    pub(crate) fn restart(&mut self) {
        drop(self.gateway.take());
        self.gateway = Some(Gateway::start(self.config.clone()).unwrap());
    }

    pub(crate) async fn shutdown(mut self) -> TempDir {
        self.gateway.take().unwrap().shutdown().await;
        self.folder
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway().address())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::POST, path).body(body).send().await.unwrap()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        self.request(method, path).json(body).send().await.unwrap()
    }

    /// Deploys the image `echo` as `name`, with what `more` adds, and waits until it is ready.
    pub(crate) async fn deploy(&self, name: &str, more: Value) {
        let wanted = self.deploy_unready(name, more).await;
        self.until(name, |status| status.available_replicas >= wanted).await;
    }

    /// Deploys without waiting; how many replicas it starts with.
    pub(crate) async fn deploy_unready(&self, name: &str, more: Value) -> u64 {
        let response = self.send(Method::POST, "/system/functions", &deployment(name, more)).await;
        assert_eq!(response.status(), 202, "{}", response.text().await.unwrap());
        self.status(name).await.replicas
    }

    pub(crate) async fn status(&self, name: &str) -> FunctionStatus {
        self.get(&format!("/system/function/{name}")).await.json().await.unwrap()
    }

    /// Waits until a function's status is as wanted.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(&FunctionStatus) -> bool) -> FunctionStatus {
        eventually(async || Some(self.status(name).await).filter(&wanted)).await
    }

    pub(crate) async fn scale(&self, name: &str, replicas: u64) -> Response {
        let body = json!({"serviceName": name, "replicas": replicas});
        self.send(Method::POST, &format!("/system/scale-function/{name}"), &body).await
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }
}

/// Makes the folder of images, with the image `echo` in it.
fn link_image(images: &Path) {
    std::fs::create_dir(images).unwrap();
    let binary = env!("CARGO_BIN_EXE_gateway-test-function");
    // Linked, not copied: a file that was just written may be busy when it is to be executed.
    if std::fs::hard_link(binary, images.join("echo")).is_err() {
        std::fs::copy(binary, images.join("echo")).unwrap();
    }
}

/// The body that deploys the image `echo` as `name`.
pub(crate) fn deployment(name: &str, more: Value) -> Value {
    let mut body = json!({"service": name, "image": "docker.io/me/echo:latest"});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// Asks again until there is an answer.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("did not happen in time")
}

/// The processes whose binary lies in `folder`.
pub(crate) fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.starts_with(&folder)) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}
