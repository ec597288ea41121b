//! Whether a log counts everything once, and whether the model is what it adds up to.

mod sums;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use sgd_lib::downpour::Division;
use sgd_lib::store::{Entry, EntryId, EntryKind, FIRST_NODE, Position, Progress};

use crate::evidence::Streams;

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
}

/// What a node's stream has passed on only grows.
fn check_cursors(node: u32, sums: &[Entry], findings: &mut Findings) {
    for pair in sums.windows(2).filter(|pair| pair[1].kind != EntryKind::Fence) {
        let back =
            |(stream, id): (&u32, &EntryId)| pair[1].passed.cursors.get(stream).is_none_or(|next| next < id);
        if pair[0].passed.cursors.iter().any(back) {
            findings.doubled(1, format!("log:{node} {} goes back behind {}", pair[1].id, pair[0].id));
        }
    }
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
