//! One shape's times, all contestants in turns.

use std::cell::Cell;

use anyhow::{Context as _, Result};

use super::bare::{Bare, Multiplier};
use super::ours::{Data, Ours};
use super::peak;
use super::shape::Shape;
use crate::clock::cpu_time;
use crate::sampling::{Contestant, Samples, take_turns};

/// Rounds of the loop that measures the peak.
const PEAK_ROUNDS: usize = 100_000;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Turns of each contestant.
    pub(super) rounds: usize,
    /// How long a turn takes at least.
    pub(super) seconds: f64,
}

/// Seconds for a minibatch.
pub(super) struct Times {
    pub(super) shape: Shape,
    /// Our steps, on the data as they are.
    pub(super) sparse: Samples,
    /// Our steps, on data without zeros.
    pub(super) dense: Samples,
    /// The products alone, in the order of [`Multiplier::ALL`].
    pub(super) bare: Vec<Samples>,
    /// Operations a second of a loop of multiply-adds.
    pub(super) peak: Samples,
}

impl Times {
    pub(super) fn measure(data: &Data, shape: Shape, effort: Effort) -> Result<Self> {
        let mut contestants: Vec<Contestant<'_>> = vec![Box::new(|| Ok(peak::measure(PEAK_ROUNDS)))];
        for split in [data.with_zeros(), data.without_zeros()] {
            let mut ours = Ours::new(split, shape)?;
            contestants.push(timed(effort.seconds, move || ours.step()));
        }
        for multiplier in Multiplier::ALL {
            let mut bare = Bare::new(shape, multiplier);
            contestants.push(timed(effort.seconds, move || bare.step()));
        }
        let mut samples = take_turns(effort.rounds, &mut contestants)?.into_iter();
        let mut next = || samples.next().context("a contestant is missing");
        let (peak, sparse, dense) = (next()?, next()?, next()?);
        Ok(Self { shape, sparse, dense, bare: samples.collect(), peak })
    }

    /// The fastest crate's time.
    fn fastest(&self) -> f64 {
        self.bare.iter().map(Samples::median).fold(f64::INFINITY, f64::min)
    }

    /// How many times as fast our step is as the fastest crate's products.
    pub(super) fn sparse_gain(&self) -> f64 {
        self.fastest() / self.sparse.median()
    }

    /// The same, on data without zeros.
    pub(super) fn dense_gain(&self) -> f64 {
        self.fastest() / self.dense.median()
    }

    /// Operations a second, as if no pixel were zero.
    pub(super) fn rate(&self) -> f64 {
        self.shape.operations() / self.sparse.median()
    }
}

/// A turn: as many steps as take `seconds`, found out in the first turn. Returns the seconds of one.
fn timed<'a>(seconds: f64, mut step: impl FnMut() + 'a) -> Contestant<'a> {
    let steps = Cell::new(0u32);
    Box::new(move || {
        let begun = cpu_time();
        let mut done = 0;
        while done < steps.get() || (steps.get() == 0 && cpu_time() - begun < seconds) {
            step();
            done += 1;
        }
        steps.set(done);
        Ok((cpu_time() - begun) / f64::from(done))
    })
}
