//! One epoch of a worker: minibatch after minibatch, talking to the others in between.

use super::{Departure, Worker, WorkerError};
use crate::downpour::record::Model;
use crate::downpour::run::StopReason;
use crate::network::{DropoutKey, Minibatch};
use crate::store::Position;

impl Worker<'_> {
    /// The rest of the epoch that the worker stands in.
    pub(super) fn epoch(&mut self) -> Result<(), WorkerError> {
        let epoch = self.progress.at.epoch;
        self.order.shuffle(self.config.seed, epoch);
        let own = self.partition.own(self.lease.worker);
        while self.progress.at.minibatch < own {
            if self.surroundings.must_leave() {
                self.ending = Some(Departure::HandedOver);
            }
            if self.ending.is_some() {
                return Ok(());
            }
            let trained = self.step(epoch, own)?;
            self.talk(own)?;
            self.evaluate(trained)?;
        }
        self.progress.at = Position { epoch: epoch + 1, minibatch: 0 };
        self.record.epochs = epoch + 1;
        self.flush()?;
        self.write_record()?;
        if self.lease.worker == 0 && self.config.target_accuracy.is_none() {
            let evaluation = self.evaluator.sample(self.replica.base());
            self.tell_evaluation(evaluation, false)?;
        }
        Ok(())
    }

    /// Trains on one minibatch. Returns its number of samples.
    fn step(&mut self, epoch: u32, own: u32) -> Result<u64, WorkerError> {
        let at = self.progress.at.minibatch;
        let index = self.partition.index(self.lease.worker, at);
        let samples = self.order.minibatch(index as usize, self.config.batch_size as usize);
        let done = (f64::from(epoch) + f64::from(at) / f64::from(own)) / f64::from(self.config.epochs);
        let rate = self.config.schedule.rate(self.config.learning_rate, done);
        let minibatch = Minibatch { split: self.train, samples };
        let key = DropoutKey { seed: self.config.seed, epoch, minibatch: index };
        self.loss_sum += self.trainer.step(self.replica.parameters(), &minibatch, key, rate);
        let trained = samples.len() as u64;
        self.progress.at.minibatch += 1;
        self.progress.minibatches += 1;
        self.progress.samples += trained;
        self.last = at;
        self.since.push += 1;
        self.since.fetch += 1;
        self.since.samples += trained;
        Ok(trained)
    }

    /// Worker 0 tries the parameters as soon as they may have reached the target. It waits for the
    /// push in flight, so that what is tried depends on counts only, not on the clock.
    fn evaluate(&mut self, trained: u64) -> Result<(), WorkerError> {
        let Some(target) = self.config.target_accuracy else { return Ok(()) };
        if self.lease.worker != 0 || !self.evaluator.is_due(trained) {
            return Ok(());
        }
        self.settle()?;
        let sample = self.evaluator.sample(self.replica.base());
        self.tell_evaluation(sample, false)?;
        if sample.accuracy() < target {
            return Ok(());
        }
        let whole = self.evaluator.whole(self.replica.base());
        self.tell_evaluation(whole, true)?;
        if whole.accuracy() >= target {
            let model = Model { evaluation: whole, parameters: self.replica.base().to_vec() };
            model.create(&*self.store, &self.run)?;
            let reason = self.store.stop(&self.run, StopReason::Target.name())?;
            self.ending = Some(Departure::Finished(reason.parse().unwrap_or(StopReason::Requested)));
        }
        Ok(())
    }
}
