//! A worker among others that come and go: it takes one portion of the run's minibatches after the other.

use std::thread;
use std::time::{Duration, Instant};

use super::{Departure, Worker, WorkerError};
use crate::downpour::allotment::{Allotment, Course, Portion};
use crate::downpour::config::{MOST_WORKERS, RunConfig};
use crate::downpour::log::{Folded, LogError, Until};
use crate::downpour::partition::Partition;
use crate::downpour::record::WorkerRecord;
use crate::downpour::run::StopReason;
use crate::state::{self, StateError, Versioned};
use crate::store::{Claim, ClaimRequest, EntryId, Lease, Position, Progress, RUN_TTL, RunKeys, Store};

/// A portion takes about so long: what one that leaves gives back is little, and asking for the next one costs
/// little.
const PORTION: Duration = Duration::from_millis(200);
/// Between two looks at who takes part: so late does a worker see that there are others.
const LOOK: Duration = Duration::from_millis(200);
/// The next portion is at most so many times as large as the last one.
const GROWTH: u32 = 8;
/// Between two looks whether somebody has given anything back, where everything is given to somebody.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What a worker has of a run whose workers come and go.
pub(super) struct Share {
    course: Course,
    /// As it was when the worker looked last.
    allotment: Allotment,
    looked: Instant,
    /// What it is at; nothing where everything is given to somebody.
    portion: Option<Portion>,
    /// When it took that, and how many minibatches it asked for.
    taken: (Instant, u32),
    /// Workers that its pushes and its learning rate reckon with.
    workers: u32,
    /// The last entry of its stream that it knows of, and where it stood then.
    acknowledged: (EntryId, Position),
}

impl Share {
    /// Of a worker whose stream ends with `last`, where it stands at `at`; `None` where the number of workers is fixed.
    pub(super) fn of(config: &RunConfig, partition: Partition, last: EntryId, at: Position) -> Option<Self> {
        let course = Course { epoch: partition.own(0), epochs: config.epochs, grain: config.n_push };
        config.is_elastic().then(|| Self {
            course,
            allotment: Allotment::default(),
            looked: Instant::now(),
            portion: None,
            taken: (Instant::now(), 0),
            workers: 1,
            acknowledged: (last, at),
        })
    }

    /// The epoch of what the worker is at, or all of them.
    fn epoch(&self) -> u32 {
        self.portion.map_or(self.course.epochs, |portion| portion.stretch.epoch)
    }

    /// Minibatches that take about as long as a portion should.
    fn count(&self, done: u32) -> u32 {
        let (since, asked) = self.taken;
        let seconds = since.elapsed().as_secs_f64().max(1e-6);
        let count = (f64::from(done) / seconds * PORTION.as_secs_f64()) as u32;
        count.clamp(1, asked.saturating_mul(GROWTH).max(1))
    }

    /// The worker's stream ends with this entry, at which it stood there.
    pub(super) fn acknowledge(&mut self, own: (EntryId, Position)) {
        self.acknowledged = own;
    }

    /// Workers that take part.
    pub(super) fn workers(&self) -> u32 {
        self.workers
    }

    /// Whether `worker` is the first of those who take part.
    pub(super) fn is_first(&self, worker: u32) -> bool {
        self.allotment.first() == Some(worker)
    }

    /// Where a worker that stands at `at` is: the epoch, and the share of it that was given to somebody before.
    pub(super) fn whereabouts(&self, at: Position) -> (u32, f32) {
        let begin = self.portion.map_or(0, |portion| portion.stretch.begin);
        (self.epoch(), (begin + at.minibatch) as f32 / self.course.epoch.max(1) as f32)
    }
}

impl Worker<'_> {
    /// Takes portions for as long as there are any, then waits until all are done.
    pub(super) fn take_part(&mut self) -> Result<(), WorkerError> {
        self.join()?;
        self.take(0)?;
        // What was taken is in the store before anything of it is pushed.
        self.flush()?;
        let (mut begun, mut pause) = (None, Duration::from_micros(200));
        while self.ending.is_none() {
            if self.surroundings.must_leave() {
                self.ending = Some(Departure::HandedOver);
            } else if let Some(portion) = self.share.as_ref().and_then(|share| share.portion) {
                if begun.replace(portion.stretch.epoch) != Some(portion.stretch.epoch) {
                    self.compute.begin_epoch(portion.stretch.epoch);
                    self.record.epochs = portion.stretch.epoch;
                }
                self.portion(portion)?;
                pause = Duration::from_micros(200);
            } else if !self.finish()? {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                self.send(None, true)?;
                self.settle()?;
                self.take(0)?;
            }
        }
        Ok(())
    }

    fn join(&mut self) -> Result<(), WorkerError> {
        let (worker, token, at, now) = (self.lease.worker, self.lease.token, self.progress.at, self.now_ms());
        let Some((last, _)) = self.share.as_ref().map(|share| share.acknowledged) else { return Ok(()) };
        let mut died = false;
        let allotment = Allotment::change(&*self.store, &self.run, (worker, last), |allotment| {
            died = allotment.has(worker) && !allotment.is_member(worker, token);
            allotment.join(worker, token, at, now)
        })?;
        self.record.handovers += u32::from(died);
        self.look_at(allotment)
    }

    /// Trains on a portion, and takes the next.
    fn portion(&mut self, portion: Portion) -> Result<(), WorkerError> {
        let stretch = portion.stretch;
        for index in stretch.begin..stretch.end {
            if self.surroundings.must_leave() {
                self.ending = Some(Departure::HandedOver);
            }
            if self.ending.is_some() {
                return Ok(());
            }
            let trained = self.train_on(index)?;
            if index + 1 < stretch.end {
                self.talk(false)?;
                self.look_around()?;
            } else {
                self.next(portion)?;
            }
            self.evaluate(trained)?;
        }
        Ok(())
    }

    /// Takes the next portion; before anything of that is done, all that was done is pushed.
    fn next(&mut self, portion: Portion) -> Result<(), WorkerError> {
        self.take(portion.stretch.end - portion.stretch.begin)?;
        let ends = self.share.as_ref().is_some_and(|share| share.epoch() != portion.stretch.epoch);
        self.talk(!ends)?;
        if ends {
            self.flush()?;
            self.write_record()?;
            self.try_sample()?;
        }
        Ok(())
    }

    /// Takes what is to be done next, having done `done` minibatches since the last time.
    fn take(&mut self, done: u32) -> Result<(), WorkerError> {
        // So that the last entry that it knows of is its stream's last one, which trimming keeps.
        self.settle()?;
        let (worker, token, number) = (self.lease.worker, self.lease.token, self.progress.at.epoch + 1);
        let Some(share) = self.share.as_mut().filter(|_| self.ending.is_none()) else { return Ok(()) };
        let (course, (last, acknowledged), count) = (share.course, share.acknowledged, share.count(done));
        let allotment = Allotment::change(&*self.store, &self.run, (worker, last), |allotment| {
            allotment.take(worker, token, acknowledged, number, count, course)
        })?;
        share.portion = allotment.portion(worker).filter(|portion| portion.number == number);
        share.taken = (Instant::now(), count.max(course.grain));
        if share.portion.is_some() {
            self.progress.at = Position { epoch: number, minibatch: 0 };
        }
        self.look_at(allotment)
    }

    /// Now and then: looks who takes part, while a portion is long.
    fn look_around(&mut self) -> Result<(), WorkerError> {
        if self.share.as_ref().is_some_and(|share| share.looked.elapsed() >= LOOK) {
            let allotment = Allotment::read(&*self.store, &self.run)?;
            self.look_at(allotment)?;
        }
        Ok(())
    }

    /// Goes by what stands in the store: pushes and learning rate suit the number of workers, and the first of
    /// them asks for those for whom there is room.
    fn look_at(&mut self, allotment: Allotment) -> Result<(), WorkerError> {
        let (worker, token) = (self.lease.worker, self.lease.token);
        let Some(share) = &mut self.share else { return Ok(()) };
        if !allotment.is_member(worker, token) {
            self.ending = Some(Departure::Replaced);
        }
        let workers = allotment.workers();
        if workers != share.workers {
            share.workers = workers;
            self.schedule.set_workers(workers);
        }
        let asks = self.ending.is_none() && share.portion.is_some() && allotment.first() == Some(worker);
        if let Some(room) = asks.then(|| self.surroundings.room()).flatten() {
            for worker in allotment.absent(room.min(MOST_WORKERS)) {
                self.surroundings.recruit(worker);
            }
        }
        (share.allotment, share.looked) = (allotment, Instant::now());
        Ok(())
    }

    /// Where all minibatches are done: makes the model, unless another does. Whether the run is over.
    fn finish(&mut self) -> Result<bool, WorkerError> {
        let total = self.share.as_ref().map_or(0, |share| share.course.total());
        let done = |stands: &[Progress]| stands.iter().map(|stands| stands.minibatches).sum::<u64>() >= total;
        if !done(&self.stands) || !self.try_finish()? {
            return Ok(false);
        }
        let folded = self.folded()?;
        let all: Vec<_> = folded.vector.values().map(|mark| mark.progress).collect();
        if !done(&all) {
            return Ok(false);
        }
        self.record.epochs = self.config.epochs;
        self.make_model(folded)?;
        self.end(StopReason::Epochs)?;
        Ok(true)
    }

    /// Whether the store, which may have been restarted, still has what this worker took.
    pub(super) fn recall_portion(&self) -> Result<(), LogError> {
        let Some(share) = &self.share else { return Ok(()) };
        let worker = self.lease.worker;
        let found = Allotment::read(&*self.store, &self.run)?;
        if share.portion.is_none() || found.portion(worker) == share.portion {
            return Ok(());
        }
        let run = self.run.run().to_owned();
        Err(LogError::Forgot { run, what: "the part of the data" })
    }

    /// Whatever those have left goes to the others whose leases nobody holds.
    pub(super) fn bury(&mut self, missing: &[u32]) -> Result<(), WorkerError> {
        for worker in missing {
            let takes_part = self.share.as_ref().is_some_and(|share| share.allotment.has(*worker));
            if takes_part && let Some(lease) = self.take_lease(*worker)? {
                tracing::warn!(worker, "nobody holds this worker's lease: others do what it has left");
                let (rows, own) = (self.config.architecture.rows(), Until::Own(*worker));
                let stands = Folded::load_until(&*self.store, &self.run, &rows, own)?.progress(*worker);
                let (now, fence) = (self.now_ms(), EntryId { token: lease.token, seq: 0 });
                Allotment::change(&*self.store, &self.run, (*worker, fence), |allotment| {
                    allotment.leave(*worker, lease.token, stands.at, now)
                })?;
                record_death(&*self.store, &self.run, *worker, stands)?;
                self.store.release(&self.run, &lease)?;
            }
        }
        Ok(())
    }

    /// From now on nobody pushes as `worker`, whose lease is free; `None` where it is not.
    fn take_lease(&self, worker: u32) -> Result<Option<Lease>, WorkerError> {
        let holder = format!("{:016x}", rand::random::<u64>());
        let request = ClaimRequest {
            place: holder.clone(),
            worker: Some(worker),
            workers: MOST_WORKERS,
            holder,
            ttl: self.lease.ttl,
            from: None,
            seize: false,
        };
        match self.store.claim(&self.run, &request)? {
            Claim::Granted { lease, .. } => Ok(Some(lease)),
            Claim::Duplicate { .. } | Claim::Taken | Claim::Over { .. } => Ok(None),
        }
    }

    /// Everything is pushed, and the worker has to go: the others get the rest. Without any, somebody else has to
    /// go on.
    pub(super) fn give_back(&mut self) -> Result<Departure, WorkerError> {
        let (worker, token, at, now) = (self.lease.worker, self.lease.token, self.progress.at, self.now_ms());
        let Some(share) = &mut self.share else { return Ok(Departure::HandedOver) };
        share.portion = None;
        let entry = (worker, share.acknowledged.0);
        let left = Allotment::change(&*self.store, &self.run, entry, |allotment| {
            allotment.leave(worker, token, at, now)
        })?;
        Ok(if left.is_deserted() { Departure::HandedOver } else { Departure::Surplus })
    }
}

/// What a worker that died had done, as the log says: it can't say so any more. Somebody else's record stays.
fn record_death(store: &dyn Store, run: &RunKeys, worker: u32, stands: Progress) -> Result<(), StateError> {
    let key = run.worker(worker);
    let Some(Versioned { value: mut record, version }) = state::get::<WorkerRecord>(store, &key)? else {
        return Ok(());
    };
    record.reach(stands);
    match state::put(store, &key, &record, version, Some(RUN_TTL)) {
        Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
