//! The store in Redis 7.0 or later (or Valkey), with stock commands only.

mod connection;
mod continuity;
mod exchange;
pub(crate) mod fuzzing;
mod parse;
mod scripts;
mod sentinel;
mod server;
mod tls;
mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use redis::{Cmd, Value, cmd};

use self::connection::{LONGEST_WAIT, Pool};
use self::parse::{bytes, integer, last_id, optional_bytes, text, unexpected};
use self::tls::Tls;
use self::wire::Wire;
use super::{
    Claim, ClaimRequest, Control, Cursors, EntryId, Exchange, Exchanged, FIRST_NODE, Lease, RUN_TTL,
    Replaced, RunKeys, Snapshot, Store, StoreError, Vector, Versioned, Write, keys, snapshot::trim_to,
};
use crate::state;

/// A store in Redis. Cheap to share; each call takes an idle connection or makes one.
pub struct RedisStore {
    pool: Pool,
}

impl RedisStore {
    /// A store at `redis://[[user]:password@]host[:port][/db]`, the same under TLS with `rediss://`, or
    /// `redis+unix:///path`; with `?sentinel=NAME` at whichever Redis is the master of that name, as the Sentinels
    /// at the address say. Nothing is connected before the first call.
    ///
    /// # Errors
    /// The address is none.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self { pool: Pool::new(url, Duration::from_secs(5))? })
    }

    /// The same store, with this password.
    #[must_use]
    pub fn with_password(mut self, password: String) -> Self {
        self.pool.set_password(password);
        self
    }

    /// The same store, believed to be who it is on the word of these authorities alone (certificates, PEM)
    /// instead of the system's. `origin` says in errors where they are from.
    ///
    /// # Errors
    /// There is no certificate, or the address is not one with `rediss://`.
    pub fn with_authorities(mut self, origin: &str, pem: &[u8]) -> Result<Self, StoreError> {
        let failed = |reason| StoreError::Untrusted { address: self.address().to_owned(), reason };
        if !self.is_encrypted() {
            return Err(failed(format!("{origin} is for rediss://, and the address has no TLS")));
        }
        self.pool.tls = Some(Tls::of(origin, pem).map_err(failed)?);
        Ok(self)
    }

    /// Whether connections are under TLS.
    pub fn is_encrypted(&self) -> bool {
        self.pool.tls.is_some()
    }

    /// The same store, with another bound on how long a call tries to reach it.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.pool.patience = patience;
        self
    }

    /// Where the store is, without credentials.
    pub fn address(&self) -> &str {
        &self.pool.address
    }

    fn call(&self, name: &'static str, command: &Cmd) -> Result<Value, StoreError> {
        self.pool.run(name, |connection| command.query(connection))
    }

    fn eval(&self, name: &'static str, script: &scripts::Call<'_>) -> Result<Value, StoreError> {
        self.call(name, &script.command())
    }

    fn delete_matching(&self, pattern: &str) -> Result<u64, StoreError> {
        let mut deleted = 0;
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1000);
            let Value::Array(mut reply) = self.call("SCAN", &scan)? else {
                return Err(unexpected(pattern, "a reply of SCAN"));
            };
            let keys = reply.pop().unwrap_or_default();
            cursor = text(pattern, reply.pop().unwrap_or_default())?;
            if let Value::Array(keys) = keys
                && !keys.is_empty()
            {
                let mut unlink = cmd("UNLINK");
                for key in keys {
                    unlink.arg(bytes(pattern, key)?);
                }
                deleted += integer(pattern, &self.call("UNLINK", &unlink)?)?;
            }
            if cursor == "0" {
                return Ok(deleted);
            }
        }
    }
}

/// Glob characters in a run's name can't occur; the braces of the hash tag are literal.
impl Store for RedisStore {
    fn read(&self, key: &str) -> Result<Option<Versioned<Vec<u8>>>, StoreError> {
        let reply = self.call("HMGET", cmd("HMGET").arg(key).arg("version").arg("value"))?;
        let Value::Array(mut fields) = reply else { return Err(unexpected(key, "typed state")) };
        let value = fields.pop().unwrap_or_default();
        match fields.pop().unwrap_or_default() {
            Value::Nil => Ok(None),
            version => {
                Ok(Some(Versioned { value: bytes(key, value)?, version: parse::number(key, &version)? }))
            }
        }
    }

    fn write(&self, writes: &[Write], ttl: Option<Duration>) -> Result<Option<usize>, StoreError> {
        let Some(first) = writes.first() else { return Ok(None) };
        // The writer's mark tells a repeated call that its first try did arrive.
        let writer: [u8; 16] = rand::random();
        let call = scripts::COMPARE_AND_SET.key(&first.key);
        let mut call = writes[1..].iter().fold(call, |call, write| call.key(&write.key));
        call = call.arg(&writer).arg(ttl.map_or(0, millis));
        for write in writes {
            call = call.arg(write.expected).arg(&write.value);
        }
        let stale = integer(&first.key, &self.eval("a compare-and-set", &call)?)?;
        Ok(usize::try_from(stale).unwrap_or(writes.len()).checked_sub(1))
    }

    fn replace_after(
        &self,
        run: &RunKeys,
        key: &str,
        values: [&[u8]; 2],
        (worker, entry): (u32, EntryId),
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        let call = scripts::replace_after(key, values, &run.log(worker), entry, millis(ttl));
        parse::replaced(key, &self.eval("replacing a value", &call)?)
    }

    fn read_blob(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        optional_bytes(key, self.call("GET", cmd("GET").arg(key))?)
    }

    fn create_blob(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let mut set = cmd("SET");
        set.arg(key).arg(value).arg("NX").arg("PX").arg(millis(ttl));
        Ok(self.call("SET", &set)? != Value::Nil)
    }

    fn renew(&self, keys: &[String], ttl: Duration) -> Result<usize, StoreError> {
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.cmd("PEXPIRE").arg(key).arg(millis(ttl));
        }
        let replies: Vec<u8> = self.pool.run("PEXPIRE", |connection| pipeline.query(connection))?;
        Ok(replies.into_iter().filter(|exists| *exists == 1).count())
    }

    fn now_ms(&self) -> Result<u64, StoreError> {
        let Value::Array(time) = self.call("TIME", &cmd("TIME"))? else {
            return Err(unexpected("TIME", "a time"));
        };
        let [seconds, micros] = time.as_slice() else { return Err(unexpected("TIME", "a time")) };
        Ok(parse::number::<u64>("TIME", seconds)? * 1000 + parse::number::<u64>("TIME", micros)? / 1000)
    }

    fn register_run(&self, run: &RunKeys) -> Result<(), StoreError> {
        let now = self.now_ms()?;
        self.call("ZADD", cmd("ZADD").arg(keys::RUNS).arg("NX").arg(now).arg(run.run())).map(drop)
    }

    fn runs(&self) -> Result<Vec<String>, StoreError> {
        let reply = self.call("ZRANGE", cmd("ZRANGE").arg(keys::RUNS).arg(0).arg(-1))?;
        let mut alive = Vec::new();
        for name in parse::array(keys::RUNS, reply)? {
            let name = text(keys::RUNS, name)?;
            let Ok(run) = RunKeys::new(&name) else { continue };
            if integer(&name, &self.call("EXISTS", cmd("EXISTS").arg(run.config()))?)? == 1 {
                alive.push(name);
            } else {
                self.call("ZREM", cmd("ZREM").arg(keys::RUNS).arg(&name))?;
            }
        }
        Ok(alive)
    }

    fn delete_run(&self, run: &RunKeys) -> Result<u64, StoreError> {
        if run.is_whole() {
            self.call("ZREM", cmd("ZREM").arg(keys::RUNS).arg(run.run()))?;
        }
        // Without its configuration a run grants no claim, which would begin a new log meanwhile.
        let config = integer(&run.config(), &self.call("UNLINK", cmd("UNLINK").arg(run.config()))?)?;
        Ok(config + self.delete_matching(&format!("{}*", run.prefix()))?)
    }

    fn delete_log(&self, run: &RunKeys) -> Result<(), StoreError> {
        for name in ["log:*", "lease:*", "lock:*", "carried:*", "snapshot", "streams", "places", "readers"] {
            self.delete_matching(&format!("{}{name}", run.prefix()))?;
        }
        Ok(())
    }

    fn control(&self, run: &RunKeys) -> Result<Control, StoreError> {
        let key = run.control();
        parse::control(&key, self.call("HMGET", cmd("HMGET").arg(&key).arg("stop").arg("workers"))?)
    }

    fn fix_workers(&self, run: &RunKeys, workers: u32) -> Result<u32, StoreError> {
        let reply = self.eval(
            "fixing the number of workers",
            &scripts::SET_ONCE.key(&run.control()).arg("workers").arg(workers).arg(millis(RUN_TTL)),
        )?;
        parse::number(&run.control(), &reply)
    }

    fn stop(&self, run: &RunKeys, reason: &str) -> Result<String, StoreError> {
        let reply = self.eval(
            "stopping the run",
            &scripts::SET_ONCE.key(&run.control()).arg("stop").arg(reason).arg(millis(RUN_TTL)),
        )?;
        text(&run.control(), reply)
    }

    fn claim(&self, run: &RunKeys, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let reply = self.eval(
            "claiming a lease",
            &scripts::CLAIM
                .key(&run.control())
                .key(&run.places())
                .key(&run.streams())
                .key(&run.config())
                .arg(run.prefix())
                .arg(&request.place)
                .arg(request.worker.map_or(-1, i64::from))
                .arg(request.workers)
                .arg(&request.holder)
                .arg(millis(request.ttl))
                .arg(millis(RUN_TTL))
                .arg(request.from.map_or_else(String::new, |token| token.to_string()))
                .arg(u8::from(request.seize))
                .arg(FIRST_NODE),
        )?;
        parse::claim(run, request, reply)
    }

    fn streams(&self, run: &RunKeys) -> Result<u32, StoreError> {
        let key = run.streams();
        let streams = parse::array(&key, self.call("SMEMBERS", cmd("SMEMBERS").arg(&key))?)?;
        let numbers = streams.iter().map(|stream| parse::number::<u32>(&key, stream));
        let workers = numbers.filter(|number| !number.as_ref().is_ok_and(|number| *number >= FIRST_NODE));
        Ok(u32::try_from(workers.collect::<Result<Vec<_>, _>>()?.len()).unwrap_or(u32::MAX))
    }

    fn release(&self, run: &RunKeys, lease: &Lease) -> Result<(), StoreError> {
        let call = scripts::RELEASE.key(&run.lease(lease.worker)).arg(lease.value());
        self.eval("releasing a lease", &call).map(drop)
    }

    fn held(&self, run: &RunKeys, streams: Range<u32>) -> Result<Vec<bool>, StoreError> {
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for stream in streams {
            pipeline.cmd("EXISTS").arg(run.lease(stream));
        }
        let replies: Vec<u8> = self.pool.run("EXISTS", |connection| pipeline.query(connection))?;
        Ok(replies.into_iter().map(|exists| exists == 1).collect())
    }

    fn exchange(&self, run: &RunKeys, exchange: &Exchange<'_>) -> Result<Exchanged, StoreError> {
        exchange::exchange(&self.pool, run, exchange)
    }

    fn snapshot(&self, run: &RunKeys) -> Result<Option<Snapshot>, StoreError> {
        let key = run.snapshot();
        let mut get = cmd("HMGET");
        get.arg(&key).arg("version").arg("vector").arg("parameters");
        let mut fields = parse::array(&key, self.call("HMGET", &get)?)?;
        let parameters = fields.pop().unwrap_or_default();
        let Some((version, vector)) = parse::vector(&key, fields)? else { return Ok(None) };
        Ok(Some(Snapshot { version, vector, parameters: bytes(&key, parameters)? }))
    }

    fn snapshot_vector(&self, run: &RunKeys) -> Result<Option<(u64, Vector)>, StoreError> {
        let key = run.snapshot();
        let reply = self.call("HMGET", cmd("HMGET").arg(&key).arg("version").arg("vector"))?;
        parse::vector(&key, parse::array(&key, reply)?)
    }

    fn write_snapshot(&self, run: &RunKeys, snapshot: &Snapshot, since: Instant) -> Result<bool, StoreError> {
        let key = run.snapshot();
        let vector = encode(&key, &snapshot.vector, "a vector that can be stored")?;
        let command = |compare: bool| {
            let mut call = scripts::WRITE_SNAPSHOT
                .key(&key)
                .arg(snapshot.version)
                .arg(&vector)
                .arg(&snapshot.parameters)
                .arg(millis(RUN_TTL));
            for (stream, mark) in
                snapshot.vector.iter().filter(|(_, mark)| compare && mark.id != EntryId::ZERO)
            {
                call = call.key(&run.log(*stream)).arg(mark.id.to_string());
            }
            call.command()
        };
        let reply = self.pool.run("writing a snapshot", |connection| {
            command(connection.made > since).query::<Value>(connection)
        })?;
        if integer(&key, &reply)? == 0 {
            return Ok(false);
        }
        let written = Instant::now();
        // Read after the snapshot was written: who registers later loads that one.
        let readers = self.readers(run)?;
        let mut trim = redis::pipe();
        for (stream, id) in trim_to(&snapshot.vector, &readers) {
            trim.cmd("XTRIM").arg(run.log(stream)).arg("MINID").arg(id.to_string()).ignore();
        }
        if !snapshot.vector.is_empty() {
            // A store that was restarted meanwhile may have lost the snapshot, and what it covers must stay.
            let trim = |wire: &mut Wire| if wire.made > written { Ok(()) } else { trim.exec(wire) };
            self.pool.run("XTRIM", trim)?;
        }
        Ok(true)
    }

    fn readers(&self, run: &RunKeys) -> Result<BTreeMap<u32, Cursors>, StoreError> {
        let key = run.readers();
        let reply = self.call("HGETALL", cmd("HGETALL").arg(&key))?;
        parse::readers(&key, reply)
    }

    fn forget_reader(&self, run: &RunKeys, reader: u32) -> Result<(), StoreError> {
        self.call("HDEL", cmd("HDEL").arg(run.readers()).arg(reader)).map(drop)
    }

    fn lock(&self, run: &RunKeys, name: &str, holder: &str, ttl: Duration) -> Result<bool, StoreError> {
        let key = run.lock(name);
        let call = scripts::LOCK.key(&key).arg(holder).arg(millis(ttl));
        Ok(integer(&key, &self.eval("taking a lock", &call)?)? == 1)
    }

    fn unlock(&self, run: &RunKeys, name: &str, holder: &str) -> Result<(), StoreError> {
        let call = scripts::RELEASE.key(&run.lock(name)).arg(holder);
        self.eval("releasing a lock", &call).map(drop)
    }

    fn events(
        &self,
        run: &RunKeys,
        after: &str,
        wait: Duration,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let key = run.events();
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(1000);
        if !wait.is_zero() {
            read.arg("BLOCK").arg(millis(wait.min(LONGEST_WAIT)));
        }
        read.arg("STREAMS").arg(&key).arg(after);
        let mut events = Vec::new();
        for (_, entries) in parse::streams(&key, self.call("XREAD", &read)?)? {
            for (id, fields) in entries {
                let event = fields.into_iter().find(|(name, _)| name == "event");
                events.extend(event.map(|(_, event)| (id, event)));
            }
        }
        Ok(events)
    }
}

fn encode<T: serde::Serialize>(key: &str, value: &T, wanted: &'static str) -> Result<Vec<u8>, StoreError> {
    state::encode(key, value).map_err(|error| StoreError::Corrupt {
        key: key.to_owned(),
        found: error.to_string(),
        wanted,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
