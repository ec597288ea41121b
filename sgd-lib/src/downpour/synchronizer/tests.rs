//! Whoever dies at whatever step: each minibatch of each worker counts once, in every store.
//!
//! A minibatch of a worker is a vector of small integers that depends on its number only, so what has to be
//! in the stores follows from where the workers stand, to the bit.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use local_redis::{LocalRedis, Options};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::codec::{self, Codec, Encoder};
use crate::downpour::fuse::{Fuse, Fused};
use crate::downpour::{Algorithm, Combine, DataRef, Database, RunConfig, Settled};
use crate::network::Architecture;
use crate::store::{
    Claim, Cursors, Entry, EntryId, EntryKind, Exchange, MemoryStore, Passed, Position, Progress,
    PushOutcome, RedisStore, Snapshot, Store, Vector,
};

const LEASE: Duration = Duration::from_millis(60);
const WORKERS: u32 = 3;
const LIMIT: Duration = Duration::from_secs(60);

fn config(codec: Codec, algorithm: Algorithm) -> RunConfig {
    RunConfig {
        workers: WORKERS,
        epochs: 1,
        algorithm,
        combine: Combine::Sum,
        database: Database::Local,
        n_sync: 4,
        codec,
        ..RunConfig::new(DataRef::named("test"), Architecture::new(4, &[3], 2).unwrap())
    }
}

/// The stores, and the servers behind them.
struct Stores {
    global: Arc<dyn Store>,
    nodes: Vec<(Arc<dyn Store>, &'static str)>,
    _servers: Vec<LocalRedis>,
}

impl Stores {
    fn new(real: bool) -> Self {
        let mut servers = Vec::new();
        let mut store = || -> Arc<dyn Store> {
            if !real {
                return Arc::new(MemoryStore::new());
            }
            let server = LocalRedis::start(Options::default()).unwrap();
            let store = RedisStore::open(server.url()).unwrap();
            servers.push(server);
            Arc::new(store)
        };
        let (global, nodes) = (store(), ["a", "b"].map(|name| (store(), name)).into());
        Self { global, nodes, _servers: servers }
    }

    /// A run whose parameters are all 0.
    fn run(&self, codec: Codec, algorithm: Algorithm) -> Run {
        let run = Run::create(self.global.clone(), "sum", config(codec, algorithm)).unwrap();
        let zeros = codec::blob::pack(&vec![0.0; run.config().architecture.parameter_count()]);
        let start = Snapshot { version: 2, vector: Vector::new(), parameters: zeros };
        assert!(self.global.write_snapshot(run.keys(), &start, Instant::now()).unwrap());
        run.store().fix_workers(run.keys(), WORKERS).unwrap();
        run
    }
}

fn delta(worker: u32, minibatch: u32, count: usize) -> Vec<f32> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64((u64::from(worker) << 32) + u64::from(minibatch));
    (0..count).map(|_| random.random_range(-8..=8) as f32).collect()
}

fn add(sum: &mut [f32], delta: &[f32]) {
    for (sum, delta) in sum.iter_mut().zip(delta) {
        *sum += delta;
    }
}

/// What every store has to have where each worker has done so many minibatches.
fn expected(minibatches: u32, count: usize) -> Vec<f32> {
    let mut sum = vec![0.0; count];
    for worker in 0..WORKERS {
        (0..minibatches).for_each(|minibatch| add(&mut sum, &delta(worker, minibatch, count)));
    }
    sum
}

/// One process: a worker with its synchronizer, which dies when its fuse blows.
struct Process<'a> {
    stores: &'a Stores,
    fuse: Fuse,
    random: Xoshiro256PlusPlus,
}

impl Process<'_> {
    fn open(&self, store: &Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Fused { store: store.clone(), fuse: self.fuse.clone() })
    }

    /// Works for `worker` until it stands at `minibatches`, or the process dies. Whether it stands there and
    /// everything is passed on.
    fn live(&mut self, worker: u32, home: Option<usize>, minibatches: u32) -> Result<bool, LogError> {
        let run = Run::new(
            self.open(&self.stores.global),
            crate::store::RunKeys::new("sum").unwrap(),
            config_of(self.stores),
        );
        let place = format!("{:x}", self.random.random::<u64>());
        let failed = |error: crate::downpour::RunError| match error {
            crate::downpour::RunError::Log(error) => error,
            other => panic!("{other}"),
        };
        let Claim::Granted { lease, .. } = run.claim(&place, Some(worker), LEASE).map_err(failed)? else {
            return Ok(false);
        };
        let home = home.map(|index| (self.open(&self.stores.nodes[index].0), self.stores.nodes[index].1));
        let settled = run.clone().settle(&lease, home.as_ref().map(|(store, name)| (store, *name)));
        let Settled::Here(here) = settled.map_err(failed)? else {
            run.store().release(run.keys(), &lease)?;
            return Ok(false);
        };
        let synchronizer = Synchronizer::start(&here).unwrap();
        let worked = self.work(&here, &lease, minibatches);
        if matches!(worked, Ok(true)) {
            run.store().release(run.keys(), &lease)?;
        } else {
            // What is left of the process does nothing more.
            self.fuse.blow();
        }
        drop(synchronizer);
        worked
    }

    fn work(&mut self, run: &Run, lease: &Lease, minibatches: u32) -> Result<bool, LogError> {
        let worker = lease.worker;
        let rows = run.config().architecture.rows();
        let count = run.config().architecture.parameter_count();
        let stream = match &run.site {
            Some(site) => site.take_stream(worker)?,
            None => lease.clone(),
        };
        let (log, keys) = run.log();
        let folded = Folded::load(&**log, keys, &rows)?;
        let global = Folded::load(&**run.store(), run.keys(), &rows)?;
        let mut at = folded.progress(worker).farther(global.progress(worker)).minibatches as u32;
        let mut prev = folded.vector.get(&worker).map_or(EntryId::ZERO, |mark| mark.id);
        let (mut encoder, mut decoded) = (Encoder::new(Codec::F32, &rows), vec![0.0; count]);
        while at < minibatches {
            let next = (at + self.random.random_range(1..4)).min(minibatches);
            let mut sum = vec![0.0; count];
            (at..next).for_each(|minibatch| add(&mut sum, &delta(worker, minibatch, count)));
            let mut payload = Vec::new();
            encoder.encode(&sum, &mut decoded, &mut payload).unwrap();
            let entry = Entry {
                id: EntryId { token: stream.token, seq: prev.seq + 1 },
                prev,
                kind: if next == minibatches { EntryKind::Flush } else { EntryKind::Push },
                progress: Some(Progress {
                    at: if next == minibatches {
                        Position { epoch: 1, minibatch: 0 }
                    } else {
                        Position { epoch: 0, minibatch: next }
                    },
                    minibatches: next.into(),
                    samples: next.into(),
                    pushes: 0,
                }),
                seen: Vec::new(),
                payload,
                passed: Passed::default(),
            };
            let push = Exchange { push: Some(&entry), lease: Some(&stream), ..Exchange::default() };
            let pushed = log.exchange(keys, &push)?;
            let renewal = Exchange { lease: Some(lease), ..Exchange::default() };
            let renewed = run.store().exchange(run.keys(), &renewal)?;
            if pushed.push != Some(PushOutcome::Accepted) || !renewed.lease_held {
                return Ok(false);
            }
            (at, prev) = (next, entry.id);
            if self.random.random_bool(0.1) {
                self.snapshot(run)?;
            }
            thread::sleep(Duration::from_micros(self.random.random_range(0..3000)));
        }
        let Some(site) = &run.site else { return Ok(true) };
        Ok(site.await_passing_on(worker, prev, LEASE / 2)?)
    }

    /// Now and then the log is folded and trimmed.
    fn snapshot(&self, run: &Run) -> Result<(), LogError> {
        let rows = run.config().architecture.rows();
        for (store, keys) in [run.log(), (run.store(), run.keys())] {
            let folded = Folded::load(&**store, keys, &rows)?;
            folded.write(&**store, keys, "test")?;
        }
        Ok(())
    }
}

fn config_of(stores: &Stores) -> RunConfig {
    Run::open(stores.global.clone(), "sum").unwrap().config().clone()
}

/// Lives and deaths of one worker until it stands at `minibatches`.
fn shard(stores: &Stores, worker: u32, minibatches: u32, seed: u64) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed + u64::from(worker));
    let deadline = Instant::now() + LIMIT;
    let mut lives = 0;
    loop {
        assert!(Instant::now() < deadline, "worker {worker} does not get there, seed {seed}");
        lives += 1;
        // The first lives are short, each of them a step longer than the one before.
        let calls = if lives < 40 { random.random_range(1..150) } else { i64::MAX };
        let home = [Some(0), Some(1), None][random.random_range(0..3)];
        let seed = random.random();
        let mut process =
            Process { stores, fuse: Fuse::new(calls), random: Xoshiro256PlusPlus::seed_from_u64(seed) };
        match process.live(worker, home, minibatches) {
            Ok(true) => return,
            Ok(false) => thread::sleep(LEASE / 4),
            Err(error) => assert!(process.fuse.is_blown(), "{error}"),
        }
    }
}

fn folded(store: &Arc<dyn Store>, keys: &crate::store::RunKeys, run: &Run) -> Vec<f32> {
    Folded::load(&**store, keys, &run.config().architecture.rows()).unwrap().parameters
}

#[test]
fn each_minibatch_counts_once_in_the_global_store_whoever_dies() {
    const MINIBATCHES: u32 = 150;
    for real in [false, true] {
        let (stores, seed) = (Stores::new(real), rand::random::<u32>().into());
        let run = stores.run(Codec::F32, Algorithm::Downpour);
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let stores = &stores;
                scope.spawn(move || shard(stores, worker, MINIBATCHES, seed));
            }
        });
        let count = run.config().architecture.parameter_count();
        let found = folded(&stores.global, run.keys(), &run);
        assert_eq!(found, expected(MINIBATCHES, count), "redis {real}, seed {seed}");
    }
}

#[test]
fn all_stores_end_with_the_same_sum() {
    const MINIBATCHES: u32 = 60;
    for (real, codec, algorithm) in [
        (false, Codec::F32, Algorithm::Downpour),
        (true, Codec::F32, Algorithm::Average),
        (true, Codec::Int8, Algorithm::Downpour),
    ] {
        let stores = Stores::new(real);
        let run = stores.run(codec, algorithm);
        let count = run.config().architecture.parameter_count();
        let wanted = expected(MINIBATCHES, count);
        let furthest = |found: &[f32]| {
            found.iter().zip(&wanted).map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f32::max)
        };
        // Integers are exact; what int8 rounds is sent later, and adds up to the same but for the last bits.
        let tolerance = if codec == Codec::F32 { 0.0 } else { 1e-3 };
        thread::scope(|scope| {
            let workers: Vec<_> = [Some(0), Some(1), None]
                .into_iter()
                .zip(0..)
                .map(|(home, worker)| {
                    let stores = &stores;
                    scope.spawn(move || {
                        let random = Xoshiro256PlusPlus::seed_from_u64(worker.into());
                        let mut process = Process { stores, fuse: Fuse::new(i64::MAX), random };
                        let run = Run::open(stores.global.clone(), "sum").unwrap();
                        let claim = run.claim(&worker.to_string(), Some(worker), LIMIT).unwrap();
                        let Claim::Granted { lease, .. } = claim else { panic!("{claim:?}") };
                        let home = home.map(|index: usize| (&stores.nodes[index].0, stores.nodes[index].1));
                        let Settled::Here(run) = run.settle(&lease, home).unwrap() else {
                            panic!("elsewhere")
                        };
                        let synchronizer = Synchronizer::start(&run).unwrap();
                        process.work(&run, &lease, MINIBATCHES).unwrap();
                        (run, synchronizer)
                    })
                })
                .collect();
            let runs: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
            let deadline = Instant::now() + LIMIT;
            for (run, _) in &runs {
                let (store, keys) = run.log();
                while furthest(&folded(store, keys, run)) > tolerance {
                    assert!(Instant::now() < deadline, "{codec} {algorithm}: {:?}", folded(store, keys, run));
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
    }
}

/// Entries that a store keeps of a stream.
fn length(store: &Arc<dyn Store>, keys: &crate::store::RunKeys, stream: u32) -> usize {
    let all = Cursors::from([(stream, EntryId::ZERO)]);
    let fetch = Exchange { cursors: Some(&all), entries_per_stream: 10_000, ..Exchange::default() };
    let fetched = store.exchange(keys, &fetch).unwrap();
    fetched.entries.iter().map(|(_, entries)| entries.len()).sum()
}

#[test]
fn what_synchronizers_wrote_is_trimmed_too() {
    let stores = Stores::new(false);
    let run = stores.run(Codec::F32, Algorithm::Downpour);
    let mut process =
        Process { stores: &stores, fuse: Fuse::new(i64::MAX), random: Xoshiro256PlusPlus::seed_from_u64(1) };
    let mut begin = |worker: u32, home: Option<usize>| {
        let claim = run.claim(&worker.to_string(), Some(worker), LIMIT).unwrap();
        let Claim::Granted { lease, .. } = claim else { panic!("{claim:?}") };
        let home = home.map(|index| (&stores.nodes[index].0, stores.nodes[index].1));
        let Settled::Here(here) = run.clone().settle(&lease, home).unwrap() else { panic!("elsewhere") };
        let synchronizer = Synchronizer::start(&here).unwrap();
        process.work(&here, &lease, 100).unwrap();
        (here, synchronizer)
    };
    let (node, _synchronizer) = begin(0, Some(0));
    begin(1, None);
    let (local, local_keys) = node.log();
    let number = FROM_ABOVE + 1;
    let deadline = Instant::now() + LIMIT / 4;
    // The last entry stays.
    while length(&stores.global, run.keys(), number) > 1 || length(local, local_keys, FROM_ABOVE) > 1 {
        assert!(Instant::now() < deadline, "a synchronizer's stream is not trimmed");
        process.snapshot(&node).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn whoever_lost_its_lease_changes_no_home() {
    let stores = Stores::new(false);
    let run = stores.run(Codec::F32, Algorithm::Downpour);
    let (store, keys) = (&**run.store(), run.keys());
    let Claim::Granted { lease: old, .. } = run.claim("0", Some(0), LIMIT).unwrap() else { panic!("taken") };
    let home = Some((&stores.nodes[0].0, stores.nodes[0].1));
    let Settled::Here(here) = run.clone().settle(&old, home).unwrap() else { panic!("elsewhere") };
    let site = here.site.unwrap();
    nodes::seize(store, keys, 0, LIMIT).unwrap().unwrap();
    assert!(matches!(run.clone().settle(&old, home).unwrap(), Settled::Elsewhere { .. }));
    site.let_go(store, keys, &old).unwrap();
    let stale = nodes::claim(&run, site.number, LIMIT).unwrap().unwrap();
    nodes::seize(store, keys, site.number, LIMIT).unwrap().unwrap();
    nodes::close(&run, &stale, None).unwrap();
    let nodes = Nodes::read(store, keys).unwrap().value;
    assert!(nodes.is_open(site.number));
    assert_eq!(nodes.residents(site.number), [0]);
}
