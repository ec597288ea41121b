//! Whether the gateway answers, and lets this user in.

use std::time::Duration;

use openfaas::client::{Client, ClientError};
use openfaas::types::{FunctionStatus, SystemInfo};

use super::Finding;

const PART: &str = "gateway";
/// Longer than a gateway that is well ever takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the gateway says.
pub(super) struct Answer {
    pub(super) functions: Vec<FunctionStatus>,
    pub(super) info: SystemInfo,
}

impl Answer {
    pub(super) fn find(&self, function: &str) -> Option<&FunctionStatus> {
        self.functions.iter().find(|deployed| deployed.name == function)
    }

    /// Replicas of a function that are ready.
    pub(super) fn available(&self, function: &str) -> u64 {
        self.find(function).map_or(0, |function| function.available_replicas)
    }

    /// Whether functions are pods, and not processes of the local gateway.
    pub(super) fn on_kubernetes(&self) -> bool {
        self.info.provider.orchestration.eq_ignore_ascii_case("kubernetes")
    }
}

pub(super) async fn check(gateway: &Client) -> (Vec<Finding>, Option<Answer>) {
    let patient = gateway.clone().with_timeout(PATIENCE);
    if let Err(error) = patient.wait_until_healthy(PATIENCE).await {
        let advice = "downpour up starts a local one; in a cluster kubectl port-forward -n openfaas service/gateway 8080 \
                      makes one reachable";
        return (vec![Finding::problem(PART, error.to_string(), advice)], None);
    }
    let (functions, info) = match (patient.list().await, patient.info().await) {
        (Ok(functions), Ok(info)) => (functions, info),
        (Err(error), _) | (_, Err(error)) => return (vec![refused(&error)], None),
    };
    let (provider, version) = (&info.provider.provider, &info.version.release);
    let text =
        format!("{} answers: {provider} {version} on {}", gateway.gateway(), info.provider.orchestration);
    (vec![Finding::ok(PART, text)], Some(Answer { functions, info }))
}

fn refused(error: &ClientError) -> Finding {
    let advice = match error.status() {
        Some(401 | 403) => "log in: faas-cli login, or --basic-auth DIR",
        _ => "is that an OpenFaaS gateway?",
    };
    Finding::problem(PART, error.to_string(), advice)
}
