//! Whoever comes, goes, dies, or finds the store without its last writes: each minibatch counts once.

use proptest::collection::vec;
use proptest::prelude::*;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::downpour::{DataRef, Run, RunConfig};
use crate::network::Architecture;
use crate::store::{Claim, MemoryStore};

const COURSE: Course = Course { epoch: 23, epochs: 3, grain: 4 };

fn at(epoch: u32, minibatch: u32) -> Position {
    Position { epoch, minibatch }
}

fn stretch(epoch: u32, begin: u32, end: u32) -> Stretch {
    Stretch { epoch, begin, end }
}

/// What one worker pushed: under which token, where it stood then, and what was in it.
#[derive(Clone)]
struct Pushed {
    token: u64,
    at: Position,
    minibatches: Vec<(u32, u32)>,
}

/// What a store has.
#[derive(Clone, Default)]
struct Kept {
    allotment: Allotment,
    logs: [Vec<Pushed>; 4],
}

/// A worker that lives.
struct Alive {
    token: u64,
    /// How long its stream is, as far as it knows, and where it stood then.
    known: usize,
    acknowledged: Position,
    at: Position,
    portion: Option<Portion>,
    unpushed: Vec<(u32, u32)>,
}

#[derive(Default)]
struct World {
    store: Kept,
    /// The store as it was after each write, in case the last of them are lost.
    history: Vec<Kept>,
    alive: [Option<Alive>; 4],
    /// Who was found dead: the token of the fence, how long the stream was then, and where it ended.
    dead: Vec<(usize, u64, usize, Position)>,
    clock: u64,
}

impl World {
    fn written(&mut self) {
        self.history.push(self.store.clone());
    }

    fn end_of(&self, worker: usize) -> Position {
        self.store.logs[worker].last().map_or_else(Position::default, |pushed| pushed.at)
    }

    /// A fence, which says nothing of what was done.
    fn fence(&mut self, worker: usize) -> u64 {
        self.clock += 1;
        let (token, at) = (self.clock, self.end_of(worker));
        self.store.logs[worker].push(Pushed { token, at, minibatches: Vec::new() });
        self.written();
        token
    }

    fn come(&mut self, worker: usize) {
        if self.alive[worker].is_some() {
            return;
        }
        let token = self.fence(worker);
        let at = self.end_of(worker);
        assert!(self.store.allotment.join(worker as u32, token, at, self.clock));
        self.written();
        let known = self.store.logs[worker].len();
        let (acknowledged, portion, unpushed) = (at, None, Vec::new());
        self.alive[worker] = Some(Alive { token, known, acknowledged, at, portion, unpushed });
        self.take(worker, 5);
        self.push(worker);
    }

    /// On a connection that is new to it, a worker first asks whether its stream still has all that it knows. If so
    /// it pushes, and then looks whether the store has what it took.
    fn push(&mut self, worker: usize) {
        let Some(mut alive) = self.alive[worker].take() else { return };
        let log = &mut self.store.logs[worker];
        let fenced = log.last().is_some_and(|last| last.token > alive.token);
        if fenced || log.len() < alive.known {
            return;
        }
        let minibatches = std::mem::take(&mut alive.unpushed);
        log.push(Pushed { token: alive.token, at: alive.at, minibatches });
        (alive.known, alive.acknowledged) = (log.len(), alive.at);
        self.written();
        let known = self.store.allotment.is_member(worker as u32, alive.token)
            && (alive.portion.is_none() || self.store.allotment.portion(worker as u32) == alive.portion);
        self.alive[worker] = known.then_some(alive);
    }

    /// Whether a stream still has the entry with which it ended, under this token.
    fn has(&self, worker: usize, token: u64, length: usize) -> bool {
        self.store.logs[worker].get(length - 1).is_some_and(|entry| entry.token == token)
    }

    /// Nothing is taken where the store has lost what the worker pushed last.
    fn take(&mut self, worker: usize, count: u32) {
        let Some(mut alive) = self.alive[worker].take() else { return };
        if !self.has(worker, alive.token, alive.known) {
            return;
        }
        let number = alive.at.epoch + 1;
        let (token, allotment) = (alive.token, &mut self.store.allotment);
        if allotment.take(worker as u32, token, alive.acknowledged, number, count, COURSE) {
            alive.portion = allotment.portion(worker as u32);
            alive.at = at(number, 0);
            self.written();
        }
        self.alive[worker] = Some(alive);
    }

    /// Trains, takes what comes next, and pushes what it did: before it does anything of the next.
    fn work(&mut self, worker: usize, count: u32) {
        for _ in 0..count {
            let Some(alive) = &mut self.alive[worker] else { return };
            let Some(portion) = alive.portion.filter(|p| !p.rest(alive.at).is_empty()) else {
                self.take(worker, count);
                return self.push(worker);
            };
            alive.unpushed.push((portion.stretch.epoch, portion.stretch.begin + alive.at.minibatch));
            alive.at.minibatch += 1;
            if portion.rest(alive.at).is_empty() {
                self.take(worker, count);
                self.push(worker);
            }
        }
    }

    /// Pushes what is left, and goes the next time: in between the store may be restarted.
    fn go(&mut self, worker: usize) {
        if self.alive[worker].as_ref().is_some_and(|alive| alive.acknowledged != alive.at) {
            return self.push(worker);
        }
        if let Some(alive) = self.alive[worker].take()
            && self.has(worker, alive.token, alive.known)
        {
            self.store.allotment.leave(worker as u32, alive.token, alive.at, self.clock);
            self.written();
        }
    }

    /// Somebody notices that a worker is gone, and looks where its stream ends.
    fn find_dead(&mut self, worker: usize) {
        if self.alive[worker].is_none() && self.store.allotment.has(worker as u32) {
            let token = self.fence(worker);
            self.dead.push((worker, token, self.store.logs[worker].len(), self.end_of(worker)));
        }
    }

    /// What those have left who were found dead comes back.
    fn bury(&mut self) {
        for (worker, token, length, end) in std::mem::take(&mut self.dead) {
            if self.has(worker, token, length) {
                self.store.allotment.leave(worker as u32, token, end, self.clock);
                self.written();
            }
        }
    }

    fn lose(&mut self, writes: usize) {
        let kept = self.history.len().saturating_sub(writes);
        self.history.truncate(kept);
        self.store = self.history.last().cloned().unwrap_or_default();
        // All connections break: whoever knows more than the store ends with its next push.
        (0..4).for_each(|worker| self.push(worker));
    }

    fn act(&mut self, (action, worker, count): (u8, usize, u32)) {
        match action {
            0 => self.come(worker),
            1 => self.go(worker),
            2 => self.alive[worker] = None,
            3 => self.find_dead(worker),
            4 => self.bury(),
            5 => self.lose(count as usize),
            6 => self.push(worker),
            _ => self.work(worker, count),
        }
    }

    /// All that was pushed.
    fn pushed(&self) -> Vec<(u32, u32)> {
        let mut all: Vec<_> =
            self.store.logs.iter().flatten().flat_map(|pushed| pushed.minibatches.clone()).collect();
        all.sort_unstable();
        all
    }
}

proptest! {
    // What only a restart at the worst moment shows is rare.
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn each_minibatch_counts_once(actions in vec((0..14_u8, 0..4_usize, 0..9_u32), 0..200)) {
        let mut world = World::default();
        world.written();
        actions.into_iter().for_each(|action| world.act(action));
        for worker in 1..4 {
            world.alive[worker] = None;
            world.find_dead(worker);
        }
        world.bury();
        // One is left, and does the rest; whoever has lost more than it knows begins anew.
        for _ in 0..100 {
            world.come(0);
            world.work(0, 40);
        }
        world.push(0);
        let everything: Vec<_> = (0..3).flat_map(|epoch| (0..23).map(move |index| (epoch, index))).collect();
        prop_assert_eq!(world.pushed(), everything);
    }
}

#[test]
fn portions_begin_and_end_where_workers_push() {
    let mut allotment = Allotment::default();
    assert!(allotment.join(0, 7, at(0, 0), 1));
    let mut take = |number: u32, count| {
        assert!(allotment.take(0, 7, at(number - 1, 99), number, count, COURSE));
        allotment.portion(0).unwrap().stretch
    };
    assert_eq!(take(1, 1), stretch(0, 0, 4));
    assert_eq!(take(2, 5), stretch(0, 4, 12));
    assert_eq!(take(3, 100), stretch(0, 12, 23), "an epoch's end");
    assert_eq!(take(4, 100), stretch(1, 0, 23));
    // 23 are left.
    assert_eq!(take(5, 100), stretch(2, 0, 12));
    assert_eq!(take(6, 100), stretch(2, 12, 20));
    assert_eq!(take(7, 100), stretch(2, 20, 23));
    assert!(!allotment.take(0, 7, at(7, 3), 8, 100, COURSE), "that was all");
}

#[test]
fn what_a_worker_has_not_pushed_comes_back() {
    let mut allotment = Allotment::default();
    assert!(allotment.join(0, 7, at(0, 0), 1) && allotment.join(1, 8, at(0, 0), 2));
    assert!(allotment.take(0, 7, at(0, 0), 1, 8, COURSE) && allotment.take(0, 7, at(1, 6), 2, 8, COURSE));
    assert!(!allotment.take(0, 7, at(1, 6), 2, 8, COURSE), "it has that portion");
    assert!(!allotment.leave(0, 6, at(1, 6), 3), "somebody else has its lease");
    assert!(allotment.leave(0, 7, at(1, 6), 3));
    assert_eq!(allotment.returned, [stretch(0, 6, 8), stretch(0, 8, 16)]);
    assert!(!allotment.take(0, 7, at(1, 6), 3, 8, COURSE), "it is no member any more");
    assert!(allotment.take(1, 8, at(0, 0), 1, 4, COURSE));
    assert_eq!(allotment.portion(1).unwrap().stretch, stretch(0, 8, 12));
    assert_eq!(allotment.returned, [stretch(0, 6, 8), stretch(0, 12, 16)]);
    // Who comes where somebody died finds nothing of it forgotten.
    assert!(allotment.join(1, 9, at(1, 1), 4));
    assert_eq!(allotment.returned, [stretch(0, 6, 8), stretch(0, 12, 16), stretch(0, 9, 12)]);
    let workers: Vec<_> = allotment.into_changes().iter().map(|change| change.workers).collect();
    assert_eq!(workers, [1, 2, 1, 1]);
}

#[test]
fn workers_that_are_wanted_get_the_lowest_free_numbers() {
    let mut allotment = Allotment::default();
    assert_eq!((allotment.absent(2), allotment.workers()), (vec![0, 1], 1));
    for worker in [0, 2, 3] {
        assert!(allotment.join(worker, 7, at(0, 0), 1));
    }
    assert_eq!((allotment.absent(5), allotment.absent(2)), (vec![1, 4], vec![]));
    assert_eq!((allotment.first(), allotment.numbers(), allotment.workers()), (Some(0), 4, 3));
}

#[test]
fn whoever_writes_last_has_read_what_the_others_wrote() {
    let store = Arc::new(MemoryStore::new());
    let network = Architecture::new(4, &[3], 2).unwrap();
    let config = RunConfig { workers: 0, ..RunConfig::new(DataRef::named("test"), network) };
    let run = Run::create(store.clone(), "run", config).unwrap();
    let fenced = |worker| match run.claim("place", Some(worker), Duration::from_secs(60)).unwrap() {
        Claim::Granted { lease, .. } => EntryId { token: lease.token, seq: 0 },
        other => panic!("{other:?}"),
    };
    let (store, run) = (&*store, run.keys());
    for worker in 0..3 {
        let entry = (worker, fenced(worker));
        Allotment::change(store, run, entry, |allotment| allotment.join(worker, 7, at(0, 0), 1)).unwrap();
    }
    let join = |allotment: &mut Allotment| allotment.join(1, 6, at(0, 0), 1);
    let stands = Allotment::change(store, run, (1, EntryId::ZERO), join).unwrap();
    assert!(stands.is_member(1, 7) && !stands.is_member(1, 6));
    let forgotten =
        Allotment::change(store, run, (2, EntryId::ZERO), |allotment| allotment.leave(2, 7, at(0, 0), 2));
    assert!(matches!(forgotten, Err(LogError::Forgot { .. })), "{forgotten:?}");
    let version = store.read(&run.allotment()).unwrap().unwrap().version;
    assert_eq!(version, 3, "what changes nothing, or follows from nothing, is not written");
}
