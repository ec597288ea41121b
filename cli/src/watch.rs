//! Follows a run until it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Error, Result, bail};
use serde_json::{Value, json};
use sgd_lib::downpour::{Event, Run, RunStatus};

use crate::local::signals::Interrupted;
use crate::render::output;
use crate::render::progress::{Accuracy, Progress, WorkerProgress};

/// How long to wait for an event before looking at other things.
const EVENT_WAIT: Duration = Duration::from_millis(100);
/// The same, once a worker left: the others follow within milliseconds.
const LAST_WAIT: Duration = Duration::from_millis(2);
/// How often to look at the run's records although no worker left: one may have been killed. So long after one left
/// the end is watched for closely.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// What the end may be seen late by, as a part of the time since the last worker left.
const LATE: u32 = 16;
/// A run on which nobody has worked for so long needs help. Leases expire and are taken over sooner.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// So long workers that were asked to stop are waited for.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks whether they have.
const STOP_POLL: Duration = Duration::from_millis(10);

/// Where the news of a run go.
pub(crate) enum Audience {
    /// A person: bars or lines on standard error.
    Person(Box<Progress>),
    /// A program: an object a line on standard output.
    Program,
    /// Nobody.
    Nobody,
}

/// Follows `run` until it is over or `interrupted` is set; then asks its workers to stop, and waits a
/// moment for them. Blocking.
/// Where all workers are gone, so that none is left to notice, each is asked for anew by `recruit`.
///
/// # Errors
/// The store fails, nobody works on the run, or it was interrupted.
pub(crate) fn until_over(
    run: &Run,
    mut audience: Audience,
    interrupted: &AtomicBool,
    recruit: impl Fn(u32),
) -> Result<RunStatus> {
    let status = follow(run, &mut audience, interrupted, &recruit);
    if let Audience::Person(progress) = audience {
        progress.finish();
    }
    status
}

fn follow(
    run: &Run,
    audience: &mut Audience,
    interrupted: &AtomicBool,
    recruit: &dyn Fn(u32),
) -> Result<RunStatus> {
    let mut cursor = "0".to_owned();
    let mut looked = Instant::now();
    let mut left: Option<Instant> = None;
    let mut vigil = Vigil::begin();
    loop {
        let round = Instant::now();
        if interrupted.load(Ordering::Relaxed) {
            return Err(stop(run)?.context(format!("run {} was asked to stop", run.name())));
        }
        let wait = pace(left).min(EVENT_WAIT);
        for (id, event) in run.events(&cursor, wait)? {
            if matches!(event, Event::Left { .. }) {
                left = Some(Instant::now());
                // Whoever hands over asks for a successor itself.
                vigil.recruited = Instant::now();
            }
            audience.tell(&event)?;
            cursor = id;
        }
        if looked.elapsed() < pace(left) {
            continue;
        }
        looked = Instant::now();
        let status = run.status()?;
        if status.is_over() {
            return Ok(status);
        }
        if round.elapsed() > LOOK_INTERVAL {
            // The store was away, and its workers come back first.
            vigil = Vigil::begin();
        }
        vigil.keep(run, &status, recruit)?;
    }
}

/// Who works on a run, as far as anybody has looked.
struct Vigil {
    /// When somebody did last.
    worked_on: Instant,
    /// When workers were asked for last, or had no need to be.
    recruited: Instant,
}

impl Vigil {
    fn begin() -> Self {
        Self { worked_on: Instant::now(), recruited: Instant::now() }
    }

    /// Asks for workers where all are gone; gives up where none come.
    fn keep(&mut self, run: &Run, status: &RunStatus, recruit: &dyn Fn(u32)) -> Result<()> {
        // Where no number of workers stands yet, a queue still has the calls.
        let elastic = run.config().is_elastic();
        if status.held.contains(&true) || (status.control.workers.is_none() && !elastic) {
            self.worked_on = Instant::now();
        } else if self.worked_on.elapsed() > ABANDONED_AFTER {
            let seconds = ABANDONED_AFTER.as_secs();
            bail!("nobody has worked on run {} for {seconds} s; downpour logs says why", run.name());
        } else if status.control.stop.is_none() && self.recruited.elapsed() >= LOOK_INTERVAL {
            self.recruited = Instant::now();
            // Where workers follow the replicas the first who comes asks for the others.
            (0..status.control.workers.unwrap_or(u32::from(elastic))).for_each(recruit);
        }
        Ok(())
    }
}

/// Between two looks at the run's records, where a worker left last then. It may have been the last of all, or have
/// handed over, and the run goes on for hours.
fn pace(left: Option<Instant>) -> Duration {
    match left.map(|at| at.elapsed()) {
        None => LOOK_INTERVAL,
        Some(since) if since < LOOK_INTERVAL => LAST_WAIT,
        Some(since) => (since / LATE).min(LOOK_INTERVAL),
    }
}

/// Asks a run's workers to stop and waits for that: one that was told to end in the middle of it would look
/// for a successor, and keep the others waiting for the model.
fn stop(run: &Run) -> Result<Error> {
    run.stop()?;
    let deadline = Instant::now() + STOPPED_WITHIN;
    while !run.status()?.is_over() && Instant::now() < deadline {
        std::thread::sleep(STOP_POLL);
    }
    Ok(Interrupted.into())
}

impl Audience {
    fn tell(&mut self, event: &Event) -> Result<()> {
        match self {
            Self::Nobody => Ok(()),
            Self::Program => output::json(&object(event)),
            Self::Person(progress) => {
                show(progress, event);
                Ok(())
            }
        }
    }
}

fn show(progress: &mut Progress, event: &Event) {
    match event {
        // With an invocation an epoch, that one follows another is no news.
        Event::Started { planned: true, .. } => {}
        Event::Started { worker, node, resumed, .. } => {
            let begins = if *resumed { "goes on" } else { "begins" };
            progress.message(&format!("worker {worker} {begins} on {node}"));
        }
        Event::Progress { worker, epoch, share, samples_per_s, loss, staleness, .. } => {
            progress.worker(WorkerProgress {
                worker: *worker,
                epoch: f64::from(*epoch) + f64::from(*share),
                samples_per_s: f64::from(*samples_per_s),
                loss: f64::from(*loss),
                staleness: f64::from(*staleness),
            });
        }
        Event::Evaluated { images, accuracy, .. } => {
            progress.accuracy(Accuracy { value: f64::from(*accuracy), images: *images });
        }
        Event::Left { worker, why } => progress.message(&format!("worker {worker}: {why}")),
    }
}

fn object(event: &Event) -> Value {
    match event {
        Event::Started { worker, node, pod, resumed, planned } => json!({
            "event": "started", "worker": worker, "node": node, "pod": pod, "resumed": resumed,
            "planned": planned,
        }),
        Event::Progress { worker, epoch, share, samples, samples_per_s, loss, staleness } => json!({
            "event": "progress", "worker": worker, "epoch": f64::from(*epoch) + f64::from(*share),
            "samples": samples, "samples_per_s": samples_per_s, "loss": loss, "staleness": staleness,
        }),
        Event::Evaluated { worker, images, accuracy, whole } => json!({
            "event": "evaluated", "worker": worker, "images": images, "test_accuracy": accuracy,
            "whole_test_set": whole,
        }),
        Event::Left { worker, why } => json!({"event": "left", "worker": worker, "why": why}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_left_is_no_reason_to_look_closely_for_ever() {
        let after = |ms| pace(Instant::now().checked_sub(Duration::from_millis(ms)));
        assert_eq!(pace(None), LOOK_INTERVAL);
        assert!(after(1_600) >= Duration::from_millis(100));
        assert_eq!(after(60_000), LOOK_INTERVAL);
    }
}
