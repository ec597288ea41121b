//! Calls over HTTP, wherever a template says that functions are.

use std::time::Duration;

use openfaas::client::{self, ClientError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{CALL_ID, InvokeError, InvokeFuture, Invoker, Reply, UrlTemplate};

/// Calls functions by a template of their address.
///
/// Each call has a connection of its own. A Kubernetes Service chooses the pod for a connection, not for
/// a request: over one that is kept, every retry would go to the pod that is full.
#[derive(Clone, Debug)]
pub struct HttpInvoker {
    http: reqwest::Client,
    template: UrlTemplate,
    gateway: String,
    timeout: Duration,
}

impl HttpInvoker {
    /// Calls the addresses that `template` gives with `gateway` in it; an attempt that takes longer
    /// than `timeout` counts as not answered.
    ///
    /// # Errors
    /// The gateway's address is none.
    pub fn new(template: &UrlTemplate, gateway: &str, timeout: Duration) -> Result<Self, InvokeError> {
        let http =
            client::http_client_without_reuse().map_err(|error| InvokeError::NoAnswer(error.to_string()))?;
        template.url(gateway, "f")?;
        Ok(Self { http, template: template.clone(), gateway: gateway.to_owned(), timeout })
    }

    /// The same functions, with another limit for one attempt.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    async fn call(&self, function: &str, body: Vec<u8>, call_id: &str) -> Result<Reply, InvokeError> {
        let call_id = HeaderValue::from_str(call_id).map_err(|_| InvokeError::Input {
            what: "the call's name",
            found: call_id.to_owned(),
            wanted: "visible ASCII",
        })?;
        let headers = HeaderMap::from_iter([(HeaderName::from_static(CALL_ID), call_id)]);
        let url = self.template.url(&self.gateway, function)?;
        let answer = client::post(&self.http, url, body, headers, self.timeout).await;
        answer.map_err(|error: ClientError| InvokeError::NoAnswer(error.to_string()))
    }
}

impl Invoker for HttpInvoker {
    fn invoke<'a>(&'a self, function: &'a str, body: Vec<u8>, call_id: &'a str) -> InvokeFuture<'a> {
        Box::pin(self.call(function, body, call_id))
    }
}
