//! Logs that lack something, or have too much of it, are found out.

use std::sync::Arc;

use sgd_lib::codec::{Codec, Encoder};
use sgd_lib::downpour::{DataRef, Run, RunConfig};
use sgd_lib::network::Architecture;
use sgd_lib::store::{Cursors, MemoryStore, Passed};

use super::sums::total;
use super::*;

const EPOCHS: u32 = 2;
const NODE: u32 = FIRST_NODE + 1;

/// A run of two workers with ten minibatches an epoch, of which each has five.
fn run() -> Run {
    let data = DataRef { train_images: 99, ..DataRef::named("test") };
    let mut config = RunConfig::new(data, Architecture::new(3, &[], 2).unwrap());
    (config.batch_size, config.epochs) = (10, EPOCHS);
    Run::create(Arc::new(MemoryStore::new()), "run", config).unwrap()
}

fn entry(seq: u64, progress: Option<Progress>, delta: &[f32], rows: &[(usize, usize)]) -> Entry {
    let mut payload = Vec::new();
    if progress.is_some() {
        Encoder::new(Codec::F32, rows).encode(delta, &mut delta.to_vec(), &mut payload).unwrap();
    }
    Entry {
        id: EntryId { token: 9, seq },
        prev: if seq == 0 { EntryId::ZERO } else { EntryId { token: 9, seq: seq - 1 } },
        kind: if progress.is_some() { EntryKind::Push } else { EntryKind::Fence },
        progress,
        seen: Vec::new(),
        payload,
        passed: Passed::default(),
    }
}

/// A worker's stream: a push after its second, third and last minibatch of each epoch.
fn stream(worker: u32, rows: &[(usize, usize)]) -> Vec<Entry> {
    let parameters: usize = rows.iter().map(|(rows, length)| rows * length).sum();
    let ends = (0..EPOCHS).flat_map(|epoch| [(epoch, 2), (epoch, 3), (epoch + 1, 0)]);
    let pushes = (1..).zip(ends).map(|(pushes, (epoch, minibatch))| {
        let at = Position { epoch, minibatch };
        let progress = Progress { at, minibatches: 0, samples: 0, pushes };
        let delta: Vec<_> = (0..parameters)
            .map(|at| (at as f32 * (7.3 + pushes as f32) + 13.0 * worker as f32).sin())
            .collect();
        entry(pushes, Some(progress), &delta, rows)
    });
    [entry(0, None, &[], rows)].into_iter().chain(pushes).collect()
}

struct Case {
    log: Log,
    division: Division,
    initial: Vec<f32>,
    rows: Vec<(usize, usize)>,
}

impl Case {
    fn new() -> Self {
        let run = run();
        let rows = run.config().architecture.rows();
        let streams = (0..2).map(|worker| (worker, stream(worker, &rows))).collect();
        let initial = run.config().architecture.initial_parameters(1);
        Self {
            log: Log { streams, nodes: BTreeMap::new() },
            division: run.division().unwrap(),
            initial,
            rows,
        }
    }

    fn check(&self) -> Findings {
        self.log.check(&self.division, EPOCHS)
    }

    fn model(&self) -> Vec<f32> {
        self.log.sum(&self.initial, &self.rows).unwrap().into_iter().map(|value| value as f32).collect()
    }

    fn check_model(&self, model: &[f32]) -> Findings {
        self.log.check_model(&self.initial, model, &self.rows).unwrap()
    }

    fn stream(&mut self, worker: u32) -> &mut Vec<Entry> {
        self.log.streams.get_mut(&worker).unwrap()
    }
}

#[test]
fn a_whole_log_is_clean() {
    let case = Case::new();
    assert_eq!(case.check(), Findings::default());
    assert_eq!(case.check_model(&case.model()), Findings::default());
}

#[test]
fn a_push_that_is_missing_is_found() {
    let mut case = Case::new();
    let model = case.model();
    let lost = case.stream(1).remove(3);
    let findings = case.check();
    // The chain has a gap, and so have the numbers.
    assert_eq!((findings.lost, findings.doubled), (2, 0), "{findings:?}");
    // As if it had never been pushed: only the worker's own count tells.
    case.stream(1)[3].prev = lost.prev;
    assert_eq!(case.check().lost, 1);
    let findings = case.check_model(&model);
    assert_eq!((findings.lost, findings.doubled), (1, 0), "{findings:?}");
}

#[test]
fn the_end_of_a_log_that_is_missing_is_found() {
    let mut case = Case::new();
    case.stream(0).pop();
    let findings = case.check();
    assert_eq!((findings.lost, findings.doubled), (2, 0), "{findings:?}");
    assert!(findings.complaints[0].contains("epoch 1"), "{findings:?}");
}

#[test]
fn a_push_that_counts_twice_is_found() {
    let mut case = Case::new();
    let model = case.model();
    let mut again = case.stream(0)[2].clone();
    (again.prev, again.id) = (EntryId { token: 9, seq: 6 }, EntryId { token: 9, seq: 7 });
    case.stream(0).push(again);
    let findings = case.check();
    assert_eq!(findings.lost, 0, "{findings:?}");
    assert!(findings.doubled >= 1, "{findings:?}");
    // The log has it twice, the model once, and the other way round.
    let findings = case.check_model(&model);
    assert_eq!((findings.lost, findings.doubled), (1, 0), "{findings:?}");
    let (twice, _) = (case.model(), case.stream(0).pop());
    let findings = case.check_model(&twice);
    assert_eq!((findings.lost, findings.doubled), (0, 1), "{findings:?}");
    assert!(findings.complaints[0].contains("9-2 is in the model twice"), "{findings:?}");
}

#[test]
fn minibatches_that_were_computed_again_count_twice() {
    let mut case = Case::new();
    // A successor that began at the epoch's beginning, with a push of its own.
    let mut again = case.stream(0)[1].clone();
    again.id = EntryId { token: 10, seq: 1 };
    again.prev = EntryId { token: 9, seq: 6 };
    again.progress = Some(Progress { pushes: 7, ..again.progress.unwrap() });
    case.stream(0).push(again);
    assert!(case.check().doubled > 0);
}

#[test]
fn a_push_that_is_not_in_the_model_is_named() {
    let case = Case::new();
    let mut model = case.model();
    let delta = total([&case.log.streams[&1][5]].into_iter(), &case.rows).unwrap();
    for (value, delta) in model.iter_mut().zip(delta) {
        *value -= delta as f32;
    }
    let findings = case.check_model(&model);
    assert_eq!((findings.lost, findings.doubled), (1, 0));
    assert!(findings.complaints[0].contains("9-5 is not in the model"), "{findings:?}");
    model[0] = f32::NAN;
    assert_eq!(case.check_model(&model).lost, 1);
}

/// Worker 1 is on a node, which has passed on what it pushed, in one entry.
fn on_a_node() -> Case {
    let mut case = Case::new();
    let local = case.log.streams.remove(&1).unwrap();
    let all = total(local.iter(), &case.rows).unwrap();
    let all: Vec<_> = all.into_iter().map(|value| value as f32).collect();
    let mut sum = entry(0, Some(Progress::default()), &all, &case.rows);
    sum.passed.cursors = Cursors::from([(1, local.last().unwrap().id)]);
    case.log.streams.insert(NODE, vec![sum]);
    case.log.nodes.insert(NODE, Streams::from([(1, local)]));
    case
}

#[test]
fn of_what_is_on_a_node_only_what_was_passed_on_counts() {
    let mut case = on_a_node();
    assert_eq!(case.check(), Findings::default());
    // The last push was not passed on.
    let cursors = &mut case.log.streams.get_mut(&NODE).unwrap()[0].passed.cursors;
    cursors.insert(1, EntryId { token: 9, seq: 5 });
    let findings = case.check();
    assert_eq!((findings.lost, findings.doubled), (2, 0), "{findings:?}");
}

#[test]
fn what_a_node_passes_on_is_what_its_workers_pushed() {
    let mut case = on_a_node();
    assert_eq!(case.log.check_nodes(&case.rows).unwrap(), Findings::default());
    // The entry says that it goes up to the fifth push, and the sixth is in it, too.
    case.stream(NODE)[0].passed.cursors.insert(1, EntryId { token: 9, seq: 5 });
    let findings = case.log.check_nodes(&case.rows).unwrap();
    assert_eq!((findings.lost, findings.doubled), (0, 1), "{findings:?}");
    // It says that it goes up to one that is not in it.
    let mut case = on_a_node();
    let again = Entry { id: EntryId { token: 9, seq: 7 }, ..case.log.nodes[&NODE][&1][4].clone() };
    case.stream(NODE)[0].passed.cursors.insert(1, again.id);
    case.log.nodes.get_mut(&NODE).unwrap().get_mut(&1).unwrap().push(again);
    let findings = case.log.check_nodes(&case.rows).unwrap();
    assert_eq!((findings.lost, findings.doubled), (1, 0), "{findings:?}");
    // A sum that begins again with what was passed on.
    let mut case = on_a_node();
    let mut back = case.stream(NODE)[0].clone();
    back.id.seq = 1;
    back.passed.cursors.insert(1, EntryId { token: 9, seq: 2 });
    case.stream(NODE).push(back);
    assert!(case.log.check_nodes(&case.rows).unwrap().doubled >= 1);
}
