//! Time that a thread has computed.

use rustix::time::{ClockId, clock_gettime};

/// Seconds for which this thread has been on a processor. What others do on the machine doesn't count.
pub(crate) fn cpu_time() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + 1e-9 * now.tv_nsec as f64
}
