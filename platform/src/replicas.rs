//! How many replicas of a function are ready, as OpenFaaS' REST API says.

use std::time::Duration;

use openfaas::client::{Client, ClientError, Credentials};

use crate::secrets::{self, SecretError};
use crate::settings::Settings;

/// The user of a gateway, as a rule.
const USER: &str = "admin";
/// An answer takes milliseconds, or does not come.
const ANSWER: Duration = Duration::from_secs(2);

/// Why nobody knows how many there are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicasError {
    /// Functions are called past the gateway.
    #[error(
        "number_of_workers is auto, for which OpenFaaS' gateway counts replicas; function_url is {0}, which needs \
         none: wanted is a number"
    )]
    NoGateway(String),
    /// The gateway's password can't be read.
    #[error("gateway_password_secret: {0}")]
    Secret(#[from] SecretError),
    /// The gateway wants a password.
    #[error(
        "number_of_workers is auto, for which the gateway counts replicas, and it wants another password: \
         gateway_password_secret names the secret that has it"
    )]
    Password,
    /// The gateway doesn't answer, or not with that.
    #[error(transparent)]
    Gateway(#[from] ClientError),
    /// There is no such function.
    #[error("the gateway knows no function {0}")]
    Unknown(String),
}

/// The gateway that counts them.
#[derive(Clone, Debug)]
pub struct Replicas {
    gateway: Client,
}

impl Replicas {
    /// The gateway that settings name; `lookup` finds where secrets are.
    ///
    /// # Errors
    /// Functions are not behind it, its address is none, or its password can't be read.
    pub fn of(settings: &Settings, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ReplicasError> {
        if !settings.function_url.needs_gateway() {
            return Err(ReplicasError::NoGateway(settings.function_url.to_string()));
        }
        let password = settings.gateway_password_secret.as_ref();
        let password = password.map(|name| secrets::read(name, lookup)).transpose()?;
        let credentials = password.map(|password| Credentials { user: USER.to_owned(), password });
        Ok(Self { gateway: Client::new(&settings.gateway, credentials)?.with_timeout(ANSWER) })
    }

    /// How many replicas of `function` are ready.
    ///
    /// # Errors
    /// The gateway does not answer, wants a password, or knows no such function.
    pub async fn ready(&self, function: &str) -> Result<u32, ReplicasError> {
        let found = self.gateway.get(function).await.map_err(|error| match error.status() {
            Some(401 | 403) => ReplicasError::Password,
            _ => error.into(),
        })?;
        let found = found.ok_or_else(|| ReplicasError::Unknown(function.to_owned()))?;
        Ok(u32::try_from(found.available_replicas).unwrap_or(u32::MAX))
    }
}
