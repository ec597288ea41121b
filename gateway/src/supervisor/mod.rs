//! The functions of a gateway and their processes: deploy, update, scale, remove; kept over a restart.

mod activity;
pub(crate) mod context;
pub(crate) mod environment;
pub(crate) mod function;
pub(crate) mod group;
pub(crate) mod idler;
pub(crate) mod journal;
pub(crate) mod leftovers;
mod pod;
mod probe;
pub(crate) mod replica;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use openfaas::names;
use openfaas::types::{DEFAULT_NAMESPACE, FunctionDeployment};
use tokio::sync::watch;

use self::context::Context;
use self::function::{Function, Record, Version};
use self::leftovers::Leftovers;
use crate::error::{Refusal, StorageError};
use crate::specification::{Alert, Specification};
use crate::storage;

pub(crate) use self::usage::measure as measure_usage;

/// All functions. Its operations read and write files: not for an asynchronous task.
pub(crate) struct Supervisor {
    context: Arc<Context>,
    folder: PathBuf,
    queue_concurrency: usize,
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
    /// Held for the whole of a change, so that files and functions agree.
    changing: Mutex<()>,
    leftovers: Mutex<Leftovers>,
}

impl Supervisor {
    /// Brings back what was deployed when the last gateway on this folder ended.
    pub(crate) fn open(
        context: Arc<Context>,
        state_dir: &Path,
        queue_concurrency: usize,
    ) -> Result<Self, StorageError> {
        let folder = state_dir.join("functions");
        storage::create_folder(&folder)?;
        storage::create_folder(&context.replicas)?;
        let leftovers = Leftovers::find(&context.replicas, context.grace_period)
            .map_err(StorageError::io("read", &context.replicas))?;
        let records: Vec<Record> =
            storage::list(&folder)?.iter().map(|path| storage::read_json(path)).collect::<Result<_, _>>()?;
        let supervisor = Self {
            context,
            folder,
            queue_concurrency,
            functions: Mutex::default(),
            changing: Mutex::default(),
            leftovers: Mutex::new(leftovers),
        };
        for record in records {
            let binary = supervisor.context.images.resolve(&record.deployment.image).inspect_err(
                |error| tracing::warn!(function = record.deployment.service, %error, "cannot run yet"),
            );
            let specification = Specification::read(&record.deployment).unwrap_or_else(|error| {
                tracing::warn!(function = record.deployment.service, %error, "deployed under other rules");
                Specification::default()
            });
            supervisor.add(Version { record, binary: binary.ok(), specification });
        }
        Ok(supervisor)
    }

    fn functions(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Function>>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, version: Version) {
        let function = Arc::new(Function::new(self.context.clone(), version, self.queue_concurrency));
        self.functions().insert(function.name.clone(), function.clone());
        self.context.tasks.spawn(function.control());
        self.context.changes.send_replace(());
    }

    /// Hears of every change of a function or replica.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.context.changes.subscribe()
    }

    /// What an earlier gateway left, to be waited for. Once.
    pub(crate) fn leftovers(&self) -> Leftovers {
        std::mem::take(&mut self.leftovers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All functions, by name.
    pub(crate) fn list(&self) -> Vec<Arc<Function>> {
        self.functions().values().cloned().collect()
    }

    /// The function `name`.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Function>> {
        self.functions().get(name).cloned()
    }

    fn existing(&self, name: &str) -> Result<Arc<Function>, Refusal> {
        self.find(name).ok_or_else(|| Refusal::no_function(name))
    }

    /// Deploys a function that is not there yet.
    pub(crate) fn deploy(&self, deployment: FunctionDeployment) -> Result<(), Refusal> {
        let _changing = self.change();
        let mut version = self.validate(deployment)?;
        let name = version.record.deployment.service.clone();
        if self.find(&name).is_some() {
            return Err(Refusal::Exists(format!("function {name} already exists")));
        }
        version.record.replicas = version.specification.scaling.range.min;
        storage::write_json(&self.file(&name), &version.record)?;
        tracing::info!(function = name, image = version.record.deployment.image, "deployed");
        self.add(version);
        Ok(())
    }

    /// Replaces a function that is there; its scale stays where the labels allow that.
    pub(crate) fn update(&self, deployment: FunctionDeployment) -> Result<(), Refusal> {
        let _changing = self.change();
        // faas-cli deploys with PUT first, and with POST only after a 404.
        let function = self.existing(&deployment.service)?;
        let mut version = self.validate(deployment)?;
        let before = function.version().record;
        version.record.created_at = before.created_at;
        let range = version.specification.scaling.range;
        version.record.replicas = before.replicas.clamp(range.min, range.max);
        storage::write_json(&self.file(&function.name), &version.record)?;
        tracing::info!(function = function.name, image = version.record.deployment.image, "updated");
        function.update(version);
        Ok(())
    }

    /// Sets how many replicas a function has.
    pub(crate) fn scale(&self, name: &str, replicas: u64) -> Result<(), Refusal> {
        let _changing = self.change();
        self.scale_unlocked(name, replicas)
    }

    /// Sets how many replicas a function has, whatever its labels allow: those bind OpenFaaS, not who runs the cluster.
    pub(crate) fn force_scale(&self, name: &str, replicas: u64) -> Result<(), Refusal> {
        let _changing = self.change();
        self.set_replicas(name, replicas, names::REPLICA_LIMIT)
    }

    /// Brings a function that was scaled to zero back, because it was called.
    pub(crate) fn wake(&self, name: &str) -> Result<(), Refusal> {
        let _changing = self.change();
        let version = self.existing(name)?.version();
        if version.record.replicas > 0 {
            return Ok(());
        }
        self.scale_unlocked(name, version.specification.scaling.range.min.max(1))
    }

    /// Scales a function by a step up, or back, as an alert asks for; how many replicas that makes.
    pub(crate) fn heed(&self, name: &str, alert: Alert) -> Result<u64, Refusal> {
        let _changing = self.change();
        let version = self.existing(name)?.version();
        let current = version.record.replicas;
        let replicas = version.specification.scaling.after(alert, current);
        if replicas != current {
            self.scale_unlocked(name, replicas)?;
        }
        Ok(replicas)
    }

    /// Scales a function to zero if nothing is to do.
    fn rest(&self, function: &Function) -> Result<(), StorageError> {
        let _changing = self.change();
        // Removed, and perhaps deployed anew, since it was found idle.
        let stands = self.find(&function.name).is_some_and(|found| std::ptr::eq(&*found, function));
        if !stands || !function.is_idle() {
            return Ok(());
        }
        let before = function.version().record;
        let file = self.file(&function.name);
        storage::write_json(&file, &Record { replicas: 0, ..before.clone() })?;
        if function.rest() {
            tracing::info!(function = function.name, "scaled to zero: idle");
            return Ok(());
        }
        // Called meanwhile.
        storage::write_json(&file, &before)
    }

    fn scale_unlocked(&self, name: &str, replicas: u64) -> Result<(), Refusal> {
        let most = self.existing(name)?.version().specification.scaling.range.max;
        self.set_replicas(name, replicas, most)
    }

    fn set_replicas(&self, name: &str, replicas: u64, most: u64) -> Result<(), Refusal> {
        let function = self.existing(name)?;
        let mut version = function.version();
        if replicas > most {
            let label = names::SCALE_MAX;
            return Err(Refusal::Invalid(format!(
                "cannot scale {name} to {replicas} replicas: the most is {most} (label {label}, up to {})",
                names::REPLICA_LIMIT
            )));
        }
        version.record.replicas = replicas;
        storage::write_json(&self.file(name), &version.record)?;
        tracing::info!(function = name, replicas, "scaled");
        function.update(version);
        Ok(())
    }

    /// Removes a function and its logs; its replicas drain.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Refusal> {
        let _changing = self.change();
        let function = self.existing(name)?;
        storage::remove(&self.file(name))?;
        self.functions().remove(name);
        function.retire();
        tracing::info!(function = name, "removed");
        Ok(self.context.logs.remove(name)?)
    }

    /// Ends all replicas; what is deployed stays on disk.
    pub(crate) fn retire_all(&self) {
        self.list().iter().for_each(|function| function.retire());
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Checks all of a deployment before anything of it takes effect.
    fn validate(&self, mut deployment: FunctionDeployment) -> Result<Version, Refusal> {
        let specification = Specification::read(&deployment).map_err(Refusal::validation)?;
        check_namespace(&deployment.namespace).map_err(Refusal::validation)?;
        for secret in &deployment.secrets {
            self.context.secrets.existing(secret).map_err(Refusal::validation)?;
        }
        let binary = self.context.images.resolve(&deployment.image).map_err(Refusal::validation)?;
        deployment.namespace = DEFAULT_NAMESPACE.to_owned();
        let created_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let record = Record { deployment, replicas: 0, created_at };
        Ok(Version { record, binary: Some(binary), specification })
    }
}

/// There is one namespace, which need not be named.
pub(crate) fn check_namespace(namespace: &str) -> Result<(), String> {
    if namespace.is_empty() || namespace == DEFAULT_NAMESPACE {
        return Ok(());
    }
    Err(format!("namespace {namespace:?} does not exist: there is only {DEFAULT_NAMESPACE:?}"))
}
