//! Readiness: asks `/_/ready`, often at first, so that a replica is used as soon as it can be.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri};
use http_body_util::BodyExt;

use super::replica::{Phase, Replica};
use crate::upstream::Client;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Between two questions to a replica that is ready.
const INTERVAL: Duration = Duration::from_secs(1);
/// Questions in a row without an answer before a ready replica counts as unready: Kubernetes' default.
const FAILURES: u32 = 3;

/// Asks one replica again and again.
pub(super) struct Probe<'a> {
    client: &'a Client,
    authority: String,
    failures: u32,
    since: Instant,
}

impl<'a> Probe<'a> {
    pub(super) fn new(client: &'a Client, authority: String) -> Self {
        Self { client, authority, failures: 0, since: Instant::now() }
    }

    /// Keeps the replica's phase up to date until it is dropped.
    pub(super) async fn run(&mut self, replica: &Replica) -> Infallible {
        loop {
            tokio::time::sleep(self.pause(replica)).await;
            match self.ask().await {
                Some(StatusCode::OK) => self.answered(replica, Phase::Ready),
                Some(StatusCode::TOO_MANY_REQUESTS) => self.answered(replica, Phase::Busy),
                Some(_) => self.unready(replica),
                None => {
                    self.failures += 1;
                    if self.failures >= FAILURES {
                        self.unready(replica);
                    }
                }
            }
        }
    }

    fn answered(&mut self, replica: &Replica, phase: Phase) {
        self.failures = 0;
        self.since = Instant::now();
        replica.set_phase(phase);
    }

    fn unready(&self, replica: &Replica) {
        if replica.takes_calls() {
            replica.set_phase(Phase::Unready);
        }
    }

    fn pause(&self, replica: &Replica) -> Duration {
        if replica.takes_calls() {
            return INTERVAL;
        }
        match self.since.elapsed().as_millis() {
            0..100 => Duration::from_millis(2),
            100..1000 => Duration::from_millis(10),
            _ => Duration::from_millis(100),
        }
    }

    /// The status of the answer; `None` if there was none.
    async fn ask(&self) -> Option<StatusCode> {
        let uri = Uri::builder().scheme("http").authority(self.authority.as_str()).path_and_query("/_/ready");
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri.build().ok()?;
        let answer = async {
            let response = self.client.request(request).await.ok()?;
            let status = response.status();
            // Read to its end, so that the connection can be used again.
            let _ = http_body_util::Limited::new(response.into_body(), 4096).collect().await;
            Some(status)
        };
        tokio::time::timeout(TIMEOUT, answer).await.ok().flatten()
    }
}
