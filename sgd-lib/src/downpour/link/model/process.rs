//! A worker, or a reader for whom entries are kept, as one of many processes: what it does next, and what it knows.

use std::sync::Arc;
use std::time::Duration;

use super::stepped::{Stepped, Told};
use super::{Broken, Size, run};
use crate::codec::Codec;
use crate::downpour::link::{FarEnd, Reply, Request};
use crate::downpour::log::{Folded, LogError, add_streams, advance, cursors};
use crate::downpour::replica::Replica;
use crate::downpour::schedule::Coupling;
use crate::store::{
    Claim, ClaimRequest, Cursors, EntryKind, Exchange, FIRST_NODE, Lease, MemoryStore, Position, Progress,
    PushOutcome, Store,
};

/// The number of the reader for whom entries are kept.
const READER: u32 = FIRST_NODE + 1;

/// How a reader ends that must see every entry and did not.
pub(super) const MISSED: &str = "an entry was trimmed before it was read";

#[derive(Clone)]
pub(super) struct Process {
    pub(super) worker: u32,
    /// Names the invocation.
    pub(super) number: usize,
    pub(super) told: Told,
    pub(super) phase: Phase,
}

#[derive(Clone)]
pub(super) enum Phase {
    Claiming,
    Loading(Lease),
    Working(Box<Working>),
    /// A reader before it is registered, while it loads, and since.
    Registering,
    Catching,
    Reading(Folded),
    Ended(&'static str),
}

/// A worker that has loaded what there was.
#[derive(Clone)]
pub(super) struct Working {
    /// As it was before the request that is under way.
    end: Arc<FarEnd>,
    /// θ and base, as in a replica.
    theta: Vec<f32>,
    pub(super) base: Vec<f32>,
    progress: Progress,
    request: Option<Sent>,
}

/// A request that is under way.
#[derive(Clone, Debug)]
struct Sent {
    push: Option<(EntryKind, Progress)>,
    payload: Vec<u8>,
    snapshot: Option<Vec<f32>>,
}

impl Process {
    pub(super) fn worker(worker: u32, number: usize) -> Self {
        Self { worker, number, told: Told::default(), phase: Phase::Claiming }
    }

    pub(super) fn reader(number: usize) -> Self {
        Self { worker: READER, number, told: Told::default(), phase: Phase::Registering }
    }

    /// Of somebody who comes when a lease has ended, and claims it at once. (That it has ended is seen by nobody
    /// but who claims it, so that is one step.)
    pub(super) fn successor(worker: u32, number: usize, store: &MemoryStore, size: &Size) -> Self {
        store.expire(&run(), worker);
        let mut process = Self::worker(worker, number);
        process.phase = process.claim(store, size);
        process
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Whether there is anything left that others could see it do. (What it would look at is looked at in
    /// `properties`.)
    pub(super) fn goes_on(&self, size: &Size) -> bool {
        match &self.phase {
            Phase::Working(working) => {
                working.request.is_some() || working.progress.at.minibatch < size.minibatches
            }
            phase => !matches!(phase, Phase::Ended(_)),
        }
    }

    pub(super) fn is_ended_by(&self, why: &str) -> bool {
        matches!(self.phase, Phase::Ended(ended) if ended == why)
    }

    /// The same process on a new connection, on which it asks again what it was asking.
    pub(super) fn reconnected(&self) -> Self {
        let mut process = self.clone();
        process.told.reconnect();
        process
    }

    /// Whether it may write a snapshot with its next request.
    pub(super) fn may_fold(&self) -> bool {
        matches!(&self.phase, Phase::Working(working) if working.request.is_none() && working.progress.pushes > 0)
    }

    /// Between two requests: what it goes by, and its base.
    pub(super) fn at_rest(&self) -> Option<(&FarEnd, &[f32])> {
        match &self.phase {
            Phase::Working(working) if working.request.is_none() => Some((&working.end, &working.base)),
            _ => None,
        }
    }

    /// The minibatch up to which its pushes were acknowledged.
    pub(super) fn acknowledged(&self) -> u32 {
        self.at_rest().map_or(0, |(end, _)| crate::store::progress(&end.folded, self.worker).at.minibatch)
    }

    /// The next step: the store, and the process, after it.
    pub(super) fn step(
        &self,
        store: &MemoryStore,
        size: &Size,
        fold: bool,
        broken: Broken,
    ) -> (MemoryStore, Self) {
        let mut next = self.clone();
        if let Phase::Claiming = self.phase {
            let store = store.fork();
            next.phase = self.claim(&store, size);
            return (store, next);
        }
        if let Phase::Working(working) = &mut next.phase
            && working.request.is_none()
        {
            working.train(self.worker, self.number, size, fold);
        }
        let stepped = Stepped::new(store.fork(), self.told.clone(), broken);
        let done = next.phase.go_on(self.worker, size, &stepped);
        let (store, told, paused) = stepped.after();
        next.told = told;
        if !paused {
            next.told.settle();
            next.phase = done.unwrap_or_else(|error| Phase::Ended(ending(&error)));
        }
        (store, next)
    }

    fn claim(&self, store: &MemoryStore, size: &Size) -> Phase {
        let request = ClaimRequest {
            place: format!("place-{}", self.number),
            worker: Some(self.worker),
            workers: size.workers,
            holder: format!("holder-{}", self.number),
            ttl: Duration::from_secs(3600),
            from: None,
            seize: false,
        };
        match store.claim(&run(), &request).unwrap() {
            Claim::Granted { lease, .. } => Phase::Loading(lease),
            _ => Phase::Ended("no place"),
        }
    }

    /// All that it goes by, as text.
    pub(super) fn contents(&self) -> String {
        let phase = match &self.phase {
            Phase::Working(working) => working.contents(),
            Phase::Reading(folded) => format!("{:?}{:?}", folded.vector, folded.parameters),
            Phase::Loading(lease) => format!("loading {lease:?}"),
            Phase::Claiming => "claiming".into(),
            Phase::Registering => "registering".into(),
            Phase::Catching => "catching".into(),
            // Why is the same to all others.
            Phase::Ended(why) => return format!("ended {}", *why == MISSED),
        };
        format!("{} {:?} {phase}", self.worker, self.told)
    }
}

fn ending(error: &LogError) -> &'static str {
    if error.is_forgotten() { "the store forgot" } else { panic!("{error}") }
}

impl Phase {
    /// Runs from the beginning of what is under way, as far as `store` lets it; what comes then, where it is done.
    fn go_on(&self, worker: u32, size: &Size, store: &Arc<Stepped>) -> Result<Self, LogError> {
        let (run, rows) = (run(), size.rows());
        let register = |cursors: &Cursors, fetch: Option<&Cursors>| {
            let reader = Some((READER, cursors));
            store.exchange(
                &run,
                &Exchange { reader, cursors: fetch, entries_per_stream: 64, ..Exchange::default() },
            )
        };
        match self {
            Self::Loading(lease) => {
                let base = Folded::load(&**store, &run, &rows)?;
                Ok(Self::Working(Box::new(Working::new(store, lease.clone(), worker, base, size))))
            }
            Self::Working(working) => working.go_on(store),
            Self::Registering => register(&Cursors::new(), None).map(|_| Self::Catching).map_err(Into::into),
            Self::Catching => Ok(Self::Reading(Folded::load(&**store, &run, &rows)?)),
            Self::Reading(folded) => {
                let mut folded = folded.clone();
                let cursors = cursors(&folded.vector, None);
                let read = register(&cursors, Some(&cursors))?;
                add_streams(&mut folded.vector, &read.streams);
                for (stream, entries) in &read.entries {
                    for entry in entries {
                        if advance(&mut folded.vector, *stream, entry).is_err() {
                            return Ok(Self::Ended(MISSED));
                        }
                        if entry.kind != EntryKind::Fence {
                            crate::codec::decode_add(&entry.payload, &rows, &mut folded.parameters)?;
                        }
                    }
                }
                Ok(Self::Reading(folded))
            }
            Self::Claiming | Self::Ended(_) => unreachable!("it takes no such step"),
        }
    }
}

impl Working {
    fn new(store: &Arc<Stepped>, lease: Lease, worker: u32, base: Folded, size: &Size) -> Self {
        let progress = base.progress(worker);
        let end = FarEnd::new(store.clone(), run(), lease, size.rows(), size.workers, &base, None);
        let mut end = end.fetching_snapshots(size.fetch_snapshots);
        // To look once more is another request.
        end.patience = Duration::ZERO;
        let end = Arc::new(end);
        let parameters = base.parameters;
        Self { end, theta: parameters.clone(), base: parameters, progress, request: None }
    }

    /// A minibatch, which adds 1 to a parameter of its own, and the request to push it; or to look what there is.
    fn train(&mut self, worker: u32, number: usize, size: &Size, fold: bool) {
        let snapshot = fold.then(|| self.base.clone());
        let at = self.progress.at.minibatch;
        let mut sent = Sent { push: None, payload: Vec::new(), snapshot };
        if at < size.minibatches {
            let parameter = size.parameter(worker, at);
            self.theta[parameter] += 1.0;
            self.theta[size.rows()[0].1 + parameter] += number as f32;
            let mut replica = self.replica(size);
            replica.encode(1.0, false, &mut sent.payload).unwrap();
            self.keep(&mut replica);
            let at = Position { epoch: 0, minibatch: at + 1 };
            let Progress { minibatches, samples, pushes, .. } = self.progress;
            self.progress =
                Progress { at, minibatches: minibatches + 1, samples: samples + 1, pushes: pushes + 1 };
            sent.push = Some((EntryKind::Push, self.progress));
        }
        self.request = Some(sent);
    }

    fn replica(&self, size: &Size) -> Replica {
        let mut replica = Replica::new(self.base.clone(), Codec::F32, &size.rows(), Coupling::Follows);
        replica.parameters().copy_from_slice(&self.theta);
        replica
    }

    fn keep(&mut self, replica: &mut Replica) {
        self.theta.copy_from_slice(replica.parameters());
        self.base.copy_from_slice(replica.base());
    }

    fn go_on(&self, store: &Arc<Stepped>) -> Result<Phase, LogError> {
        let Sent { push, payload, snapshot } = self.request.clone().expect("a request is under way");
        let mut end = self.end.fork(store.clone());
        let sum = vec![0.0; self.base.len()];
        let request = Request { push, payload, snapshot, fetch: true, sum, ..Request::default() };
        let reply = end.answer(request)?;
        let mut next = self.clone();
        next.end = Arc::new(end);
        next.request = None;
        Ok(next.receive(reply))
    }

    /// As a worker does.
    fn receive(mut self, mut reply: Reply) -> Phase {
        if matches!(reply.push, Some(PushOutcome::Fenced | PushOutcome::Gone)) || !reply.lease_held {
            return Phase::Ended("replaced");
        }
        let mut replica = Replica::new(self.base.clone(), Codec::F32, &self.end.rows, Coupling::Follows);
        replica.parameters().copy_from_slice(&self.theta);
        if let Some(rebuilt) = reply.rebuilt.take() {
            replica.rebase(rebuilt);
        } else if reply.folded {
            replica.fold(&reply.sum);
        }
        self.keep(&mut replica);
        Phase::Working(Box::new(self))
    }

    fn contents(&self) -> String {
        let Self { end, theta, base, progress, request } = self;
        format!("{}{theta:?}{base:?}{progress:?}{request:?}", end.contents())
    }
}
