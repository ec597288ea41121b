//! What every function and replica of a gateway needs.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::environment::Surroundings;
use super::group::Groups;
use crate::images::Images;
use crate::logs::Logs;
use crate::secrets::Secrets;
use crate::tasks::Tasks;
use crate::upstream::Client;

/// Shared by all functions.
pub(crate) struct Context {
    pub(crate) images: Images,
    /// Folder of the replicas' own folders.
    pub(crate) replicas: PathBuf,
    pub(crate) surroundings: Surroundings,
    pub(crate) grace_period: Duration,
    pub(crate) logs: Logs,
    pub(crate) secrets: Secrets,
    pub(crate) client: Client,
    pub(crate) groups: Groups,
    pub(crate) tasks: Tasks,
    /// Hears of what changes in any function.
    pub(crate) changes: watch::Sender<()>,
}
