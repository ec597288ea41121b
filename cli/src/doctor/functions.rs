//! What is deployed, ready, and enough for the workers.

use openfaas::names::ScaleRange;
use openfaas::types::FunctionStatus;

use super::gateway::Answer;
use super::{Finding, SETUP, TRAIN};

const PART: &str = "functions";
/// The Community Edition of OpenFaaS takes more replicas back.
const COMMUNITY_REPLICAS: u64 = 5;

pub(super) fn check(answer: &Answer) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [SETUP, TRAIN].map(|name| readiness(answer, name)).into();
    let (Some(setup), Some(train)) = (answer.find(SETUP), answer.find(TRAIN)) else { return findings };
    findings.extend(room(setup, train));
    if answer.on_kubernetes() {
        findings.extend(limits(setup, train));
    }
    findings
}

fn readiness(answer: &Answer, name: &str) -> Finding {
    let Some(function) = answer.find(name) else {
        return Finding::problem(PART, format!("{name} is not deployed"), "faas-cli up -f stack.yml");
    };
    let (ready, wanted) = (function.available_replicas, function.replicas);
    let text = format!("{name}: {ready} of {wanted} replicas are ready");
    match (ready, wanted) {
        (0, 0) => Finding::warning(PART, text, "scaled to zero: the first call waits for a replica"),
        (0, _) => Finding::problem(PART, text, format!("downpour logs {name}, kubectl describe pod say why")),
        (ready, wanted) if ready < wanted => {
            Finding::warning(PART, text, format!("wait, or see downpour logs {name}"))
        }
        _ => Finding::ok(PART, text),
    }
}

/// A number in a function's environment.
fn number(function: &FunctionStatus, variable: &str) -> Option<u64> {
    function.env_vars.get(variable)?.trim().parse().ok()
}

/// Whether all workers that setup wants find a place.
fn room(setup: &FunctionStatus, train: &FunctionStatus) -> Option<Finding> {
    let workers = number(setup, "number_of_workers")?;
    let each = number(train, "max_inflight").unwrap_or(0);
    let replicas = train.available_replicas;
    if each == 0 || replicas == 0 {
        return None;
    }
    let text = format!("{replicas} replicas of {TRAIN} take {each} workers each; {SETUP} asks for {workers}");
    Some(if replicas.saturating_mul(each) >= workers {
        Finding::ok(PART, text)
    } else {
        let advice =
            format!("scale {TRAIN}, or raise its max_inflight: workers without a place are left out");
        Finding::problem(PART, text, advice)
    })
}

/// What the Community Edition does not do; which edition it is, a gateway does not say reliably.
fn limits(setup: &FunctionStatus, train: &FunctionStatus) -> Vec<Finding> {
    let mut findings = Vec::new();
    let most = ScaleRange::from_labels(&train.labels).map_or(0, |range| range.max).max(train.replicas);
    if most > COMMUNITY_REPLICAS {
        let text = format!("{TRAIN} may have {most} replicas");
        let advice = "OpenFaaS' Community Edition takes back more than 5; deploy/plain and deploy/knative have no such bound";
        findings.push(Finding::warning(PART, text, advice));
    }
    if setup.env_vars.get("fan_out").is_some_and(|fan_out| fan_out == "async") {
        let advice = "OpenFaaS' Community Edition runs one queued call at a time and drops one that finds a full replica: \
                      there, fan_out direct";
        findings.push(Finding::warning(PART, "fan_out is async", advice));
    }
    findings
}
