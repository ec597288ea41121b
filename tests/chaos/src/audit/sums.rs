//! Whether what was made of a log is what it adds up to.

use sgd_lib::codec::{self, CodecError};
use sgd_lib::store::{Entry, EntryId, EntryKind, FROM_ABOVE};

use super::{Findings, Log, check_cursors};
use crate::evidence::Streams;

/// A parameter of the model may be so far from the sum of the log: thousands of additions in another order.
const ROUNDING: f64 = 1e-4;

impl Log {
    /// Checks that what each node passed on is the sum of what its workers pushed, up to where it passed on, but for
    /// what its codec rounded away.
    ///
    /// # Errors
    /// A payload is none.
    pub(crate) fn check_nodes(&self, rows: &[(usize, usize)]) -> Result<Findings, CodecError> {
        let mut findings = Findings::default();
        for (node, streams) in &self.nodes {
            let sums = self.streams.get(node).map_or(&[][..], Vec::as_slice);
            check_cursors(*node, sums, &mut findings);
            let pushed = of_workers(streams).flat_map(|(worker, entries)| {
                let end = self.passed_on(*node, *worker);
                entries.iter().filter(move |entry| entry.id <= end)
            });
            let mut excess = total(sums.iter(), rows)?;
            for (excess, pushed) in excess.iter_mut().zip(total(pushed, rows)?) {
                *excess -= pushed;
            }
            let all: Vec<&Entry> = of_workers(streams).flat_map(|(_, entries)| entries).collect();
            match explanation(&excess, &all, rows)? {
                Some((id, times)) if times > 0.0 => {
                    findings.doubled(1, format!("{node} passed {id} on twice"));
                }
                Some((id, _)) => findings.lost(1, format!("{node} did not pass {id} on")),
                None => {}
            }
        }
        Ok(findings)
    }

    /// What all entries add up to, from these initial parameters on.
    ///
    /// # Errors
    /// A payload is none.
    pub(crate) fn sum(&self, initial: &[f32], rows: &[(usize, usize)]) -> Result<Vec<f64>, CodecError> {
        let mut sum = total(self.streams.values().flatten(), rows)?;
        for (sum, initial) in sum.iter_mut().zip(initial) {
            *sum += f64::from(*initial);
        }
        Ok(sum)
    }

    /// Compares the model with what the log adds up to.
    ///
    /// # Errors
    /// A payload is none.
    pub(crate) fn check_model(
        &self,
        initial: &[f32],
        model: &[f32],
        rows: &[(usize, usize)],
    ) -> Result<Findings, CodecError> {
        let mut findings = Findings::default();
        let sum = self.sum(initial, rows)?;
        let excess: Vec<f64> = model.iter().zip(&sum).map(|(value, sum)| f64::from(*value) - sum).collect();
        let most = excess.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        if most > ROUNDING || most.is_nan() {
            let all: Vec<&Entry> = self.streams.values().flatten().collect();
            match explanation(&excess, &all, rows)? {
                Some((id, times)) if times > 0.0 => {
                    findings.doubled(1, format!("{id} is in the model twice"));
                }
                Some((id, _)) => findings.lost(1, format!("{id} is not in the model")),
                None => findings.lost(1, format!("the model is {most} away from the sum of the log")),
            }
        }
        Ok(findings)
    }
}

/// The streams of a node's workers.
fn of_workers(streams: &Streams) -> impl Iterator<Item = (&u32, &Vec<Entry>)> {
    streams.iter().filter(|(stream, _)| **stream != FROM_ABOVE)
}

/// What these entries add up to.
pub(super) fn total<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    rows: &[(usize, usize)],
) -> Result<Vec<f64>, CodecError> {
    let mut sum = vec![0.0; rows.iter().map(|(rows, length)| rows * length).sum()];
    let mut delta = vec![0.0; sum.len()];
    for entry in entries.filter(|entry| entry.kind != EntryKind::Fence) {
        codec::decode_to(&entry.payload, rows, &mut delta)?;
        for (sum, value) in sum.iter_mut().zip(&delta) {
            *sum += f64::from(*value);
        }
    }
    Ok(sum)
}

/// Which of these entries a difference is, or the opposite of which, where it is one.
fn explanation(
    excess: &[f64],
    entries: &[&Entry],
    rows: &[(usize, usize)],
) -> Result<Option<(EntryId, f64)>, CodecError> {
    let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
    let size = dot(excess, excess);
    for entry in entries {
        let delta = total([*entry].into_iter(), rows)?;
        let times = dot(excess, &delta) / dot(&delta, &delta);
        // |excess - times · delta|²
        let rest = size - times * dot(excess, &delta);
        if rest < 0.01 * size && (times.abs() - 1.0).abs() < 0.1 {
            return Ok(Some((entry.id, times)));
        }
    }
    Ok(None)
}
