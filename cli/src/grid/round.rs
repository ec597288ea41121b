//! One round: deploy, scale, wait until ready, invoke setup, follow the run, undeploy.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use openfaas::client::Client;
use openfaas::names::ScaleRange;
use openfaas::types::FunctionDeployment;

use super::plan::Configuration;
use super::results::Measurement;
use super::site::Site;
use crate::local::signals::EndSignals;
use crate::report::Report;
use crate::training::{SETUP, SetupAnswer, await_replicas, follow, set_up};
use crate::watch::Audience;

/// How long replicas may take to come up: an image may have to be fetched.
const READY_WITHIN: Duration = Duration::from_secs(180);
/// How long functions may take to be gone; a pod has half a minute to end.
const GONE_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks whether one is.
const POLL: Duration = Duration::from_millis(10);

/// Makes round `number` of a configuration. Its functions are removed in any case.
///
/// # Errors
/// Why there is no measurement, or that a signal asked to end.
pub(crate) async fn round(
    site: &Site,
    configuration: &Configuration,
    number: u32,
    signals: &mut EndSignals,
) -> Result<Measurement> {
    let measured = measure(site, configuration, number, signals).await;
    let removed = signals.unless(undeploy(&site.gateway, &configuration.deployments)).await;
    let measured = measured?;
    removed.context("can't undeploy")?;
    Ok(measured)
}

async fn measure(
    site: &Site,
    configuration: &Configuration,
    number: u32,
    signals: &mut EndSignals,
) -> Result<Measurement> {
    let gateway = &site.gateway;
    let store = site.store(&configuration.settings)?;
    signals.unless(deploy(gateway, &configuration.deployments)).await?;
    let invoked = Instant::now();
    let answer = signals.unless(set_up(&site.functions, SETUP, &configuration.order(number))).await?;
    let (run, missing) = (answer.run.clone(), missing(&answer));
    let report = follow(&site.functions, store, answer.run, Audience::Nobody, signals).await?;
    let time_s = invoked.elapsed().as_secs_f64();
    if let Some(missing) = missing {
        bail!("run {run}: {missing}");
    }
    check(configuration, &report).with_context(|| format!("run {run}"))?;
    Ok(Measurement::new(report, time_s))
}

/// Which workers found no place, if any: without them it is another configuration's time.
fn missing(answer: &SetupAnswer) -> Option<String> {
    let first = answer.left_out.first()?;
    Some(format!("{} workers found no place, {}: {}", answer.left_out.len(), first.place, first.why))
}

fn check(configuration: &Configuration, report: &Report) -> Result<()> {
    let wanted = configuration.settings.workers.fixed().unwrap_or_default();
    ensure!(report.workers.len() == wanted, "{} of {wanted} workers have a part in it", report.workers.len());
    if let Some(target) = configuration.settings.target_accuracy.filter(|_| !report.reached_target) {
        let accuracy = 100.0 * report.test_accuracy.unwrap_or(0.0);
        bail!("{accuracy:.2} % after {:.1} epochs, the target is {} %", report.iterations, 100.0 * target);
    }
    Ok(())
}

/// Deploys functions and waits until each has the replicas that its label asks for.
async fn deploy(gateway: &Client, functions: &[FunctionDeployment]) -> Result<()> {
    for function in functions {
        gateway.deploy(function).await?;
    }
    for function in functions {
        let name = &function.service;
        let replicas = ScaleRange::from_labels(&function.labels)?.min;
        // An update leaves the number as it is.
        gateway.scale(name, replicas).await?;
        let ready = await_replicas(gateway, name, replicas, READY_WITHIN).await?;
        ensure!(ready, "{name}: {replicas} replicas are not ready after {} s", READY_WITHIN.as_secs());
    }
    Ok(())
}

/// Removes functions and waits until they are gone: one that is still ending would take the next deployment
/// of its name along.
async fn undeploy(gateway: &Client, functions: &[FunctionDeployment]) -> Result<()> {
    for function in functions {
        match gateway.remove(&function.service).await {
            Err(error) if error.status() != Some(404) => return Err(error.into()),
            _ => {}
        }
    }
    let deadline = Instant::now() + GONE_WITHIN;
    for function in functions {
        while gateway.get(&function.service).await?.is_some() {
            ensure!(Instant::now() < deadline, "{} is still there", function.service);
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(())
}
