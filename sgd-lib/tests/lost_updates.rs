//! The losses that the original had are impossible: whoever pushes, dies and comes back, the log
//! ends with exactly the sum of all acknowledged pushes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use sgd_lib::codec::{Codec, Encoder, blob};
use sgd_lib::downpour::{Folded, Run};
use sgd_lib::store::{
    Claim, Entry, EntryId, EntryKind, Exchange, Lease, Passed, Position, Progress, PushOutcome, Snapshot,
    Vector,
};

const THREADS: u32 = 8;
const LEASE: Duration = Duration::from_millis(5);

/// Integers, so that every order of adding gives the same sum, to the bit.
fn delta(random: &mut impl Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-8..=8) as f32).collect()
}

/// A worker that pushes until it "dies": it forgets everything that it had, or answers go missing.
fn live(run: &Run, lease: &Lease, random: &mut Xoshiro256PlusPlus, sum: &mut [f64]) {
    let rows = run.config().architecture.rows();
    let mut encoder = Encoder::new(Codec::F32, &rows);
    let mut decoded = vec![0.0; sum.len()];
    let mut prev = EntryId { token: lease.token, seq: 0 };
    for seq in 1..=random.random_range(1..30) {
        let delta = delta(random, sum.len());
        let mut payload = Vec::new();
        encoder.encode(&delta, &mut decoded, &mut payload).unwrap();
        let id = EntryId { token: lease.token, seq };
        let progress = Progress {
            at: Position { epoch: 0, minibatch: seq as u32 },
            minibatches: seq,
            samples: seq,
            pushes: seq,
        };
        let entry = Entry {
            id,
            prev,
            kind: EntryKind::Push,
            progress: Some(progress),
            seen: Vec::new(),
            payload,
            passed: Passed::default(),
        };
        // A push whose answer is lost is sent again, and counts once.
        let tries = random.random_range(1..=3);
        let exchange = Exchange { push: Some(&entry), lease: Some(lease), ..Exchange::default() };
        let outcomes: Vec<_> =
            (0..tries).map(|_| run.store().exchange(run.keys(), &exchange).unwrap().push.unwrap()).collect();
        if outcomes.contains(&PushOutcome::Accepted) {
            for (sum, delta) in sum.iter_mut().zip(&delta) {
                *sum += f64::from(*delta);
            }
        }
        if outcomes.last() != Some(&PushOutcome::Accepted) {
            return;
        }
        prev = id;
        if random.random_bool(0.05) {
            // Stalled for longer than the lease: somebody may take over meanwhile.
            std::thread::sleep(LEASE * 2);
        }
    }
}

/// Now and then somebody folds the log into a snapshot and trims it.
fn snapshot(run: &Run) {
    let folded = Folded::load(&**run.store(), run.keys(), &run.config().architecture.rows()).unwrap();
    run.store()
        .write_snapshot(run.keys(), &folded.to_snapshot(folded.snapshot_version), folded.since)
        .unwrap();
}

fn chaos(run: &Run, seed: u64) -> Vec<f64> {
    let count = run.config().architecture.parameter_count();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let over = &over;
                scope.spawn(move || {
                    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ (u64::from(thread) << 32));
                    let mut sum = vec![0.0; count];
                    for life in 0..12 {
                        let worker = random.random_range(0..3);
                        let place = format!("{thread}-{life}");
                        match run.claim(&place, Some(worker), LEASE).unwrap() {
                            Claim::Granted { lease, .. } => live(run, &lease, &mut random, &mut sum),
                            _ => std::thread::sleep(LEASE),
                        }
                    }
                    over.store(true, Ordering::Relaxed);
                    sum
                })
            })
            .collect();
        while !over.load(Ordering::Relaxed) {
            snapshot(run);
        }
        let sums = threads.into_iter().map(|thread| thread.join().unwrap());
        sums.reduce(|left, right| left.iter().zip(&right).map(|(l, r)| l + r).collect()).unwrap()
    })
}

#[test]
fn the_log_ends_with_the_sum_of_all_acknowledged_pushes() {
    for test in support::stores() {
        let run = Run::create(test.store.clone(), "sum", support::config(3)).unwrap();
        // Integers to start from too.
        let zeros = vec![0.0; run.config().architecture.parameter_count()];
        let start = Snapshot { version: 2, vector: Vector::new(), parameters: blob::pack(&zeros) };
        assert!(test.store.write_snapshot(run.keys(), &start, Instant::now()).unwrap());
        let acknowledged = chaos(&run, rand::random());
        let found = Folded::load(&*test.store, run.keys(), &run.config().architecture.rows()).unwrap();
        let found: Vec<f64> = found.parameters.into_iter().map(f64::from).collect();
        assert_eq!(found, acknowledged, "{}", test.name);
        assert!(acknowledged.iter().any(|sum| *sum != 0.0), "{}: nobody pushed anything", test.name);
    }
}
