//! Who brings a run back that everybody has left: what the documentation asks somebody to do then, by a call.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openfaas::client::Client;
use reqwest::header::HeaderMap;
use serde_json::json;
use sgd_lib::downpour::RunStatus;

/// As long as a lease lasts nobody can tell that its holder is gone.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Looks after a run.
pub(crate) struct Keeper {
    run: String,
    alone_since: Option<Instant>,
    /// The call that is under way.
    call: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Of the run of this name.
    pub(crate) fn of(run: &str) -> Self {
        Self { run: run.to_owned(), alone_since: None, call: None }
    }

    /// Nobody is left: the gateway has just been started again.
    pub(crate) fn bring_back_at_once(&mut self) {
        self.alone_since = Instant::now().checked_sub(PATIENCE);
    }

    /// Has the run brought back where nobody has been at work for a while. Never waits.
    pub(crate) fn look(&mut self, status: &RunStatus, gateway: &str) {
        if status.held.contains(&true) || status.control.stop.is_some() {
            self.alone_since = None;
            return;
        }
        let since = *self.alone_since.get_or_insert_with(Instant::now);
        let calls = self.call.as_ref().is_some_and(|call| !call.is_finished());
        if since.elapsed() >= PATIENCE && !calls {
            self.alone_since = None;
            let (gateway, run) = (gateway.to_owned(), self.run.clone());
            self.call = Some(thread::spawn(move || bring_back(&gateway, &run)));
        }
    }
}

/// A call that fails is made again later.
fn bring_back(gateway: &str, run: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let (Ok(runtime), Ok(client)) = (runtime, Client::new(gateway, None)) {
        let body = json!({"run": run}).to_string().into_bytes();
        let _ = runtime.block_on(client.invoke("emnist-setup", body, HeaderMap::new()));
    }
}
