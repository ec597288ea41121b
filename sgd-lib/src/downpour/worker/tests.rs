//! Many workers, who fetch snapshots, or who come and go: whoever dies when, each minibatch counts once.
//!
//! A minibatch changes the parameters by small integers that depend on its number only, so the model has to be
//! their sum, to the bit.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use local_redis::{LocalRedis, Options};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::codec::{Codec, blob};
use crate::downpour::fuse::{Fuse, Fused};
use crate::downpour::{Combine, DataRef};
use crate::network::Architecture;
use crate::optimizer::OptimizerKind;
use crate::store::{Claim, Cursors, EntryId, Exchange, MemoryStore, RedisStore, Snapshot, Vector};

const WORKERS: u32 = 18;
const EPOCHS: u32 = 2;
/// Of each worker in an epoch.
const MINIBATCHES: u32 = 30;
const LEASE: Duration = Duration::from_millis(400);
const LIMIT: Duration = Duration::from_secs(120);

fn config(workers: u32) -> RunConfig {
    RunConfig {
        workers,
        epochs: EPOCHS,
        batch_size: 1,
        n_push: 3,
        n_fetch: 2,
        combine: Combine::Sum,
        codec: Codec::F32,
        optimizer: OptimizerKind::Adagrad,
        ..RunConfig::new(DataRef::named("test"), Architecture::new(4, &[3], 2).unwrap())
    }
}

/// Adds what one minibatch changes.
fn add(epoch: u32, index: u32, sum: &mut [f32]) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64((u64::from(epoch) << 32) + u64::from(index));
    sum.iter_mut().for_each(|x| *x += random.random_range(-8..=8) as f32);
}

struct Integers(u32);

impl Compute for Integers {
    fn begin_epoch(&mut self, epoch: u32) {
        self.0 = epoch;
    }

    fn minibatch(&mut self, index: u32, _rate: f32, parameters: &mut [f32]) -> Computed {
        add(self.0, index, parameters);
        thread::sleep(Duration::from_micros(rand::random_range(0..800)));
        Computed { samples: 1, loss: 0.0 }
    }
}

/// From which a worker has to go when it has asked so often.
struct Place(AtomicI64);

impl Surroundings for Place {
    fn must_leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) <= 0
    }

    fn recruit(&self, _worker: u32) {}
}

/// One life of a worker, of so many calls to the store and so many minibatches. How it left; `None`: there was
/// no place for it, or it died.
fn live(run: &Run, worker: u32, calls: i64, minibatches: i64) -> Option<Departure> {
    let fuse = Fuse::new(calls);
    let fused = Arc::new(Fused { store: run.store().clone(), fuse: fuse.clone() });
    let run = Run::new(fused, run.keys().clone(), run.config().clone());
    let place = format!("{:x}", rand::random::<u64>());
    let images = (WORKERS * MINIBATCHES) as usize;
    let (pixels, labels) = (vec![0; 4 * images], vec![0; images]);
    let data = Split { images: &pixels, labels: &labels, pixels: 4 };
    let identity = Identity { node: "node".into(), pod: place.clone() };
    let here = Place(minibatches.into());
    let lived = || -> Result<Option<Departure>, WorkerError> {
        let claimed = run.claim(&place, Some(worker), LEASE);
        let Ok(Claim::Granted { lease, resumed, .. }) = claimed else { return Ok(None) };
        let worker = Worker::new(&run, lease, resumed, &identity, data, data.first(1), &here)?;
        Ok(Some(worker.computing(Box::new(Integers(0))).train()?))
    };
    match lived() {
        Ok(left) => left,
        Err(error) => {
            assert!(fuse.is_blown(), "{error}");
            None
        }
    }
}

/// One life after the other of one worker until the run is over; `mortals` die, or leave, in the middle.
fn shard(run: &Run, worker: u32, mortals: bool) {
    let mut random = rand::rng();
    let deadline = Instant::now() + LIMIT;
    let mut lives = 0;
    loop {
        assert!(Instant::now() < deadline, "worker {worker} does not get there");
        lives += 1;
        let mortal = mortals && lives < 6 && !worker.is_multiple_of(3);
        let calls = if mortal { random.random_range(1..60) } else { i64::MAX };
        let minibatches = if mortal { random.random_range(1..60) } else { i64::MAX };
        match live(run, worker, calls, minibatches) {
            Some(Departure::Finished(_)) => return,
            Some(Departure::HandedOver | Departure::Surplus) => {}
            Some(Departure::Replaced) | None => {
                if run.store().control(run.keys()).unwrap().stop.is_some() {
                    return;
                }
                thread::sleep(LEASE / 8);
            }
            Some(other) => panic!("worker {worker} left: {other:?}"),
        }
    }
}

/// A run of many workers, checked. Returns the version of the last snapshot; the first is 2.
fn train(store: &Arc<dyn Store>, config: RunConfig, mortals: bool) -> u64 {
    let run = Run::create(store.clone(), "many", config).unwrap();
    let count = run.config().architecture.parameter_count();
    let parameters = blob::pack(&vec![0.0; count]);
    let zeros = Snapshot { version: 2, vector: Vector::new(), parameters };
    assert!(store.write_snapshot(run.keys(), &zeros, Instant::now()).unwrap());
    if !run.config().is_elastic() {
        store.fix_workers(run.keys(), WORKERS).unwrap();
    }
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let run = &run;
            scope.spawn(move || shard(run, worker, mortals));
        }
    });
    let mut wanted = vec![0.0; count];
    for epoch in 0..EPOCHS {
        (0..WORKERS * MINIBATCHES).for_each(|index| add(epoch, index, &mut wanted));
    }
    assert_eq!(run.model().unwrap().unwrap().parameters, wanted);
    let folded = Folded::load(&**store, run.keys(), &run.config().architecture.rows()).unwrap();
    assert_eq!(folded.parameters, wanted);
    check_trimming(&**store, run.keys(), &folded);
    run.delete().unwrap();
    folded.snapshot_version
}

#[test]
fn each_minibatch_of_many_workers_counts_once_whoever_dies() {
    let server = LocalRedis::start(Options::default()).unwrap();
    let stores: [Arc<dyn Store>; 2] =
        [Arc::new(MemoryStore::new()), Arc::new(RedisStore::open(server.url()).unwrap())];
    assert!(crate::downpour::link::are_worth_it(&config(WORKERS), WORKERS).unwrap());
    for store in stores {
        let last = train(&store, config(WORKERS), false);
        assert!(last > 2, "{last} snapshots");
        // Whoever dies while it makes one keeps the others from it for as long as such a run may last.
        train(&store, config(WORKERS), true);
        train(&store, config(0), true);
    }
}

/// Of the thousands of entries only those are left that are in no snapshot, and one of each stream.
fn check_trimming(store: &dyn Store, run: &RunKeys, folded: &Folded) {
    let from_the_first: Cursors = folded.vector.keys().map(|stream| (*stream, EntryId::ZERO)).collect();
    let fetch =
        Exchange { cursors: Some(&from_the_first), entries_per_stream: 10_000, ..Exchange::default() };
    let (_, covered) = store.snapshot_vector(run).unwrap().unwrap();
    for (stream, entries) in store.exchange(run, &fetch).unwrap().entries {
        let covered = covered.get(&stream).map_or(EntryId::ZERO, |mark| mark.id);
        let kept = entries.iter().filter(|entry| entry.id <= covered).count();
        assert!(kept <= 1, "stream {stream} keeps {kept} entries that are in the snapshot");
    }
}
