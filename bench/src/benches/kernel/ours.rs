//! What a worker does with each minibatch.

use anyhow::Result;
use sgd_lib::dataset::{Dataset, EpochOrder, Split};
use sgd_lib::network::{Architecture, DropoutKey, Minibatch};
use sgd_lib::optimizer::{OptimizerKind, Trainer};

use super::shape::{INPUTS, OUTPUTS, Shape};
use crate::context::Context;

const DROPOUT: f32 = 0.2;
const LEARNING_RATE: f32 = 0.1;
const SEED: u64 = 1;

/// Images to train on: as they are, and without zeros.
pub(super) struct Data {
    dataset: Dataset,
    without_zeros: Vec<u8>,
}

impl Data {
    /// # Errors
    /// They can't be read, or are of another shape.
    pub(super) fn read(context: &Context) -> Result<Self> {
        let dataset = context.dataset()?;
        anyhow::ensure!(
            dataset.pixels() == INPUTS && dataset.classes() <= OUTPUTS,
            "images of {} pixels in {} classes; up to {OUTPUTS} classes of images of {INPUTS} are wanted",
            dataset.pixels(),
            dataset.classes()
        );
        let without_zeros = dataset.train().images.iter().map(|&pixel| pixel.max(1)).collect();
        Ok(Self { dataset, without_zeros })
    }

    /// The training images.
    pub(super) fn with_zeros(&self) -> Split<'_> {
        self.dataset.train()
    }

    /// The same, blank pixels being almost blank.
    pub(super) fn without_zeros(&self) -> Split<'_> {
        Split { images: &self.without_zeros, ..self.dataset.train() }
    }

    /// What the data set is called, and how many of its pixels are zero.
    pub(super) fn name(&self) -> (&str, f32) {
        (self.dataset.name(), self.dataset.zero_share())
    }
}

/// A worker that trains alone.
pub(super) struct Ours<'a> {
    data: Split<'a>,
    batch: usize,
    order: EpochOrder,
    parameters: Vec<f32>,
    trainer: Trainer,
    minibatch: u32,
}

impl<'a> Ours<'a> {
    /// # Errors
    /// There is no such network.
    pub(super) fn new(data: Split<'a>, shape: Shape) -> Result<Self> {
        let architecture = Architecture::new(INPUTS, &vec![shape.width; shape.depth], OUTPUTS)?;
        let mut order = EpochOrder::new(data.len());
        order.shuffle(SEED, 0);
        Ok(Self {
            data,
            batch: shape.batch,
            order,
            parameters: architecture.initial_parameters(SEED),
            trainer: Trainer::new(&architecture, data, shape.batch, DROPOUT, OptimizerKind::Sgd),
            minibatch: 0,
        })
    }

    /// One step with the epoch's next full minibatch; after the last one with the first one.
    pub(super) fn step(&mut self) {
        let samples = self.order.minibatch(self.minibatch as usize, self.batch);
        let minibatch = Minibatch { split: self.data, samples };
        let key = DropoutKey { seed: SEED, epoch: 0, minibatch: self.minibatch };
        self.trainer.step(&mut self.parameters, &minibatch, key, LEARNING_RATE);
        self.minibatch = (self.minibatch + 1) % (self.data.len() / self.batch).max(1) as u32;
    }
}
