//! What one worker that is ten times slower costs: whole runs in this process, with a Redis.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use local_redis::{LocalRedis, Options};
use sgd_lib::dataset::Split;
use sgd_lib::downpour::{Run, RunConfig, Surroundings};
use sgd_lib::store::{RedisStore, Store};

use crate::context::Context;
use crate::crew;
use crate::sampling::{Contestant, Samples, take_turns};

/// How much longer a minibatch takes on the slow worker.
const SLOWNESS: u32 = 10;
/// What takes longer is no minibatch, but waiting for the others at the end.
const LONGEST: Duration = Duration::from_millis(5);

/// Seconds of runs by two workers: none of them slow, the second, the first.
pub(super) struct Straggler {
    rounds: usize,
    epochs: u32,
    target: f64,
    to_the_end: Vec<Samples>,
    to_the_target: Vec<Samples>,
}

impl Straggler {
    /// Runs of a few epochs, and to an accuracy.
    pub(super) fn measure(context: &Context) -> Result<Self> {
        let data = context.dataset()?;
        let redis = LocalRedis::start(Options::default())?;
        let store: Arc<dyn Store> = Arc::new(RedisStore::open(redis.url())?);
        let (rounds, epochs, target) = context.effort((5, 4, 0.75), (1, 1, 0.2));
        let train = data.train().first(context.effort(usize::MAX, 8000).min(data.train().len()));
        context.say("one of two workers ten times slower");
        let race = |epochs: u32, target_accuracy: Option<f64>| {
            let config = RunConfig { epochs, target_accuracy, ..RunConfig::for_data(&data)? };
            let trial = |slow: Option<u32>| -> Contestant<'_> {
                let (store, data, config) = (&store, &data, config.clone());
                Box::new(move || seconds(store, config.clone(), (train, data.test()), slow))
            };
            take_turns(rounds, &mut [trial(None), trial(Some(1)), trial(Some(0))])
        };
        let (to_the_end, to_the_target) = (race(epochs, None)?, race(55, Some(target))?);
        Ok(Self { rounds, epochs, target, to_the_end, to_the_target })
    }

    /// Time with a slow worker over time without, the worse of the two cases: 1.82 is what the lost speed costs.
    pub(super) fn figures(&self) -> [(&'static str, f64); 2] {
        let worse = |samples: &[Samples]| {
            let ratio = |slow: &Samples| slow.median() / samples[0].median();
            ratio(&samples[1]).max(ratio(&samples[2]))
        };
        [
            ("convergence.straggler_epochs", worse(&self.to_the_end)),
            ("convergence.straggler_target", worse(&self.to_the_target)),
        ]
    }

    pub(super) fn notes(&self) -> [String; 2] {
        let text = |what: String, samples: &[Samples]| {
            let seconds: Vec<String> = samples
                .iter()
                .map(|samples| format!("{:.3} ± {:.3}", samples.median(), samples.spread()))
                .collect();
            format!(
                "{what}, seconds, medians of {}: {} with two equal workers, {} where worker 1 is {SLOWNESS} times \
                 slower, {} where worker 0 is.",
                self.rounds, seconds[0], seconds[1], seconds[2]
            )
        };
        [
            text(format!("{} epochs", self.epochs), &self.to_the_end),
            text(format!("To {}", self.target), &self.to_the_target),
        ]
    }
}

/// A place in which a minibatch takes longer.
struct Place {
    slow: bool,
    before: Mutex<Option<Instant>>,
}

impl Surroundings for Place {
    /// Asked before each minibatch.
    fn must_leave(&self) -> bool {
        if self.slow
            && let Ok(mut before) = self.before.lock()
        {
            if let Some(before) = *before {
                thread::sleep(before.elapsed().min(LONGEST) * (SLOWNESS - 1));
            }
            *before = Some(Instant::now());
        }
        false
    }

    fn recruit(&self, _worker: u32) {}
}

/// Trains with two workers, and returns the seconds until both have left.
fn seconds(
    store: &Arc<dyn Store>,
    config: RunConfig,
    data: (Split<'_>, Split<'_>),
    slow: Option<u32>,
) -> Result<f64> {
    let run = Run::create(store.clone(), "straggler", config)?;
    run.store().fix_workers(run.keys(), 2)?;
    let begun = Instant::now();
    crew::together(2, |worker| {
        let place = Place { slow: slow == Some(worker), before: Mutex::default() };
        crew::work(&run, worker, data, &place, None)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    run.delete()?;
    Ok(seconds)
}
