//! Where pods are and how they fare, from what `kubectl get pods -A -o json` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result};
use gateway::parse_duration;
use serde::Deserialize;

use super::{Finding, SETUP, TRAIN};

const PART: &str = "pods";
/// The label that OpenFaaS and our own manifests give a function's pods.
const FUNCTION: &str = "faas_function";
/// The label of our manifests' pods.
const NAME: &str = "app.kubernetes.io/name";
const LOCAL_REDIS: &str = "redis-local";

/// A list of pods, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Pods {
    items: Vec<Pod>,
}

#[derive(Debug, Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
    containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    env: Vec<Variable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    ready: bool,
    restart_count: u32,
}

impl Pods {
    /// Reads the list from a file, or from standard input where that is `-`.
    ///
    /// # Errors
    /// It can't be read, or is no such list.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = if file == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text).context("--pods -")?
        } else {
            std::fs::read_to_string(file).with_context(|| format!("--pods {}", file.display()))?
        };
        let wanted = "the list that kubectl get pods -A -o json prints";
        serde_json::from_str(&text).with_context(|| format!("--pods {}: wanted is {wanted}", file.display()))
    }

    fn labelled<'a>(&'a self, label: &'a str, value: &'a str) -> impl Iterator<Item = &'a Pod> {
        let has = move |pod: &&Pod| pod.metadata.labels.get(label).is_some_and(|found| found == value);
        self.items.iter().filter(has)
    }

    /// The nodes of those that are ready.
    fn nodes<'a>(pods: impl Iterator<Item = &'a Pod>) -> BTreeSet<&'a str> {
        pods.filter(|pod| pod.is_ready()).map(|pod| pod.spec.node_name.as_str()).collect()
    }
}

impl Pod {
    fn is_ready(&self) -> bool {
        let containers = &self.status.container_statuses;
        self.status.phase == "Running" && containers.iter().all(|container| container.ready)
    }

    fn restarts(&self) -> u32 {
        self.status.container_statuses.iter().map(|container| container.restart_count).sum()
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let mut variables = self.spec.containers.iter().flat_map(|container| &container.env);
        variables.find(|variable| variable.name == name).map(|variable| variable.value.as_str())
    }
}

pub(super) fn check(pods: &Pods) -> Vec<Finding> {
    let mut findings = conditions(pods);
    findings.extend(placement(pods));
    findings.extend(gateway_limit(pods));
    findings
}

/// Functions and stores that are not ready, or were killed.
fn conditions(pods: &Pods) -> Vec<Finding> {
    let ours = |pod: &&Pod| {
        let label = |name| pod.metadata.labels.get(name).map_or("", String::as_str);
        !label(FUNCTION).is_empty() || matches!(label(NAME), "redis" | LOCAL_REDIS)
    };
    let mut findings = Vec::new();
    let mut well = 0;
    for pod in pods.items.iter().filter(ours) {
        let name = &pod.metadata.name;
        if !pod.is_ready() {
            let phase = &pod.status.phase;
            let advice = format!("kubectl describe pod -n openfaas-fn {name}");
            findings.push(Finding::problem(PART, format!("{name} is not ready ({phase})"), advice));
        } else if pod.restarts() > 0 {
            let advice =
                format!("kubectl logs -n openfaas-fn --previous {name}; memory limit, liveness probe?");
            let text = format!("{name} was restarted {} times", pod.restarts());
            findings.push(Finding::warning(PART, text, advice));
        } else {
            well += 1;
        }
    }
    if findings.is_empty() && well > 0 {
        findings.push(Finding::ok(PART, format!("all {well} are ready, none was restarted")));
    }
    findings
}

/// Affinity holds when a pod is placed, not afterwards: functions and their stores drift apart.
fn placement(pods: &Pods) -> Vec<Finding> {
    let trains = Pods::nodes(pods.labelled(FUNCTION, TRAIN));
    let stores = Pods::nodes(pods.labelled(NAME, LOCAL_REDIS));
    let on: Vec<&str> = trains.iter().copied().collect();
    let mut findings = vec![if trains.is_empty() {
        Finding::problem(PART, format!("no ready pod of {TRAIN}"), "deploy the functions")
    } else {
        Finding::ok(PART, format!("{TRAIN} runs on {}", on.join(", ")))
    }];
    if stores.is_empty() {
        return findings;
    }
    let without: Vec<&str> = trains.difference(&stores).copied().collect();
    let left: Vec<&str> = stores.difference(&trains).copied().collect();
    if !without.is_empty() {
        let text = format!("{TRAIN} runs without a {LOCAL_REDIS} on {}", without.join(", "));
        let advice = "with database local, workers there use the global store; kubectl rollout restart -n openfaas-fn \
                      deployment/redis-local places the stores anew";
        findings.push(Finding::warning(PART, text, advice));
    }
    if !left.is_empty() {
        let text = format!("a {LOCAL_REDIS} runs without {TRAIN} on {}", left.join(", "));
        let advice = "kubectl rollout restart -n openfaas-fn deployment/redis-local places the stores anew";
        findings.push(Finding::warning(PART, text, advice));
    }
    findings
}

/// A gateway that cuts calls which the function itself would finish.
fn gateway_limit(pods: &Pods) -> Option<Finding> {
    let gateway = pods.labelled("app", "gateway").find(|pod| pod.is_ready())?;
    let upstream = parse_duration(gateway.variable("upstream_timeout")?)?;
    let setup = pods.labelled(FUNCTION, SETUP).next()?;
    let exec = parse_duration(setup.variable("exec_timeout").unwrap_or("30s"))?;
    let text = format!("the gateway's upstream_timeout is {upstream:?}, {SETUP}'s exec_timeout {exec:?}");
    Some(if exec > upstream {
        Finding::problem(
            "time-outs",
            text,
            "raise the gateway's: it cuts calls that the function would finish",
        )
    } else {
        Finding::ok("time-outs", text)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Level;
    use super::*;

    fn pod(name: &str, label: (&str, &str), node: &str, ready: bool) -> Value {
        json!({
            "metadata": {"name": name, "labels": {label.0: label.1}},
            "spec": {"nodeName": node, "containers": []},
            "status": {"phase": "Running", "containerStatuses": [{"ready": ready, "restartCount": 0}]},
        })
    }

    fn found(items: &[Value]) -> Vec<Finding> {
        check(&serde_json::from_value(json!({"items": items})).unwrap())
    }

    #[test]
    fn drift_between_functions_and_stores_is_shown() {
        let train = |name, node| pod(name, (FUNCTION, TRAIN), node, true);
        let store = |name, node| pod(name, (NAME, LOCAL_REDIS), node, true);
        let together = [train("t-0", "a"), train("t-1", "b"), store("r-0", "a"), store("r-1", "b")];
        assert!(found(&together).iter().all(|finding| finding.level == Level::Ok));
        let apart = found(&[train("t-0", "a"), train("t-1", "b"), store("r-0", "a"), store("r-1", "c")]);
        let texts: Vec<&str> = apart.iter().map(|finding| finding.found.as_str()).collect();
        assert!(texts.contains(&"emnist-train runs without a redis-local on b"), "{texts:?}");
        assert!(texts.contains(&"a redis-local runs without emnist-train on c"), "{texts:?}");
        assert!(found(&[]).iter().any(|finding| finding.level == Level::Problem));
    }

    #[test]
    fn pods_that_are_not_ready_and_gateways_that_cut_are_problems() {
        let mut gateway = pod("gateway-0", ("app", "gateway"), "a", true);
        gateway["spec"]["containers"] =
            json!([{"name": "gateway", "env": [{"name": "upstream_timeout", "value": "20s"}]}]);
        let setup = pod("s-0", (FUNCTION, SETUP), "a", false);
        let findings = found(&[gateway, setup, pod("t-0", (FUNCTION, TRAIN), "a", true)]);
        let problems: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.level == Level::Problem)
            .map(|finding| finding.found.as_str())
            .collect();
        assert_eq!(
            problems,
            [
                "s-0 is not ready (Running)",
                "the gateway's upstream_timeout is 20s, emnist-setup's exec_timeout 30s",
            ]
        );
    }
}
