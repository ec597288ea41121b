//! How many workers there is room for, asked again and again without anybody waiting for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use platform::replicas::Replicas;
use tokio::runtime::Handle;

use crate::worker::TRAIN_FUNCTION;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(300);
/// An older answer is none.
const FRESH: Duration = Duration::from_secs(2);

/// One worker for each ready replica.
pub(crate) struct Gauge {
    replicas: Replicas,
    runtime: Handle,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    asked: Option<Instant>,
    answer: Option<(u32, Instant)>,
    /// Whether the last question brought no answer.
    failing: bool,
}

impl Gauge {
    /// Asks these, on this runtime.
    pub(crate) fn new(replicas: Replicas, runtime: Handle) -> Self {
        Self { replicas, runtime, known: Arc::default() }
    }

    /// The last answer, if it is not old. Asks anew where it is time to.
    pub(crate) fn read(&self) -> Option<u32> {
        let mut known = lock(&self.known);
        if known.asked.is_none_or(|asked| asked.elapsed() >= PAUSE) {
            known.asked = Some(Instant::now());
            let (replicas, known) = (self.replicas.clone(), self.known.clone());
            self.runtime.spawn(async move {
                let answer = replicas.ready(TRAIN_FUNCTION).await;
                let mut known = lock(&known);
                match answer {
                    Ok(ready) => (known.answer, known.failing) = (Some((ready, Instant::now())), false),
                    Err(error) if !std::mem::replace(&mut known.failing, true) => {
                        tracing::warn!(%error, "nobody knows how many replicas are ready: no workers are added");
                    }
                    Err(_) => {}
                }
            });
        }
        known.answer.filter(|(_, at)| at.elapsed() < FRESH).map(|(ready, _)| ready)
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    // Each field is written in one step.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
