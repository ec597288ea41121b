//! What replicas use of the machine, from `/proc`.

use std::fs;
use std::time::{Duration, Instant};

use openfaas::types::Usage;

/// How long CPU time is watched: long against the 10 ms that the kernel counts it in.
const WINDOW: Duration = Duration::from_millis(200);

/// CPU and memory of all of `processes` together; takes [`WINDOW`].
pub(crate) async fn measure(processes: &[u32]) -> Usage {
    let ticks = || processes.iter().filter_map(|id| cpu_ticks(*id)).sum::<u64>();
    let (before, started) = (ticks(), Instant::now());
    tokio::time::sleep(WINDOW).await;
    let used = ticks().saturating_sub(before) as f64 / rustix::param::clock_ticks_per_second() as f64;
    let pages: u64 = processes.iter().filter_map(|id| resident_pages(*id)).sum();
    Usage {
        cpu: 1000.0 * used / started.elapsed().as_secs_f64(),
        total_memory_bytes: (pages * rustix::param::page_size() as u64) as f64,
    }
}

fn cpu_ticks(process: u32) -> Option<u64> {
    ticks_of_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// User and system time are the 14th and 15th field; the 2nd, a name in parentheses, may hold blanks.
fn ticks_of_stat(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn resident_pages(process: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_is_skipped() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 31 11 0 0 20 0 1 0";
        assert_eq!(ticks_of_stat(stat), Some(42));
        assert_eq!(ticks_of_stat("7 (cut"), None);
    }

    #[tokio::test]
    async fn this_process_uses_memory() {
        let usage = measure(&[std::process::id()]).await;
        assert!(usage.total_memory_bytes > 0.0 && usage.cpu >= 0.0);
        assert_eq!(measure(&[]).await, Usage::default());
    }
}
