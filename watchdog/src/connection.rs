//! One HTTP/1.1 connection, with bounds on what a slow or careless client can hold up.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

use crate::shutdown::Shutdown;

/// The largest head of a request; beyond it the answer is 431.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// How long a closed connection waits for the client to see the reply; see [`linger`].
const LINGER: Duration = Duration::from_millis(500);

/// Bounds on a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// For the head of a request, and for idling before it.
    pub(crate) read_timeout: Option<Duration>,
    /// How long writing may make no progress.
    pub(crate) write_timeout: Duration,
}

/// Serves requests until the client leaves, breaks the protocol or a bound, or `closing` is requested and
/// the request at hand is answered. An error of `respond` closes the connection without a reply.
pub(crate) async fn serve<S, F, E>(stream: TcpStream, bounds: Bounds, closing: Shutdown, respond: S)
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<Full<Bytes>>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    // Replies are small and complete: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.write_timeout));
    let service = service_fn(|request| Box::pin(respond(request)));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.read_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut close = pin!(closing.requested());
    let mut closed = false;
    let served = poll_fn(|context| {
        if !closed && close.as_mut().poll(context).is_ready() {
            closed = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(context)
    });
    match served.await {
        Err(error) if error.is_user() => {}
        result => {
            if let Err(error) = result {
                tracing::debug!("connection ended: {error}");
            }
            linger(connection.into_parts().io.into_inner()).await;
        }
    }
}

/// Says goodbye, and discards for a moment what the client still sends. Closing at once would reset the
/// connection when a part of a request was not read, and the reset may overtake the reply that says why.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.shutdown().await.is_ok() {
        let mut nowhere = tokio::io::sink();
        let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut stream, &mut nowhere)).await;
    }
}
