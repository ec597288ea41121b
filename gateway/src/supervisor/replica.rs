//! One replica: a process of its own, from its start to its end.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use openfaas::types::FunctionDeployment;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::environment::Place;
use super::group::Group;
use super::journal::Journal;
use super::pod;
use super::probe::Probe;
use crate::config::Node;
use crate::error::StorageError;
use crate::logs::FunctionLog;
use crate::{images, storage};

/// Within this time a call on loopback has reached its replica.
const ARRIVAL: Duration = Duration::from_millis(250);

/// Why a replica's process could not be started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Image(#[from] images::ImageError),
    #[error("{0}")]
    Secret(String),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not ready yet.
    Starting,
    /// Takes calls.
    Ready,
    /// Takes calls, but said that it has as many as it may: the last choice.
    Busy,
    /// Was ready, and is not now.
    Unready,
    /// Was told to end: gets no new calls.
    Stopping,
    /// Its process is gone.
    Ended,
}

/// A replica of a function.
#[derive(Debug)]
pub(crate) struct Replica {
    /// Its name, as a pod's.
    pub(crate) pod: String,
    /// What its name has in common with those of all replicas of the same specification.
    pub(crate) set: String,
    /// What it runs.
    pub(crate) deployment: FunctionDeployment,
    pub(crate) created: SystemTime,
    /// The node that it is on.
    pub(crate) node: Node,
    /// Which version of the deployment it runs.
    pub(crate) generation: u64,
    port: u16,
    metrics_port: u16,
    /// And since when.
    phase: Mutex<(Phase, SystemTime)>,
    in_flight: AtomicUsize,
    last_call: AtomicU64,
    process: AtomicU32,
    stop: CancellationToken,
    kill: CancellationToken,
    lived: OnceLock<Duration>,
    /// Why it ended, or never ran.
    reason: OnceLock<String>,
    journal: Arc<Journal>,
}

impl Replica {
    /// A replica that has a name and ports; [`Replica::run`] gives it a process.
    pub(crate) fn new(
        deployment: FunctionDeployment,
        generation: u64,
        node: Node,
        journal: Arc<Journal>,
    ) -> io::Result<Self> {
        let (port, metrics_port) = pod::free_ports()?;
        let set = pod::set_name(&deployment);
        let created = SystemTime::now();
        Ok(Self {
            pod: pod::name(&set),
            set,
            deployment,
            created,
            node,
            generation,
            port,
            metrics_port,
            phase: Mutex::new((Phase::Starting, created)),
            in_flight: AtomicUsize::new(0),
            last_call: AtomicU64::new(0),
            process: AtomicU32::new(0),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            lived: OnceLock::new(),
            reason: OnceLock::new(),
            journal,
        })
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase_since().0
    }

    /// Its phase, and since when it is in that.
    pub(crate) fn phase_since(&self) -> (Phase, SystemTime) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves on to `next`; a replica that is ending never turns ready again.
    pub(crate) fn set_phase(&self, next: Phase) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let ending = matches!(phase.0, Phase::Stopping | Phase::Ended) && next != Phase::Ended;
        if phase.0 != next && !ending {
            *phase = (next, SystemTime::now());
            drop(phase);
            match next {
                Phase::Unready => self.note(true, "Unhealthy", "Readiness probe failed"),
                Phase::Stopping => self.note(false, "Killing", "Told to end by SIGTERM"),
                _ => {}
            }
            self.journal.changed();
        }
    }

    /// Whether calls may be sent to it.
    pub(crate) fn takes_calls(&self) -> bool {
        matches!(self.phase(), Phase::Ready | Phase::Busy)
    }

    /// Calls that it is answering.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The number of the last call that it was given; 0: none.
    pub(crate) fn last_call(&self) -> u64 {
        self.last_call.load(Ordering::Relaxed)
    }

    /// Counts call number `call` as in flight until what it returns is dropped.
    pub(crate) fn enter(self: Arc<Self>, call: u64) -> InFlight {
        self.last_call.store(call, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// How long it lived; `None` while it does.
    pub(crate) fn lived(&self) -> Option<Duration> {
        self.lived.get().copied()
    }

    /// Why it ended, or never ran.
    pub(crate) fn reason(&self) -> String {
        self.reason.get().cloned().unwrap_or_default()
    }

    /// Comes back when it has ended and all that it wrote is in the log.
    pub(crate) async fn ended(&self) {
        let mut changes = self.journal.subscribe();
        while self.lived().is_none() && changes.changed().await.is_ok() {}
    }

    /// Where on loopback it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, as a URI's authority.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where its metrics are, as a URI's authority.
    pub(super) fn metrics_authority(&self) -> String {
        format!("127.0.0.1:{}", self.metrics_port)
    }

    /// The id of its process while that runs.
    pub(crate) fn process(&self) -> Option<u32> {
        Some(self.process.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// Tells it to end: SIGTERM, a grace period, SIGKILL.
    pub(crate) fn stop(&self) {
        self.set_phase(Phase::Stopping);
        self.stop.cancel();
    }

    /// Tells it to end and does not wait: SIGKILL, also where it was told to end before.
    pub(crate) fn kill(&self) {
        self.kill.cancel();
        self.stop();
    }

    fn note(&self, warning: bool, reason: &'static str, message: impl Into<String>) {
        self.journal.note(Some(&self.pod), warning, reason, message.into());
    }

    /// Whether it was told to end.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Starts the process, watches over it, and comes back when it has ended and nothing of it is left.
    pub(crate) async fn run(&self, context: &Context) {
        let started = Instant::now();
        let folder = context.replicas.join(&self.pod);
        match self.start(context, &folder) {
            Ok((child, log)) => self.watch(context, child, &log).await,
            Err(error) => {
                self.note(true, "Failed", format!("Cannot start: {error}"));
                let _ = self.reason.set(error.to_string());
                tracing::error!(replica = self.pod, %error, "cannot start a replica");
            }
        }
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "cannot remove a replica's folder");
        }
        let _ = self.lived.set(started.elapsed());
        self.set_phase(Phase::Ended);
    }

    fn start(&self, context: &Context, folder: &Path) -> Result<(Child, Arc<FunctionLog>), StartError> {
        let deployment = &self.deployment;
        let (temporary, secrets) = (folder.join("tmp"), folder.join("secrets"));
        storage::create_folder(&temporary)?;
        storage::create_folder(&secrets)?;
        for name in &deployment.secrets {
            let file =
                context.secrets.existing(name).map_err(|error| StartError::Secret(error.to_string()))?;
            // A link, so that a new value reaches running replicas, as a mounted secret's does.
            symlink(file, secrets.join(name))?;
        }
        let binary = context.images.resolve(&deployment.image)?;
        let place = Place {
            pod: &self.pod,
            node: &self.node,
            port: self.port,
            metrics_port: self.metrics_port,
            temporary: &temporary,
            secrets: &secrets,
        };
        let child = Command::new(&binary.path)
            .env_clear()
            .envs(context.surroundings.compose(deployment, &place))
            .current_dir(&temporary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok((child, context.logs.of(&deployment.service)?))
    }

    async fn watch(&self, context: &Context, mut child: Child, log: &Arc<FunctionLog>) {
        let group = Group::of(&context.groups, &child);
        // Taken out of `child`, which would close it on waiting: a replica whose stdin is closed ends.
        let stdin = child.stdin.take();
        let process = child.id().unwrap_or(0);
        self.process.store(process, Ordering::Relaxed);
        self.note(false, "Started", format!("Started process {process}, listening on {}", self.authority()));
        let stdout =
            child.stdout.take().map(|pipe| tokio::spawn(log.clone().capture(self.pod.clone(), pipe)));
        let stderr =
            child.stderr.take().map(|pipe| tokio::spawn(log.clone().capture(self.pod.clone(), pipe)));
        let mut probe = Probe::new(&context.client, self.authority());
        let status = tokio::select! {
            status = child.wait() => status,
            never = probe.run(self) => match never {},
            () = self.stop.cancelled() => self.end(context, &mut child, &group).await,
        };
        self.process.store(0, Ordering::Relaxed);
        // Whatever the process started ends with it; that also closes the pipes.
        drop((group, stdin));
        for capture in stdout.into_iter().chain(stderr) {
            let _ = capture.await;
        }
        self.report(status);
    }

    /// SIGTERM, and SIGKILL where that does not help in time.
    async fn end(&self, context: &Context, child: &mut Child, group: &Group) -> io::Result<ExitStatus> {
        let grace = context.surroundings.grace_period(&self.deployment, context.grace_period);
        self.calls_arrived().await;
        group.signal(Signal::TERM);
        tokio::select! {
            status = child.wait() => return status,
            () = self.kill.cancelled() => tracing::warn!(replica = self.pod, "killed, as asked"),
            () = tokio::time::sleep(grace) => {
                self.note(true, "ExceededGracePeriod", format!("Killed: did not end within {grace:?}"));
                tracing::warn!(replica = self.pod, ?grace, "killed: did not end within its grace period");
            }
        }
        group.signal(Signal::KILL);
        child.wait().await
    }

    /// A call handed out just before the replica was told to end must reach it before it closes its port; those that
    /// have arrived it finishes by itself.
    async fn calls_arrived(&self) {
        let deadline = Instant::now() + ARRIVAL;
        while self.in_flight() > 0 && Instant::now() < deadline && !self.kill.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn report(&self, status: io::Result<ExitStatus>) {
        match status {
            Ok(status) if self.stopped() => tracing::info!(replica = self.pod, %status, "replica ended"),
            Ok(status) => {
                let _ = self.reason.set(status.to_string());
                self.note(true, "Failed", format!("Ended by itself, {status}"));
                tracing::warn!(replica = self.pod, %status, "replica ended by itself");
            }
            Err(error) => tracing::error!(replica = self.pod, %error, "lost track of a replica"),
        }
    }
}

/// A call that a replica is answering.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Replica>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
