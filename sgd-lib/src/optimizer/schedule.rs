//! How the learning rate changes over a run.

use serde::{Deserialize, Serialize};

use super::names::named;

/// How the learning rate changes from its initial value over all epochs of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LearningRateSchedule {
    /// Not at all.
    Constant,
    /// Straight down to zero.
    Linear,
    /// Down to zero along half a cosine: slowly, fast, slowly (Loshchilov and Hutter 2017).
    Cosine,
}

named!(
    LearningRateSchedule,
    "learning-rate schedule",
    Constant = "constant",
    Linear = "linear",
    Cosine = "cosine",
);

impl LearningRateSchedule {
    /// The learning rate after the share `progress` of all epochs; what lies outside 0 to 1
    /// counts as the nearer of the two.
    pub fn rate(self, initial: f32, progress: f64) -> f32 {
        let progress = progress.clamp(0.0, 1.0);
        let factor = match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - progress,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        (f64::from(initial) * factor) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_initial_rate_to_zero() {
        use LearningRateSchedule::{Constant, Cosine, Linear};
        for (schedule, quarter, end) in
            [(Constant, 0.4, 0.4), (Linear, 0.3, 0.0), (Cosine, 0.341_421_35, 0.0)]
        {
            assert_eq!(schedule.rate(0.4, 0.0), 0.4);
            assert!((schedule.rate(0.4, 0.25) - quarter).abs() < 1e-6);
            assert_eq!(schedule.rate(0.4, 1.0), end);
            assert_eq!(schedule.rate(0.4, 1.5), end);
            assert_eq!(schedule.rate(0.4, -0.5), 0.4);
        }
        assert_eq!(Cosine.rate(0.4, 0.5), 0.2);
    }

    #[test]
    fn names_are_read_back() {
        for &schedule in LearningRateSchedule::ALL {
            assert_eq!(schedule.to_string().parse(), Ok(schedule));
        }
        let error = "step".parse::<LearningRateSchedule>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "learning-rate schedule is `step`; it must be one of constant, linear, cosine"
        );
    }
}
