//! Requests as kubectl sends them, and what it reads.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::Platform;

/// What `kubectl get` accepts.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
                                g=meta.k8s.io,application/json";
pub(crate) const PODS: &str = "/api/v1/namespaces/openfaas-fn/pods";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/openfaas-fn/deployments";

pub(crate) async fn json_of(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    let found = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

pub(crate) async fn get(platform: &Platform, path: &str) -> Value {
    json_of(platform.request(Method::GET, path), 200).await
}

pub(crate) async fn table(platform: &Platform, path: &str) -> Value {
    json_of(platform.request(Method::GET, path).header(ACCEPT, TABLE), 200).await
}

pub(crate) fn patch_scale(platform: &Platform, name: &str, replicas: Value) -> RequestBuilder {
    let body = json!({"spec": {"replicas": replicas}}).to_string();
    let path = format!("{DEPLOYMENTS}/{name}/scale");
    platform.request(Method::PATCH, &path).header(CONTENT_TYPE, "application/merge-patch+json").body(body)
}

/// The names of the pods that are not ending.
pub(crate) async fn pods(platform: &Platform) -> Vec<String> {
    let list = get(platform, PODS).await;
    let items = list["items"].as_array().unwrap().iter();
    let alive = items.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    alive.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Reads an answer that goes on, line by line.
pub(crate) struct Lines {
    response: Response,
    read: Vec<u8>,
}

impl Lines {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, read: Vec::new() }
    }

    /// The next line; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.drain(..=end).collect::<Vec<u8>>();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            let patience = std::time::Duration::from_secs(30);
            let chunk = tokio::time::timeout(patience, self.response.chunk()).await.expect("nothing comes");
            self.read.extend_from_slice(&chunk.unwrap()?);
        }
    }

    /// The next event of a watch.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        let line = self.next().await.expect("the watch ended");
        let event: Value = serde_json::from_str(&line).unwrap();
        (event["type"].as_str().unwrap().to_owned(), event["object"].clone())
    }
}
