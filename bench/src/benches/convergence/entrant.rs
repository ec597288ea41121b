//! What runs to an accuracy, and what came of it.

use anyhow::Result;
use sgd_lib::codec::Codec;

use crate::platform::Platform;

/// Settings of a run: those that differ from the defaults.
#[derive(Clone, Debug, Default)]
pub(super) struct Entrant {
    /// What is varied.
    pub(super) group: &'static str,
    /// To what.
    pub(super) name: String,
    flags: Vec<String>,
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// From the first minibatch to the last push; infinite, as all else, where the target was missed.
    pub(super) seconds: f64,
    /// All workers' samples.
    pub(super) samples: f64,
    /// Of all pushes.
    pub(super) bytes: f64,
}

impl Entrant {
    fn new(group: &'static str, name: &str, flags: &str) -> Self {
        Self { group, name: name.to_owned(), flags: flags.split_whitespace().map(str::to_owned).collect() }
    }

    /// What others are compared with: every value in full, ten minibatches between two pushes.
    pub(super) fn is_baseline(&self) -> bool {
        self.group == "codec" && self.name == "f32"
    }

    /// Whether it is an algorithm that goes many steps between two pushes.
    pub(super) fn steps_locally(&self) -> bool {
        self.group == "algorithm" && self.name != "downpour"
    }

    /// Whether a figure needs it.
    pub(super) fn is_compared(&self) -> bool {
        self.group == "codec" || self.steps_locally()
    }

    /// Trains until the target is reached, or 55 epochs are over.
    pub(super) fn run(&self, platform: &Platform, target: f64) -> Result<Outcome> {
        let target = target.to_string();
        let flags = ["--target-accuracy", &target].into_iter().chain(self.flags.iter().map(String::as_str));
        let report = platform.train(flags)?;
        let reached = report["reached_target"] == true;
        let figure =
            |name: &str| if reached { report[name].as_f64().unwrap_or(f64::NAN) } else { f64::INFINITY };
        Ok(Outcome { seconds: figure("train_s"), samples: figure("samples"), bytes: figure("bytes_pushed") })
    }
}

/// Everything that is compared. Algorithms with the best settings that were found for them.
pub(super) fn entrants() -> Vec<Entrant> {
    let mut all: Vec<Entrant> = ["1", "2", "3"]
        .into_iter()
        .map(|workers| Entrant::new("workers", workers, &format!("--workers {workers}")))
        .collect();
    all.extend(
        ["1", "50"].map(|n| Entrant::new("nFetch = nPush", n, &format!("--n-fetch {n} --n-push {n}"))),
    );
    all.extend(
        Codec::ALL.map(|codec| Entrant::new("codec", &codec.to_string(), &format!("--codec {codec}"))),
    );
    all.extend(
        ["momentum", "adagrad"].map(|name| Entrant::new("optimizer", name, &format!("--optimizer {name}"))),
    );
    all.extend([
        Entrant::new("algorithm", "downpour", ""),
        Entrant::new(
            "algorithm",
            "average, nPush 250",
            "--algorithm average --n-push 250 --learning-rate 0.4",
        ),
        Entrant::new("algorithm", "easgd, nPush 50", "--algorithm easgd --n-push 50 --learning-rate 0.5"),
        Entrant::new("algorithm", "diloco, nPush 250", "--algorithm diloco --n-push 250 --learning-rate 0.3"),
    ]);
    all
}
