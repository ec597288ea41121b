//! Accepting connections, and waiting for them at the end.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::connection::{self, Bounds};
use crate::shutdown::Shutdown;

/// Pause after an accept that failed for lack of descriptors or memory: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `closing` is requested; ends when the last one is closed. Dropping it drops
/// the connections.
pub(crate) async fn serve<S, F, E>(listener: TcpListener, bounds: Bounds, closing: Shutdown, respond: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Full<Bytes>>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = closing.requested() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::serve(stream, bounds, closing.clone(), respond.clone()));
                }
                Err(error) if is_of_the_client(error.kind()) => {}
                Err(error) => {
                    tracing::warn!("connection not accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The connection was gone before it was accepted.
fn is_of_the_client(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
