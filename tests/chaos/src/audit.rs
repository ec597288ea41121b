//! Whether a log counts everything once, and whether the model is what it adds up to.

use std::collections::BTreeMap;
use std::fmt;

use sgd_lib::codec::{self, CodecError};
use sgd_lib::downpour::Division;
use sgd_lib::store::{Entry, EntryId, EntryKind, FIRST_NODE, Position, Progress};

use crate::evidence::Streams;

/// A parameter of the model may be so far from the sum of the log: thousands of additions in another order.
const ROUNDING: f64 = 1e-4;

/// What a log lacks or has too much of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Pushes and minibatches that are missing.
    pub(crate) lost: u64,
    /// Pushes and minibatches that count more than once.
    pub(crate) doubled: u64,
    /// In words.
    pub(crate) complaints: Vec<String>,
}

impl Findings {
    /// These, and others.
    pub(crate) fn add(&mut self, others: Self) {
        self.lost += others.lost;
        self.doubled += others.doubled;
        self.complaints.extend(others.complaints);
    }

    fn lost(&mut self, number: u64, what: impl fmt::Display) {
        self.lost += number;
        self.complaints.push(format!("lost {number}: {what}"));
    }

    fn doubled(&mut self, number: u64, what: impl fmt::Display) {
        self.doubled += number;
        self.complaints.push(format!("doubled {number}: {what}"));
    }
}

/// A whole log, by itself.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// The global one.
    pub(crate) streams: Streams,
    /// Of each node with a store of its own, by the number of its stream.
    pub(crate) nodes: BTreeMap<u32, Streams>,
}

impl Log {
    /// Checks that each entry follows the one before it, that each worker's pushes are counted without a gap, and
    /// that all together cover each minibatch of each of `epochs` epochs once.
    pub(crate) fn check(&self, division: &Division, epochs: u32) -> Findings {
        let mut findings = Findings::default();
        for (place, streams) in self.places() {
            for (stream, entries) in streams {
                check_chain(&format!("{place}log:{stream}"), entries, &mut findings);
            }
        }
        let mut counted = BTreeMap::<(u32, u32), u64>::new();
        for worker in 0..division.workers() {
            let pushes = self.pushes_of(worker);
            check_numbers(worker, &pushes, &mut findings);
            let mut from = Position::default();
            for progress in pushes {
                for minibatch in division.between(worker, from, progress.at) {
                    *counted.entry(minibatch).or_default() += 1;
                }
                from = from.max(progress.at);
            }
        }
        check_coverage(&counted, division.minibatches_per_epoch(), epochs, &mut findings);
        findings
    }

    fn places(&self) -> impl Iterator<Item = (String, &Streams)> {
        let nodes = self.nodes.iter().map(|(node, streams)| (format!("{node}:"), streams));
        [(String::new(), &self.streams)].into_iter().chain(nodes)
    }

    /// Where a worker stood after each of its pushes that count, in their order: those in the global log, and those
    /// on a node that were passed on from there.
    fn pushes_of(&self, worker: u32) -> Vec<Progress> {
        let passed_on = self.nodes.iter().flat_map(|(node, streams)| {
            let end = self.passed_on(*node, worker);
            streams.get(&worker).into_iter().flatten().filter(move |entry| entry.id <= end)
        });
        let own = self.streams.get(&worker).into_iter().flatten().chain(passed_on);
        let mut pushes: Vec<_> =
            own.filter(|entry| entry.kind != EntryKind::Fence).filter_map(|entry| entry.progress).collect();
        pushes.sort_by_key(|progress| (progress.at, progress.pushes));
        pushes
    }

    /// Up to where a node passed on what is in the stream of `worker` there.
    fn passed_on(&self, node: u32, worker: u32) -> EntryId {
        let sums = self.streams.get(&node).into_iter().flatten();
        sums.filter_map(|sum| sum.passed.cursors.get(&worker)).max().copied().unwrap_or(EntryId::ZERO)
    }

    /// What all entries add up to, from these initial parameters on.
    ///
    /// # Errors
    /// A payload is none.
    pub(crate) fn sum(&self, initial: &[f32], rows: &[(usize, usize)]) -> Result<Vec<f64>, CodecError> {
        let mut sum: Vec<f64> = initial.iter().map(|value| f64::from(*value)).collect();
        for entry in self.streams.values().flatten().filter(|entry| entry.kind != EntryKind::Fence) {
            for (sum, value) in sum.iter_mut().zip(decoded(entry, rows, initial.len())?) {
                *sum += f64::from(value);
            }
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
            match self.explanation(&excess, rows)? {
                Some((name, times)) if times > 0.0 => {
                    findings.doubled(1, format!("{name} is in the model twice: {most}"))
                }
                Some((name, _)) => findings.lost(1, format!("{name} is not in the model: {most}")),
                None => findings.lost(1, format!("the model is {most} away from the sum of the log")),
            }
        }
        Ok(findings)
    }

    /// The entry that is the difference between model and log, or its opposite, if there is one.
    fn explanation(
        &self,
        excess: &[f64],
        rows: &[(usize, usize)],
    ) -> Result<Option<(String, f64)>, CodecError> {
        let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        for (stream, entries) in &self.streams {
            for entry in entries.iter().filter(|entry| entry.kind != EntryKind::Fence) {
                let delta = decoded(entry, rows, excess.len())?;
                let delta: Vec<f64> = delta.into_iter().map(f64::from).collect();
                let times = dot(excess, &delta) / dot(&delta, &delta);
                let rest: Vec<f64> = excess.iter().zip(&delta).map(|(a, b)| a - times * b).collect();
                let explained = dot(&rest, &rest) < 0.01 * dot(excess, excess);
                if explained && (times.abs() - 1.0).abs() < 0.1 {
                    return Ok(Some((format!("log:{stream} {}", entry.id), times)));
                }
            }
        }
        Ok(None)
    }
}

fn decoded(entry: &Entry, rows: &[(usize, usize)], parameters: usize) -> Result<Vec<f32>, CodecError> {
    let mut delta = vec![0.0; parameters];
    codec::decode_to(&entry.payload, rows, &mut delta)?;
    Ok(delta)
}

/// Nothing may be missing from a stream or stand in it under a name that is not above the one before.
fn check_chain(stream: &str, entries: &[Entry], findings: &mut Findings) {
    let mut last = EntryId::ZERO;
    for entry in entries {
        if entry.prev != last {
            findings.lost(1, format!("{stream} {} follows {}, found is {last}", entry.id, entry.prev));
        }
        if entry.id <= last {
            findings.doubled(1, format!("{stream} {} after {last}", entry.id));
        }
        last = entry.id;
    }
}

/// A worker counts its pushes that were accepted: so must the log.
fn check_numbers(worker: u32, pushes: &[Progress], findings: &mut Findings) {
    let mut counted = 0;
    for progress in pushes {
        let found = progress.pushes;
        if found > counted + 1 {
            findings.lost(
                found - counted - 1,
                format!("worker {worker}'s pushes between its {counted}th and {found}th"),
            );
        } else if found <= counted {
            findings.doubled(1, format!("worker {worker}'s {found}th push after its {counted}th"));
        }
        counted = counted.max(found);
    }
}

fn check_coverage(counted: &BTreeMap<(u32, u32), u64>, per_epoch: u32, epochs: u32, findings: &mut Findings) {
    for epoch in 0..epochs {
        let times = |number| counted.get(&(epoch, number)).copied().unwrap_or_default();
        let lost = (0..per_epoch).filter(|number| times(*number) == 0).count() as u64;
        let doubled: u64 = (0..per_epoch).map(|number| times(number).saturating_sub(1)).sum();
        if lost > 0 {
            findings.lost(lost, format!("minibatches of epoch {epoch}"));
        }
        if doubled > 0 {
            findings.doubled(doubled, format!("minibatches of epoch {epoch}"));
        }
    }
    let beyond =
        counted.keys().filter(|(epoch, number)| *epoch >= epochs || *number >= per_epoch).count() as u64;
    if beyond > 0 {
        findings.doubled(beyond, "minibatches beyond the run's end");
    }
}

/// Whether a stream is a node's.
pub(crate) fn is_node(stream: u32) -> bool {
    stream > FIRST_NODE
}
