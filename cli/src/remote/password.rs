//! The password of a store whose address has none.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};
use sgd_lib::store::RedisStore;

/// Where a store's password is.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PasswordArgs {
    /// A file with the password of the Redis, where its address has none [default: the secret that
    /// $store_password_secret names, as in a function]
    #[arg(long, value_name = "FILE")]
    store_password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// The store at `url`, with the password that is given for it.
    ///
    /// # Errors
    /// The address is none, or the password can't be read.
    pub(crate) fn open(&self, url: &str) -> Result<RedisStore> {
        let store = RedisStore::open(url)?;
        match self.password()? {
            Some(password) => Ok(store.with_password(password)),
            None => Ok(store),
        }
    }

    /// Whether a file was named.
    pub(crate) fn is_given(&self) -> bool {
        self.store_password_file.is_some()
    }

    fn password(&self) -> Result<Option<String>> {
        if let Some(file) = &self.store_password_file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("--store-password-file {}", file.display()))?;
            return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        let lookup = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let secret = lookup("store_password_secret").filter(|name| name != "none");
        let read = |name: String| platform::secrets::read(&name, lookup).context("store_password_secret");
        secret.map(read).transpose()
    }
}
