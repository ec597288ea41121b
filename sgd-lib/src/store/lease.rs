//! Who trains which shard.

use std::time::Duration;

/// A worker's right to push under a shard's name, until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard's number.
    pub worker: u32,
    /// Who holds it; unique to the holder.
    pub holder: String,
    /// The fencing token: entries under it are `<token>-<seq>`.
    pub token: u64,
    /// How long it lasts without a renewal.
    pub ttl: Duration,
}

impl Lease {
    /// What stands under the lease's key while it is held.
    pub(super) fn value(&self) -> String {
        format!("{}:{}", self.holder, self.token)
    }
}

/// A wish for a worker's place in a run.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// Names the invocation: delivered twice, it gets no second place.
    pub place: String,
    /// The worker to become; without one, the lowest that is free.
    pub worker: Option<u32>,
    /// Workers wanted by setup; counts until the number is fixed in the control record.
    pub workers: u32,
    /// Who asks.
    pub holder: String,
    /// How long the lease shall last without a renewal.
    pub ttl: Duration,
    /// The token of a lease that its holder gives up to this claim, having pushed everything.
    pub from: Option<u64>,
    /// Take it even from a living holder: who has the right to it was decided elsewhere.
    pub seize: bool,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The lease is ours.
    Granted {
        /// The lease.
        lease: Lease,
        /// Somebody trained this shard before.
        resumed: bool,
        /// The store's clock, milliseconds since 1970.
        now_ms: u64,
    },
    /// The same invocation has a place already, and its holder lives.
    Duplicate {
        /// That place.
        worker: u32,
    },
    /// Every place is taken, or the one asked for is.
    Taken,
    /// The run is over, or there is no such run.
    Over {
        /// Why.
        reason: String,
    },
}
