//! How a worker leaves: the last to leave makes the model.

use std::thread;
use std::time::{Duration, Instant};

use super::{Departure, Event, Worker, WorkerError};
use crate::downpour::log::Folded;
use crate::downpour::record::Model;
use crate::downpour::run::StopReason;
use crate::store::EntryKind;

/// Whoever makes the model has this long before another tries.
const FINISH_LOCK: Duration = Duration::from_secs(10);
/// How long the maker of a stopped run's model waits for the others' last pushes.
const LAST_PUSHES: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl Worker<'_> {
    /// No worker leaves its last epoch before all have finished it: so one is always left to notice
    /// when another dies.
    pub(super) fn wait_for_the_others(&mut self) -> Result<(), WorkerError> {
        let mut pause = Duration::from_micros(200);
        while self.ending.is_none() {
            if self.surroundings.must_leave() {
                self.ending = Some(Departure::HandedOver);
                break;
            }
            if self.all_done && self.store.lock(&self.run, "finish", &self.lease.holder, FINISH_LOCK)? {
                self.make_model()?;
                let reason = self.store.stop(&self.run, StopReason::Epochs.name())?;
                self.ending = Some(Departure::Finished(reason.parse().unwrap_or(StopReason::Requested)));
                break;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.send(None, true)?;
            self.settle()?;
        }
        Ok(())
    }

    /// The last push, the record, and the lease back.
    pub(super) fn leave(mut self) -> Result<Departure, WorkerError> {
        self.settle()?;
        // At an epoch's end everything was pushed, the residue too. The fetch is for the stop flag: where
        // the run was stopped meanwhile nobody takes the shard over.
        let push = (self.progress.at.minibatch > 0).then_some(EntryKind::Flush);
        if self.ending != Some(Departure::Replaced) {
            self.send(push, true)?;
            self.settle()?;
        }
        let ending = self.ending.clone().unwrap_or(Departure::HandedOver);
        if ending == Departure::Replaced {
            return Ok(ending);
        }
        let why = match &ending {
            Departure::Finished(reason) => reason.to_string(),
            Departure::HandedOver | Departure::Replaced => "hands over".to_owned(),
        };
        self.tell(&Event::Left { worker: self.lease.worker, why })?;
        self.send(None, false)?;
        self.settle()?;
        self.write_record()?;
        if ending == Departure::Finished(StopReason::Requested) {
            self.finish_stopped_run()?;
        }
        self.store.release(&self.run, &self.lease)?;
        Ok(ending)
    }

    /// A run that was stopped from outside has a model too: of all that was pushed.
    fn finish_stopped_run(&mut self) -> Result<(), WorkerError> {
        if !self.store.lock(&self.run, "finish", &self.lease.holder, FINISH_LOCK)? {
            return Ok(());
        }
        let deadline = Instant::now() + LAST_PUSHES;
        let own = self.lease.worker as usize;
        while Instant::now() < deadline {
            let held = self.store.held(&self.run, self.workers)?;
            if held.iter().enumerate().all(|(worker, held)| worker == own || !held) {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.make_model()
    }

    fn make_model(&mut self) -> Result<(), WorkerError> {
        let folded = Folded::load(&*self.store, &self.run, &self.config.architecture.rows())?;
        let evaluation = self.evaluator.whole(&folded.parameters);
        self.tell_evaluation(evaluation, true)?;
        Model { evaluation, parameters: folded.parameters }.create(&*self.store, &self.run)?;
        Ok(())
    }
}
