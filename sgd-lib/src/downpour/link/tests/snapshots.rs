//! Fetches that bring the newest snapshot.

use std::thread;

use local_redis::{LocalRedis, Options};

use super::*;
use crate::downpour::fuse::{Fuse, Fused};
use crate::downpour::link::snapshots::{MAKING, saves};
use crate::downpour::log;
use crate::store::RedisStore;

fn start(store: &Arc<dyn Store>, run: &RunKeys, worker: u32) -> FarEnd {
    far_end(store, run, worker).fetching_snapshots(true)
}

fn store() -> (Arc<dyn Store>, RunKeys) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let run = run(&store);
    (store, run)
}

/// Pushes `value`, the worker's push number `number`, and fetches.
fn exchange(end: &mut FarEnd, value: f32, number: u64) -> Reply {
    let push = Some((EntryKind::Push, Progress { pushes: number, ..Progress::default() }));
    end.answer(Request { push, payload: payload(value), fetch: true, ..Request::default() }).unwrap()
}

fn fetch(end: &mut FarEnd) -> Option<Vec<f32>> {
    end.answer(Request { fetch: true, ..Request::default() }).unwrap().rebuilt
}

fn all(value: f32) -> Option<Vec<f32>> {
    Some(vec![value; 4])
}

#[test]
fn a_fetch_brings_the_newest_snapshot_and_keeps_what_the_worker_pushed_since() {
    let (store, run) = store();
    let (mut zero, mut one) = (start(&store, &run, 0), start(&store, &run, 1));
    assert_eq!(exchange(&mut zero, 1.0, 1).rebuilt, all(1.0), "nobody made one: it does");
    let reply = exchange(&mut one, 2.0, 1);
    assert_eq!((reply.rebuilt, reply.pushes, reply.bytes), (all(3.0), 1, 16));
    assert_eq!(store.snapshot_vector(&run).unwrap().unwrap().0, 2, "there was a newer one to take");
    assert_eq!(exchange(&mut one, 4.0, 2).rebuilt, all(7.0));
    let reply = exchange(&mut zero, 8.0, 2);
    assert_eq!((reply.rebuilt, reply.pushes), (all(15.0), 2));
    assert_eq!(fetch(&mut zero), all(15.0), "it makes the next");
    assert_eq!(fetch(&mut one), all(15.0));
    assert_eq!((fetch(&mut zero), fetch(&mut one)), (None, None), "nothing is read where nothing is new");
}

#[test]
fn what_a_worker_pushed_before_it_was_replaced_is_read_again() {
    let (store, run) = store();
    let (mut zero, mut one) = (start(&store, &run, 0), start(&store, &run, 1));
    push(&mut one);
    store.release(&run, &one.lease).unwrap();
    let mut successor = start(&store, &run, 1);
    push(&mut zero);
    // A snapshot that lacks what worker 1 pushed.
    zero.answer(Request { snapshot: Some(vec![1.0; 4]), ..Request::default() }).unwrap();
    assert_eq!(fetch(&mut successor), all(2.0));
    // What is kept in memory is not enough either.
    push(&mut successor);
    push(&mut zero);
    zero.answer(Request { snapshot: Some(vec![2.0; 4]), ..Request::default() }).unwrap();
    assert_eq!(fetch(&mut successor), all(4.0));
    assert_eq!(successor.last().seq, 1);
}

#[test]
fn one_makes_a_snapshot_at_a_time() {
    let (store, run) = store();
    let mut zero = start(&store, &run, 0);
    zero.patience = Duration::from_millis(80);
    assert!(store.lock(&run, log::SNAPSHOT, "somebody", Duration::from_secs(600)).unwrap());
    let reply = exchange(&mut zero, 1.0, 1);
    assert!(reply.complete && reply.rebuilt.is_none(), "waits while the lease can't expire");
    store.unlock(&run, log::SNAPSHOT, "somebody").unwrap();
    zero.patience = MAKING;
    assert!(store.lock(&run, log::SNAPSHOT, "somebody", Duration::from_millis(50)).unwrap());
    assert_eq!(fetch(&mut zero), all(1.0), "a lock that is not given back expires");
}

#[test]
fn the_snapshot_that_somebody_makes_is_waited_for() {
    let (store, run) = store();
    let (mut zero, mut one) = (start(&store, &run, 0), start(&store, &run, 1));
    push(&mut one);
    assert!(store.lock(&run, log::SNAPSHOT, &one.lease.holder, MAKING).unwrap());
    let waits = thread::spawn(move || exchange(&mut zero, 2.0, 1).rebuilt);
    // Before it looks, or while it waits.
    let folded = Folded::load(&*store, &run, ROWS).unwrap();
    folded.write(&*store, &run, &one.lease.holder).unwrap();
    assert_eq!(waits.join().unwrap(), all(3.0));
}

/// Before and after each call to the store.
#[test]
fn whoever_dies_making_a_snapshot_is_followed_by_another() {
    thread::scope(|scope| {
        for calls in 1..12 {
            scope.spawn(move || {
                let (store, run) = store();
                let fuse = Fuse::new(i64::MAX);
                let fused: Arc<dyn Store> = Arc::new(Fused { store: store.clone(), fuse: fuse.clone() });
                let (mut mortal, mut other) = (start(&fused, &run, 0), start(&store, &run, 1));
                push(&mut other);
                fuse.set(calls);
                let push = Some((EntryKind::Push, Progress::default()));
                let request = Request { push, payload: payload(2.0), fetch: true, ..Request::default() };
                let died = mortal.answer(request).is_err();
                assert_eq!(died, fuse.is_blown(), "{calls}");
                let all = Folded::load(&*store, &run, ROWS).unwrap().parameters;
                assert!([vec![1.0; 4], vec![3.0; 4]].contains(&all), "{calls}: {all:?}");
                thread::sleep(MAKING);
                exchange(&mut other, 4.0, 2);
                let wanted: Vec<_> = all.iter().map(|x| x + 4.0).collect();
                assert_eq!(fetch(&mut other).unwrap_or_else(|| wanted.clone()), wanted, "{calls}");
                let snapshot = Folded::from_snapshot(&*store, &run, ROWS).unwrap();
                assert_eq!(snapshot.parameters, wanted, "{calls}");
            });
        }
    });
}

/// A worker's base: what it pushed is in it at once, as in a replica.
struct Based {
    end: FarEnd,
    base: Vec<f32>,
}

impl Based {
    fn take(&mut self, reply: Reply) {
        self.base = reply.rebuilt.unwrap_or(std::mem::take(&mut self.base));
    }

    fn work(&mut self) {
        for number in 1..=40 {
            let value = rand::random_range(-8..=8) as f32;
            let push = Some((EntryKind::Push, Progress { pushes: number, ..Progress::default() }));
            let fetch = rand::random();
            let request = Request { push, payload: payload(value), fetch, ..Request::default() };
            self.base.iter_mut().for_each(|x| *x += value);
            let reply = self.end.answer(request).unwrap();
            self.take(reply);
        }
    }

    fn look(&mut self) {
        let reply = self.end.answer(Request { fetch: true, ..Request::default() }).unwrap();
        self.take(reply);
    }
}

#[test]
fn many_workers_at_rest_have_the_sum_of_all_pushes() {
    let server = LocalRedis::start(Options::default()).unwrap();
    let real: Arc<dyn Store> = Arc::new(RedisStore::open(server.url()).unwrap());
    for store in [store().0, real] {
        let keys = RunKeys::new("test").unwrap();
        if store.snapshot(&keys).unwrap().is_none() {
            run(&store);
        }
        let based = |worker| Based { end: start(&store, &keys, worker), base: vec![0.0; 4] };
        let mut workers: Vec<_> = (0..20).map(based).collect();
        thread::scope(|scope| {
            for worker in &mut workers {
                scope.spawn(|| worker.work());
            }
        });
        let wanted = Folded::load(&*store, &keys, ROWS).unwrap();
        assert!(wanted.snapshot_version > 2, "{}", wanted.snapshot_version);
        // One takes what there is, makes the next where that lacks its own pushes, and the others take that.
        (0..3).for_each(|_| workers.iter_mut().for_each(Based::look));
        for worker in &workers {
            assert_eq!(worker.base, wanted.parameters);
            assert_eq!(worker.end.folded, wanted.vector);
        }
    }
}

#[test]
fn few_workers_read_entries_and_many_snapshots() {
    // Pushes of a quarter of a snapshot, as int8 makes them, and as f32.
    let least = |pushed| (1..100).find(|workers| saves(*workers, pushed, 1.0));
    assert_eq!((least(0.26), least(1.0), least(0.01)), (Some(22), Some(10), None));
    assert!(!saves(2, 100.0, 1.0), "two workers have nothing to share");
}
