//! `downpour train`: a training run from the first process to the last figure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use openfaas::client::Client;
use openfaas::names::ScaleRange;
use openfaas::stack::Stack;
use platform::invoker::HttpInvoker;
use platform::settings::{Settings, TrainType};
use serde::Serialize;
use serde_json::json;
use sgd_lib::downpour::{Database, Run};
use sgd_lib::store::{RedisStore, Store as _};
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;

use crate::args::Global;
use crate::exit_code::BadArguments;
use crate::local::platform::{Options, Platform};
use crate::local::running::{self, AlreadyRunning, InUse, Running};
use crate::local::signals::EndSignals;
use crate::local::stack;
use crate::remote::access::AccessArgs;
use crate::remote::gateway::client;
use crate::render::output;
use crate::render::progress::Progress;
use crate::report::Report;
use crate::settings_args::SettingsArgs;
use crate::state_dir::StateDir;
use crate::training::{CALL, SETUP, SINGLE, SetupAnswer, TRAIN, await_replicas, follow, set_up};
use crate::watch::Audience;

/// Train a network: invokes emnist-setup through the gateway and follows the run to its end
///
/// Uses the local platform that runs (`downpour up`), else starts one for the run.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// On which platform a run takes place.
#[derive(Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// The stack to deploy [default: ./stack.yaml, ./stack.yml, else the built-in one]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A folder with the files basic-auth-user and basic-auth-password of the gateway [default: what
    /// faas-cli login left]
    #[arg(long, value_name = "DIR")]
    basic_auth: Option<PathBuf>,
    /// Virtual nodes of the platform that is started, each with a Redis of its own [default: none; with --database
    /// local one for each worker, up to 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=16))]
    nodes: Option<u8>,
    #[command(flatten)]
    access: AccessArgs,
}

const EXAMPLES: &str = "\
Examples:
  downpour train
  downpour train --dataset emnist-bymerge --workers 4 --target-accuracy 0.8
  downpour train --database local --workers 3
  downpour train --workers auto
  downpour train --data-dir ./my-data --epochs 15 --lr-schedule cosine --json
  downpour train --gateway http://gateway.example:8080 --store-url redis://redis.example:6379

Without those two flags, the variables OPENFAAS_URL and store_url name a platform elsewhere.";

/// How long the store of a run that is followed may be away.
const OUTAGE: Duration = Duration::from_secs(60);
/// How long replicas may take to come up before training begins without them.
const REPLICAS_UP: Duration = Duration::from_secs(5);

/// The first line that `--json` prints.
#[derive(Serialize)]
struct SetUp<'a> {
    event: &'static str,
    #[serde(flatten)]
    answer: &'a SetupAnswer,
}

/// The last line that `--json` prints.
#[derive(Serialize)]
struct Finished<'a> {
    event: &'static str,
    #[serde(flatten)]
    report: &'a Report,
    /// Seconds from the start of this command.
    total_s: f64,
    /// Seconds from sending the setup invocation to reading the final record.
    wall_s: f64,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    carry_out(global, &settings(&args.settings)?, &args.place, None)
}

/// Sets a run up with these settings, or brings the run `again` back, and follows it to its end.
///
/// # Errors
/// There is no platform, no such run, or it fails.
pub(crate) fn carry_out(
    global: &Global,
    settings: &Settings,
    args: &PlaceArgs,
    again: Option<&str>,
) -> Result<()> {
    let started = Instant::now();
    let state = StateDir::locate(global.state_dir.as_deref())?;
    let stack = stack::load(args.file.as_deref())?;
    Runtime::new()?.block_on(async {
        let mut signals = EndSignals::listen()?;
        let place = signals.unless(Place::find(&state, &stack, settings, args)).await?;
        let task = Task { global, settings, again };
        let trained = train(&task, &place, args, &mut signals).await;
        let left = tokio::select! {
            left = place.leave() => left,
            () = signals.next() => bail!("interrupted before everything had ended"),
        };
        let (report, wall_s) = trained?;
        left?;
        show(global, &report, started.elapsed().as_secs_f64(), wall_s)
    })
}

/// What is to be done.
struct Task<'a> {
    global: &'a Global,
    settings: &'a Settings,
    /// The run that is there already.
    again: Option<&'a str>,
}

impl Task<'_> {
    /// Workers, where their number is fixed, epochs and target of the run.
    async fn extent(&self, store: Arc<RedisStore>) -> Result<(Option<usize>, f64, Option<f64>)> {
        let settings = self.settings;
        let Some(name) = self.again.map(str::to_owned) else {
            return Ok((settings.workers.fixed(), settings.epochs as f64, settings.target_accuracy));
        };
        let run = spawn_blocking(move || Run::open(store, &name)).await??;
        let config = run.config();
        let workers = (!config.is_elastic()).then_some(config.workers as usize);
        Ok((workers, f64::from(config.epochs), config.target_accuracy))
    }

    fn audience(&self, epochs: f64, target: Option<f64>) -> Audience {
        if self.global.json {
            return Audience::Program;
        }
        Audience::Person(Box::new(Progress::new(epochs, target)))
    }

    /// Calls the setup function, also where it shall only look for successors.
    async fn set_up(&self, functions: &HttpInvoker) -> Result<SetupAnswer> {
        if let Some(run) = self.again {
            return set_up(functions, SETUP, &json!({"run": run})).await;
        }
        setup(functions, self.settings).await
    }
}

/// Invokes setup and follows the run: its figures, and the seconds that took. The first signal asks the
/// workers to stop, the second waits for nobody.
async fn train(
    task: &Task<'_>,
    place: &Place,
    args: &PlaceArgs,
    signals: &mut EndSignals,
) -> Result<(Report, f64)> {
    let running = place.running();
    let functions = HttpInvoker::new(&task.settings.function_url, &running.gateway, CALL)?;
    let store = Arc::new(place.store(&args.access)?);
    reach(store.clone()).await?;
    let (workers, epochs, target) = task.extent(store).await?;
    if let Some(workers) = workers.filter(|_| place.is_local()) {
        scale(&client(&running.gateway, args.basic_auth.as_deref())?, workers).await?;
    }
    let invoked = Instant::now();
    let answer = signals.unless(task.set_up(&functions)).await?;
    announce(task.global, &answer)?;
    // A run goes on without its store for a while, and so does who follows it.
    let store = Arc::new(place.store(&args.access)?.with_patience(OUTAGE));
    let report = follow(&functions, store, answer.run, task.audience(epochs, target), signals).await?;
    Ok((report, invoked.elapsed().as_secs_f64()))
}

fn settings(args: &SettingsArgs) -> Result<Settings> {
    let mut settings = args.settings().map_err(|error| BadArguments(error.to_string()))?;
    settings.check().map_err(|error| BadArguments(error.to_string()))?;
    settings = from_environment(settings)?;
    // stack.yml stops at 75 %, for experiments; somebody who asks for no target wants all epochs.
    if !settings.is_given("target_accuracy") {
        settings = settings.overridden_by_flag("target-accuracy", "none")?;
    }
    // Functions have folders of their own.
    for folder in
        [&mut settings.data_dir, &mut settings.data_root, &mut settings.cache_dir].into_iter().flatten()
    {
        *folder = std::path::absolute(&*folder).context("a folder has no absolute path")?;
    }
    Ok(settings)
}

/// As faas-cli and functions are told where the platform is.
///
/// # Errors
/// A variable's value can't be.
pub(crate) fn from_environment(mut settings: Settings) -> Result<Settings> {
    for (variable, flag, setting) in
        [("OPENFAAS_URL", "gateway", "gateway_hostname"), ("store_url", "store-url", "store_url")]
    {
        let given = std::env::var(variable).ok().filter(|value| !value.is_empty());
        if let Some(value) = given.filter(|_| !settings.is_given(setting)) {
            settings = settings
                .overridden_by_flag(flag, &value)
                .map_err(|error| BadArguments(format!("variable {variable}, as {error}")))?;
        }
    }
    Ok(settings)
}

/// Where the run takes place.
enum Place {
    /// On a platform that was there already; one of this machine goes on while it is used.
    Found { running: Running, _in_use: Option<InUse> },
    /// On one that is started for the run.
    Own(Box<Platform>, StateDir),
}

/// Another command may be starting or stopping a platform right now.
const POLL: Duration = Duration::from_millis(20);

/// The most virtual nodes that nobody asked for.
const DEFAULT_NODES: usize = 3;

fn default_nodes(settings: &Settings) -> usize {
    match settings.database {
        Database::Global => 0,
        Database::Local => settings.workers.fixed().unwrap_or(DEFAULT_NODES).min(DEFAULT_NODES),
    }
}

/// A platform that runs has the nodes that it has.
fn no_other_nodes(args: &PlaceArgs, running: &Running) -> Result<()> {
    match args.nodes {
        Some(nodes) if usize::from(nodes) != running.nodes => Err(BadArguments(format!(
            "--nodes {nodes}: the platform at {} runs already, with {} virtual nodes",
            running.gateway, running.nodes
        ))
        .into()),
        _ => Ok(()),
    }
}

impl Place {
    async fn find(state: &StateDir, stack: &Stack, settings: &Settings, args: &PlaceArgs) -> Result<Self> {
        let given = |variable| settings.is_given(variable);
        let store_url = settings.store_url.as_str().to_owned();
        // The gateway that is named may be the local one.
        if let Some((in_use, running)) = running::join(state.path())?
            && running.gateway == settings.gateway
            && !given("store_url")
        {
            no_other_nodes(args, &running)?;
            return Ok(Self::Found { running, _in_use: Some(in_use) });
        }
        if given("gateway_hostname") || given("function_url") {
            let (pid, gateway) = (std::process::id(), settings.gateway.clone());
            let running = Running { pid, gateway, store_url, nodes: 0 };
            no_other_nodes(args, &running)?;
            return Ok(Self::Found { running, _in_use: None });
        }
        let options = Options {
            basic_auth: args.basic_auth.clone(),
            store_url: given("store_url").then_some(store_url),
            nodes: args.nodes.map_or_else(|| default_nodes(settings), usize::from),
            ..Options::own()
        };
        loop {
            if let Some((in_use, running)) = running::join(state.path())? {
                no_other_nodes(args, &running)?;
                return Ok(Self::Found { running, _in_use: Some(in_use) });
            }
            match Platform::start(state, stack, options.clone()).await {
                Ok(platform) => return Ok(Self::Own(Box::new(platform), state.clone())),
                Err(error) if error.is::<AlreadyRunning>() => tokio::time::sleep(POLL).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether its functions are processes on this machine.
    fn is_local(&self) -> bool {
        !matches!(self, Self::Found { _in_use: None, .. })
    }

    fn store(&self, access: &AccessArgs) -> Result<RedisStore> {
        let url = &self.running().store_url;
        if self.is_local() { Ok(RedisStore::open(url)?) } else { access.open(url) }
    }

    fn running(&self) -> &Running {
        match self {
            Self::Found { running, .. } => running,
            Self::Own(platform, _) => platform.running(),
        }
    }

    /// Stops what was started for the run, once no other command needs it.
    async fn leave(self) -> Result<()> {
        match self {
            Self::Found { .. } => Ok(()),
            Self::Own(platform, state) => {
                let _users = running::wait_for_users(state.path()).await?;
                platform.stop().await
            }
        }
    }
}

/// Says which run it is, and which workers it has to do without.
fn announce(global: &Global, answer: &SetupAnswer) -> Result<()> {
    if global.json {
        return output::json(&SetUp { event: "setup", answer });
    }
    let queued = if answer.queued { " queued" } else { "" };
    eprintln!("run {}: {} workers{queued} on {}", answer.run, answer.workers, answer.dataset);
    for left_out in &answer.left_out {
        eprintln!("no place for {}: {}", left_out.place, left_out.why);
    }
    Ok(())
}

/// What is elsewhere may be out of reach from here: better to know that before the run begins.
async fn reach(store: Arc<RedisStore>) -> Result<()> {
    spawn_blocking(move || store.now_ms()).await?.map(drop).context(
        "the platform's Redis, which holds the run, must be reachable from here: --store-url names its address \
         (in a cluster, after kubectl port-forward -n openfaas-fn service/redis 6379, redis://127.0.0.1:6379)",
    )
}

/// Settings that say how this command reaches the platform.
const REACHING: [&str; 4] = ["gateway_hostname", "function_url", "store_url", "local_store_url"];

/// Calls the setup function.
async fn setup(functions: &HttpInvoker, settings: &Settings) -> Result<SetupAnswer> {
    let mut body = settings.to_json();
    // Functions know that themselves.
    if let Some(body) = body.as_object_mut() {
        body.retain(|key, _| !REACHING.contains(&key.as_str()));
    }
    let function = if settings.train_type == TrainType::SingleFunction { SINGLE } else { SETUP };
    set_up(functions, function, &body).await
}

/// A replica for each worker, as far as the function's label allows; in a cluster that is up to whoever
/// runs it.
async fn scale(gateway: &Client, workers: usize) -> Result<()> {
    let Some(function) = gateway.get(TRAIN).await? else { return Ok(()) };
    let most = ScaleRange::from_labels(&function.labels).map_or(1, |range| range.max);
    let wanted = (workers as u64).min(most);
    if function.replicas < wanted {
        gateway.scale(TRAIN, wanted).await?;
    }
    // So that each worker finds a replica of its own; where one does not come up, they pack.
    await_replicas(gateway, TRAIN, wanted, REPLICAS_UP).await?;
    Ok(())
}

fn show(global: &Global, report: &Report, total_s: f64, wall_s: f64) -> Result<()> {
    if global.json {
        return output::json(&Finished { event: "finished", report, total_s, wall_s });
    }
    output::line(&report.to_string())
}
