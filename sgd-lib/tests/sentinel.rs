//! A Redis whose master is whichever a real Sentinel says.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local_redis::{LocalRedis, Options};
use sgd_lib::store::{Cursors, Exchange, Known, PushOutcome, RedisStore, Store, StoreError};
use support::SECOND;
use support::pushes::{granted, push, request, run};
use tempfile::TempDir;

/// A running Sentinel; killed when it is dropped.
struct Sentinel {
    process: Child,
    port: u16,
    _dir: TempDir,
}

impl Sentinel {
    /// That watches `master`, and takes it for dead after a quarter of a second.
    fn of(master: &LocalRedis) -> Self {
        let dir = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = dir.path().join("sentinel.conf");
        let text = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor mymaster 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds mymaster 250\nsentinel failover-timeout mymaster 5000\n",
            dir.path().display(),
            port_of(master),
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new("redis-server");
        let process = command.arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn().unwrap();
        Self { process, port, _dir: dir }
    }

    fn url(&self, master: &str) -> String {
        format!("redis://127.0.0.1:{}?sentinel={master}", self.port)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn port_of(redis: &LocalRedis) -> &str {
    redis.url().rsplit(':').next().unwrap()
}

/// What a server answers, as a number.
fn ask(redis: &LocalRedis, command: &[&str]) -> u64 {
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).unwrap()
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed() < 60 * SECOND, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Replicas that the Sentinel knows of.
fn replicas(sentinel: &Sentinel) -> usize {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", sentinel.port)).unwrap();
    let Ok(mut connection) = client.get_connection() else { return 0 };
    let found: redis::RedisResult<Vec<redis::Value>> =
        redis::cmd("SENTINEL").arg("replicas").arg("mymaster").query(&mut connection);
    found.map_or(0, |replicas| replicas.len())
}

#[test]
fn pushes_go_on_at_the_replica_that_sentinel_makes_the_master() {
    let mut master = LocalRedis::start(Options::default()).unwrap();
    let config =
        vec![format!("replicaof 127.0.0.1 {}", port_of(&master)), "repl-diskless-sync-delay 0".into()];
    let _replica = LocalRedis::start(Options { config, ..Options::default() }).unwrap();
    let sentinel = Sentinel::of(&master);
    await_that("the sentinel knows of the replica", || replicas(&sentinel) == 1);

    let store = RedisStore::open(&sentinel.url("mymaster")).unwrap().with_patience(60 * SECOND);
    let keys = run(&store);
    let lease = granted(store.claim(&keys, &request("a", None, "h")).unwrap());
    let since = Instant::now();
    let go_on = |seq| {
        let entry = push(&lease, seq);
        let ends = || Cursors::from([(lease.worker, entry.prev)]);
        let known = Some(Known { since, ends: &ends });
        let exchange = Exchange { push: Some(&entry), lease: Some(&lease), known, ..Exchange::default() };
        store.exchange(&keys, &exchange).unwrap()
    };
    assert_eq!(go_on(1).push, Some(PushOutcome::Accepted));
    await_that("the replica has it", || ask(&master, &["WAIT", "1", "1000"]) == 1);
    master.kill().unwrap();
    let done = go_on(2);
    assert_eq!((done.push, done.reconnected.is_some()), (Some(PushOutcome::Accepted), true));

    let unknown = RedisStore::open(&sentinel.url("another")).unwrap().now_ms().unwrap_err();
    assert!(matches!(unknown, StoreError::Refused { .. }), "{unknown}");
    assert!(unknown.to_string().contains("Sentinel knows no master of this name"), "{unknown}");
}
