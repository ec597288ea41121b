//! What a seed decides: the way of training, and what happens when.

use std::fmt;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::variant::{self, Variant};

/// Faults of a run: as few, and as many.
const FAULTS: std::ops::RangeInclusive<usize> = 4..=8;
/// Of the run's samples, the part in which they happen.
const SHARES: std::ops::Range<f64> = 0.05..0.75;
/// Of each of those that take a while, at most so many a run.
const SLOW: usize = 1;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The replica that has this worker is killed.
    KillWorker(u32),
    /// It stands still for a while, then goes on.
    StopWorker(u32, Duration),
    /// It is told to end.
    TerminateWorker(u32),
    /// All train replicas are killed.
    KillWorkers,
    /// All train replicas of this node are killed, whoever synchronizes it among them.
    KillNode(u32),
    /// The Redis of this node is killed, for good: what is in it was not passed on.
    KillStore(u32),
    /// It stands still for a while, then goes on.
    StopStore(u32, Duration),
    /// The train function gets so many replicas.
    Scale(u64),
    /// The gateway is killed, with all that it started, and started again in the same state folder.
    KillGateway(Duration),
    /// It stands still for a while, then goes on.
    StopGateway(Duration),
    /// Redis is killed, and started again a while later.
    KillRedis(Duration),
    /// Redis is killed and comes back without what it wrote in so long a time before, and perhaps in the middle of
    /// a command.
    CutLog(Duration, bool),
    /// It stands still for a while, then goes on.
    StopRedis(Duration),
    /// Its clock jumps: every lease and every lock expires at once.
    ExpireLeases,
    /// All connections to it are closed.
    CloseConnections,
    /// All of them are reset.
    ResetConnections,
    /// So many of its replies end in their middle.
    TruncateReplies(u32),
    /// Each piece of its replies comes so much later, for so long.
    DelayReplies(Duration, Duration),
}

impl Fault {
    /// Draws one for this way of training.
    fn draw(random: &mut Xoshiro256PlusPlus, variant: &Variant) -> Self {
        let worker = random.random_range(0..variant.workers);
        let mut millis = |range: std::ops::Range<u64>| Duration::from_millis(random.random_range(range));
        // Two thirds for shorter than a lease lasts, or about as long as one.
        let pause = millis(200..3_000);
        let node = worker.checked_rem(variant.nodes);
        if let Some(node) = node.filter(|_| random.random_bool(0.2)) {
            return match random.random_range(0..3) {
                0 => Self::KillNode(node),
                1 => Self::KillStore(node),
                _ => Self::StopStore(node, pause),
            };
        }
        match random.random_range(0..21) {
            0 | 1 => Self::KillWorker(worker),
            2 | 3 => Self::StopWorker(worker, pause),
            4 | 5 => Self::TerminateWorker(worker),
            6 => Self::KillWorkers,
            7 | 8 => Self::Scale(random.random_range(1..=u64::from(variant.workers) + 1)),
            9 => Self::KillGateway(pause / 3),
            10 => Self::StopGateway(pause),
            11 | 12 => Self::KillRedis(pause / 2),
            13 | 14 => Self::CutLog(pause / 3, random.random()),
            15 => Self::StopRedis(pause / 2),
            16 => Self::ExpireLeases,
            17 => Self::CloseConnections,
            18 => Self::ResetConnections,
            19 => Self::TruncateReplies(random.random_range(1..6)),
            _ => Self::DelayReplies(pause / 40, pause),
        }
    }

    /// Whether a run has few of them, since each costs it seconds.
    fn is_slow(self) -> bool {
        matches!(self, Self::KillGateway(_) | Self::KillWorkers | Self::KillNode(_))
    }

    /// Whether it needs the gateway and what that has started.
    pub(crate) fn needs_platform(self) -> bool {
        use Fault::{
            KillGateway, KillNode, KillStore, KillWorker, KillWorkers, Scale, StopGateway, StopStore,
            StopWorker, TerminateWorker,
        };
        matches!(
            self,
            KillWorker(_)
                | StopWorker(..)
                | TerminateWorker(_)
                | KillWorkers
                | KillNode(_)
                | KillStore(_)
                | StopStore(..)
                | Scale(_)
                | KillGateway(_)
                | StopGateway(_)
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillWorker(worker) => write!(f, "kill worker {worker}"),
            Self::StopWorker(worker, pause) => write!(f, "stop worker {worker} for {} ms", pause.as_millis()),
            Self::TerminateWorker(worker) => write!(f, "terminate worker {worker}"),
            Self::KillWorkers => write!(f, "kill all workers"),
            Self::KillNode(node) => write!(f, "kill node-{node}"),
            Self::KillStore(node) => write!(f, "kill Redis of node-{node}"),
            Self::StopStore(node, pause) => {
                write!(f, "stop Redis of node-{node} for {} ms", pause.as_millis())
            }
            Self::Scale(replicas) => write!(f, "scale to {replicas}"),
            Self::KillGateway(pause) => write!(f, "kill gateway for {} ms", pause.as_millis()),
            Self::StopGateway(pause) => write!(f, "stop gateway for {} ms", pause.as_millis()),
            Self::KillRedis(pause) => write!(f, "kill Redis for {} ms", pause.as_millis()),
            Self::CutLog(lost, torn) => {
                let torn = if *torn { ", torn" } else { "" };
                write!(f, "Redis forgets {} ms{torn}", lost.as_millis())
            }
            Self::StopRedis(pause) => write!(f, "stop Redis for {} ms", pause.as_millis()),
            Self::ExpireLeases => write!(f, "leases expire"),
            Self::CloseConnections => write!(f, "close connections"),
            Self::ResetConnections => write!(f, "reset connections"),
            Self::TruncateReplies(replies) => write!(f, "truncate {replies} replies"),
            Self::DelayReplies(each, pause) => {
                write!(f, "delay replies by {} ms for {} ms", each.as_millis(), pause.as_millis())
            }
        }
    }
}

/// A run to come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    /// What it was drawn from.
    pub(crate) seed: u64,
    /// What is trained.
    pub(crate) variant: &'static Variant,
    /// At which share of the run's samples what goes wrong, in order.
    pub(crate) faults: Vec<(f64, Fault)>,
}

impl Schedule {
    /// What this seed decides.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let variant = &variant::ALL[random.random_range(0..variant::ALL.len())];
        let count = random.random_range(FAULTS);
        let mut shares: Vec<f64> = (0..count).map(|_| random.random_range(SHARES)).collect();
        shares.sort_by(f64::total_cmp);
        let (mut faults, mut slow) = (Vec::new(), 0);
        while faults.len() < count {
            let fault = Fault::draw(&mut random, variant);
            if fault.is_slow() && slow == SLOW {
                continue;
            }
            slow += usize::from(fault.is_slow());
            faults.push(fault);
        }
        Self { seed, variant, faults: shares.into_iter().zip(faults).collect() }
    }

    /// The same way of training, undisturbed.
    pub(crate) fn undisturbed(variant: &'static Variant) -> Self {
        Self { seed: 0, variant, faults: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::mem;

    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(Schedule::draw(7), Schedule::draw(7));
        assert_ne!(Schedule::draw(7), Schedule::draw(8));
    }

    #[test]
    fn seeds_come_to_all_faults_and_variants_and_to_five_faults_a_run() {
        let schedules: Vec<_> = (1_000..1_200).map(Schedule::draw).collect();
        let variants: BTreeSet<_> = schedules.iter().map(|schedule| schedule.variant.to_string()).collect();
        assert_eq!(variants.len(), variant::ALL.len());
        let faults: Vec<_> = schedules.iter().flat_map(|schedule| &schedule.faults).collect();
        let kinds: std::collections::HashSet<_> =
            faults.iter().map(|(_, fault)| mem::discriminant(fault)).collect();
        assert_eq!(kinds.len(), 18);
        assert!(faults.len() >= 5 * schedules.len(), "{}", faults.len());
        for schedule in &schedules {
            assert!(schedule.faults.is_sorted_by(|one, other| one.0 <= other.0), "{schedule:?}");
            let slow = schedule.faults.iter().filter(|(_, fault)| fault.is_slow()).count();
            assert!(slow <= SLOW, "{schedule:?}");
        }
    }
}
