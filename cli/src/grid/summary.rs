//! A configuration's rounds, and their mean and standard deviation.

use std::collections::BTreeSet;

use super::original;
use super::plan::Configuration;
use super::results::{Measurement, Outcome, Results};
use figures::table::grouped;

/// Mean and sample standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    /// There is none of fewer than two values.
    pub(crate) deviation: Option<f64>,
}

impl Spread {
    /// `None` of no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        Some(Self { mean, deviation })
    }
}

/// One configuration with what its rounds came to.
pub(crate) struct Summary<'a> {
    pub(crate) configuration: &'a Configuration,
    /// The rounds that took place, by number.
    pub(crate) rounds: Vec<(u32, &'a Outcome)>,
}

impl<'a> Summary<'a> {
    /// The rounds 1 to `rounds` of a configuration, as far as they took place.
    pub(crate) fn new(
        configuration: &'a Configuration,
        fingerprint: &str,
        results: &'a Results,
        rounds: u32,
    ) -> Self {
        let outcome = |round| Some((round, results.outcome(&configuration.name, fingerprint, round)?));
        Self { configuration, rounds: (1..=rounds).filter_map(outcome).collect() }
    }

    /// What the rounds that succeeded measured.
    pub(crate) fn measurements(&self) -> impl Iterator<Item = &'a Measurement> {
        self.rounds.iter().filter_map(|(_, outcome)| outcome.measurement())
    }

    /// The rounds that failed, and why.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (u32, &'a str)> {
        self.rounds.iter().filter_map(|(round, outcome)| Some((*round, outcome.failure()?)))
    }

    /// A figure's spread over the rounds that succeeded.
    pub(crate) fn spread(&self, figure: impl Fn(&Measurement) -> f64) -> Option<Spread> {
        Spread::of(self.measurements().map(figure))
    }

    /// Seconds from the setup invocation to the final record.
    pub(crate) fn time(&self) -> Option<Spread> {
        self.spread(|measured| measured.time_s)
    }

    /// The data sets trained, with the size of an epoch; one, unless that changed between rounds.
    pub(crate) fn datasets(&self) -> BTreeSet<String> {
        let described = |measured: &Measurement| {
            format!("{} ({} images)", measured.dataset, grouped(measured.train_images as f64))
        };
        self.measurements().map(described).collect()
    }

    /// How many times as long as here the original took, where it trained the same kind of data.
    pub(crate) fn times_faster(&self) -> Option<f64> {
        let same = self.measurements().all(|measured| measured.dataset == original::DATASET);
        Some(self.original().filter(|_| same)? / self.time()?.mean)
    }

    /// The nodes that workers ran on.
    pub(crate) fn nodes(&self) -> Vec<&'a str> {
        let nodes: BTreeSet<_> = self
            .measurements()
            .flat_map(|measured| &measured.workers)
            .map(|placed| placed.node.as_str())
            .collect();
        nodes.into_iter().collect()
    }

    /// The original's mean time for the same configuration, in seconds.
    pub(crate) fn original(&self) -> Option<f64> {
        original::seconds(&self.configuration.settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_those_of_a_sample() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([2.0]), Some(Spread { mean: 2.0, deviation: None }));
        // Of 2, 4, 4, 4, 5, 5, 7, 9: the squares sum up to 32.
        let spread = Spread::of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!(spread.mean, 5.0);
        assert!((spread.deviation.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of([3.0, 3.0]).unwrap().deviation, Some(0.0));
    }
}
