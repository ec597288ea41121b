//! One run from its beginning to the check of what it left.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use local_redis::LocalRedis;
use scenarios::{Data, Place};
use sgd_lib::downpour::{Division, Model, Run, RunStatus};
use sgd_lib::store::{RedisStore, RunKeys};

use crate::audit::{Findings, Log, is_node};
use crate::evidence::{self, Streams};
use crate::keeper::Keeper;
use crate::leftovers;
use crate::schedule::{Fault, Schedule};
use crate::stage::{Stage, append_only_files};
use crate::watch::Watch;

/// Between two looks at the run.
const LOOK: Duration = Duration::from_millis(20);
/// A fault comes when its share of the samples is done, or so long after the one before: a run that stands still
/// because of one fault gets the next all the same.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// A run that takes longer has got stuck.
const LIMIT: Duration = Duration::from_secs(90);

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Faults that happened.
    pub(crate) inflicted: Vec<Fault>,
    /// What its log lacks or has too much of.
    pub(crate) findings: Findings,
    /// The model's accuracy on the test images.
    pub(crate) accuracy: f64,
    /// Whatever else is wrong with it.
    pub(crate) complaints: Vec<String>,
    /// How long it took to train, everything else left out.
    pub(crate) trained: Duration,
}

/// A run that is over, and what it takes to check it.
struct Finished {
    run: String,
    initial: Vec<f32>,
    rows: Vec<(usize, usize)>,
    epochs: u32,
    division: Division,
    model: Model,
}

/// Does what the schedule says, in this place.
///
/// # Panics
/// The run does not come to its end, or something that is no part of it fails.
pub(crate) fn go_through(place: Place, schedule: &Schedule, data: &Data) -> Outcome {
    let mut stage = Stage::start(place, schedule.variant);
    let begun = Instant::now();
    let run = set_up(&stage, schedule, data);
    let mut watch = Watch::of(stage.store_url(), &run);
    let inflicted = disturb(&mut stage, &mut watch, schedule);
    let trained = begun.elapsed();
    stage.calm_down();
    let finished = look_back(watch.run());
    let mut complaints = Vec::new();
    complain(&mut complaints, "keys", &leftovers::keys(stage.store_url(), &run));
    let (place, processes) = stage.close();
    let processes: Vec<_> = processes.iter().map(|process| (process.id, &process.program)).collect();
    complain(&mut complaints, "processes", &processes);
    complain(&mut complaints, "files", &leftovers::files(&place));
    let findings = audit(&place, &finished);
    let accuracy = finished.model.evaluation.accuracy();
    Outcome { inflicted, findings, accuracy, complaints, trained }
}

fn complain<T: std::fmt::Debug>(complaints: &mut Vec<String>, what: &str, left: &[T]) {
    if !left.is_empty() {
        complaints.push(format!("{what} left over: {left:?}"));
    }
}

fn set_up(stage: &Stage, schedule: &Schedule, data: &Data) -> String {
    let platform = stage.platform().expect("a platform that is up");
    let call = format!("chaos-{}", schedule.seed);
    platform.set_up_as(&schedule.variant.settings(data), Some(&call)).name().to_owned()
}

/// Waits for the run's end, and lets happen on the way what is to happen. Returns what did.
fn disturb(stage: &mut Stage, watch: &mut Watch, schedule: &Schedule) -> Vec<Fault> {
    let (mut keeper, mut inflicted) = (Keeper::of(watch.run().name()), Vec::new());
    let mut faults = schedule.faults.iter().copied().peekable();
    let (begun, mut last) = (Instant::now(), None);
    loop {
        stage.go_on();
        let status = look(stage, watch, &mut keeper);
        if status.as_ref().is_some_and(RunStatus::is_over) {
            return inflicted;
        }
        assert!(begun.elapsed() < LIMIT, "it does not end: {status:?}");
        if last.is_none() && watch.begun() as u32 == schedule.variant.workers && watch.share() > 0.0 {
            stage.keep_what_is_there();
            last = Some(Instant::now());
        }
        let due = |(share, fault): &(f64, Fault)| {
            let late = last.is_some_and(|last| last.elapsed() >= PATIENCE);
            let able = stage.platform().is_some() || !fault.needs_platform();
            able && last.is_some() && (late || watch.share() >= *share)
        };
        if let Some((_, fault)) = faults.next_if(due)
            && stage.inflict(fault, watch)
        {
            if matches!(fault, Fault::KillGateway(_)) {
                keeper.bring_back_at_once();
            }
            inflicted.push(fault);
            last = Some(Instant::now());
        }
        thread::sleep(LOOK);
    }
}

/// How the run stands, where Redis can be asked.
fn look(stage: &Stage, watch: &mut Watch, keeper: &mut Keeper) -> Option<RunStatus> {
    if !stage.store_answers() {
        return None;
    }
    watch.look();
    let status = watch.status()?;
    if let Some(platform) = stage.platform() {
        keeper.look(&status, platform.gateway_url());
    }
    Some(status)
}

fn look_back(run: &Run) -> Finished {
    let config = run.config();
    Finished {
        run: run.name().to_owned(),
        initial: config.architecture.initial_parameters(config.seed),
        rows: config.architecture.rows(),
        epochs: config.epochs,
        division: run.division().expect("who did what"),
        model: run.model().expect("a model").expect("a run that is over has one"),
    }
}

/// Compares all that Redis accepted with what it should be, and with the model.
fn audit(place: &Place, finished: &Finished) -> Findings {
    let keys = RunKeys::new(&finished.run).expect("a run's name");
    let whole = evidence::replay(&append_only_files(place), &place.path("replay"));
    let mut log = Log { streams: read(&whole, &keys), nodes: BTreeMap::new() };
    let numbers: Vec<u32> = log.streams.keys().copied().filter(|stream| is_node(*stream)).collect();
    for (count, files) in evidence::of_nodes(place).iter().enumerate() {
        let whole = evidence::replay(files, &place.path(&format!("replay-{count}")));
        for number in &numbers {
            log.nodes.entry(*number).or_default().extend(read(&whole, &keys.on_node(*number)));
        }
    }
    let mut findings = log.check(&finished.division, finished.epochs);
    let model = log.check_model(&finished.initial, &finished.model.parameters, &finished.rows);
    findings.add(model.expect("payloads that decode"));
    findings.add(log.check_nodes(&finished.rows).expect("payloads that decode"));
    findings
}

fn read(redis: &LocalRedis, keys: &RunKeys) -> Streams {
    let store = RedisStore::open(redis.url()).expect("an address");
    evidence::streams(&store, keys).expect("a log")
}
