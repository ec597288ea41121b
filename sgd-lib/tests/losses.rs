//! Training on a Redis that again and again comes back without what it wrote last.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use local_redis::LocalRedis;
use sgd_lib::codec::Codec;
use sgd_lib::dataset::Dataset;
use sgd_lib::downpour::{
    Algorithm, Database, Departure, Folded, Identity, Run, RunConfig, Settled, StopReason, Surroundings,
    Synchronizer, Worker, WorkerError,
};
use sgd_lib::store::{Claim, MemoryStore, RedisStore, Store};
use support::crew::{check_counts, create, furthest, part};

/// Of a fixed number.
const WORKERS: u32 = 3;
/// As many as there are.
const ELASTIC: u32 = 0;
const EPOCHS: u32 = 30;
const LOSSES: u32 = 3;
const LEASE: Duration = Duration::from_millis(500);

/// Minibatches take a moment, so that the run outlasts the losses.
struct Slow;

impl Surroundings for Slow {
    fn must_leave(&self) -> bool {
        thread::sleep(Duration::from_millis(5));
        false
    }

    fn recruit(&self, _worker: u32) {}
}

/// One life of a worker, on the node of this store where one is given; whether the run is over.
fn live(
    run: &Run,
    data: &Dataset,
    (worker, life): (u32, u32),
    node: Option<&Arc<dyn Store>>,
    early: &AtomicU32,
) -> bool {
    let place = format!("{worker}-{life}");
    let lease = match run.claim(&place, Some(worker), LEASE).unwrap() {
        Claim::Granted { lease, .. } => lease,
        Claim::Over { .. } => return true,
        // Its predecessor's lease has not expired.
        Claim::Taken | Claim::Duplicate { .. } => {
            thread::sleep(LEASE / 10);
            return false;
        }
    };
    let name = format!("node-{worker}");
    let settled = match node {
        Some(node) => run.clone().settle(&lease, Some((node, &name))).unwrap(),
        None => Settled::Here(Box::new(run.clone())),
    };
    let Settled::Here(run) = settled else { panic!("no worker goes elsewhere") };
    let synchronizer = Synchronizer::start(&run).unwrap();
    let here = Identity { node: name, pod: place };
    let begun = Worker::new(&run, lease.clone(), life > 0, &here, part(data), data.test(), &Slow);
    let left = begun.and_then(Worker::train);
    synchronizer.into_iter().for_each(Synchronizer::stop);
    match left {
        Ok(Departure::Finished(StopReason::Epochs)) => true,
        // Its node was closed.
        Ok(Departure::Replaced) => {
            early.fetch_add(1, Ordering::Relaxed);
            false
        }
        Err(WorkerError::Log(error)) if error.is_forgotten() => {
            early.fetch_add(1, Ordering::Relaxed);
            run.store().release(run.keys(), &lease).unwrap();
            false
        }
        other => panic!("worker {worker}: {other:?}"),
    }
}

/// Takes from the server what it wrote in some tenths of a second, again and again.
fn lose(redis: &mut LocalRedis) {
    for loss in 1..=LOSSES {
        thread::sleep(Duration::from_millis(400));
        let length = redis.log_length().unwrap();
        thread::sleep(Duration::from_millis(100 * u64::from(loss)));
        // In the middle of an entry, too: Redis drops that as a whole.
        redis.restart_with_log_of(length + u64::from(loss) * 1_000).unwrap();
    }
}

fn losing(workers: u32, algorithm: Algorithm, database: Database) {
    let (mut test, data) = (support::redis(), support::data());
    let redis = test.redis.as_mut().unwrap();
    let store = Arc::new(RedisStore::open(redis.url()).unwrap().with_patience(Duration::from_secs(60)));
    let config = RunConfig {
        epochs: EPOCHS,
        algorithm,
        database,
        n_push: 2,
        n_fetch: 2,
        codec: Codec::Int8,
        ..support::config_for(&data, workers)
    };
    let (run, early) = (create(store, config), AtomicU32::new(0));
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (run, data, early) = (&run, &data, &early);
            let node: Option<Arc<dyn Store>> =
                (database == Database::Local).then(|| Arc::new(MemoryStore::new()) as _);
            scope.spawn(move || {
                (0..).find(|life| live(run, data, (worker, *life), node.as_ref(), early));
            });
        }
        lose(redis);
    });
    assert!(early.into_inner() > 0, "{algorithm}: nothing that anybody knew of was lost");
    check_counts(&run, &algorithm.to_string());
    let folded = Folded::load(&**run.store(), run.keys(), &run.config().architecture.rows()).unwrap();
    let apart = furthest(&folded.parameters, &run.model().unwrap().unwrap().parameters);
    assert!(apart < 1e-5, "{algorithm}: the model is {apart} from the sum of the log");
}

#[test]
fn every_push_that_is_in_the_log_counts_once_whatever_was_lost() {
    losing(WORKERS, Algorithm::Downpour, Database::Global);
}

#[test]
fn what_workers_that_come_and_go_took_counts_once_whatever_was_lost() {
    losing(ELASTIC, Algorithm::Downpour, Database::Global);
}

#[test]
fn workers_that_wait_for_one_another_come_through_it() {
    losing(WORKERS, Algorithm::Average, Database::Global);
}

#[test]
fn nodes_begin_anew_when_the_global_store_lost_what_they_passed_on() {
    losing(WORKERS, Algorithm::Downpour, Database::Local);
}
