//! One epoch of a worker: minibatch after minibatch, talking to the others in between.

use super::{Departure, Share, Worker, WorkerError};
use crate::downpour::record::Model;
use crate::downpour::run::StopReason;
use crate::store::{Position, Progress};

impl Worker<'_> {
    /// The rest of the epoch that the worker stands in.
    pub(super) fn epoch(&mut self) -> Result<(), WorkerError> {
        let epoch = self.progress.at.epoch;
        self.compute.begin_epoch(epoch);
        let own = self.partition.own(self.lease.worker);
        while self.progress.at.minibatch < own && self.progress.at < self.own_end() {
            if self.surroundings.must_leave() {
                self.ending = Some(Departure::HandedOver);
            }
            if self.ending.is_some() {
                return Ok(());
            }
            let trained = self.step(self.lease.worker, self.progress.at)?;
            self.talk(false)?;
            self.evaluate(trained)?;
            self.share_out()?;
        }
        // Given away: the rest of this epoch, or all others.
        let next = Position { epoch: epoch + 1, minibatch: 0 };
        let is_last = self.progress.at.minibatch < own || self.own_end() <= next;
        self.progress.at = if is_last { Position { epoch: self.config.epochs, minibatch: 0 } } else { next };
        self.record.epochs = self.progress.at.epoch;
        self.flush()?;
        self.write_record()?;
        if self.ending.is_none() {
            self.evaluate(0)?;
        }
        self.try_sample()
    }

    /// At an epoch's end: without a target one worker tries the parameters, for those who watch.
    pub(super) fn try_sample(&mut self) -> Result<(), WorkerError> {
        let own = self.lease.worker;
        let is_first = self.share.as_ref().map_or(own == 0, |share| share.is_first(own));
        if is_first && self.config.target_accuracy.is_none() {
            let evaluation = self.evaluator.sample(self.replica.base());
            self.tell_evaluation(evaluation, false)?;
        }
        Ok(())
    }

    /// Trains on the minibatch that `worker` has at `at`. Returns its number of samples.
    pub(super) fn step(&mut self, worker: u32, at: Position) -> Result<u64, WorkerError> {
        self.last = at.minibatch;
        self.train_on(self.partition.index(worker, at.minibatch))
    }

    /// Trains on this minibatch of the epoch. Returns its number of samples.
    pub(super) fn train_on(&mut self, index: u32) -> Result<u64, WorkerError> {
        let workers = self.share.as_ref().map_or(self.partition.workers(), Share::workers);
        let rate = self.config.schedule.rate(self.config.learning_rate_for(workers), self.share_done());
        let computed = self.compute.minibatch(index, rate, self.replica.parameters());
        let trained = computed.samples;
        self.loss_sum += computed.loss;
        self.progress.at.minibatch += 1;
        self.progress.minibatches += 1;
        self.progress.samples += trained;
        self.since.push += 1;
        self.since.fetch += 1;
        self.since.samples += trained;
        Ok(trained)
    }

    /// The share of the run's minibatches that is done, the others' as of the last fetch. Not of the worker's own:
    /// what is left at the end, of a shard that was taken over late, would be trained on at too high a rate.
    /// Workers that wait for one another see only where they last met, and are all as far as this one.
    fn share_done(&self) -> f64 {
        let Progress { minibatches: own, .. } = self.progress;
        let (worker, workers) = (self.lease.worker, self.partition.workers());
        let all = |worker| f64::from(self.partition.own(worker)) * f64::from(self.config.epochs);
        if self.schedule.is_synchronous() {
            return own as f64 / all(worker);
        }
        let others = (0..).zip(&self.stands).filter(|(other, _)| *other != worker);
        let others: u64 = others.map(|(_, stands)| stands.minibatches).sum();
        (own + others) as f64 / (0..workers).map(all).sum::<f64>()
    }

    /// Whether it falls to this worker to try the parameters: the first that is not left far behind by another.
    /// Where workers wait for one another that is always worker 0, and where they come and go the first of them.
    fn is_evaluator(&self) -> bool {
        let own = self.lease.worker;
        if let Some(share) = &self.share {
            return share.is_first(own);
        }
        if self.schedule.is_synchronous() {
            return own == 0;
        }
        let place = |(worker, stands): (u32, &Progress)| {
            let at = if worker == own { self.progress.at } else { stands.at };
            self.partition.between(worker, Position::default(), at)
        };
        let places = || (0..).zip(&self.stands).map(place);
        let farthest = places().max().unwrap_or(0);
        let first = places().position(|place| place >= farthest / 2);
        first.is_none_or(|first| first == own as usize)
    }

    /// Tries the parameters as soon as they may have reached the target. It waits for the push in flight, so
    /// that what one worker tries depends on counts only, not on the clock.
    pub(super) fn evaluate(&mut self, trained: u64) -> Result<(), WorkerError> {
        let Some(target) = self.config.target_accuracy else { return Ok(()) };
        // Between the ends of rounds the parameters of all stay as they are.
        let new = self.since.push == 0 || !self.schedule.is_synchronous();
        if !self.evaluator.is_due(trained, new) || !self.is_evaluator() {
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
            // Trying took a while: this would fail where the store has lost the run meanwhile.
            self.send(None, false)?;
            self.settle()?;
            if self.ending.is_some() {
                return Ok(());
            }
            let model = Model { evaluation: whole, parameters: self.replica.base().to_vec() };
            model.create(&*self.store, &self.run)?;
            self.end(StopReason::Target)?;
        }
        Ok(())
    }

    /// The run is over, for this reason unless there was another before.
    pub(super) fn end(&mut self, reason: StopReason) -> Result<(), WorkerError> {
        let stands = self.store.stop(&self.run, reason.name())?;
        self.ending = Some(Departure::Finished(stands.parse().unwrap_or(StopReason::Requested)));
        Ok(())
    }
}
