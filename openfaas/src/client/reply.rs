//! One request and its whole answer.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use super::ClientError;
use super::error::reasons;

/// No answer is longer than this, in bytes.
pub const MAX_REPLY: usize = 64 << 20;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first line of the body, shortened: what an error message shows of it.
    pub fn first_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4096)]);
        text.trim_start().lines().next().unwrap_or_default().chars().take(300).collect()
    }

    /// Whether the status says that the call succeeded.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn into_error(self, method: &'static str, url: Url) -> ClientError {
        ClientError::Status { method, url: url.into(), status: self.status, first_line: self.first_line() }
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        method: &'static str,
        url: &Url,
    ) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let reason = format!("{error} in {:?}", self.first_line());
            ClientError::Answer { method, url: url.to_string(), reason }
        })
    }
}

/// Posts `body` to `url` and reads the answer, whatever its status, within `timeout` in all.
///
/// # Errors
/// No answer, or one longer than [`MAX_REPLY`].
pub async fn post(
    http: &reqwest::Client,
    url: Url,
    body: Vec<u8>,
    headers: HeaderMap,
    timeout: Duration,
) -> Result<Reply, ClientError> {
    let request = http.post(url.clone()).headers(headers).body(body).timeout(timeout);
    receive(request, "POST", url).await
}

/// Sends a request and reads the whole answer.
pub(super) async fn receive(
    request: RequestBuilder,
    method: &'static str,
    url: Url,
) -> Result<Reply, ClientError> {
    match request.send().await {
        Ok(response) => collect(response, method, &url).await,
        Err(error) => Err(ClientError::NoAnswer { method, url: url.into(), reason: reasons(error) }),
    }
}

/// Reads the rest of an answer.
pub(super) async fn collect(
    mut response: Response,
    method: &'static str,
    url: &Url,
) -> Result<Reply, ClientError> {
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    match bounded_body(response).await {
        Ok(Some(body)) => Ok(Reply { status, headers, body }),
        Ok(None) => {
            let reason = format!("more than {MAX_REPLY} bytes");
            Err(ClientError::Answer { method, url: url.to_string(), reason })
        }
        Err(error) => Err(ClientError::NoAnswer { method, url: url.to_string(), reason: reasons(error) }),
    }
}

/// The body, or nothing where it is longer than [`MAX_REPLY`].
async fn bounded_body(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_REPLY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
