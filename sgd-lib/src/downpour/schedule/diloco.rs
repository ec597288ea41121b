//! DiLoCo (Douillard et al. 2023: "DiLoCo: distributed low-communication training of language models"):
//! rounds of many local steps, then one outer step, SGD with Nesterov momentum, along the mean of the
//! workers' differences.
//!
//! With Δ = Σ wᵢ Δᵢ, Δᵢ = θᵢ − base and wᵢ the worker's share of the round's samples, the outer step is
//! v ← μ v + Δ, base ← base + η (μ v + Δ). It is linear in Δ, so nobody has to know the mean: each worker
//! keeps its own part vᵢ of the velocity and pushes η (μ vᵢ + wᵢ Δᵢ), and the parts add up to the step. A
//! worker that has no minibatch in an epoch's last round has no part in that round's step, and its part of
//! the velocity waits.
//!
//! What is kept is uᵢ = μ vᵢ, so that a round which is done in two parts, because the worker hands over in the
//! middle, adds up to the same: the first part is pushed as it is, and counts for the velocity.
//!
//! A worker's part of the velocity is in nobody's log: a planned successor takes it over, that of a worker
//! that died begins at zero.

use super::rounds::Rounds;
use super::{Coupling, Due, Schedule, Since};
use crate::store::Position;

/// The outer learning rate η and momentum μ that the paper found best.
const RATE: f32 = 0.7;
const MOMENTUM: f32 = 0.9;

pub(super) struct Diloco {
    rounds: Rounds,
    n_fetch: u32,
    /// uᵢ.
    velocity: Vec<f32>,
}

impl Diloco {
    /// Without a past, for this many parameters.
    pub(super) fn new(rounds: Rounds, n_fetch: u32, parameters: usize) -> Self {
        Self { rounds, n_fetch, velocity: vec![0.0; parameters] }
    }
}

impl Schedule for Diloco {
    /// The epoch's last push is the flush. A fetch in the middle of a round folds nothing: it is for the stop
    /// flag, and takes what those have pushed already who are ahead.
    fn due(&self, since: Since, at: Position) -> Due {
        let ends = self.rounds.end_at(at);
        Due { push: ends, fetch: ends || since.fetch >= self.n_fetch }
    }

    /// The worker's share is in what [`Schedule::outer_step`] makes of θ.
    fn weight(&self, _since: &Since, _minibatch: u32) -> f32 {
        1.0
    }

    fn awaited(&self, at: Position) -> Option<Vec<Position>> {
        Some(self.rounds.before(at))
    }

    fn coupling(&self) -> Coupling {
        Coupling::ComesBack
    }

    fn outer_step(&mut self, since: &Since, at: Position, minibatch: u32, base: &[f32], theta: &mut [f32]) {
        // A push without a minibatch only sends what a codec held back.
        let ends = since.push > 0 && (at.minibatch == 0 || self.rounds.end_at(at));
        let share = self.rounds.share(since.samples, minibatch);
        for ((velocity, base), theta) in self.velocity.iter_mut().zip(base).zip(theta) {
            let moved = share * (*theta - base);
            *velocity += moved;
            let step = if ends {
                *velocity *= MOMENTUM;
                *velocity + moved
            } else {
                moved
            };
            *theta = base + RATE * step;
        }
    }

    fn memory_mut(&mut self) -> &mut [f32] {
        &mut self.velocity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downpour::partition::Partition;

    /// Three workers, 7 minibatches of 10 samples but the last of 5: 3, 2 and 2, in rounds of 2.
    fn workers() -> Vec<Diloco> {
        let partition = Partition::new(65, 10, 3);
        (0..3).map(|worker| Diloco::new(Rounds::new(2, partition, worker), 10, 1)).collect()
    }

    fn since(push: u32, samples: u64) -> Since {
        Since { push, samples, ..Since::default() }
    }

    fn at(epoch: u32, minibatch: u32) -> Position {
        Position { epoch, minibatch }
    }

    #[test]
    fn parts_add_up_to_nesterovs_step_along_the_mean() {
        let (mut workers, mut base, mut velocity, mut wanted) = (workers(), 1.0_f32, 0.0_f64, 1.0_f64);
        for epoch in 0..4 {
            let moved = [0.5, -0.25, 1.0_f32].map(|moved| moved / (epoch + 1) as f32);
            let mut sum = 0.0;
            // Two minibatches are all that the second and the third have.
            let ends = [at(epoch, 2), at(epoch + 1, 0), at(epoch + 1, 0)];
            for ((worker, moved), end) in workers.iter_mut().zip(moved).zip(ends) {
                let mut theta = [base + moved];
                worker.outer_step(&since(2, 20), end, 1, &[base], &mut theta);
                sum += theta[0] - base;
            }
            let mean = moved.iter().map(|moved| f64::from(*moved)).sum::<f64>() / 3.0;
            velocity = 0.9 * velocity + mean;
            wanted += 0.7 * (0.9 * velocity + mean);
            base += sum;
            assert!((f64::from(base) - wanted).abs() < 1e-5, "{epoch}: {base} {wanted}");
        }
    }

    #[test]
    fn a_round_in_two_parts_adds_up_to_the_same_and_an_empty_push_moves_nothing() {
        let step = |worker: &mut Diloco, done: u32, at: Position, moved: f32| {
            let mut theta = [moved];
            worker.outer_step(&since(done, 10 * u64::from(done)), at, 1, &[0.0], &mut theta);
            theta[0]
        };
        let (mut whole, mut parts) = (workers().remove(0), workers().remove(0));
        step(&mut whole, 2, at(0, 2), 0.75);
        step(&mut parts, 2, at(0, 2), 0.75);
        // Of one round's samples, 0.5 and 0.25 count half of what their sum would.
        let wanted = step(&mut whole, 2, at(1, 2), 0.375);
        let found = step(&mut parts, 1, at(1, 1), 0.5) + step(&mut parts, 1, at(1, 2), 0.25);
        assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        assert!((parts.velocity[0] - whole.velocity[0]).abs() < 1e-6);
        let before = whole.velocity.clone();
        assert_eq!(step(&mut whole, 0, at(1, 2), 0.0), 0.0);
        assert_eq!(whole.velocity, before);
    }
}
