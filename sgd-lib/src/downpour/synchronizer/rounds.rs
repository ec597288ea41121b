//! The order in which entries go on where workers wait for one another.
//!
//! A worker begins a round when all entries of the round before stand in its log. In the one stream that a
//! relay writes they would stand behind those of the next round if streams were read one after the other,
//! and whoever waits for a round stops reading at the first entry beyond it.

use std::collections::BTreeMap;

use crate::store::{Entry, Position, Progress};

/// The entries of one fetch, at most `most` of each stream, by the round in which they began: there each
/// worker stood at the entry before. `known` says where they stood before the fetch.
/// Left out is what may have to follow an entry that is not in the fetch.
pub(super) fn in_order(
    fetched: Vec<(u32, Vec<Entry>)>,
    most: usize,
    known: &BTreeMap<u32, Progress>,
) -> Vec<(u32, Entry)> {
    let mut stood: BTreeMap<u32, Position> =
        known.iter().map(|(worker, known)| (*worker, known.at)).collect();
    let (mut all, mut end) = (Vec::new(), None::<Position>);
    for (stream, entries) in fetched {
        let (full, mut began) = (entries.len() >= most, Position::default());
        for entry in entries {
            began = began.max(begin(&mut stood, stream, &entry));
            all.push((began, stream, entry));
        }
        if full {
            end = Some(end.map_or(began, |end| end.min(began)));
        }
    }
    all.retain(|(began, ..)| end.is_none_or(|end| *began <= end));
    // Of each stream, and of each round, in the order in which they were read.
    all.sort_by_key(|(began, ..)| *began);
    all.into_iter().map(|(_, stream, entry)| (stream, entry)).collect()
}

/// Where the workers stood whom the entry brings on, the farthest of them.
fn begin(stood: &mut BTreeMap<u32, Position>, stream: u32, entry: &Entry) -> Position {
    let own = entry.progress.filter(|progress| *progress != Progress::default());
    let through = entry.passed.workers.iter().map(|(worker, progress)| (*worker, progress.at));
    let mut began = Position::default();
    for (worker, at) in own.map(|own| (stream, own.at)).into_iter().chain(through) {
        let stood = stood.entry(worker).or_default();
        if at > *stood {
            began = began.max(*stood);
            *stood = at;
        }
    }
    began
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EntryId, EntryKind, FIRST_NODE, Passed};

    fn at(epoch: u32, minibatch: u32) -> Progress {
        Progress { at: Position { epoch, minibatch }, ..Progress::default() }
    }

    fn entry(seq: u64, progress: Progress, workers: &[(u32, Progress)]) -> Entry {
        Entry {
            id: EntryId { token: 1, seq },
            prev: EntryId { token: 1, seq: seq - 1 },
            kind: EntryKind::Push,
            progress: Some(progress),
            seen: Vec::new(),
            payload: Vec::new(),
            passed: Passed { workers: workers.iter().copied().collect(), ..Passed::default() },
        }
    }

    fn names(entries: &[(u32, Entry)]) -> Vec<(u32, u64)> {
        entries.iter().map(|(stream, entry)| (*stream, entry.id.seq)).collect()
    }

    /// Rounds of two minibatches; worker 1 has two in an epoch, 0 and 2, which is on a node, have three.
    fn fetched() -> Vec<(u32, Vec<Entry>)> {
        let own = |seq, progress| entry(seq, progress, &[]);
        let node = |seq, progress| entry(seq, Progress::default(), &[(2, progress)]);
        vec![
            (0, vec![own(1, at(0, 2)), own(2, at(1, 0)), own(3, at(1, 2))]),
            (1, vec![own(1, at(1, 0)), own(2, at(2, 0))]),
            (FIRST_NODE + 1, vec![node(1, at(0, 2)), node(2, at(1, 0))]),
        ]
    }

    #[test]
    fn a_round_comes_before_the_next_whatever_stream_it_is_in() {
        let node = FIRST_NODE + 1;
        let wanted = [(0, 1), (1, 1), (node, 1), (0, 2), (node, 2), (0, 3), (1, 2)];
        assert_eq!(names(&in_order(fetched(), 9, &BTreeMap::new())), wanted);
    }

    #[test]
    fn nothing_overtakes_what_was_not_fetched() {
        let mut fetched = fetched();
        fetched[1].1.truncate(1);
        fetched[2].1.truncate(1);
        fetched[0].1.truncate(1);
        fetched[0].1.push(entry(2, at(1, 0), &[]));
        fetched[1].1.push(Entry { kind: EntryKind::Fence, progress: None, ..entry(2, at(0, 0), &[]) });
        // Of worker 1, of whom there may be more, nothing is known beyond the first round.
        let wanted = [(0, 1), (1, 1), (1, 2), (FIRST_NODE + 1, 1)];
        assert_eq!(names(&in_order(fetched, 2, &BTreeMap::new())), wanted);
    }

    #[test]
    fn a_fetch_goes_on_where_the_workers_stood() {
        let known = BTreeMap::from([(0, at(0, 2)), (1, at(1, 0))]);
        let fetched = vec![
            (0, vec![entry(2, at(1, 0), &[]), entry(3, at(1, 2), &[])]),
            (2, vec![entry(1, at(0, 2), &[])]),
        ];
        assert_eq!(names(&in_order(fetched, 9, &known)), [(2, 1), (0, 2), (0, 3)]);
    }
}
