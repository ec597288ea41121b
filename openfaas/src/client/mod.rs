//! Calls to an OpenFaaS gateway: its REST API under `/system`, and functions.
//!
//! Nothing here tries twice: a failure is returned, and the caller knows whether a second call
//! would do harm. Plain HTTP only, as between the parts of a cluster and on loopback.

mod error;
mod lines;
mod reply;
mod system;

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Url};

pub use error::ClientError;
pub use lines::LogLines;
pub use reply::{MAX_REPLY, Reply, post};
pub use system::{Deployed, LogQuery};

/// How long a call may take unless [`Client::with_timeout`] says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at `/healthz`.
const HEALTH_INTERVAL: Duration = Duration::from_millis(20);

/// What basic authentication sends.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user, as a rule `admin`.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A gateway. Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    gateway: Url,
    credentials: Option<Credentials>,
    timeout: Duration,
}

impl Client {
    /// A client for the gateway at `gateway`, such as `http://127.0.0.1:8080`. The credentials
    /// go with calls to `/system` only.
    ///
    /// # Errors
    /// An address that is not `http://HOST[:PORT][/PATH]`.
    pub fn new(gateway: &str, credentials: Option<Credentials>) -> Result<Self, ClientError> {
        let address = |reason: String| ClientError::Address { found: gateway.to_owned(), reason };
        let url = Url::parse(gateway).map_err(|error| address(error.to_string()))?;
        if url.scheme() != "http" || !url.has_host() {
            return Err(address(format!("it begins with {}:", url.scheme())));
        }
        Ok(Self { http: build(http_settings())?, gateway: url, credentials, timeout: DEFAULT_TIMEOUT })
    }

    /// The same gateway, with `timeout` for a call from its start to the end of the answer
    /// (for [`Client::logs`]: to its beginning).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The gateway's address.
    pub fn gateway(&self) -> &str {
        self.gateway.as_str().trim_end_matches('/')
    }

    /// Calls a function and waits for its answer, whatever its status.
    ///
    /// # Errors
    /// No answer, or one that is too long.
    pub async fn invoke(
        &self,
        function: &str,
        body: Vec<u8>,
        headers: HeaderMap,
    ) -> Result<Reply, ClientError> {
        post(&self.http, self.url(&["function", function]), body, headers, self.timeout).await
    }

    /// Queues a call of a function; a status of 202 means that it was accepted.
    ///
    /// # Errors
    /// No answer, or one that is too long.
    pub async fn invoke_async(
        &self,
        function: &str,
        body: Vec<u8>,
        headers: HeaderMap,
    ) -> Result<Reply, ClientError> {
        post(&self.http, self.url(&["async-function", function]), body, headers, self.timeout).await
    }

    /// Waits until `/healthz` answers 200.
    ///
    /// # Errors
    /// The last failure, where `limit` is over before that.
    pub async fn wait_until_healthy(&self, limit: Duration) -> Result<(), ClientError> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // The last attempt is allowed a moment, so that its failure says what is wrong.
            let timeout = left.min(self.timeout).max(HEALTH_INTERVAL);
            let healthz = self.http.get(self.url(&["healthz"])).timeout(timeout);
            let error = match reply::receive(healthz, "GET", self.url(&["healthz"])).await {
                Ok(reply) if reply.status == 200 => return Ok(()),
                Ok(reply) => reply.into_error("GET", self.url(&["healthz"])),
                Err(error) => error,
            };
            if Instant::now() + HEALTH_INTERVAL >= deadline {
                return Err(error);
            }
            tokio::time::sleep(HEALTH_INTERVAL).await;
        }
    }

    /// The gateway's address with these path segments, percent-encoded where needed.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.gateway.clone();
        // Only addresses without a host have no segments, and `new` refuses those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A request to `/system`, with credentials and without a limit of time.
    fn system(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.credentials {
            Some(Credentials { user, password }) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }
}

/// An HTTP client that opens a connection for each call, so that a balancer of connections places each
/// call anew.
///
/// # Errors
/// The system gives no resources.
pub fn http_client_without_reuse() -> Result<reqwest::Client, ClientError> {
    build(http_settings().pool_max_idle_per_host(0))
}

/// What all calls share: no redirects, since a redirected `PUT` is a `GET`.
fn http_settings() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
}

fn build(settings: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
    settings.build().map_err(|error| ClientError::Setup(error::reasons(error)))
}
