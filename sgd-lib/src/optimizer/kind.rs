//! The choice of an optimizer, as settings write it.

use serde::{Deserialize, Serialize};

use super::names::named;
use super::{Adagrad, Momentum, Optimizer, Sgd};

/// Which rule changes the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// [`Sgd`].
    Sgd,
    /// [`Momentum`].
    Momentum,
    /// [`Adagrad`].
    Adagrad,
}

named!(OptimizerKind, "optimizer", Sgd = "sgd", Momentum = "momentum", Adagrad = "adagrad");

impl OptimizerKind {
    /// Whether its steps are linear in the gradients, so that it makes sense to give it a gradient in
    /// other coordinates (see [`Backprop::centred`](crate::network::Backprop::centred)). Adagrad's scale of each coordinate
    /// is not.
    pub fn is_linear(self) -> bool {
        match self {
            Self::Sgd | Self::Momentum => true,
            Self::Adagrad => false,
        }
    }

    /// Values that it remembers for each parameter.
    pub fn accumulators_per_parameter(self) -> usize {
        match self {
            Self::Sgd => 0,
            Self::Momentum | Self::Adagrad => 1,
        }
    }

    /// The optimizer in its initial state, for this many parameters.
    pub fn build(self, parameter_count: usize) -> Box<dyn Optimizer> {
        match self {
            Self::Sgd => Box::new(Sgd::new(parameter_count)),
            Self::Momentum => Box::new(Momentum::new(parameter_count)),
            Self::Adagrad => Box::new(Adagrad::new(parameter_count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for &kind in OptimizerKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "adam".parse::<OptimizerKind>().unwrap_err();
        assert_eq!(error.to_string(), "optimizer is `adam`; it must be one of sgd, momentum, adagrad");
    }

    #[test]
    fn one_that_takes_up_what_another_left_goes_on_like_it() {
        for &kind in OptimizerKind::ALL {
            let (mut first, mut parameters) = (kind.build(2), [1.0, -1.0]);
            first.step(0.1, 0, &[0.5, -0.25], &mut parameters);
            assert_eq!(first.accumulators().len(), 2 * kind.accumulators_per_parameter(), "{kind}");
            let (mut second, mut resumed) = (kind.build(2), parameters);
            second.accumulators_mut().copy_from_slice(first.accumulators());
            first.step(0.1, 0, &[0.125, 1.0], &mut parameters);
            // Part by part is the same.
            second.step(0.1, 1, &[1.0], &mut resumed[1..]);
            second.step(0.1, 0, &[0.125], &mut resumed[..1]);
            assert_eq!(parameters, resumed, "{kind}");
        }
    }

    #[test]
    #[should_panic(expected = "length of the gradient")]
    fn a_gradient_of_another_length_is_refused() {
        OptimizerKind::Momentum.build(3).step(0.1, 0, &[0.0; 2], &mut [0.0; 3]);
    }

    #[test]
    #[should_panic(expected = "parameters 1 to 4 of 3")]
    fn parameters_that_are_not_there_are_refused() {
        OptimizerKind::Momentum.build(3).step(0.1, 1, &[0.0; 3], &mut [0.0; 3]);
    }
}
