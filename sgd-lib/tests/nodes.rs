//! Training with a store on each node: the stores end with the same sums, whoever dies.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sgd_lib::codec::Codec;
use sgd_lib::dataset::Dataset;
use sgd_lib::downpour::{
    Algorithm, Database, Departure, Identity, Run, RunConfig, Settled, StopReason, Synchronizer, Worker,
};
use sgd_lib::store::{Claim, Lease, Store};
use support::{Here, TestStore, part};

const LEASE: Duration = Duration::from_secs(20);

/// Where a worker lives: its node's store and name, or nothing.
type Home<'a> = Option<(&'a Arc<dyn Store>, &'a str)>;

fn settle(run: &Run, worker: u32, home: Home<'_>) -> (Run, Lease, bool) {
    let place = format!("{worker}-{:x}", rand::random::<u64>());
    let claim = run.claim(&place, Some(worker), LEASE).unwrap();
    let Claim::Granted { lease, resumed, .. } = claim else { panic!("no place: {claim:?}") };
    match run.clone().settle(&lease, home).unwrap() {
        Settled::Here(run) => (*run, lease, resumed),
        Settled::Elsewhere { node } => panic!("worker {worker} is at home on {node}"),
    }
}

fn work(run: &Run, data: &Dataset, worker: u32, home: Home<'_>, patience: u64) -> Departure {
    let (run, lease, resumed) = settle(run, worker, home);
    let synchronizer = Synchronizer::start(&run).unwrap();
    let identity = Identity { node: "node".into(), pod: worker.to_string() };
    let here = Here::until(patience);
    let worker = Worker::new(&run, lease, resumed, &identity, part(data), data.test(), &here).unwrap();
    let departure = worker.train().unwrap();
    if let Some(synchronizer) = synchronizer {
        synchronizer.stop();
    }
    run.tidy().unwrap();
    departure
}

fn local(data: &Dataset, workers: u32) -> RunConfig {
    RunConfig { database: Database::Local, codec: Codec::Int8, ..support::config_for(data, workers) }
}

fn nodes(count: usize, real: bool) -> Vec<TestStore> {
    (0..count)
        .map(|_| {
            let [memory, redis] = support::stores();
            if real { redis } else { memory }
        })
        .collect()
}

#[test]
fn workers_on_nodes_of_their_own_learn_and_nothing_stays_behind() {
    let data = support::data();
    let (downpour, average) = (Algorithm::Downpour, Algorithm::Average);
    for (algorithm, real, homes) in [
        (downpour, false, [0, 1, 2]),
        (downpour, true, [0, 1, 0]),
        (downpour, true, [0, 1, 9]),
        (average, false, [0, 1, 0]),
        (average, true, [0, 1, 2]),
        (average, true, [0, 0, 9]),
    ] {
        let (global, nodes) = (&nodes(1, real)[0], nodes(3, real));
        let config = RunConfig { epochs: 3, algorithm, ..local(&data, 3) };
        let run = Run::create(global.store.clone(), "run", config).unwrap();
        run.store().fix_workers(run.keys(), 3).unwrap();
        let names = ["a", "b", "c"];
        std::thread::scope(|scope| {
            for (worker, home) in (0..).zip(homes) {
                // The node without a store is not there.
                let home = nodes.get(home).map(|node| (&node.store, names[home]));
                let (run, data) = (&run, &data);
                scope.spawn(move || {
                    let departure = work(run, data, worker, home, u64::MAX);
                    assert_eq!(departure, Departure::Finished(StopReason::Epochs));
                });
            }
        });
        let status = run.status().unwrap();
        assert!(status.is_over(), "{status:?}");
        // Far from chance; how far depends on how often sums came through in this tenth of a second.
        assert!(status.result.unwrap().accuracy() > 0.4, "{status:?}");
        let samples: u64 = status.workers.iter().map(|worker| worker.samples).sum();
        assert_eq!(samples, 3 * 8000);
        assert!(status.nodes.iter().all(|node| node.synchronizations >= 3), "{status:?}");
        assert!(status.nodes.iter().all(|node| node.bytes_from_global > 0), "{status:?}");
        for node in &nodes {
            let left = node.store.snapshot(&run.keys().on_node(65_537)).unwrap();
            assert_eq!(left, None, "the node keeps nothing of a run that is over");
        }
    }
}

#[test]
fn a_worker_that_hands_over_is_resumed_on_any_node() {
    let data = support::data();
    for real in [false, true] {
        let stores = nodes(3, real);
        let [global, a, b] = &stores[..] else { unreachable!() };
        let config = RunConfig { epochs: 2, ..local(&data, 1) };
        let run = Run::create(global.store.clone(), "run", config).unwrap();
        run.store().fix_workers(run.keys(), 1).unwrap();
        let lives: [(Home<'_>, u64); 5] = [
            (Some((&a.store, "a")), 17),
            (Some((&a.store, "a")), 60),
            (Some((&b.store, "b")), 33),
            (None, 21),
            (Some((&a.store, "a")), 40),
        ];
        for (home, patience) in lives {
            assert_eq!(work(&run, &data, 0, home, patience), Departure::HandedOver);
        }
        let last = work(&run, &data, 0, Some((&b.store, "b")), u64::MAX);
        assert_eq!(last, Departure::Finished(StopReason::Epochs));
        let status = run.status().unwrap();
        assert_eq!(status.workers[0].samples, 2 * 8000, "each sample once an epoch");
        assert_eq!(status.workers[0].minibatches, 2 * 250);
    }
}
