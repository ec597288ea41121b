//! Calls through OpenFaaS's gateway.

use std::time::Duration;

use openfaas::client::{self, ClientError};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{CALL_ID, InvokeError, InvokeFuture, Invoker, Reply};

/// Calls functions by a template of their address.
#[derive(Clone, Debug)]
pub struct GatewayInvoker {
    http: reqwest::Client,
    template: String,
    timeout: Duration,
}

impl GatewayInvoker {
    /// Calls `http://GATEWAY/function/NAME`; an attempt that takes longer than `timeout` counts
    /// as not answered.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(gateway: &str, timeout: Duration) -> Result<Self, InvokeError> {
        Self::with_template(&format!("{}/function/{{function}}", gateway.trim_end_matches('/')), timeout)
    }

    /// Calls the address that `template` gives with `{function}` replaced by the name: without a
    /// gateway, `http://{function}.openfaas-fn:8080` reaches a function in a cluster.
    ///
    /// # Errors
    /// A template that gives no address.
    pub fn with_template(template: &str, timeout: Duration) -> Result<Self, InvokeError> {
        let http = client::http_client().map_err(|error| InvokeError::NoAnswer(error.to_string()))?;
        let invoker = Self { http, template: template.to_owned(), timeout };
        if !template.contains("{function}") {
            return Err(invoker.wrong_template());
        }
        invoker.url("f")?;
        Ok(invoker)
    }

    /// The same functions, with another limit for one attempt.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn url(&self, function: &str) -> Result<Url, InvokeError> {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // A name of dots only would climb out of its place in the path.
        if !function.chars().all(valid) || function.chars().all(|c| c == '.') {
            let (found, wanted) = (function.to_owned(), "letters, digits, -, _ and .");
            return Err(InvokeError::Input { what: "the function's name", found, wanted });
        }
        let url = Url::parse(&self.template.replace("{function}", function)).ok();
        url.filter(|url| url.scheme() == "http").ok_or_else(|| self.wrong_template())
    }

    fn wrong_template(&self) -> InvokeError {
        InvokeError::Input {
            what: "the address of functions",
            found: self.template.clone(),
            wanted: "http://HOST[:PORT]/… with {function} in it",
        }
    }

    async fn call(&self, function: &str, body: Vec<u8>, call_id: &str) -> Result<Reply, InvokeError> {
        let call_id = HeaderValue::from_str(call_id).map_err(|_| InvokeError::Input {
            what: "the call's name",
            found: call_id.to_owned(),
            wanted: "visible ASCII",
        })?;
        let headers = HeaderMap::from_iter([(HeaderName::from_static(CALL_ID), call_id)]);
        let answer = client::post(&self.http, self.url(function)?, body, headers, self.timeout).await;
        answer.map_err(|error: ClientError| InvokeError::NoAnswer(error.to_string()))
    }
}

impl Invoker for GatewayInvoker {
    fn invoke<'a>(&'a self, function: &'a str, body: Vec<u8>, call_id: &'a str) -> InvokeFuture<'a> {
        Box::pin(self.call(function, body, call_id))
    }
}
