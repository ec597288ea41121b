//! Connections, and what is done when one breaks.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, RedisResult};

use super::sentinel;
use super::tls::{Tls, no_trust};
use super::wire::Wire;
use crate::store::{StoreError, without_password};

/// No reply takes longer, blocking reads included.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a blocking read may wait.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest that making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Idle connections to one Redis.
pub(super) struct Pool {
    info: ConnectionInfo,
    /// With `rediss://`.
    pub(super) tls: Option<Tls>,
    /// Where that is the address of Sentinels: the name of the master.
    master: Option<String>,
    /// `host:port` or a path, without credentials.
    pub(super) address: String,
    /// For how long a call tries to reach the store.
    pub(super) patience: Duration,
    /// The mutex is never held over a call.
    idle: Mutex<Vec<Wire>>,
}

impl Pool {
    pub(super) fn new(url: &str, patience: Duration) -> Result<Self, StoreError> {
        let failed =
            |error: RedisError| StoreError::Address { url: without_password(url), reason: error.to_string() };
        let (plain, tls) = Tls::of_address(url);
        let info = plain.as_ref().into_connection_info().map_err(failed)?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
            ConnectionAddr::Unix(path) => path.display().to_string(),
            other => other.to_string(),
        };
        let master = sentinel::master_name(url);
        Ok(Self { info, tls, master, address, patience, idle: Mutex::new(Vec::new()) })
    }

    /// Connections made from now on give this password.
    pub(super) fn set_password(&mut self, password: String) {
        let settings = self.info.redis_settings().clone().set_password(password);
        self.info = self.info.clone().set_redis_settings(settings);
    }

    /// Runs `call` on a connection; when that breaks, or the store can't for now, again on a new one, until
    /// the patience is over. So `call` must be safe to repeat.
    pub(super) fn run<T>(
        &self,
        command: &'static str,
        call: impl Fn(&mut Wire) -> RedisResult<T>,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.connection().and_then(|mut connection| {
                let value = call(&mut connection)?;
                Ok((value, connection))
            }) {
                Ok((value, connection)) => {
                    self.idle().push(connection);
                    return Ok(value);
                }
                Err(error) => error,
            };
            if !may_pass(&error) {
                return Err(self.failure(command, &error));
            }
            // Whatever idles was made before the failure and is most likely broken too, or leads to the same server.
            self.idle().clear();
            if Instant::now() + pause > deadline {
                return Err(self.failure(command, &error));
            }
            if pause >= LONGEST_PAUSE / 2 && pause < LONGEST_PAUSE {
                tracing::warn!(store = self.address, %error, "the store can't be used for now: trying again");
            }
            thread::sleep(pause.mul_f64(rand::random_range(0.5..1.0)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn failure(&self, command: &'static str, error: &RedisError) -> StoreError {
        let address = self.address.clone();
        if let Some(reason) = no_trust(error) {
            return StoreError::Untrusted { address, reason: reason.to_owned() };
        }
        match error.code() {
            Some("OOM") => StoreError::Full { address, command },
            Some("MOVED" | "ASK" | "CROSSSLOT") => StoreError::Refused {
                address,
                command,
                reason: format!(
                    "{error}: this is one of several nodes of a Redis Cluster; wanted is one Redis"
                ),
            },
            _ if may_pass(error) => {
                StoreError::Unreachable { address, reason: format!("{command}: {error}") }
            }
            _ => StoreError::Refused { address, command, reason: error.to_string() },
        }
    }

    fn connection(&self) -> RedisResult<Wire> {
        if let Some(idle) = self.idle().pop() {
            return Ok(idle);
        }
        let connect = |info| Wire::connect(info, self.tls.as_ref(), CONNECT_TIMEOUT, REPLY_TIMEOUT);
        let Some(name) = &self.master else { return connect(&self.info) };
        connect(&sentinel::master(&self.info, name, self.tls.as_ref(), CONNECT_TIMEOUT, REPLY_TIMEOUT)?)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Wire>> {
        // A list of connections can't be left half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a server says that can't do for now what it is asked: it loads its log, is a replica (and may become
/// the master, or another is by now), has no memory left, can't write its log, or runs a script.
const PASSING: [&str; 9] =
    ["LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED", "CLUSTERDOWN", "OOM", "MISCONF", "BUSY"];

/// Whether the call that failed so is worth another try, on a new connection.
pub(super) fn may_pass(error: &RedisError) -> bool {
    let passing = error.code().is_some_and(|code| PASSING.contains(&code));
    passing || matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse) || error.is_unrecoverable_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let error = Pool::new("http://user:hush@host", Duration::ZERO).err().unwrap().to_string();
        assert!(error.contains("***@host") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn an_unreachable_store_is_named() {
        let pool = Pool::new("redis+unix:///nowhere/redis.sock", Duration::from_millis(20)).unwrap();
        let error = pool.run("PING", |c| redis::cmd("PING").query::<()>(c)).unwrap_err();
        assert!(error.to_string().starts_with("store /nowhere/redis.sock: PING: "), "{error}");
        assert!(error.is_transient());
    }
}
