//! Workers that sleep for their minibatches: everything else is what real workers do.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use local_redis::{LocalRedis, Options, Transport};
use rand::RngExt;
use sgd_lib::dataset::Split;
use sgd_lib::downpour::{Compute, Computed, DataRef, Run, RunConfig};
use sgd_lib::network::Architecture;
use sgd_lib::optimizer::OptimizerKind;
use sgd_lib::store::{RedisStore, Store as _};

use super::cost::{Cost, Meter};
use crate::crew::{self, Undisturbed};

/// What a minibatch takes.
pub(super) const MINIBATCH: Duration = Duration::from_millis(10);
/// Minibatches between two pushes, and two fetches.
const N: u32 = 10;

/// What a run of simulated workers came to.
pub(super) struct Outcome {
    /// Minibatches a second, all workers together, as a share of what they would do without a store.
    pub(super) share: f64,
    /// What it cost.
    pub(super) cost: Cost,
}

/// From the beginning of the first minibatch to the end of the last.
#[derive(Default)]
struct Span(Mutex<Option<(Instant, Instant)>>);

impl Span {
    fn extend(&self, begin: Instant, end: Instant) {
        // What is in it is whole at any time.
        let mut span = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *span = Some(span.map_or((begin, end), |(first, last)| (first.min(begin), last.max(end))));
    }

    fn length(&self) -> Result<Duration> {
        let span = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        span.map(|(first, last)| last - first).context("no minibatch was computed")
    }
}

/// Sleeps, and moves a part of the parameters: between two pushes all of them.
struct Sleeper {
    noise: Vec<f32>,
    part: usize,
    span: Arc<Span>,
}

impl Sleeper {
    fn new(parameters: usize, span: Arc<Span>) -> Self {
        let mut random = rand::rng();
        let noise = (0..parameters).map(|_| random.random_range(-1e-3..1e-3)).collect();
        Self { noise, part: 0, span }
    }
}

impl Compute for Sleeper {
    fn begin_epoch(&mut self, _epoch: u32) {}

    fn minibatch(&mut self, _index: u32, _rate: f32, parameters: &mut [f32]) -> Computed {
        let begin = Instant::now();
        let length = parameters.len().div_ceil(N as usize);
        let noise = &self.noise[rand::random_range(0..=self.noise.len() - length)..];
        let part = parameters.chunks_mut(length).nth(self.part).unwrap_or_default();
        part.iter_mut().zip(noise).for_each(|(parameter, noise)| *parameter += noise);
        self.part = (self.part + 1) % N as usize;
        thread::sleep(MINIBATCH.saturating_sub(begin.elapsed()));
        self.span.extend(begin, Instant::now());
        Computed { samples: 1, loss: 0.0 }
    }
}

/// Lets `workers` workers train for `epochs` epochs of `minibatches` minibatches each on a Redis of their own.
///
/// # Errors
/// Redis does not start, or a worker fails.
pub(super) fn run(workers: u32, epochs: u32, minibatches: u32) -> Result<Outcome> {
    let options = Options { transport: Transport::UnixSocket, ..Options::default() };
    let redis = LocalRedis::start(options).context("starting a Redis")?;
    let network = Architecture::new(784, &[100], 47)?;
    let parameters = network.parameter_count();
    let config = RunConfig {
        workers,
        batch_size: 1,
        n_fetch: N,
        n_push: N,
        epochs,
        // Unlike the default it needs nothing to be computed of the images, of which there are none.
        optimizer: OptimizerKind::Adagrad,
        ..RunConfig::new(DataRef::named("simulated"), network)
    };
    let store = Arc::new(RedisStore::open(redis.url())?);
    let run = Run::create(store.clone(), "scale", config)?;
    store.fix_workers(run.keys(), workers)?;
    let span = Arc::new(Span::default());
    let images = (minibatches * workers) as usize;
    let (pixels, labels) = (vec![0; 784 * images], vec![0; images]);
    let data = Split { images: &pixels, labels: &labels, pixels: 784 };
    let meter = Meter::start(&store)?;
    crew::together(workers, |number| {
        // Each with a connection of its own, as in a process of its own.
        let run = Run::open(Arc::new(RedisStore::open(redis.url())?), "scale")?;
        let sleeper = Box::new(Sleeper::new(parameters, span.clone()));
        crew::work(&run, number, (data, data.first(1)), &Undisturbed, Some(sleeper))
    })?;
    let cost = meter.read(&store)?;
    let ideal = MINIBATCH.mul_f64((epochs * minibatches).into());
    Ok(Outcome { share: ideal.as_secs_f64() / span.length()?.as_secs_f64(), cost })
}
