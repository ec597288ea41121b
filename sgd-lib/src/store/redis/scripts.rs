//! The few steps that have to be one: small Lua scripts, run by `EVAL` (Redis caches them by
//! their text, and a restarted Redis has forgotten every script that was only loaded).

use redis::{Cmd, ToRedisArgs, cmd};

use crate::store::EntryId;

/// A script's text.
pub(super) struct Script(&'static str);

/// A script with its keys and arguments.
pub(super) struct Call<'a> {
    script: &'a Script,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl Script {
    /// Starts a call.
    pub(super) fn key(&self, key: &str) -> Call<'_> {
        Call { script: self, keys: vec![key.into()], arguments: Vec::new() }
    }
}

impl Call<'_> {
    pub(super) fn key(mut self, key: &str) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    pub(super) fn command(&self) -> Cmd {
        let mut eval = cmd("EVAL");
        eval.arg(self.script.0).arg(self.keys.len());
        for part in self.keys.iter().chain(&self.arguments) {
            eval.arg(part.as_slice());
        }
        eval
    }
}

/// `HSETNX` that returns what stands.
pub(super) const SET_ONCE: Script = Script(
    "redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('HGET', KEYS[1], ARGV[1])",
);

/// Typed state, several keys or none of them: 0 where all were written, else the place, from 1, of the
/// first whose version is not the expected one.
pub(super) const COMPARE_AND_SET: Script = Script(
    "if redis.call('HGET', KEYS[1], 'writer') == ARGV[1] then return 0 end
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('HGET', key, 'version') or 0) ~= tonumber(ARGV[1 + 2 * i]) then return i end
end
for i, key in ipairs(KEYS) do
  local version = tonumber(ARGV[1 + 2 * i]) + 1
  redis.call('HSET', key, 'version', version, 'value', ARGV[2 + 2 * i], 'writer', ARGV[1])
  if ARGV[2] ~= '0' then redis.call('PEXPIRE', key, ARGV[2]) end
end
return 0",
);

/// Replaces one value; 1 where another than the known one stands there, 2 where the stream lacks an entry.
const REPLACE_AFTER: Script = Script(
    "if redis.call('HGET', KEYS[1], 'writer') == ARGV[1] then return 0 end
if #redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2]) == 0 then return 2 end
if (redis.call('HGET', KEYS[1], 'value') or '') ~= ARGV[3] then return 1 end
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or 0) + 1
redis.call('HSET', KEYS[1], 'version', version, 'value', ARGV[4], 'writer', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 0",
);

/// Replaces the first of two values by the second where the stream has the entry.
pub(super) fn replace_after(
    key: &str,
    [known, value]: [&[u8]; 2],
    stream: &str,
    entry: EntryId,
    ttl_ms: u64,
) -> Call<'static> {
    // The writer's mark tells a repeated call that its first try did arrive.
    let writer: [u8; 16] = rand::random();
    let call = REPLACE_AFTER.key(key).key(stream).arg(&writer).arg(entry.to_string());
    call.arg(known).arg(value).arg(ttl_ms)
}

/// Takes a lease and fences the stream in one step: a claimant that stalled between the two would
/// shut out its own successor. A token made of time stays unique even when a restart forgot the
/// last second.
pub(super) const CLAIM: Script = Script(include_str!("claim.lua"));

/// Still ours: extend. Expired, and nobody fenced since: take it again. Else it is lost.
pub(super) const RENEW: Script = Script(
    "local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[3]) return 1 end
if held then return 0 end
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
local stream = redis.call('XINFO', 'STREAM', KEYS[2])
for i = 1, #stream, 2 do
  if stream[i] == 'last-generated-id' then
    if string.match(stream[i + 1], '^%d+') ~= ARGV[2] then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1",
);

/// `SET NX` that says yes to the holder again, whose first answer may have been lost.
pub(super) const LOCK: Script = Script(
    "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0",
);

/// Gives a lease or a lock back if it is still ours.
pub(super) const RELEASE: Script = Script(
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0",
);

/// The name of a stream's last entry, `0-0` for none.
pub(super) const LAST_ID: Script = Script(
    "if redis.call('EXISTS', KEYS[1]) == 0 then return '0-0' end
local stream = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #stream, 2 do
  if stream[i] == 'last-generated-id' then return stream[i + 1] end
end",
);

/// 0 where the stored version is not the one before, or a stream lacks the entry that the snapshot goes up to:
/// a store that was restarted without its last writes must not get them back as part of a sum, where nobody
/// finds them. (Trimming keeps the entry that the snapshot before goes up to, and all after it.)
pub(super) const WRITE_SNAPSHOT: Script = Script(
    "local version = tonumber(redis.call('HGET', KEYS[1], 'version') or 0)
if version == tonumber(ARGV[1]) and redis.call('HGET', KEYS[1], 'vector') == ARGV[2] then return 1 end
if version + 1 ~= tonumber(ARGV[1]) then return 0 end
for i = 2, #KEYS do
  if #redis.call('XRANGE', KEYS[i], ARGV[i + 3], ARGV[i + 3]) == 0 then return 0 end
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'vector', ARGV[2], 'parameters', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1",
);
