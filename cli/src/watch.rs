//! Follows a run until it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use sgd_lib::downpour::{Event, Run, RunStatus};

use crate::render::output;
use crate::render::progress::{Accuracy, Progress, WorkerProgress};

/// How long to wait for an event before looking at other things.
const EVENT_WAIT: Duration = Duration::from_millis(100);
/// The same, once a worker left: the others follow within milliseconds.
const LAST_WAIT: Duration = Duration::from_millis(2);
/// How often to look at the run's records although no worker left: one may have been killed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A run on which nobody has worked for so long needs help. Leases expire and are taken over sooner.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// Where the news of a run go.
pub(crate) enum Audience {
    /// A person: bars or lines on standard error.
    Person(Box<Progress>),
    /// A program: an object a line on standard output.
    Program,
}

/// Follows `run` until it is over or `interrupted` is set; then asks its workers to stop. Blocking.
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
    let mut worked_on = Instant::now();
    let mut left = false;
    loop {
        if interrupted.load(Ordering::Relaxed) {
            run.stop()?;
            bail!("interrupted: run {} was asked to stop", run.name());
        }
        let wait = if left { LAST_WAIT } else { EVENT_WAIT };
        for (id, event) in run.events(&cursor, wait)? {
            left |= matches!(event, Event::Left { .. });
            audience.tell(&event)?;
            cursor = id;
        }
        if !left && looked.elapsed() < LOOK_INTERVAL {
            continue;
        }
        looked = Instant::now();
        let status = run.status()?;
        if status.is_over() {
            return Ok(status);
        }
        if status.held.contains(&true) {
            worked_on = Instant::now();
        } else if worked_on.elapsed() > ABANDONED_AFTER {
            let seconds = ABANDONED_AFTER.as_secs();
            bail!("nobody has worked on run {} for {seconds} s; downpour logs says why", run.name());
        } else if status.control.stop.is_none() {
            (0..status.control.workers.unwrap_or(0)).for_each(recruit);
        }
    }
}

impl Audience {
    fn tell(&mut self, event: &Event) -> Result<()> {
        match self {
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
