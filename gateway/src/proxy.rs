//! One call of a function: finds it, waits for a replica, and sends it to one, or to the next where that refuses.
//!
//! A replica may end while it has a call. The gateway can't know whether that was done, so it is made again, once, only
//! where HTTP says that this changes nothing (GET, HEAD, PUT, DELETE and OPTIONS), and is a 502 otherwise. A call that
//! reached no replica is always made again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_LENGTH, HOST, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::BodyExt;

use crate::SharedState;
use crate::budget::{Budget, Share};
use crate::draining::Draining;
use crate::error::Refusal;
use crate::patience::BodyError;
use crate::supervisor::function::Function;
use crate::supervisor::replica::{InFlight, Phase, Replica};
use crate::upstream::{CALL_ID, INTERNAL, mark_start, new_call_id, remove_hop_by_hop};

/// A body up to so many bytes is kept until it was answered, so that it can be sent to a second replica.
const REPLAY_LIMIT: u64 = 256 << 10;

/// How long another replica is waited for where one closed the connection of a call.
const REPLACEMENT: Duration = Duration::from_secs(1);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What a call sends.
pub(crate) enum Payload {
    /// Can be sent again. With its share of the memory for bodies, unless it is none of a client's.
    Kept { bytes: Bytes, _share: Option<Share> },
    /// Is passed on as it comes, once.
    Stream(Option<Body>),
}

impl Payload {
    /// Keeps a body whose length is known and small while there is memory for it; streams any other.
    pub(crate) async fn of(headers: &HeaderMap, body: Body, budget: &Budget) -> Result<Self, axum::Error> {
        let length = content_length(headers).filter(|length| *length <= REPLAY_LIMIT);
        // Neither a length nor chunks: there is no body.
        if body.is_end_stream() {
            return Ok(Self::kept(Bytes::new()));
        }
        match length.and_then(|length| budget.try_take(length)) {
            Some(share) => {
                let bytes = body.collect().await?.to_bytes();
                Ok(Self::Kept { bytes, _share: Some(share) })
            }
            None => Ok(Self::Stream(Some(Draining::wrap(body)))),
        }
    }

    /// What is in memory anyway.
    pub(crate) fn kept(bytes: Bytes) -> Self {
        Self::Kept { bytes, _share: None }
    }

    fn can_repeat(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }

    /// `None` if it was sent already and is gone.
    fn next(&mut self) -> Option<Body> {
        match self {
            Self::Kept { bytes, .. } => Some(Body::from(bytes.clone())),
            Self::Stream(body) => body.take(),
        }
    }
}

/// How long a body is said to be.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A call of a function.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query as the function sees them.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// How long the answer may take to begin; without an end for asynchronous calls, which the function itself limits.
    pub(crate) timeout: Option<Duration>,
}

/// Why no function answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// With what is wrong with its replicas, if anything is.
    #[error("No endpoints available for: {0}.{1}")]
    NoEndpoints(String, String),
    #[error("Can't reach service for: {0}.")]
    Unreachable(String),
    #[error("{0} cannot be scaled from zero: {1}")]
    NotWoken(String, Refusal),
    #[error("A replica of {0} closed the connection before it had answered.")]
    CutOff(String),
    #[error("the function did not answer in time")]
    Timeout,
    #[error("cannot read the body: it does not come")]
    TooSlow,
    #[error("{0:?} is not a path and query")]
    Path(String),
}

impl CallError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoEndpoints(..) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotWoken(_, refusal) if refusal.status() == StatusCode::INSUFFICIENT_STORAGE => {
                refusal.status()
            }
            Self::NotWoken(..) => StatusCode::SERVICE_UNAVAILABLE,
            Self::CutOff(_) | Self::Timeout => StatusCode::BAD_GATEWAY,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Path(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for CallError {
    fn into_response(self) -> Response<Body> {
        // OpenFaaS's own answer to a timeout has no body.
        let text = if matches!(self, Self::Timeout) { String::new() } else { format!("{self}\n") };
        (self.status(), [(INTERNAL, "proxy")], text).into_response()
    }
}

/// Adds what the gateway tells a function about a call; the call's id and start time.
pub(crate) fn mark(headers: &mut HeaderMap, peer: SocketAddr) -> (HeaderValue, HeaderValue) {
    remove_hop_by_hop(headers);
    if let Some(host) = headers.remove(HOST) {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    let before = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
    let chain = before.map_or_else(|| peer.ip().to_string(), |before| format!("{before}, {}", peer.ip()));
    if let Ok(chain) = HeaderValue::from_str(&chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    let start = mark_start(headers);
    let id = headers.entry(CALL_ID).or_insert_with(|| {
        HeaderValue::from_str(&new_call_id()).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    });
    (id.clone(), start)
}

/// Calls `function` and counts that.
pub(crate) async fn call(
    shared: &SharedState,
    function: &Arc<Function>,
    call: Call,
) -> Result<Response<Body>, CallError> {
    let started = Instant::now();
    shared.metrics.begin(&function.name);
    let under_way = function.begin();
    let result = match call.timeout {
        None => attempt(shared, function, call).await,
        Some(limit) => tokio::time::timeout(limit, attempt(shared, function, call))
            .await
            .unwrap_or(Err(CallError::Timeout)),
    };
    let status = result.as_ref().map_or_else(CallError::status, Response::status);
    shared.metrics.end(&function.name, status.as_u16(), started.elapsed());
    result.map(|response| response.map(|body| hold(body, under_way)))
}

/// What came of a call so far.
struct Tries {
    /// The replicas that it need not be sent to again.
    replicas: Vec<String>,
    /// One said that it has as many calls as it may.
    refusal: Option<Response<Body>>,
    /// One closed the connection.
    cut_off: bool,
    /// Until when another one is waited for.
    deadline: Instant,
}

async fn attempt(
    shared: &SharedState,
    function: &Arc<Function>,
    mut call: Call,
) -> Result<Response<Body>, CallError> {
    let deadline = Instant::now() + shared.config.ready_timeout;
    let mut tries = Tries { replicas: Vec::new(), refusal: None, cut_off: false, deadline };
    while let Some((replica, in_flight)) = choose(shared, function, &mut tries).await? {
        let Some(body) = call.payload.next() else {
            return Err(CallError::Unreachable(function.name.clone()));
        };
        let request = request(&call, &replica.authority(), body)?;
        match shared.context.client.request(request).await {
            Ok(response) => {
                let response = response.map(|body| hold(body, in_flight));
                if !at_its_limit(&response) {
                    return Ok(response);
                }
                replica.set_phase(Phase::Busy);
                tries.refusal = Some(response);
                if !call.payload.can_repeat() {
                    break;
                }
            }
            Err(error) if error.is_connect() => {
                replica.set_phase(Phase::Unready);
                continue;
            }
            Err(error) if BodyError::is_slow(&error) => return Err(CallError::TooSlow),
            Err(error) => {
                tracing::warn!(replica = replica.pod, %error, "a call was cut off");
                if tries.cut_off || !call.payload.can_repeat() || !call.method.is_idempotent() {
                    return Err(CallError::CutOff(function.name.clone()));
                }
                tries.cut_off = true;
                tries.deadline = tries.deadline.min(Instant::now() + REPLACEMENT);
            }
        }
        tries.replicas.push(replica.pod.clone());
    }
    tries.refusal.ok_or_else(|| CallError::NoEndpoints(function.name.clone(), String::new()))
}

/// A replica for the next try, which is waited for; `None` where all others have refused the call.
async fn choose(
    shared: &SharedState,
    function: &Arc<Function>,
    tries: &mut Tries,
) -> Result<Option<(Arc<Replica>, InFlight)>, CallError> {
    loop {
        let found = function.pick(&tries.replicas);
        if found.is_some() || tries.refusal.is_some() {
            return Ok(found);
        }
        wake(shared, function).await?;
        if !function.ready(&tries.replicas, tries.deadline).await {
            let name = function.name.clone();
            return Err(match tries.cut_off {
                true => CallError::CutOff(name),
                false => CallError::NoEndpoints(name, function.trouble()),
            });
        }
    }
}

/// Brings a function back that was scaled to zero.
async fn wake(shared: &SharedState, function: &Arc<Function>) -> Result<(), CallError> {
    if function.version().record.replicas > 0 {
        return Ok(());
    }
    let (supervisor, name) = (shared.supervisor.clone(), function.name.clone());
    let woken = tokio::task::spawn_blocking(move || supervisor.wake(&name)).await;
    woken.unwrap_or(Err(Refusal::Task)).map_err(|refusal| CallError::NotWoken(function.name.clone(), refusal))
}

fn request(call: &Call, authority: &str, body: Body) -> Result<Request<Body>, CallError> {
    let uri = Uri::builder().scheme("http").authority(authority).path_and_query(call.path.as_str()).build();
    let mut request = Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri.map_err(|_| CallError::Path(call.path.clone()))?;
    *request.headers_mut() = call.headers.clone();
    Ok(request)
}

/// Whether the watchdog, not the function, said that it has as many calls as it may.
fn at_its_limit(response: &Response<Body>) -> bool {
    response.status() == StatusCode::TOO_MANY_REQUESTS
        && response.headers().get(INTERNAL).is_some_and(|value| value == "faas-middleware")
}

/// A function's answer, with what says that its call is in flight until all of it was passed on or dropped.
fn hold<B, H>(body: B, held: H) -> Body
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
    H: Send + 'static,
{
    Body::new(body.map_err(move |error| {
        let _held = &held;
        error
    }))
}
