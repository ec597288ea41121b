//! Accepting connections, with bounds on what clients can hold up that are slow, silent, or do not read.
//!
//! A request's head, or the next one's beginning, has to come within [`Config::read_timeout`](crate::Config); its body
//! as [`Patient`] says; and somebody who takes nothing of an answer for [`Config::write_timeout`](crate::Config) is cut
//! off. More connections than [`most_connections`] wait in the system's queue.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use crate::patience::Patient;
use crate::tasks::Tasks;

/// The largest head of a request; beyond it the answer is 431.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Pause after an accept that failed for lack of descriptors or memory: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// However much the system allows.
const MOST_CONNECTIONS: u64 = 4096;

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

/// Serves connections until `tasks` drain, and then the requests at hand; each connection is one of `tasks`.
pub(crate) async fn serve(listener: TcpListener, router: Router, bounds: Bounds, tasks: Tasks) {
    let places = Arc::new(Semaphore::new(most_connections()));
    loop {
        let accepted = tokio::select! {
            biased;
            () = tasks.draining() => return,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let (router, ending) = (router.clone(), tasks.clone());
        tasks.spawn(async move {
            converse(stream, peer, router, bounds, ending).await;
            drop(place);
        });
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is a place for one; `None` where one could not be accepted.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            // Gone before it was accepted, or else a lack of something.
            if !matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, peer: SocketAddr, router: Router, bounds: Bounds, ending: Tasks) {
    // Answers are small and complete: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.write_timeout));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| patient(body, bounds.read_timeout));
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.read_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ending.draining() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection ended");
    }
}

fn patient(body: Incoming, limit: Duration) -> Body {
    if body.is_end_stream() { Body::empty() } else { Body::new(Patient::new(body, limit)) }
}

/// A third of the files that this process may have open, which is raised to what the system allows: a call needs a
/// connection to a replica, too, and the rest is for replicas and files.
fn most_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let _ = setrlimit(Resource::Nofile, raised);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (files / 3).clamp(1, MOST_CONNECTIONS) as usize
}
