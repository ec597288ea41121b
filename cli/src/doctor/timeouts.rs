//! How long calls may take.

use std::time::Duration;

use gateway::parse_duration;
use openfaas::types::FunctionStatus;

use super::gateway::Answer;
use super::{Finding, SETUP, TRAIN};

const PART: &str = "time-outs";
/// What the watchdog does without a variable.
const DEFAULT: Duration = Duration::from_secs(30);
/// Setup reads the data, and gives workers ten seconds to find a place.
const SETUP_TAKES: Duration = Duration::from_secs(15);
/// What gateways allow unless they are told otherwise.
const GATEWAY_ALLOWS: Duration = Duration::from_secs(60);
/// A worker that hands over more often than this trains little in between.
const WORTHWHILE: Duration = Duration::from_secs(60);
/// Kubernetes kills a pod that long after it was told to end.
const POD_MAY_LINGER: Duration = Duration::from_secs(30);

pub(super) fn check(answer: &Answer) -> Vec<Finding> {
    let functions = [SETUP, TRAIN].map(|name| answer.find(name));
    let [Some(setup), Some(train)] = functions else { return Vec::new() };
    if setup.env_vars.is_empty() && train.env_vars.is_empty() {
        let advice = "kubectl get pods -A -o json | downpour doctor --pods - looks at the pods";
        return vec![Finding::warning(PART, "this gateway does not tell the functions' environment", advice)];
    }
    let mut findings = wrong(setup);
    findings.extend(wrong(train));
    findings.extend(setup_limits(setup));
    findings.extend(train_limits(train, answer.on_kubernetes()));
    if findings.is_empty() {
        findings.push(Finding::ok(PART, format!("those of {SETUP} and {TRAIN} fit")));
    }
    findings
}

const VARIABLES: [&str; 4] = ["exec_timeout", "write_timeout", "read_timeout", "healthcheck_interval"];

/// Values that are no durations: the function does not start with them.
fn wrong(function: &FunctionStatus) -> Vec<Finding> {
    let values = VARIABLES.iter().filter_map(|name| Some((name, function.env_vars.get(*name)?)));
    let bad = values.filter(|(_, text)| !text.is_empty() && parse_duration(text).is_none());
    bad.map(|(name, text)| {
        let found = format!("{}: {name} is {text:?}", function.name);
        Finding::problem(PART, found, "give it a duration such as 30s or 1m30s")
    })
    .collect()
}

fn setup_limits(setup: &FunctionStatus) -> Vec<Finding> {
    let (exec, write) = (exec_timeout(setup), limit(setup, "write_timeout"));
    let mut findings = Vec::new();
    if exec < SETUP_TAKES {
        let text = format!("{SETUP}: exec_timeout {exec:?}");
        let advice = "raise it: setup reads the data and gives workers ten seconds to find a place";
        findings.push(Finding::problem(PART, text, advice));
    }
    if write < exec {
        let text = format!("{SETUP}: write_timeout {write:?} is below exec_timeout {}", shown(exec));
        findings.push(Finding::problem(PART, text, "raise it: a call that takes longer gets no answer"));
    }
    if exec >= GATEWAY_ALLOWS {
        let text = format!("{SETUP}: exec_timeout {}", shown(exec));
        let advice = "the gateway must allow more: its upstream_timeout, below its read_timeout and write_timeout, is 1m by default";
        findings.push(Finding::warning(PART, text, advice));
    }
    findings
}

fn train_limits(train: &FunctionStatus, on_kubernetes: bool) -> Vec<Finding> {
    let exec = exec_timeout(train);
    let linger = limit(train, "healthcheck_interval").saturating_add(limit(train, "write_timeout"));
    let mut findings = Vec::new();
    if exec < WORTHWHILE {
        let text = format!("{TRAIN}: exec_timeout {exec:?}");
        let advice = "raise it, to 1h for example: a worker hands over to another invocation when it is over";
        findings.push(Finding::warning(PART, text, advice));
    }
    if on_kubernetes && linger > POD_MAY_LINGER {
        let text = format!("{TRAIN}: healthcheck_interval + write_timeout are {linger:?}");
        let advice =
            "lower them below 30s, when Kubernetes kills a pod, or set terminationGracePeriodSeconds";
        findings.push(Finding::warning(PART, text, advice));
    }
    findings
}

/// 0 is no limit.
fn exec_timeout(function: &FunctionStatus) -> Duration {
    let exec = limit(function, "exec_timeout");
    if exec.is_zero() { Duration::MAX } else { exec }
}

fn shown(exec: Duration) -> String {
    if exec == Duration::MAX { "without limit".to_owned() } else { format!("{exec:?}") }
}

/// A time-out as the watchdog takes it.
fn limit(function: &FunctionStatus, variable: &str) -> Duration {
    let given = |variable| function.env_vars.get(variable).and_then(|text: &String| parse_duration(text));
    match variable {
        "healthcheck_interval" => given(variable).or_else(|| given("write_timeout")),
        _ => given(variable),
    }
    .unwrap_or(DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn function(variables: &[(&str, &str)]) -> FunctionStatus {
        let env_vars = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        FunctionStatus { env_vars: env_vars.collect(), ..FunctionStatus::default() }
    }

    #[test]
    fn setup_must_have_time_for_its_workers() {
        let found = |variables: &[(&str, &str)]| setup_limits(&function(variables));
        assert_eq!(found(&[("exec_timeout", "55s"), ("write_timeout", "1m")]), []);
        assert_eq!(found(&[]), []);
        let short = found(&[("exec_timeout", "5")]);
        assert!(short[0].level == Level::Problem && short[0].found.contains("exec_timeout 5s"), "{short:?}");
        let cut = found(&[("exec_timeout", "50s")]);
        assert!(cut[0].found.contains("write_timeout 30s is below exec_timeout 50s"), "{cut:?}");
        let long = found(&[("exec_timeout", "5m"), ("write_timeout", "5m")]);
        assert!(long[0].level == Level::Warning && long[0].found.contains("300s"), "{long:?}");
        let endless = found(&[("exec_timeout", "0")]);
        assert!(
            endless.iter().all(|finding| finding.found.ends_with("exec_timeout without limit")),
            "{endless:?}"
        );
    }

    #[test]
    fn a_worker_should_stay_and_leave_in_time() {
        let limits = |variables: &[(&str, &str)]| train_limits(&function(variables), true);
        assert_eq!(
            limits(&[("exec_timeout", "0"), ("write_timeout", "20s"), ("healthcheck_interval", "5s")]),
            []
        );
        assert_eq!(limits(&[]).len(), 2, "{:?}", limits(&[]));
        assert!(wrong(&function(&[("exec_timeout", "soon")]))[0].found.contains("\"soon\""));
    }
}
