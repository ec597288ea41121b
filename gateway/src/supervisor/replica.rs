//! One replica: a process of its own, from its start to its end.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use openfaas::types::FunctionDeployment;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::environment::Place;
use super::group::Group;
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
    /// The node that it is on.
    pub(crate) node: Node,
    /// Which version of the deployment it runs.
    pub(crate) generation: u64,
    port: u16,
    metrics_port: u16,
    phase: Mutex<Phase>,
    in_flight: AtomicUsize,
    process: AtomicU32,
    stop: CancellationToken,
    lived: OnceLock<Duration>,
    changes: watch::Sender<()>,
}

impl Replica {
    /// A replica that has a name and ports; [`Replica::run`] gives it a process.
    pub(crate) fn new(
        deployment: &FunctionDeployment,
        generation: u64,
        node: Node,
        changes: watch::Sender<()>,
    ) -> io::Result<Self> {
        let (port, metrics_port) = pod::free_ports()?;
        let specification = serde_json::to_vec(deployment)?;
        Ok(Self {
            pod: pod::name(&deployment.service, &specification),
            node,
            generation,
            port,
            metrics_port,
            phase: Mutex::new(Phase::Starting),
            in_flight: AtomicUsize::new(0),
            process: AtomicU32::new(0),
            stop: CancellationToken::new(),
            lived: OnceLock::new(),
            changes,
        })
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves on to `next`; a replica that is ending never turns ready again.
    pub(crate) fn set_phase(&self, next: Phase) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let ending = matches!(*phase, Phase::Stopping | Phase::Ended) && next != Phase::Ended;
        if *phase != next && !ending {
            *phase = next;
            drop(phase);
            self.changes.send_replace(());
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

    /// Counts a call as in flight until what it returns is dropped.
    pub(crate) fn enter(self: Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// How long it lived; `None` while it does.
    pub(crate) fn lived(&self) -> Option<Duration> {
        self.lived.get().copied()
    }

    /// Where it listens, as a URI's authority.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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

    /// Whether it was told to end.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Starts the process, watches over it, and comes back when it has ended and nothing of it is left.
    pub(crate) async fn run(&self, context: &Context, deployment: &FunctionDeployment) {
        let started = Instant::now();
        let folder = context.replicas.join(&self.pod);
        match self.start(context, deployment, &folder) {
            Ok((child, log)) => self.watch(context, deployment, child, &log).await,
            Err(error) => tracing::error!(replica = self.pod, %error, "cannot start a replica"),
        }
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "cannot remove a replica's folder");
        }
        let _ = self.lived.set(started.elapsed());
        self.set_phase(Phase::Ended);
    }

    fn start(
        &self,
        context: &Context,
        deployment: &FunctionDeployment,
        folder: &Path,
    ) -> Result<(Child, Arc<FunctionLog>), StartError> {
        let (temporary, secrets) = (folder.join("tmp"), folder.join("secrets"));
        storage::create_folder(&temporary)?;
        storage::create_folder(&secrets)?;
        for name in &deployment.secrets {
            let file =
                context.secrets.existing(name).map_err(|error| StartError::Secret(error.to_string()))?;
            // A link, so that a new value reaches running replicas, as a mounted secret's does.
            symlink(file, secrets.join(name))?;
        }
        let binary = images::resolve(&context.image_dir, &deployment.image)?;
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

    async fn watch(
        &self,
        context: &Context,
        deployment: &FunctionDeployment,
        mut child: Child,
        log: &Arc<FunctionLog>,
    ) {
        let group = Group::of(context, &child);
        // Taken out of `child`, which would close it on waiting: a replica whose stdin is closed ends.
        let stdin = child.stdin.take();
        self.process.store(child.id().unwrap_or(0), Ordering::Relaxed);
        let stdout =
            child.stdout.take().map(|pipe| tokio::spawn(log.clone().capture(self.pod.clone(), pipe)));
        let stderr =
            child.stderr.take().map(|pipe| tokio::spawn(log.clone().capture(self.pod.clone(), pipe)));
        let mut probe = Probe::new(&context.client, self.authority());
        let status = tokio::select! {
            status = child.wait() => status,
            never = probe.run(self) => match never {},
            () = self.stop.cancelled() => {
                let grace = context.surroundings.grace_period(deployment, context.grace_period);
                self.calls_arrived().await;
                group.signal(Signal::TERM);
                match tokio::time::timeout(grace, child.wait()).await {
                    Ok(status) => status,
                    Err(_) => {
                        tracing::warn!(replica = self.pod, ?grace, "killed: did not end within its grace period");
                        group.signal(Signal::KILL);
                        child.wait().await
                    }
                }
            }
        };
        self.process.store(0, Ordering::Relaxed);
        // Whatever the process started ends with it; that also closes the pipes.
        drop((group, stdin));
        for capture in stdout.into_iter().chain(stderr) {
            let _ = capture.await;
        }
        self.report(status);
    }

    /// A call handed out just before the replica was told to end must reach it before it closes its port; those that
    /// have arrived it finishes by itself.
    async fn calls_arrived(&self) {
        let deadline = Instant::now() + ARRIVAL;
        while self.in_flight() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn report(&self, status: io::Result<std::process::ExitStatus>) {
        match status {
            Ok(status) if self.stopped() => tracing::info!(replica = self.pod, %status, "replica ended"),
            Ok(status) => tracing::warn!(replica = self.pod, %status, "replica ended by itself"),
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
