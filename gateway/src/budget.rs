//! How much of the bodies of calls is in memory at a time, however many clients there are and however slow they send.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// KiB for all bodies together.
const KIBIBYTES: u32 = 16 << 10;

/// A part of the budget, until it is dropped.
pub(crate) type Share = OwnedSemaphorePermit;

/// What is left of the memory for bodies.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(KIBIBYTES as usize)))
    }

    /// Room for so many bytes, if there is.
    pub(crate) fn try_take(&self, bytes: u64) -> Option<Share> {
        self.0.clone().try_acquire_many_owned(kibibytes(bytes)).ok()
    }

    /// Room for so many bytes, or for all that there may be, once there is. `None` does not happen: nobody closes it.
    pub(crate) async fn take(&self, bytes: u64) -> Option<Share> {
        self.0.clone().acquire_many_owned(kibibytes(bytes)).await.ok()
    }
}

fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(KIBIBYTES).min(KIBIBYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_there_again_when_it_is_dropped() {
        let budget = Budget::new();
        let most = u64::from(KIBIBYTES) << 10;
        let share = budget.try_take(most - 1024).unwrap();
        assert!(budget.try_take(1025).is_none());
        let last = budget.try_take(1).unwrap();
        assert!(budget.try_take(1).is_none());
        drop((share, last));
        assert!(budget.take(u64::MAX).await.is_some(), "a larger body gets all there is, not nothing");
    }
}
