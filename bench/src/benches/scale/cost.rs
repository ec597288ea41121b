//! What a run costs the machine and its Redis.

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result};
use sgd_lib::store::RedisStore;

/// The kernel counts CPU time in these.
const TICKS_PER_S: f64 = 100.0;

/// A second's use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// CPUs that Redis was busy on, what it forks included.
    pub(super) redis_cpus: f64,
    /// CPUs that this process was busy on: all workers and their links.
    pub(super) worker_cpus: f64,
    /// MB a second into Redis.
    pub(super) received: f64,
    /// MB a second out of Redis.
    pub(super) sent: f64,
}

/// Totals at one time.
struct Totals {
    redis: f64,
    workers: f64,
    received: f64,
    sent: f64,
}

/// Measures from its beginning on.
pub(super) struct Meter {
    begun: Instant,
    at_first: Totals,
}

impl Meter {
    /// Begins.
    ///
    /// # Errors
    /// Redis does not answer, or the kernel.
    pub(super) fn start(store: &RedisStore) -> Result<Self> {
        Ok(Self { begun: Instant::now(), at_first: totals(store)? })
    }

    /// What was used since.
    ///
    /// # Errors
    /// As at the beginning.
    pub(super) fn read(&self, store: &RedisStore) -> Result<Cost> {
        let (seconds, now) = (self.begun.elapsed().as_secs_f64(), totals(store)?);
        let rate = |total: fn(&Totals) -> f64| (total(&now) - total(&self.at_first)) / seconds;
        Ok(Cost {
            redis_cpus: rate(|totals| totals.redis),
            worker_cpus: rate(|totals| totals.workers),
            received: rate(|totals| totals.received) / 1e6,
            sent: rate(|totals| totals.sent) / 1e6,
        })
    }
}

fn totals(store: &RedisStore) -> Result<Totals> {
    let info = store.info()?;
    let field = |name: &str| -> Result<f64> {
        let value = info.get(name).with_context(|| format!("INFO of Redis has no {name}"))?;
        value.parse().with_context(|| format!("{name} of Redis is {value:?}; wanted is a number"))
    };
    let cpu = ["used_cpu_sys", "used_cpu_user", "used_cpu_sys_children", "used_cpu_user_children"];
    Ok(Totals {
        redis: cpu.into_iter().map(field).sum::<Result<f64>>()?,
        workers: own_cpu_s()?,
        received: field("total_net_input_bytes")?,
        sent: field("total_net_output_bytes")?,
    })
}

/// Seconds of CPU that this process has used: fields 14 and 15 of `/proc/self/stat`.
fn own_cpu_s() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // The second field is a name in parentheses, which may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    anyhow::ensure!(ticks.len() == 2, "/proc/self/stat is {stat:?}; wanted are two times in it");
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_S)
}
