//! How a worker leaves: the last to leave makes the model.

use std::thread;
use std::time::{Duration, Instant};

use super::{Departure, Event, Worker, WorkerError};
use crate::downpour::carried::Carried;
use crate::downpour::log::{Folded, LogError};
use crate::downpour::record::Model;
use crate::downpour::run::StopReason;
use crate::downpour::schedule::Coupling;
use crate::store::{EntryKind, StoreError};

/// Whoever makes the model has this long before another tries.
const FINISH_LOCK: Duration = Duration::from_secs(10);
/// How long the maker of a stopped run's model waits for the others' last pushes.
const LAST_PUSHES: Duration = Duration::from_secs(5);
/// Between two looks whether the model of a stopped run is there.
const MODEL_LOOK: Duration = Duration::from_millis(50);
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
            if self.relieve()? {
                continue;
            }
            if self.everybody_is_done()
                && self.try_finish()?
                && let Some(folded) = self.everything()?
            {
                self.make_model(folded)?;
                self.end(StopReason::Epochs)?;
                break;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.send(None, true)?;
            self.settle()?;
        }
        Ok(())
    }

    /// Nobody has anything left to do. Whoever is done gives nothing away any more, so what was read after that
    /// is all.
    fn everybody_is_done(&self) -> bool {
        (0..self.partition.workers()).all(|worker| self.is_done(worker))
    }

    /// The last push, the record, and the lease back.
    pub(super) fn leave(mut self) -> Result<Departure, WorkerError> {
        self.settle()?;
        if let Some(Departure::EpochEnded { .. }) = self.ending {
            return self.leave_the_next_epoch();
        }
        // At an epoch's end everything was pushed, the residue too, and behind the last one as well. The fetch is for
        // the stop flag: where the run was stopped meanwhile nobody takes the shard over. Where it came to its end the
        // model is there, and nothing may be pushed that is not in it.
        let needed =
            !matches!(self.ending, Some(Departure::Finished(StopReason::Target | StopReason::Epochs)));
        let unpushed = self.progress.at.minibatch > 0 || self.since.push > 0;
        let push = (needed && unpushed).then_some(EntryKind::Flush);
        if self.ending != Some(Departure::Replaced) {
            self.send(push, true)?;
            self.settle()?;
        }
        let mut ending = self.ending.clone().unwrap_or(Departure::HandedOver);
        if ending == Departure::Replaced {
            return Ok(ending);
        }
        if ending == Departure::HandedOver {
            ending = self.give_back()?;
        }
        let why = match &ending {
            Departure::Finished(reason) => reason.to_string(),
            Departure::Surplus => "leaves the rest to the others".to_owned(),
            _ => "hands over".to_owned(),
        };
        self.tell(&Event::Left { worker: self.lease.worker, why })?;
        // Where the model is there already nobody needs these pushes.
        let needed = [Departure::HandedOver, Departure::Finished(StopReason::Requested)];
        self.pass_on = needed.contains(&ending);
        self.send(None, false)?;
        self.settle()?;
        self.write_record()?;
        if ending == Departure::Finished(StopReason::Requested) && self.try_finish()? {
            self.finish_stopped_run()?;
        }
        // A renewal after the release would take the lease again, for nobody.
        self.link.close();
        if ending == Departure::HandedOver {
            self.leave_to_the_successor(false);
        }
        self.store.release(&self.run, &self.lease)?;
        let ending = self.or_stopped(ending)?;
        if ending == Departure::Finished(StopReason::Requested) {
            self.wait_for_the_model()?;
        }
        Ok(ending)
    }

    /// Where the run was stopped since the last fetch nobody takes the shard over, either.
    fn or_stopped(&self, ending: Departure) -> Result<Departure, StoreError> {
        if ending != Departure::HandedOver {
            return Ok(ending);
        }
        let stop = self.store.control(&self.run)?.stop;
        Ok(stop.map_or(ending, |why| Departure::Finished(why.parse().unwrap_or(StopReason::Requested))))
    }

    /// Everything was pushed at the epoch's end, and the successor takes the lease from this worker.
    fn leave_the_next_epoch(mut self) -> Result<Departure, WorkerError> {
        if !self.events.is_empty() || self.record.on_node {
            self.pass_on = true;
            self.send(None, false)?;
            self.settle()?;
        }
        self.link.close();
        self.leave_to_the_successor(true);
        Ok(self.ending.unwrap_or(Departure::HandedOver))
    }

    fn leave_to_the_successor(&mut self, planned: bool) {
        let carried = Carried {
            token: self.lease.token,
            at: self.progress.at,
            planned,
            optimizer: self.compute.accumulators().to_vec(),
            algorithm: self.memory().to_vec(),
            untried: self.evaluator.since(),
        };
        if let Err(error) = self.surroundings.leave(self.lease.worker, carried) {
            let worker = self.lease.worker;
            tracing::warn!(worker, %error, "the successor has to start its optimizer anew");
        }
    }

    /// What the algorithm remembers beside the log.
    fn memory(&mut self) -> &mut [f32] {
        match self.schedule.coupling() {
            Coupling::Elastic => self.replica.parameters(),
            Coupling::Follows | Coupling::ComesBack => self.schedule.memory_mut(),
        }
    }

    /// Goes on from what the predecessor left.
    pub(super) fn take_up(&mut self, carried: &Carried) {
        let copy = |to: &mut [f32], from: &[f32]| {
            if to.len() == from.len() {
                to.copy_from_slice(from);
            }
        };
        copy(self.compute.accumulators_mut(), &carried.optimizer);
        copy(self.memory(), &carried.algorithm);
        self.evaluator.go_on_from(carried.untried);
    }

    /// Whether it falls to this worker to make the model.
    pub(super) fn try_finish(&self) -> Result<bool, StoreError> {
        self.store.lock(&self.run, "finish", &self.lease.holder, FINISH_LOCK)
    }

    /// Whoever makes the model of a stopped run may die at it, and nobody takes over from a worker of
    /// such a run. So the others stay, without their leases, since these are waited for.
    fn wait_for_the_model(&mut self) -> Result<(), WorkerError> {
        while self.store.read_blob(&self.run.model())?.is_none() {
            if self.try_finish()? {
                return self.finish_stopped_run();
            }
            thread::sleep(MODEL_LOOK);
        }
        Ok(())
    }

    /// A run that was stopped from outside has a model too: of all that was pushed.
    fn finish_stopped_run(&mut self) -> Result<(), WorkerError> {
        let deadline = Instant::now() + LAST_PUSHES;
        let own = self.lease.worker as usize;
        while Instant::now() < deadline {
            let workers = u32::try_from(self.stands.len()).unwrap_or(u32::MAX);
            let held = self.store.held(&self.run, 0..workers.max(self.partition.workers()))?;
            if held.iter().enumerate().all(|(worker, held)| worker == own || !held) {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.make_model(self.folded()?)
    }

    /// Everything that stands in the global store.
    pub(super) fn folded(&self) -> Result<Folded, LogError> {
        Folded::load(&*self.store, &self.run, &self.config.architecture.rows())
    }

    /// The same, once all that the workers have pushed is in it: a node's last sum may be on its way.
    fn everything(&self) -> Result<Option<Folded>, LogError> {
        let folded = self.folded()?;
        let last = |worker| self.relief.last(worker, self.config.epochs);
        let all = (0..self.partition.workers()).all(|worker| folded.progress(worker).at >= last(worker));
        Ok(all.then_some(folded))
    }

    pub(super) fn make_model(&mut self, folded: Folded) -> Result<(), WorkerError> {
        let evaluation = self.evaluator.whole(&folded.parameters);
        self.tell_evaluation(evaluation, true)?;
        Model { evaluation, parameters: folded.parameters }.create(&*self.store, &self.run)?;
        Ok(())
    }
}
