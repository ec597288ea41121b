//! What it takes to reach a store, beside its address: a password, and whom to believe that it is the store.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};
use sgd_lib::store::RedisStore;

/// Where a store's password is, and who vouches for it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct AccessArgs {
    /// A file with the password of the Redis, where its address has none [default: the secret that
    /// $store_password_secret names, as in a function]
    #[arg(long, value_name = "FILE")]
    store_password_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of the authorities that vouch for a Redis under TLS (rediss://)
    /// [default: the secret that $store_ca_secret names, else those that this system trusts]
    #[arg(long, value_name = "FILE")]
    store_ca_file: Option<PathBuf>,
}

impl AccessArgs {
    /// The store at `url`, with the password and the authorities that are given for it.
    ///
    /// # Errors
    /// The address is none, or a file can't be read or used.
    pub(crate) fn open(&self, url: &str) -> Result<RedisStore> {
        let mut store = RedisStore::open(url)?;
        if let Some(password) = self.password()? {
            store = store.with_password(password);
        }
        match self.authorities(&store)? {
            Some((origin, certificates)) => Ok(store.with_authorities(&origin, certificates.as_bytes())?),
            None => Ok(store),
        }
    }

    /// Whether a file was named.
    pub(crate) fn is_given(&self) -> bool {
        self.store_password_file.is_some() || self.store_ca_file.is_some()
    }

    fn password(&self) -> Result<Option<String>> {
        if let Some(file) = &self.store_password_file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("--store-password-file {}", file.display()))?;
            return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        Ok(secret("store_password_secret")?.map(|(_, password)| password))
    }

    /// The authorities' certificates, and where they are from. The environment's are for a store under TLS; a file
    /// that is named for another is a mistake.
    fn authorities(&self, store: &RedisStore) -> Result<Option<(String, String)>> {
        let Some(file) = &self.store_ca_file else {
            return if store.is_encrypted() { secret("store_ca_secret") } else { Ok(None) };
        };
        let origin = format!("--store-ca-file {}", file.display());
        let text = std::fs::read_to_string(file).with_context(|| origin.clone())?;
        Ok(Some((origin, text)))
    }
}

/// The secret that this variable names, as in a function, and its name.
fn secret(variable: &'static str) -> Result<Option<(String, String)>> {
    let lookup = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let Some(name) = lookup(variable).filter(|name| name != "none") else { return Ok(None) };
    let text = platform::secrets::read(&name, lookup).context(variable)?;
    Ok(Some((format!("the secret {name}"), text)))
}
