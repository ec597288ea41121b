//! Turns, medians, spreads.

use anyhow::Result;

/// What was measured of one contestant: one value a round, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Values in any order.
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The middle value, or the mean of the two in the middle; NaN of nothing.
    pub(crate) fn median(&self) -> f64 {
        let Self(values) = self;
        match (values.len(), values.len() / 2) {
            (0, _) => f64::NAN,
            (length, middle) if length.is_multiple_of(2) => (values[middle - 1] + values[middle]) / 2.0,
            (_, middle) => values[middle],
        }
    }

    /// Half of the distance between the quartiles: how far off a value commonly is.
    pub(crate) fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / 2.0
    }

    /// The value below which this share of all lies, 0 to 1; NaN of nothing.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let index = share * (self.0.len().max(1) - 1) as f64;
        self.0.get(index.round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// A contestant: does one round and says what it measured.
pub(crate) type Contestant<'a> = Box<dyn FnMut() -> Result<f64> + 'a>;

/// Lets contestants take turns: `rounds` rounds after one that warms up and does not count. Every other round
/// goes backwards, so that nobody always follows the same one.
///
/// # Errors
/// A contestant's.
pub(crate) fn take_turns(rounds: usize, contestants: &mut [Contestant<'_>]) -> Result<Vec<Samples>> {
    let mut values = vec![Vec::with_capacity(rounds); contestants.len()];
    for round in 0..=rounds {
        for turn in 0..contestants.len() {
            let index = if round % 2 == 0 { turn } else { contestants.len() - 1 - turn };
            let value = contestants[index]()?;
            if round > 0 {
                values[index].push(value);
            }
        }
    }
    Ok(values.into_iter().map(Samples::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        assert_eq!(Samples::new(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Samples::new(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(Samples::default().median().is_nan());
        let samples = Samples::new((1..=9).map(f64::from).collect());
        assert_eq!((samples.median(), samples.spread(), samples.count()), (5.0, 2.0, 9));
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| samples.quantile(share)), [1.0, 5.0, 9.0, 9.0]);
    }

    #[test]
    fn the_first_round_does_not_count_and_every_other_goes_backwards() {
        let order = std::cell::RefCell::new(String::new());
        let contestant = |name: char| -> Contestant<'_> {
            let order = &order;
            Box::new(move || {
                order.borrow_mut().push(name);
                Ok(order.borrow().len() as f64)
            })
        };
        let samples = take_turns(2, &mut [contestant('a'), contestant('b')]).unwrap();
        assert_eq!(*order.borrow(), "abbaab");
        assert_eq!((&samples[0].0[..], &samples[1].0[..]), (&[4.0, 5.0][..], &[3.0, 6.0][..]));
    }
}
