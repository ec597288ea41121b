//! What the store costs: samples a second by two workers with Redis against the same two without any store.
//!
//! With Redis they are [`sgd_lib::downpour::Worker`]s, what a function runs after its invocation was answered, in
//! two threads, on a real redis-server over a Unix socket: everything that training needs of the store, and
//! nothing of starting, which `start` measures. Without a store, each thread takes the same steps on the same
//! minibatches, the first one tries its parameters as often, and nobody hears of them.

use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use local_redis::Transport;
use serde_json::{Value, json};
use sgd_lib::codec::Codec;
use sgd_lib::dataset::{Dataset, EpochOrder};
use sgd_lib::downpour::{Run, RunConfig};
use sgd_lib::network::{DropoutKey, Minibatch, Predictor};
use sgd_lib::optimizer::Trainer;

use crate::context::Context;
use crate::crew::{self, Undisturbed};
use crate::redis::Server;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

const WORKERS: u32 = 2;
/// nFetch = nPush, epochs that take a second or more, and the figure that they have a bar for.
const RHYTHMS: [(u32, u32, Option<&str>); 4] = [
    (1, 2, Some("overhead.n1")),
    (5, 6, None),
    (10, 12, Some("overhead.n10")),
    (50, 12, Some("overhead.n50")),
];
/// What `codec` `auto` is on this machine.
const DEFAULT: Codec = Codec::Int8;
/// Test images that are tried after each epoch.
const TRIED: usize = 1000;

/// A codec, and whether the Redis writes an append-only file.
type Case = (Codec, bool);

/// What takes part.
struct Arena {
    data: Dataset,
    /// Without an append-only file, and with one.
    servers: [Server; 2],
}

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let arena = Arena::new(context)?;
    let rounds = context.effort(5, 1);
    let with_log = context.effort(&Codec::ALL[..], &[DEFAULT]);
    let mut cases: Vec<Case> = with_log.iter().map(|codec| (*codec, true)).collect();
    cases.push((DEFAULT, false));
    let (mut rows, mut figures) = (Vec::new(), Vec::new());
    let mut lines = vec![Vec::new(); cases.len()];
    for (n, epochs, figure) in RHYTHMS {
        let measured = arena.measure(n, context.effort(epochs, 1), &cases, rounds)?;
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
            points.push(Point { x: f64::from(n), y: ratio, deviation });
            rows.push(row(n, *case, samples, ratio));
            if let (Some(figure), (DEFAULT, true)) = (figure, *case) {
                figures.push((figure, ratio));
            }
        }
    }
    rows.iter_mut().for_each(|row| row.resize(6, Value::Null));
    Ok(Report {
        columns: vec!["nFetch = nPush", "codec", "aof", "samples/s", "±", "of no store"],
        rows,
        figures,
        notes: vec![format!(
            "Medians of {rounds}; two workers, up to 12 epochs on {}; the bars are about {DEFAULT} with AOF everysec.",
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
        let server = |append_only| Server::start(Transport::UnixSocket, append_only);
        Ok(Self { data: context.dataset()?, servers: [server(false)?, server(true)?] })
    }

    /// Samples a second: without a store, and by case.
    fn measure(&self, n: u32, epochs: u32, cases: &[Case], rounds: usize) -> Result<Vec<Samples>> {
        let config = RunConfig { epochs, ..RunConfig::for_data(&self.data)? };
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
        let data = (self.data.train(), self.data.test());
        let run = Run::create(server.store.clone(), "bench", config.clone())?;
        run.store().fix_workers(run.keys(), WORKERS)?;
        crew::together(WORKERS, |worker| crew::work(&run, worker, data, &Undisturbed, None))?;
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

    fn alone(&self, config: &RunConfig) -> Result<f64> {
        let (ready, slowest) = (Barrier::new(WORKERS as usize), Mutex::new(Duration::ZERO));
        crew::together(WORKERS, |worker| {
            let mut alone = Alone::new(config, &self.data);
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
    data: &'a Dataset,
    parameters: Vec<f32>,
    trainer: Trainer,
    predictor: Predictor,
    order: EpochOrder,
}

impl<'a> Alone<'a> {
    fn new(config: &'a RunConfig, data: &'a Dataset) -> Self {
        let (network, train) = (&config.architecture, data.train());
        let (batch_size, dropout) = (config.batch_size as usize, config.dropout);
        Self {
            config,
            data,
            parameters: network.initial_parameters(config.seed),
            trainer: Trainer::new(network, train, batch_size, dropout, config.optimizer),
            predictor: Predictor::new(network),
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
                let minibatch = Minibatch { split: self.data.train(), samples };
                self.trainer.step(&mut self.parameters, &minibatch, key, rate);
            }
            if worker == 0 {
                black_box(self.predictor.evaluate(&self.parameters, self.data.test().first(TRIED)));
            }
        }
    }
}
