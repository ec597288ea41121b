//! The worker's side of pushing and fetching.

use std::thread;
use std::time::{Duration, Instant};

use super::{Departure, Event, Worker, WorkerError};
use crate::downpour::link::{Reply, Request};
use crate::downpour::run::StopReason;
use crate::downpour::schedule::Since;
use crate::network::Evaluation;
use crate::state;
use crate::store::{EntryKind, Position, Progress, PushOutcome};

/// Between two events of a worker's progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks whether the others are there: at first, and at last.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// How long workers wait for one whose lease nobody holds.
const PATIENCE: Duration = Duration::from_secs(60);

impl Worker<'_> {
    /// After a minibatch: takes a reply that has come, and sends what is due; with `push`, a push is. A push or
    /// fetch that is due waits for the one before.
    pub(super) fn talk(&mut self, push: bool) -> Result<(), WorkerError> {
        if let Some(reply) = self.link.poll() {
            self.receive(reply?)?;
        }
        let mut due = self.schedule.due(self.since, self.progress.at);
        due.push |= push;
        if due.push || due.fetch {
            self.settle()?;
            if self.ending.is_none() {
                self.tell_progress()?;
                let measures = due.push && self.schedule.measures_staleness();
                if measures {
                    self.send(None, true)?;
                    self.settle()?;
                }
                self.send(due.push.then_some(EntryKind::Push), due.fetch && !measures)?;
                if due.push {
                    self.meet()?;
                }
            }
        }
        Ok(())
    }

    /// Waits until everybody is where this worker may go on, if it waits for anybody.
    pub(super) fn meet(&mut self) -> Result<(), WorkerError> {
        let mut pause = FIRST_PAUSE;
        if !self.may_go_on() {
            self.settle()?;
        }
        while self.ending.is_none() && !self.may_go_on() {
            if self.surroundings.must_leave() {
                self.ending = Some(Departure::HandedOver);
                break;
            }
            if let Some((worker, since)) = self.gone_since
                && since.elapsed() > PATIENCE
            {
                return Err(WorkerError::Abandoned { worker, seconds: since.elapsed().as_secs() });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.send(None, true)?;
            self.settle()?;
        }
        self.complete = false;
        Ok(())
    }

    /// Whether those for whom this worker waits are known to be far enough.
    fn may_go_on(&self) -> bool {
        if self.schedule.is_synchronous() {
            return self.complete;
        }
        let Some(bound) = self.schedule.bound(self.progress.at) else { return true };
        let own = self.lease.worker as usize;
        let far =
            |(worker, (stands, bound)): (usize, (&Progress, &Position))| worker == own || stands.at >= *bound;
        self.stands.iter().zip(&bound).enumerate().all(far)
    }

    /// Waits for the reply that is under way, if one is.
    pub(super) fn settle(&mut self) -> Result<(), WorkerError> {
        while self.link.in_flight() {
            let reply = self.link.wait().ok_or(WorkerError::LinkEnded)??;
            self.receive(reply)?;
        }
        Ok(())
    }

    /// Pushes everything that was held back, fetches, and waits for the answer.
    pub(super) fn flush(&mut self) -> Result<(), WorkerError> {
        self.settle()?;
        if !matches!(self.ending, Some(Departure::Replaced)) {
            self.send(Some(EntryKind::Flush), true)?;
            self.settle()?;
            self.meet()?;
        }
        Ok(())
    }

    /// Sends a request, after the one that is under way: its buffers are there only then.
    pub(super) fn send(&mut self, push: Option<EntryKind>, fetch: bool) -> Result<(), WorkerError> {
        self.settle()?;
        let mut request = Request {
            fetch,
            awaited: self.schedule.awaited(self.progress.at),
            sum: std::mem::take(&mut self.sum),
            payload: std::mem::take(&mut self.payload),
            events: std::mem::take(&mut self.events),
            pass_on: std::mem::take(&mut self.pass_on),
            ..Request::default()
        };
        if std::mem::take(&mut self.snapshot_due) {
            request.snapshot = Some(self.replica.base().to_vec());
        }
        if let Some(kind) = push {
            let weight = self.schedule.weight(&self.since, self.last);
            let (theta, base) = self.replica.moved();
            self.schedule.outer_step(&self.since, self.progress.at, self.last, base, theta);
            self.replica.encode(weight, kind == EntryKind::Flush, &mut request.payload)?;
            self.progress.pushes += 1;
            self.unfetched_pushes += 1;
            self.record.bytes_pushed += request.payload.len() as u64;
            if !self.record.on_node {
                self.record.bytes_to_global += request.payload.len() as u64;
            }
            self.complete = false;
            request.push = Some((kind, self.progress));
            self.since = Since { fetch: self.since.fetch, ..Since::default() };
        }
        if fetch {
            self.since.fetch = 0;
        }
        self.link.send(request);
        Ok(())
    }

    fn receive(&mut self, mut reply: Reply) -> Result<(), WorkerError> {
        match reply.push {
            Some(PushOutcome::Accepted) => self.record.ended_ms = self.now_ms(),
            Some(PushOutcome::Fenced | PushOutcome::Gone) => self.ending = Some(Departure::Replaced),
            None => {}
        }
        if !reply.lease_held {
            self.ending = Some(Departure::Replaced);
        }
        if let Some(share) = &mut self.share {
            share.acknowledge(reply.own);
        }
        if reply.reconnected {
            self.recall_gifts()?;
        }
        if let Some(rebuilt) = reply.rebuilt.take() {
            self.replica.rebase(rebuilt);
        } else if reply.folded {
            self.replica.fold(&reply.sum);
        }
        if let Some(control) = reply.control.take() {
            self.count_fetch(&reply);
            self.complete = reply.complete;
            self.stands = std::mem::take(&mut reply.stands);
            // Nobody takes over from a worker of a run that is stopped: it ends there, too.
            let goes_on = matches!(self.ending, None | Some(Departure::HandedOver));
            if let Some(reason) = control.stop.filter(|_| goes_on) {
                self.ending = Some(Departure::Finished(reason.parse().unwrap_or(StopReason::Requested)));
            }
        }
        self.snapshot_due |= reply.snapshot_due;
        self.payload = reply.payload;
        self.sum = reply.sum;
        match reply.missing {
            Some(missing) if self.share.is_some() => self.bury(&missing)?,
            Some(missing) => self.miss(missing),
            None => {}
        }
        Ok(())
    }

    /// Asks for successors for those whose leases nobody holds.
    fn miss(&mut self, mut missing: Vec<u32>) {
        missing.retain(|worker| !self.is_done(*worker));
        self.gone_since = missing.first().map(|worker| match self.gone_since {
            Some((gone, since)) if gone == *worker => (gone, since),
            _ => (*worker, Instant::now()),
        });
        for worker in missing {
            tracing::warn!(worker, "nobody holds this worker's lease: asking for a successor");
            self.surroundings.recruit(worker);
        }
    }

    /// The entries of a fetch came after the one before, so the pushes in between had not seen them:
    /// the last of k such pushes none of the n, the one before it n/k fewer, and so on.
    fn count_fetch(&mut self, reply: &Reply) {
        let pushes = std::mem::take(&mut self.unfetched_pushes);
        // A look at whether the others are there, or the run was stopped, is no fetch.
        self.record.fetches += u64::from(reply.folded || !self.schedule.is_synchronous());
        self.record.bytes_fetched += reply.bytes;
        self.since.miss(reply.pushes);
        if !self.record.on_node {
            self.record.bytes_from_global += reply.bytes;
        }
        // Where workers wait for one another, a push has seen everything.
        if pushes > 0 && !self.schedule.is_synchronous() {
            let unseen = reply.pushes as f64;
            self.record.staleness_sum += unseen * (pushes as f64 + 1.0) / 2.0;
            self.record.staleness_max = self.record.staleness_max.max(reply.pushes);
        }
    }

    /// An event that goes with the next request.
    pub(super) fn tell(&mut self, event: &Event) -> Result<(), WorkerError> {
        self.events.push(state::encode("event", event)?);
        Ok(())
    }

    pub(super) fn tell_evaluation(&mut self, tried: Evaluation, whole: bool) -> Result<(), WorkerError> {
        self.tell(&Event::Evaluated {
            worker: self.lease.worker,
            images: u32::try_from(tried.samples).unwrap_or(u32::MAX),
            accuracy: tried.accuracy() as f32,
            whole,
        })
    }

    /// The epoch that the worker is in, and the share of it that is done.
    fn whereabouts(&self) -> (u32, f32) {
        let at = self.progress.at;
        match &self.share {
            Some(share) => share.whereabouts(at),
            // What it does for others after its last epoch is in no epoch of its own.
            None if at.epoch >= self.config.epochs => (at.epoch, 0.0),
            None => (at.epoch, at.minibatch as f32 / self.partition.own(self.lease.worker).max(1) as f32),
        }
    }

    fn tell_progress(&mut self) -> Result<(), WorkerError> {
        let (since, samples) = self.told;
        let elapsed = since.elapsed();
        if elapsed < PROGRESS_INTERVAL {
            return Ok(());
        }
        let trained = (self.progress.samples - samples).max(1) as f64;
        let (epoch, share) = self.whereabouts();
        let event = Event::Progress {
            worker: self.lease.worker,
            epoch,
            share,
            samples: self.progress.samples,
            samples_per_s: (trained / elapsed.as_secs_f64()) as f32,
            loss: (self.loss_sum / trained) as f32,
            staleness: self.staleness_mean() as f32,
        };
        self.told = (Instant::now(), self.progress.samples);
        self.loss_sum = 0.0;
        self.tell(&event)
    }

    fn staleness_mean(&self) -> f64 {
        self.record.staleness_sum / self.progress.pushes.max(1) as f64
    }
}
