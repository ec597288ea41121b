//! Connections that a call turns to another protocol, such as websockets: once the function agrees, bytes pass through
//! until an end closes.

use axum::body::Body;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::tasks::Tasks;

/// A caller's wish to go over to another protocol.
pub(crate) struct Upgrade {
    protocol: HeaderValue,
    caller: OnUpgrade,
}

impl Upgrade {
    /// Takes the wish out of a request, if it has one.
    pub(crate) fn wished(parts: &mut Parts) -> Option<Self> {
        let names = parts.headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let asked =
            names.flat_map(|names| names.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
        let protocol = parts.headers.get(UPGRADE).filter(|_| asked)?.clone();
        Some(Self { protocol, caller: parts.extensions.remove::<OnUpgrade>()? })
    }

    /// Passes the wish on to the function.
    pub(crate) fn announce(&self, headers: &mut HeaderMap) {
        announce(headers, &self.protocol);
    }

    /// Joins the caller's connection with the function's where that agreed, to the protocol `agreed`.
    pub(crate) fn join(
        self,
        tasks: &Tasks,
        agreed: Option<HeaderValue>,
        mut response: Response<Body>,
    ) -> Response<Body> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        let function = hyper::upgrade::on(&mut response);
        announce(response.headers_mut(), &agreed.unwrap_or(self.protocol));
        // The body has nothing in it, but while it is there the call counts as in flight.
        let held = std::mem::take(response.body_mut());
        let finish = tasks.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = pass(self.caller, function) => {}
                () = finish.draining() => {}
            }
            drop(held);
        });
        response
    }
}

fn announce(headers: &mut HeaderMap, protocol: &HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol.clone());
}

/// Copies both ways until both ends have closed.
async fn pass(caller: OnUpgrade, function: OnUpgrade) {
    let copied = async {
        let (caller, function) = tokio::try_join!(caller, function)?;
        let mut ends = (TokioIo::new(caller), TokioIo::new(function));
        let copied = tokio::io::copy_bidirectional(&mut ends.0, &mut ends.1).await;
        // A connection that is reset is an end like any other.
        if let Err(error) = copied {
            tracing::debug!(%error, "an upgraded connection broke");
        }
        Ok::<_, hyper::Error>(())
    };
    if let Err(error) = copied.await {
        tracing::warn!(%error, "a connection could not go over to another protocol");
    }
}
