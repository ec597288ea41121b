//! Workers in threads, who keep what they leave, and of whom one may be slow, or die.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Scope};
use std::time::Duration;

use sgd_lib::dataset::{Dataset, Split};
use sgd_lib::downpour::{Carried, Departure, Identity, Run, RunConfig, Surroundings, Worker};
use sgd_lib::state::StateError;
use sgd_lib::store::{Claim, Store};

/// Of a size that divides evenly among nobody.
pub(crate) const SAMPLES: usize = 2003;

pub(crate) fn part(data: &Dataset) -> Split<'_> {
    data.train().first(SAMPLES)
}

/// A place that keeps what workers leave, and in which something happens before each minibatch, and while
/// a worker waits.
pub(crate) struct Here {
    happens: Box<dyn Fn() + Send + Sync>,
    wanted: Mutex<Vec<u32>>,
    left: Mutex<Option<Carried>>,
}

impl Here {
    pub(crate) fn for_ever() -> Self {
        Self::where_happens(|| ())
    }

    /// A worker dies when it has been asked `dies_after` times whether to leave.
    pub(crate) fn until(dies_after: u64) -> Self {
        let left = AtomicU64::new(dies_after);
        Self::where_happens(move || {
            assert_ne!(left.fetch_sub(1, Ordering::Relaxed), 0, "dies here, as planned");
        })
    }

    /// A worker waits at the gate.
    pub(crate) fn at(gate: &Arc<Gate>) -> Self {
        let gate = gate.clone();
        Self::where_happens(move || gate.pass())
    }

    pub(crate) fn where_happens(happens: impl Fn() + Send + Sync + 'static) -> Self {
        Self { happens: Box::new(happens), wanted: Mutex::default(), left: Mutex::default() }
    }
}

impl Surroundings for Here {
    fn must_leave(&self) -> bool {
        (self.happens)();
        false
    }

    fn recruit(&self, worker: u32) {
        self.wanted.lock().unwrap().push(worker);
    }

    fn pick_up(&self, _worker: u32) -> Result<Option<Carried>, StateError> {
        Ok(self.left.lock().unwrap().clone())
    }

    fn leave(&self, _worker: u32, carried: Carried) -> Result<(), StateError> {
        *self.left.lock().unwrap() = Some(carried);
        Ok(())
    }
}

/// Where a worker waits until it is let go on.
#[derive(Default)]
pub(crate) struct Gate {
    arrived: AtomicBool,
    open: AtomicBool,
}

impl Gate {
    pub(crate) fn pass(&self) {
        self.arrived.store(true, Ordering::Release);
        while !self.open.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn await_arrival(&self) {
        while !self.arrived.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }
}

pub(crate) fn create(store: Arc<dyn Store>, config: RunConfig) -> Run {
    let run = Run::create(store, "run", config).unwrap();
    if !run.config().is_elastic() {
        run.store().fix_workers(run.keys(), run.config().workers).unwrap();
    }
    run
}

/// One invocation.
pub(crate) fn invoke(
    run: &Run,
    data: &Dataset,
    worker: u32,
    from: Option<u64>,
    here: &Here,
    ttl: u64,
) -> (Departure, u64) {
    let place = format!("{worker}-{from:?}-{:?}", thread::current().id());
    let claim = run.claim_from(&place, Some(worker), from, Duration::from_millis(ttl)).unwrap();
    let Claim::Granted { lease, resumed, .. } = claim else { panic!("no place: {claim:?}") };
    let (identity, token) = (Identity { node: "node".into(), pod: place }, lease.token);
    let worker = Worker::new(run, lease, resumed, &identity, part(data), data.test(), here).unwrap();
    (worker.train().unwrap(), token)
}

/// A worker, as many invocations as it takes.
pub(crate) fn work(run: &Run, data: &Dataset, worker: u32) -> Departure {
    let (here, mut from) = (Here::for_ever(), None);
    loop {
        let (departure, token) = invoke(run, data, worker, from, &here, 20_000);
        match departure {
            Departure::EpochEnded { .. } => from = Some(token),
            departure => return departure,
        }
    }
}

pub(crate) fn train(store: Arc<dyn Store>, data: &Dataset, config: RunConfig) -> Run {
    let run = create(store, config);
    thread::scope(|scope| {
        for worker in 0..run.config().workers {
            let run = &run;
            scope.spawn(move || work(run, data, worker));
        }
    });
    run
}

pub(crate) fn parameters(run: &Run) -> Vec<f32> {
    run.model().unwrap().expect("a model").parameters
}

pub(crate) fn bits(run: &Run) -> Vec<u32> {
    parameters(run).into_iter().map(f32::to_bits).collect()
}

pub(crate) fn furthest(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

pub(crate) fn check_counts(run: &Run, what: &str) {
    let status = run.status().unwrap();
    assert!(status.is_over(), "{what}: {status:?}");
    let samples: u64 = status.workers.iter().map(|worker| worker.samples).sum();
    assert_eq!(samples, u64::from(run.config().epochs) * SAMPLES as u64, "{what}: each sample once an epoch");
}

/// Starts a successor for whomever somebody misses, until `left` of them have been started.
pub(crate) fn recruiter<'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: &'scope Run,
    data: &'scope Dataset,
    here: &'scope Here,
) {
    scope.spawn(move || {
        loop {
            if let Some(worker) = here.wanted.lock().unwrap().pop() {
                return drop(scope.spawn(move || work(run, data, worker)));
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
}

/// Trains with two workers, of whom the second dies, and its successor goes on; each minibatch counts once.
pub(crate) fn lose_the_second(run: &Run, data: &Dataset, what: &str) {
    let (mourner, victim) = (Here::for_ever(), Here::until(10));
    thread::scope(|scope| {
        recruiter(scope, run, data, &mourner);
        scope.spawn(|| invoke(run, data, 0, None, &mourner, 20_000));
        let victim = scope.spawn(|| invoke(run, data, 1, None, &victim, 300));
        assert!(victim.join().is_err(), "{what}: it dies");
    });
    check_counts(run, what);
}
