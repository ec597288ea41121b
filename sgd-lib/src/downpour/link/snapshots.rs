//! Fetching where many workers push: the newest snapshot, instead of everybody's entries.
//!
//! Where each of M workers reads what each other one pushed, the store sends every entry M − 1 times. Here a
//! fetch brings the newest snapshot, as many bytes whatever M is; what the worker itself has pushed since it
//! still has.
//! Whoever has pushed something that is in no snapshot, and finds no newer one than at its last fetch, folds
//! all that was pushed into the next one: so each entry is read by others about once, and waits for that no
//! longer than until the next fetch of the worker that pushed it. One does it at a time, under a lock that
//! expires; if it dies at it, another begins anew with the snapshot and the log as they are.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use super::{FarEnd, Reply};
use crate::codec::{self, Encoder};
use crate::downpour::config::{Database, RunConfig};
use crate::downpour::log::{self, Folded, LogError, Until};
use crate::store::{Cursors, Entry, EntryId, Exchange, FIRST_NODE, Vector};

/// Whoever makes a snapshot has this long before another tries, too.
pub(super) const MAKING: Duration = Duration::from_secs(1);
/// Bytes of its own entries that a worker keeps in memory; those before them it would read again.
const KEPT: usize = 4 << 20;
/// Between two looks for the snapshot that is waited for.
const LOOK: Duration = Duration::from_millis(20);
/// What a snapshot brings is older than what entries bring, and where processors are short the one that makes it
/// holds up the others, so entries have to be this many times the bytes.
const WORTH: f64 = 4.0;

/// Whether `workers` workers that wait for nobody should fetch snapshots: where, from one fetch to the next,
/// everybody's entries are far more bytes than snapshots are, all workers together.
///
/// # Errors
/// The codec can't encode a vector of ones.
pub(in crate::downpour) fn are_worth_it(config: &RunConfig, workers: u32) -> Result<bool, LogError> {
    if config.database == Database::Local {
        return Ok(false);
    }
    let rows = config.architecture.rows();
    let mut entry = Vec::new();
    let ones = vec![1.0; config.architecture.parameter_count()];
    Encoder::new(config.codec, &rows).encode(&ones, &mut ones.clone(), &mut entry)?;
    let pushed = entry.len() as f64 * f64::from(config.n_fetch) / f64::from(config.n_push);
    Ok(saves(workers, pushed, bytes(&rows) as f64))
}

/// `pushed` bytes by a worker from one fetch to the next; a snapshot has `snapshot` bytes.
pub(super) fn saves(workers: u32, pushed: f64, snapshot: f64) -> bool {
    let workers = f64::from(workers);
    let entries = workers * (workers - 1.0) * pushed;
    // Each reads a snapshot; one reads another and everybody's entries, and writes the next.
    let snapshots = workers * snapshot + 2.0 * snapshot + workers * pushed;
    entries > WORTH * snapshots
}

/// Bytes of a snapshot's parameters.
fn bytes(rows: &[(usize, usize)]) -> u64 {
    rows.iter().map(|(rows, length)| rows * length * 4).sum::<usize>() as u64
}

/// The worker's last entries, one after the other: those that no snapshot has are among them, as a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    entries: VecDeque<Entry>,
    /// A buffer to encode the next one into.
    spare: Vec<u8>,
}

impl Recent {
    /// Keeps an entry, and older ones as far as the memory for them reaches. Returns a buffer instead.
    pub(super) fn keep(&mut self, entry: Entry) -> Vec<u8> {
        self.entries.push_back(entry);
        let bytes = |entries: &VecDeque<Entry>| -> usize { entries.iter().map(|e| e.payload.len()).sum() };
        while self.entries.len() > 1 && bytes(&self.entries) > KEPT {
            self.drop_first();
        }
        std::mem::take(&mut self.spare)
    }

    fn drop_first(&mut self) {
        self.spare = self.entries.pop_front().map(|entry| entry.payload).unwrap_or_default();
    }

    /// Folds into `base` what it lacks of worker `own`'s entries, up to `last`. Whether nothing is missing.
    fn complete(
        &mut self,
        base: &mut Folded,
        rows: &[(usize, usize)],
        own: u32,
        last: EntryId,
    ) -> Result<bool, LogError> {
        let mark = base.vector.entry(own).or_default();
        while self.entries.front().is_some_and(|entry| entry.id <= mark.id) {
            self.drop_first();
        }
        if self.entries.front().is_some_and(|entry| entry.prev != mark.id) {
            return Ok(false);
        }
        for entry in &self.entries {
            mark.follow(entry);
            codec::decode_add(&entry.payload, rows, &mut base.parameters)?;
            base.log_bytes += entry.payload.len() as u64;
        }
        Ok(mark.id >= last)
    }
}

impl FarEnd {
    /// Takes over the snapshot of version `newest`, or makes the next one. Where somebody else is at that, waits for
    /// it: where processors are short whoever makes one gets more of them when the others wait.
    pub(super) fn fetch_snapshot(&mut self, mut newest: u64, reply: &mut Reply) -> Result<(), LogError> {
        reply.complete = true;
        let until = Instant::now() + self.patience;
        loop {
            let base = if newest != self.snapshot_version {
                Some(self.read_snapshot()?)
            } else if self.log_bytes > 0 {
                self.make_snapshot(reply)?
            } else {
                return Ok(());
            };
            if let Some(base) = base {
                return self.adopt(base, reply);
            }
            if Instant::now() >= until {
                return Ok(());
            }
            thread::sleep(LOOK);
            let look = Exchange { cursors: Some(&Cursors::new()), ..Exchange::default() };
            newest = self.store.exchange(&self.run, &look)?.snapshot_version;
        }
    }

    /// The newest snapshot and what this worker pushed since.
    fn read_snapshot(&mut self) -> Result<Folded, LogError> {
        let (own, last) = (self.lease.worker, self.last());
        let mut base = Folded::from_snapshot(&*self.store, &self.run, &self.rows)?;
        let recent = self.recent.get_or_insert_default();
        if !recent.complete(&mut base, &self.rows, own, last)? {
            base = Folded::load_until(&*self.store, &self.run, &self.rows, Until::Own(own))?;
        }
        Ok(base)
    }

    /// Folds everything into the next snapshot, unless somebody else is at it.
    fn make_snapshot(&self, reply: &mut Reply) -> Result<Option<Folded>, LogError> {
        let (store, run) = (&*self.store, &self.run);
        let holder = &self.lease.holder;
        if !store.lock(run, log::SNAPSHOT, holder, MAKING)? {
            return Ok(None);
        }
        let mut base = Folded::load(store, run, &self.rows)?;
        reply.bytes += base.log_bytes;
        // This gives the lock back.
        if let Some(version) = base.write(store, run, holder)? {
            base.snapshot_version = version;
            base.log_bytes = 0;
        }
        Ok(Some(base))
    }

    fn adopt(&mut self, base: Folded, reply: &mut Reply) -> Result<(), LogError> {
        let own = self.lease.worker;
        reply.pushes = others(&base.vector, own).saturating_sub(others(&self.folded, own));
        reply.bytes += bytes(&self.rows);
        self.stand_on(base, reply)
    }
}

/// Pushes in `vector` that are not worker `own`'s.
fn others(vector: &Vector, own: u32) -> u64 {
    let others = vector.iter().filter(|(stream, _)| **stream != own && **stream < FIRST_NODE);
    others.map(|(_, mark)| mark.progress.pushes).sum()
}
