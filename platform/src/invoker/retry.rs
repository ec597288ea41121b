//! Trying again for as long as it makes sense.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{InvokeError, Invoker, Reply};

/// The first pause is at most this long, each later one at most twice the one before…
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Calls `function` until an answer counts: one whose status is not 429, 502, 503 or 504, success
/// or not. Every attempt has the same body and the same `call_id`.
///
/// # Errors
/// No such answer until `deadline`, or a call that can't be made.
pub async fn retrying(
    invoker: &dyn Invoker,
    function: &str,
    body: Vec<u8>,
    call_id: &str,
    deadline: Instant,
) -> Result<Reply, InvokeError> {
    let mut attempts = 0;
    let mut last = "not answered".to_owned();
    loop {
        attempts += 1;
        match timeout_at(deadline, invoker.invoke(function, body.clone(), call_id)).await {
            Ok(Ok(reply)) if !matches!(reply.status, 429 | 502 | 503 | 504) => return Ok(reply),
            Ok(Ok(reply)) => last = format!("status {}: {}", reply.status, reply.first_line()),
            Ok(Err(InvokeError::NoAnswer(reason))) => last = reason,
            Ok(Err(error)) => return Err(error),
            // The deadline has passed, as the next lines see.
            Err(_) => {}
        }
        let pause = pause(attempts);
        if Instant::now() + pause >= deadline {
            return Err(InvokeError::Deadline { function: function.to_owned(), attempts, last });
        }
        sleep(pause).await;
    }
}

/// The pause after so many attempts, drawn from the upper half of its range: callers that were
/// refused together don't come back together.
fn pause(attempts: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << attempts.min(16).saturating_sub(1)).min(LONGEST_PAUSE);
    // The standard library's only source of randomness: each state has its own keys.
    let random = RandomState::new().hash_one(attempts) as f64 / u64::MAX as f64;
    longest.mul_f64(0.5 + 0.5 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_bounds() {
        for (attempts, longest) in [(1, 5), (2, 10), (4, 40), (7, 320), (8, 500), (u32::MAX, 500)] {
            for _ in 0..100 {
                let pause = pause(attempts);
                let longest = Duration::from_millis(longest);
                assert!(longest / 2 <= pause && pause <= longest, "{attempts}: {pause:?}");
            }
        }
        assert!((0..20).map(|_| pause(8)).collect::<std::collections::HashSet<_>>().len() > 1);
    }
}
