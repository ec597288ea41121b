//! Who gets which stream, by the same rules as the script for Redis.

use super::{Expiring, RunState, clock};
use crate::store::{Claim, ClaimRequest, Entry, EntryId, FIRST_NODE, Lease};

impl RunState {
    pub(super) fn is_held(&self, worker: u32) -> bool {
        self.leases.get(&worker).and_then(Expiring::alive).is_some()
    }

    /// What somebody is told whose place has a holder: himself, whose answer was lost, or another.
    fn already(worker: u32, held: &str, request: &ClaimRequest) -> Claim {
        match held.rsplit_once(':').and_then(|(holder, token)| Some((holder, token.parse().ok()?))) {
            Some((holder, token)) if holder == request.holder => {
                let lease = Lease { worker, holder: holder.to_owned(), token, ttl: request.ttl };
                Claim::Granted { lease, resumed: false, now_ms: clock::since_1970_ms() }
            }
            _ => Claim::Duplicate { worker },
        }
    }

    fn is_given_up(&self, worker: u32, from: Option<u64>) -> bool {
        let held = self.leases.get(&worker).and_then(Expiring::alive);
        let token = held.and_then(|held| held.rsplit(':').next()?.parse().ok());
        token.is_some() && token == from
    }

    fn free_place(&self, workers: u32) -> Option<u32> {
        let free = |&worker: &u32| !self.is_held(worker);
        let untouched = (0..workers).filter(free).find(|worker| !self.logs.contains_key(worker));
        untouched.or_else(|| (0..workers).find(free))
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Claim {
        // Synchronizers come and go without regard to what the run's workers may do.
        let of_node = request.worker.is_some_and(|number| number >= FIRST_NODE);
        // Who is given the lease of a worker that lives makes the model of the run that was stopped meanwhile.
        let is_given = request.worker.is_some_and(|worker| self.is_given_up(worker, request.from));
        if let Some(reason) = self.control.stop.as_ref().filter(|_| !of_node && !is_given) {
            return Claim::Over { reason: reason.clone() };
        }
        let workers = self.control.workers.unwrap_or(request.workers);
        let mine = self.places.get(&request.place).copied();
        let wanted = match mine {
            Some(mine) if request.worker.is_none_or(|worker| worker == mine) => {
                match self.leases.get(&mine).and_then(Expiring::alive) {
                    Some(held) if !self.is_given_up(mine, request.from) => {
                        return Self::already(mine, held, request);
                    }
                    _ => Some(mine),
                }
            }
            _ => request.worker.or_else(|| self.free_place(workers)),
        };
        let free = |worker| request.seize || !self.is_held(worker) || self.is_given_up(worker, request.from);
        let there = |&worker: &u32| of_node || worker < workers;
        let Some(worker) = wanted.filter(|worker| there(worker) && free(*worker)) else {
            return Claim::Taken;
        };
        self.places.insert(request.place.clone(), worker);
        self.grant(worker, request)
    }

    fn grant(&mut self, worker: u32, request: &ClaimRequest) -> Claim {
        let now_ms = clock::since_1970_ms();
        let log = self.logs.entry(worker).or_default();
        let prev = log.last;
        let token = now_ms.max(prev.token + 1);
        let id = EntryId { token, seq: 0 };
        log.entries.push(Entry::fence(id, prev));
        log.last = id;
        let lease = Lease { worker, holder: request.holder.clone(), token, ttl: request.ttl };
        self.leases.insert(worker, Expiring::new(lease.value(), Some(request.ttl)));
        Claim::Granted { lease, resumed: prev != EntryId::ZERO, now_ms }
    }
}
