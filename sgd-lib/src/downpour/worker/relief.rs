//! What a worker gives to others that are faster, and does for one that is slower.

use super::{Departure, Worker, WorkerError};
use crate::downpour::log::LogError;
use crate::downpour::relief::Relief;
use crate::state::StateError;
use crate::store::Position;

impl Worker<'_> {
    /// Whether workers give minibatches away: where nobody waits for anybody before the end.
    pub(super) fn gives_away(&self) -> bool {
        let waits = self.schedule.is_synchronous() || self.schedule.bound(self.progress.at).is_some();
        self.partition.workers() > 1 && !waits
    }

    /// Goes on with a shard of which a predecessor may have given something away.
    pub(super) fn take_over_shard(&mut self) -> Result<(), StateError> {
        if self.gives_away() {
            let (worker, token) = (self.lease.worker, self.lease.token);
            self.relief = Relief::change(&*self.store, &self.run, |relief| relief.take_over(worker, token))?;
        }
        Ok(())
    }

    /// Whether the store, which may have been restarted, still has what was given away as this worker knows it, and
    /// what it took.
    pub(super) fn recall_gifts(&self) -> Result<(), LogError> {
        self.recall_portion()?;
        if self.gives_away() && !Relief::read(&*self.store, &self.run)?.value.goes_on_from(&self.relief) {
            let run = self.run.run().to_owned();
            return Err(LogError::Forgot { run, what: "what slow workers gave away" });
        }
        Ok(())
    }

    /// Where the worker's own part of its shard ends.
    pub(super) fn own_end(&self) -> Position {
        self.relief.end(self.lease.worker, self.config.epochs)
    }

    /// Whether `worker` is known to have nothing left to do.
    pub(super) fn is_done(&self, worker: u32) -> bool {
        let last = self.relief.last(worker, self.config.epochs);
        self.stands.get(worker as usize).is_some_and(|stands| stands.at >= last)
    }

    /// Gives part of what is left to those that have nothing left to do.
    pub(super) fn share_out(&mut self) -> Result<(), WorkerError> {
        let (worker, token) = (self.lease.worker, self.lease.token);
        let others = (0..self.partition.workers()).filter(|other| *other != worker);
        if !others.clone().any(|other| self.is_done(other)) || !self.gives_away() {
            return Ok(());
        }
        let (at, partition, epochs) = (self.progress.at, self.partition, self.config.epochs);
        let stands = &self.stands;
        self.relief = Relief::change(&*self.store, &self.run, |relief| {
            let done = |other: &u32| stands[*other as usize].at >= relief.last(*other, epochs);
            let idle: Vec<u32> = others.clone().filter(done).collect();
            !relief.is_replaced(worker, token) && relief.give(worker, &idle, at, partition, epochs)
        })?;
        if self.relief.is_replaced(worker, token) {
            self.ending = Some(Departure::Replaced);
        }
        Ok(())
    }

    /// At the end of the last epoch: does what slower workers have given to this one. Returns whether it had
    /// anything to do.
    pub(super) fn relieve(&mut self) -> Result<bool, WorkerError> {
        if !self.gives_away() {
            return Ok(false);
        }
        self.relief = Relief::read(&*self.store, &self.run)?.value;
        let (own, mut begun) = (self.lease.worker, None);
        while let Some((from, at)) = self.relief.given(own, self.progress.at.minibatch, self.partition) {
            if self.surroundings.must_leave() {
                self.ending = Some(Departure::HandedOver);
            }
            if self.ending.is_some() {
                return Ok(false);
            }
            if begun != Some(at.epoch) {
                self.compute.begin_epoch(at.epoch);
                begun = Some(at.epoch);
            }
            let trained = self.step(from, at)?;
            self.talk(false)?;
            self.evaluate(trained)?;
        }
        if begun.is_some() {
            self.flush()?;
            self.write_record()?;
        }
        Ok(begun.is_some())
    }
}
