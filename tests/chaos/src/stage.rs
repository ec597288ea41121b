//! What a run needs, each part of which can be made to fail: Redis, the network in front of it, the platform.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use local_redis::{LocalRedis, Options};
use rustix::process::{Pid, Signal, kill_process};
use scenarios::{Place, Platform, Process};

use crate::evidence;
use crate::proxy::{Break, Proxy};
use crate::schedule::Fault;
use crate::variant::Variant;
use crate::watch::Watch;

/// Redis' folder in the place of the run.
const REDIS: &str = "redis";
/// The function that workers run in.
const TRAIN: &str = "emnist-train";
/// How far back the length of the append-only file is known.
const HISTORY: Duration = Duration::from_secs(3);

/// What ends a fault that lasts.
enum Ending {
    Continue(Process),
    ContinueGateway,
    RestartGateway,
    ContinueRedis,
    RestartRedis,
    Undelay,
}

/// Whether Redis answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RedisState {
    Runs,
    Stopped,
    Killed,
}

/// A platform behind a bad network, with its Redis.
pub(crate) struct Stage {
    platform: Option<Platform>,
    /// While there is no platform.
    place: Option<Place>,
    variant: &'static Variant,
    proxy: Proxy,
    state: RedisState,
    endings: Vec<(Instant, Ending)>,
    /// How long the append-only file was when.
    lengths: VecDeque<(Instant, u64)>,
    /// What it has to keep.
    floor: u64,
    redis: LocalRedis,
    /// Append-only files of nodes' stores, put away before the stores were started anew.
    put_away: u32,
}

impl Stage {
    /// Starts everything for this way of training, in a place.
    ///
    /// # Panics
    /// Something does not start.
    pub(crate) fn start(place: Place, variant: &'static Variant) -> Self {
        let redis = LocalRedis::start(Options::in_dir(place.path(REDIS))).expect("a Redis");
        let address: SocketAddr = redis.url().trim_start_matches("redis://").parse().expect("its address");
        let proxy = Proxy::start(address).expect("a proxy");
        let mut stage = Self {
            platform: None,
            place: Some(place),
            variant,
            proxy,
            state: RedisState::Runs,
            endings: Vec::new(),
            lengths: VecDeque::new(),
            floor: 0,
            redis,
            put_away: 0,
        };
        stage.bring_up();
        stage
    }

    fn bring_up(&mut self) {
        if let Some(place) = self.place.take() {
            let (nodes, url) = (self.variant.nodes.to_string(), format!("redis://{}", self.proxy.address()));
            let flags = ["--redis", &url, "--nodes", &nodes];
            let platform = Platform::up(place, &self.variant.stack(), &flags);
            for node in 0..self.variant.nodes {
                let socket = node_folder(&platform, node).join("redis.sock");
                redis_cli(&["-s", &socket.to_string_lossy(), "CONFIG", "SET", "appendonly", "yes"]);
            }
            self.platform = Some(platform);
        }
    }

    /// The platform, while it is there.
    pub(crate) fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// Redis' address past the network.
    pub(crate) fn store_url(&self) -> &str {
        self.redis.url()
    }

    /// Whether Redis answers.
    pub(crate) fn store_answers(&self) -> bool {
        self.state == RedisState::Runs
    }

    /// From now on nothing that Redis has by now may be lost with the end of its append-only file.
    pub(crate) fn keep_what_is_there(&mut self) {
        self.floor = self.redis.log_length().expect("an append-only file");
    }

    /// Ends faults that have lasted long enough.
    pub(crate) fn go_on(&mut self) {
        let now = Instant::now();
        let mut all = std::mem::take(&mut self.endings);
        for (_, ending) in all.extract_if(.., |(at, _)| *at <= now) {
            self.end(ending);
        }
        self.endings.append(&mut all);
        self.lengths.push_back((now, self.redis.log_length().unwrap_or_default()));
        while self.lengths.front().is_some_and(|(at, _)| now.duration_since(*at) > HISTORY) {
            self.lengths.pop_front();
        }
    }

    /// Ends all faults that last.
    pub(crate) fn calm_down(&mut self) {
        for (_, ending) in std::mem::take(&mut self.endings) {
            self.end(ending);
        }
    }

    fn end(&mut self, ending: Ending) {
        match ending {
            Ending::Continue(process) => process.signal(Signal::CONT),
            Ending::ContinueGateway => self.signal_gateway(Signal::CONT),
            Ending::RestartGateway => self.bring_up(),
            Ending::ContinueRedis => self.continue_redis(),
            Ending::RestartRedis => self.restart_redis(),
            Ending::Undelay => self.proxy.delay(Duration::ZERO),
        }
    }

    /// Lets something go wrong; false where there is nothing that could. `watch` knows who is where.
    pub(crate) fn inflict(&mut self, fault: Fault, watch: &Watch) -> bool {
        match fault {
            Fault::KillWorker(worker) => self.signal_worker(worker, watch, Signal::KILL).is_some(),
            Fault::TerminateWorker(worker) => self.signal_worker(worker, watch, Signal::TERM).is_some(),
            Fault::StopWorker(worker, pause) => {
                let stopped = self.signal_worker(worker, watch, Signal::STOP);
                let found = stopped.is_some();
                self.endings
                    .extend(stopped.map(|process| (Instant::now() + pause, Ending::Continue(process))));
                found
            }
            Fault::KillWorkers => self.kill_replicas(|_| true),
            Fault::KillNode(node) => {
                let name = format!("node-{node}");
                self.kill_replicas(|process| process.environment.iter().any(|line| line.ends_with(&name)))
            }
            Fault::KillStore(node) => self.signal_store(node, Signal::KILL).is_some(),
            Fault::StopStore(node, pause) => {
                let stopped = self.signal_store(node, Signal::STOP);
                stopped.is_some_and(|store| self.later(pause, Ending::Continue(store)))
            }
            Fault::Scale(replicas) => {
                // It has to answer.
                self.endings.retain(|(_, ending)| !matches!(ending, Ending::ContinueGateway));
                self.signal_gateway(Signal::CONT);
                let platform = self.platform.as_ref();
                platform.map(|platform| platform.scale(TRAIN, replicas)).is_some()
            }
            Fault::KillGateway(pause) => self.kill_gateway(pause),
            Fault::StopGateway(pause) => {
                self.signal_gateway(Signal::STOP);
                self.later(pause, Ending::ContinueGateway)
            }
            _ => self.inflict_on_redis(fault),
        }
    }

    fn inflict_on_redis(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::KillRedis(pause) => {
                self.revive_redis();
                self.redis.kill().expect("Redis ends");
                self.state = RedisState::Killed;
                self.later(pause, Ending::RestartRedis)
            }
            Fault::CutLog(lost, torn) => self.cut_log(lost, torn),
            Fault::StopRedis(pause) => {
                self.revive_redis();
                signal(self.redis.pid(), Signal::STOP);
                self.state = RedisState::Stopped;
                self.later(pause, Ending::ContinueRedis)
            }
            Fault::ExpireLeases => self.expire_leases(),
            Fault::CloseConnections => {
                self.proxy.cut(Break::Close);
                true
            }
            Fault::ResetConnections => {
                self.proxy.cut(Break::Reset);
                true
            }
            Fault::TruncateReplies(replies) => {
                self.proxy.truncate(replies);
                true
            }
            Fault::DelayReplies(each, pause) => {
                self.proxy.delay(each);
                self.later(pause, Ending::Undelay)
            }
            _ => false,
        }
    }

    fn later(&mut self, pause: Duration, ending: Ending) -> bool {
        self.endings.push((Instant::now() + pause, ending));
        true
    }

    /// Signals the replica that has a worker, or another one where that is gone already.
    fn signal_worker(&self, worker: u32, watch: &Watch, signal: Signal) -> Option<Process> {
        let mut replicas = self.replicas();
        let pod = watch.pod_of(worker);
        let found = replicas.iter().position(|replica| pod.is_some_and(|pod| replica.is_pod(pod)));
        let other = (worker as usize).checked_rem(replicas.len())?;
        let replica = replicas.swap_remove(found.unwrap_or(other));
        replica.signal(signal);
        Some(replica)
    }

    /// Signals the Redis of a node, unless it was killed already.
    fn signal_store(&self, node: u32, signal: Signal) -> Option<Process> {
        let platform = self.platform.as_ref()?;
        let store = platform.store_of(&format!("node-{node}"))?;
        store.signal(signal);
        Some(store)
    }

    fn kill_replicas(&self, which: impl Fn(&Process) -> bool) -> bool {
        let replicas: Vec<_> = self.replicas().into_iter().filter(which).collect();
        for replica in &replicas {
            replica.signal(Signal::KILL);
        }
        !replicas.is_empty()
    }

    fn replicas(&self) -> Vec<Process> {
        self.platform.as_ref().map_or_else(Vec::new, |platform| platform.replicas(TRAIN))
    }

    fn signal_gateway(&self, signal: Signal) {
        if let Some(platform) = &self.platform {
            platform.signal(signal);
        }
    }

    /// Kills the gateway, which takes along what it has started.
    fn kill_gateway(&mut self, pause: Duration) -> bool {
        let Some(platform) = self.platform.take() else { return false };
        let folders: Vec<_> = (0..self.variant.nodes).map(|node| node_folder(&platform, node)).collect();
        let place = platform.kill();
        // Who stands still can't see that it is to end.
        for (_, ending) in self.endings.extract_if(.., |(_, ending)| matches!(ending, Ending::Continue(_))) {
            if let Ending::Continue(process) = ending {
                process.signal(Signal::CONT);
            }
        }
        let left = place.await_silence();
        assert!(left.iter().all(|process| Some(process.id) == self.redis_id()), "left behind: {left:?}");
        for folder in folders {
            self.put_away += 1;
            let name =
                format!("{}-{}", folder.file_name().unwrap_or_default().to_string_lossy(), self.put_away);
            // Started anew it begins another append-only file.
            std::fs::rename(folder.join(evidence::FOLDER), place.path(&name)).expect("an append-only file");
        }
        self.place = Some(place);
        self.later(pause, Ending::RestartGateway)
    }

    fn redis_id(&self) -> Option<i32> {
        self.redis.pid().and_then(|id| i32::try_from(id).ok())
    }

    /// Ends an outage of Redis before its time.
    fn revive_redis(&mut self) {
        match self.state {
            RedisState::Runs => {}
            RedisState::Stopped => self.continue_redis(),
            RedisState::Killed => self.restart_redis(),
        }
        self.endings.retain(|(_, ending)| !matches!(ending, Ending::ContinueRedis | Ending::RestartRedis));
    }

    fn continue_redis(&mut self) {
        signal(self.redis.pid(), Signal::CONT);
        self.state = RedisState::Runs;
    }

    fn restart_redis(&mut self) {
        self.redis.restart().expect("Redis starts again");
        self.state = RedisState::Runs;
    }

    /// Lets Redis lose what it wrote so lately, but nothing that a run needs to be one.
    fn cut_log(&mut self, lost: Duration, torn: bool) -> bool {
        self.revive_redis();
        let then = Instant::now().checked_sub(lost);
        let known = self.lengths.iter().rev().find(|(at, _)| then.is_some_and(|then| *at <= then));
        let length = known.map_or(self.floor, |(_, length)| length.saturating_sub(u64::from(torn) * 7));
        self.redis.restart_with_log_of(length.max(self.floor)).expect("Redis starts again");
        self.lengths.clear();
        true
    }

    fn expire_leases(&self) -> bool {
        if self.state != RedisState::Runs {
            return false;
        }
        let port = self.redis.url().rsplit(':').next().unwrap_or_default();
        let script = "local expired = 0
for _, pattern in ipairs({'dp:*:lease:*', 'dp:*:lock:*'}) do
  for _, key in ipairs(redis.call('KEYS', pattern)) do expired = expired + redis.call('PEXPIRE', key, 1) end
end
return expired";
        redis_cli(&["-p", port, "EVAL", script, "0"]) != "0"
    }

    /// Ends everything as a user does; the place, and what still ran there afterwards.
    ///
    /// # Panics
    /// Something can't be ended.
    pub(crate) fn close(mut self) -> (Place, Vec<Process>) {
        self.calm_down();
        let platform = self.platform.take().expect("a platform that is up");
        let (place, finished) = platform.down();
        finished.succeeded();
        self.redis.stop().expect("Redis ends");
        drop(self.proxy);
        let left = place.processes();
        (place, left)
    }
}

/// Where a run's Redis had its append-only file.
pub(crate) fn append_only_files(place: &Place) -> PathBuf {
    place.path(REDIS).join(evidence::FOLDER)
}

fn node_folder(platform: &Platform, node: u32) -> PathBuf {
    platform.place.path("state").join(format!("node-{node}"))
}

fn signal(id: Option<u32>, signal: Signal) {
    let id = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    kill_process(id.expect("Redis runs"), signal).expect("a process of ours");
}

/// What a command of Redis answers.
fn redis_cli(arguments: &[&str]) -> String {
    let output = std::process::Command::new("redis-cli").args(arguments).output().expect("redis-cli");
    assert!(output.status.success(), "redis-cli {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
