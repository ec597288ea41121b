//! The gateway that a command asks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use openfaas::client::{Client, Credentials};

use super::login;
use crate::args::Global;
use crate::local::running;
use crate::state_dir::StateDir;

/// Which gateway to ask, and as whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct GatewayArgs {
    /// The gateway to ask, such as http://127.0.0.1:8080 [default: the local one]
    #[arg(long, value_name = "URL", env = "OPENFAAS_URL")]
    gateway: Option<String>,
    /// A folder with the files basic-auth-user and basic-auth-password [default: what faas-cli login left]
    #[arg(long, value_name = "DIR")]
    basic_auth: Option<PathBuf>,
}

impl GatewayArgs {
    /// A client for the gateway given, else for that of the local platform that runs; `None` where
    /// neither is there.
    ///
    /// # Errors
    /// The address is none, or the credentials can't be read.
    pub(crate) fn find(&self, global: &Global) -> Result<Option<Client>> {
        let given = self.gateway.clone().filter(|gateway| !gateway.is_empty());
        let gateway = match given {
            Some(gateway) => Some(gateway),
            None => {
                let state = StateDir::locate(global.state_dir.as_deref())?;
                running::find(state.path())?.map(|running| running.gateway)
            }
        };
        gateway.map(|gateway| client(&gateway, self.basic_auth.as_deref())).transpose()
    }
}

/// A client for a gateway, with the credentials in the folder `basic_auth`, else with those that
/// `faas-cli login` left for it.
///
/// # Errors
/// The address is none, or a file can't be read.
pub(crate) fn client(gateway: &str, basic_auth: Option<&Path>) -> Result<Client> {
    let credentials = match basic_auth {
        Some(folder) => Some(credentials(folder)?),
        None => login::find(gateway)?,
    };
    Ok(Client::new(gateway, credentials)?)
}

/// Reads the two files that `--basic-auth` names the folder of, as a pod has them mounted.
///
/// # Errors
/// A file can't be read.
pub(crate) fn credentials(dir: &Path) -> Result<Credentials> {
    let read = |name: &str| {
        let path = dir.join(name);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        anyhow::Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    Ok(Credentials { user: read("basic-auth-user")?, password: read("basic-auth-password")? })
}
