//! What is missing on a platform, found out by asking its parts.
//!
//! | file | what it looks at |
//! |---|---|
//! | `gateway` | whether the gateway answers, and lets this user in |
//! | `functions` | what is deployed, ready, and enough for the workers |
//! | `timeouts` | how long calls may take |
//! | `secrets` | the secrets that functions name |
//! | `data` | whether the functions find a data set |
//! | `store` | whether the Redis is fit to hold runs |
//! | `clocks` | whether the parts agree on the time |
//! | `pods` | where pods are, from what kubectl prints |

mod clocks;
mod data;
mod finding;
mod functions;
mod gateway;
pub(crate) mod pods;
mod secrets;
mod store;
mod timeouts;

use openfaas::client::Client;
use sgd_lib::store::RedisStore;

use crate::training::{SETUP, TRAIN};

pub(crate) use finding::{Finding, Level};
use pods::Pods;

/// The parts of a platform, as far as they are known.
pub(crate) struct Subject {
    /// Its gateway.
    pub(crate) gateway: Option<Client>,
    /// Its Redis.
    pub(crate) store: Option<RedisStore>,
    /// Its pods.
    pub(crate) pods: Option<Pods>,
}

/// Looks at everything that there is. The Redis is asked by calls that block.
pub(crate) async fn examine(subject: &Subject) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut clocks = Vec::new();
    match &subject.gateway {
        Some(gateway) => findings.extend(through(gateway, &mut clocks).await),
        None => findings.push(Finding::warning(
            "gateway",
            "none is named, and no local one runs: functions were not looked at",
            "downpour up, or --gateway URL; without OpenFaaS, kubectl get pods -A -o json | downpour doctor --pods -",
        )),
    }
    match &subject.store {
        Some(redis) => findings.extend(store::check(redis, &mut clocks)),
        None => findings.push(Finding::problem(
            "redis",
            "none is named, and no local one runs",
            "downpour up, or --store-url URL",
        )),
    }
    findings.extend(clocks.iter().map(clocks::Reading::finding));
    findings.extend(subject.pods.iter().flat_map(pods::check));
    findings
}

/// What can be found out through the gateway.
async fn through(gateway: &Client, clocks: &mut Vec<clocks::Reading>) -> Vec<Finding> {
    let (mut findings, answer) = gateway::check(gateway).await;
    let Some(answer) = answer else { return findings };
    findings.extend(functions::check(&answer));
    findings.extend(timeouts::check(&answer));
    findings.extend(secrets::check(gateway, &answer.functions).await);
    if answer.available(SETUP) > 0 {
        findings.extend(data::check(gateway, clocks).await);
    }
    findings
}
