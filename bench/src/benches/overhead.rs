//! What the store costs: samples a second by two workers with Redis against the same two without any store.
//!
//! With Redis they are [`sgd_lib::downpour::Worker`]s, what a function runs after its invocation was answered, in
//! two threads, on a real redis-server over a Unix socket: everything that training needs of the store, and
//! nothing of starting, which `start` measures. Without a store, each thread takes the same steps on the same
//! minibatches, and nobody hears of them.

use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use local_redis::Transport;
use serde_json::{Value, json};
use sgd_lib::codec::Codec;
use sgd_lib::dataset::{self, Dataset, EpochOrder, Split, Transpose};
use sgd_lib::downpour::{Identity, Run, RunConfig, Surroundings, Worker};
use sgd_lib::network::{DropoutKey, Minibatch};
use sgd_lib::optimizer::Trainer;
use sgd_lib::store::{Claim, Store};

use crate::context::Context;
use crate::redis::Server;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

const WORKERS: u32 = 2;
/// nFetch = nPush, with the figure that they have a bar for.
const RHYTHMS: [(u32, Option<&str>); 4] =
    [(1, Some("overhead.n1")), (5, None), (10, Some("overhead.n10")), (50, Some("overhead.n50"))];
/// What `codec` `auto` is on this machine.
const DEFAULT: Codec = Codec::Int8;
const LEASE: Duration = Duration::from_secs(60);

/// A codec, and whether the Redis writes an append-only file.
type Case = (Codec, bool);

/// What takes part.
struct Arena {
    data: Dataset,
    /// Without an append-only file, and with one.
    servers: [Server; 2],
    epochs: u32,
}

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let arena = Arena::new(context)?;
    let rounds = context.effort(5, 1);
    let rhythms = context.effort(&RHYTHMS[..], &RHYTHMS);
    let cases: Vec<Case> = match context.effort(true, false) {
        true => Codec::ALL.iter().flat_map(|codec| [(*codec, true), (*codec, false)]).collect(),
        false => vec![(DEFAULT, true)],
    };
    let (mut rows, mut figures) = (Vec::new(), Vec::new());
    let mut lines = vec![Vec::new(); cases.len()];
    for (n, figure) in rhythms {
        let measured = arena.measure(*n, &cases, rounds)?;
        let alone = &measured[0];
        rows.push(vec![
            json!(n),
            json!("no store"),
            Value::Null,
            json!(alone.median()),
            json!(alone.spread()),
        ]);
        for ((case, samples), points) in cases.iter().zip(&measured[1..]).zip(&mut lines) {
            let ratio = samples.median() / alone.median();
            let deviation = samples.spread() / alone.median();
            points.push(Point { x: f64::from(*n), y: ratio, deviation });
            rows.push(row(*n, *case, samples, ratio));
            if let (Some(figure), (DEFAULT, true)) = (figure, case) {
                figures.push((*figure, ratio));
            }
        }
    }
    rows.iter_mut().for_each(|row| row.resize(6, Value::Null));
    Ok(Report {
        columns: vec!["nFetch = nPush", "codec", "aof", "samples/s", "±", "of no store"],
        rows,
        figures,
        notes: vec![format!(
            "Medians of {rounds}; two workers, {} epochs on {}; the bars are about {DEFAULT} with AOF everysec.",
            arena.epochs,
            arena.data.name()
        )],
        chart: chart(&cases, lines),
    })
}

fn row(n: u32, (codec, append_only): Case, samples: &Samples, ratio: f64) -> Vec<Value> {
    let aof = if append_only { "everysec" } else { "no" };
    vec![
        json!(n),
        json!(codec.to_string()),
        json!(aof),
        json!(samples.median()),
        json!(samples.spread()),
        json!(ratio),
    ]
}

fn chart(cases: &[Case], lines: Vec<Vec<Point>>) -> Chart {
    let lines: Vec<_> = cases.iter().zip(lines).collect();
    let of = |wanted: bool| {
        let lines = lines.iter().filter(|((_, append_only), _)| *append_only == wanted);
        lines.map(|((codec, _), points)| Line { name: codec.to_string(), points: points.clone() }).collect()
    };
    Chart {
        title: "Training with Redis against training without a store".to_owned(),
        subtitle: "Samples a second by two workers, as a share of the same two without a store".to_owned(),
        x: Axis::new("nFetch = nPush (minibatches)", Scale::Logarithmic),
        y: Axis { from_zero: true, ..Axis::new("Share", Scale::Linear) },
        measured: Lines { heading: "AOF everysec".to_owned(), lines: of(true), ..Lines::default() },
        compared: Lines { heading: "No AOF".to_owned(), lines: of(false), ..Lines::default() },
    }
}

impl Arena {
    fn new(context: &Context) -> Result<Self> {
        let source = dataset::find(&context.data, None)?;
        let cache = std::env::temp_dir().join("downpour-bench-cache");
        let server = |append_only| Server::start(Transport::UnixSocket, append_only);
        Ok(Self {
            data: Dataset::prepare(&source, &cache, Transpose::Auto)?,
            servers: [server(false)?, server(true)?],
            epochs: context.effort(3, 1),
        })
    }

    /// Samples a second: without a store, and by case.
    fn measure(&self, n: u32, cases: &[Case], rounds: usize) -> Result<Vec<Samples>> {
        let config = RunConfig { epochs: self.epochs, ..RunConfig::for_data(&self.data)? };
        let config = RunConfig { workers: WORKERS, n_fetch: n, n_push: n, ..config };
        // What each of them would have without the other.
        let alone = RunConfig { workers: 1, ..config.clone() };
        let alone = RunConfig { learning_rate: alone.suitable_learning_rate(), ..alone };
        let mut contestants: Vec<Contestant<'_>> = vec![Box::new(move || self.alone(&alone))];
        for (codec, append_only) in cases {
            let config = RunConfig { codec: *codec, ..config.clone() };
            let server = &self.servers[usize::from(*append_only)];
            contestants.push(Box::new(move || self.with_redis(server, &config)));
        }
        take_turns(rounds, &mut contestants)
    }

    fn with_redis(&self, server: &Server, config: &RunConfig) -> Result<f64> {
        let store: Arc<dyn Store> = server.store.clone();
        let run = Run::create(store, "bench", config.clone())?;
        run.store().fix_workers(run.keys(), WORKERS)?;
        together(|worker| self.work(&run, worker))?;
        let workers = run.status()?.workers;
        run.delete()?;
        let begun = workers.iter().map(|worker| worker.started_ms).min().unwrap_or(0);
        let ended = workers.iter().map(|worker| worker.ended_ms).max().unwrap_or(0);
        let samples: u64 = workers.iter().map(|worker| worker.samples).sum();
        if samples != u64::from(config.epochs) * self.data.train().len() as u64 || ended <= begun {
            bail!("{samples} samples in {} ms", ended.saturating_sub(begun));
        }
        Ok(samples as f64 / Duration::from_millis(ended - begun).as_secs_f64())
    }

    fn work(&self, run: &Run, worker: u32) -> Result<()> {
        let claim = run.claim(&worker.to_string(), Some(worker), LEASE)?;
        let Claim::Granted { lease, resumed, .. } = claim else { bail!("no lease for worker {worker}") };
        let identity = Identity { node: "here".to_owned(), pod: worker.to_string() };
        let (train, test) = (self.data.train(), self.data.test());
        Worker::new(run, lease, resumed, &identity, train, test, &Undisturbed)?.train()?;
        Ok(())
    }

    fn alone(&self, config: &RunConfig) -> Result<f64> {
        let (ready, slowest) = (Barrier::new(WORKERS as usize), Mutex::new(Duration::ZERO));
        together(|worker| {
            let mut alone = Alone::new(config, self.data.train());
            ready.wait();
            let begun = Instant::now();
            alone.train(worker);
            let mut slowest = slowest.lock().unwrap_or_else(PoisonError::into_inner);
            *slowest = begun.elapsed().max(*slowest);
            Ok(())
        })?;
        let samples = u64::from(config.epochs) * self.data.train().len() as u64;
        let slowest = slowest.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(samples as f64 / slowest.as_secs_f64())
    }
}

/// A worker without the others.
struct Alone<'a> {
    config: &'a RunConfig,
    train: Split<'a>,
    parameters: Vec<f32>,
    trainer: Trainer,
    order: EpochOrder,
}

impl<'a> Alone<'a> {
    fn new(config: &'a RunConfig, train: Split<'a>) -> Self {
        let network = &config.architecture;
        let (batch_size, dropout) = (config.batch_size as usize, config.dropout);
        Self {
            config,
            train,
            parameters: network.initial_parameters(config.seed),
            trainer: Trainer::new(network, train, batch_size, dropout, config.optimizer),
            order: EpochOrder::new(train.len()),
        }
    }

    /// What a worker does between two talks with the store, on the minibatches that are its own.
    fn train(&mut self, worker: u32) {
        let batch = self.config.batch_size as usize;
        for epoch in 0..self.config.epochs {
            self.order.shuffle(self.config.seed, epoch);
            let minibatches = self.order.minibatches(batch) as u32;
            for minibatch in (worker..minibatches).step_by(WORKERS as usize) {
                let done = (f64::from(epoch) + f64::from(minibatch) / f64::from(minibatches))
                    / f64::from(self.config.epochs);
                let rate = self.config.schedule.rate(self.config.learning_rate, done);
                let samples = self.order.minibatch(minibatch as usize, batch);
                let key = DropoutKey { seed: self.config.seed, epoch, minibatch };
                let minibatch = Minibatch { split: self.train, samples };
                self.trainer.step(&mut self.parameters, &minibatch, key, rate);
            }
        }
    }
}

/// Runs both workers at once.
fn together(work: impl Fn(u32) -> Result<()> + Sync) -> Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a worker panicked")?)
    })
}

/// A place that nobody has to leave.
struct Undisturbed;

impl Surroundings for Undisturbed {
    fn must_leave(&self) -> bool {
        false
    }

    /// A worker that is slow to begin is no worker that died.
    fn recruit(&self, _worker: u32) {}
}
