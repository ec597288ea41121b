//! Accuracy on the test data while training goes on: a cheap sample first, the whole set to confirm.

use crate::dataset::Split;
use crate::network::{Architecture, Evaluation, Predictor};

/// Test images of the cheap sample.
const SAMPLE: usize = 1000;
/// With a target, the sample is tried each time the worker has trained on this many samples: about
/// a tenth of its time, and a count, not a clock, so that a run can be repeated bit for bit.
const SAMPLES_BETWEEN: u64 = 4096;

/// Tries parameters on test data.
pub(super) struct Evaluator<'a> {
    predictor: Predictor,
    test: Split<'a>,
    images: Vec<u8>,
    labels: Vec<u8>,
    since: u64,
}

impl<'a> Evaluator<'a> {
    /// The sample is spread evenly over the test set, since some sets are sorted by difficulty.
    pub(super) fn new(architecture: &Architecture, test: Split<'a>) -> Self {
        let count = SAMPLE.min(test.len());
        let picked = (0..count).map(|index| index * test.len() / count.max(1));
        Self {
            predictor: Predictor::new(architecture),
            test,
            images: picked.clone().flat_map(|index| test.image(index).iter().copied()).collect(),
            labels: picked.map(|index| test.labels[index]).collect(),
            since: 0,
        }
    }

    /// Counts samples that were trained on; true when the sample of test images should be tried, where there is
    /// something `new` to try.
    pub(super) fn is_due(&mut self, trained: u64, new: bool) -> bool {
        self.since += trained;
        let due = new && self.since >= SAMPLES_BETWEEN;
        if due {
            self.since = 0;
        }
        due
    }

    /// Samples that were counted since the last time.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// Counts on from what a predecessor counted.
    pub(super) fn go_on_from(&mut self, since: u64) {
        self.since = since;
    }

    /// Accuracy on the sample.
    pub(super) fn sample(&mut self, parameters: &[f32]) -> Evaluation {
        let sample = Split { images: &self.images, labels: &self.labels, pixels: self.test.pixels };
        self.predictor.evaluate(parameters, sample)
    }

    /// Accuracy on the whole test set.
    pub(super) fn whole(&mut self, parameters: &[f32]) -> Evaluation {
        self.predictor.evaluate(parameters, self.test)
    }
}
