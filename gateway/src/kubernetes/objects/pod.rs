//! A replica as a pod.

use std::time::{Duration, SystemTime};

use openfaas::types::{FunctionDeployment, Resources};
use serde_json::{Map, Value, json};

use super::{SET_LABEL, Site, after, labels, metadata, owner, time, uid};
use crate::kubernetes::kind::Kind;
use crate::supervisor::replica::{Phase, Replica};

/// Where OpenFaaS mounts secrets.
const SECRETS: &str = "/var/openfaas/secrets";
/// Where functions listen in a container.
const PORT: u16 = 8080;

/// The identifier of a pod, whose name is never used twice.
pub(super) fn uid_of(pod: &str) -> String {
    uid(Kind::Pod, &[pod])
}

/// The pod that is `replica`.
pub(super) fn pod(site: &Site, replica: &Replica) -> Value {
    let deployment = &replica.deployment;
    let (phase, since) = replica.phase_since();
    let mut all = labels(deployment);
    all.insert(SET_LABEL.to_owned(), set_hash(&replica.set).to_owned());
    let mut head = metadata(&replica.pod, &uid_of(&replica.pod), &time(replica.created), &all);
    head["generateName"] = json!(format!("{}-", replica.set));
    head["annotations"] = json!(deployment.annotations);
    let set_uid = uid(Kind::ReplicaSet, &[&replica.set]);
    head["ownerReferences"] = owner(Kind::ReplicaSet, &replica.set, &set_uid);
    let grace = grace(site, deployment);
    if phase == Phase::Stopping {
        head["deletionTimestamp"] = json!(time(after(since, grace)));
        head["deletionGracePeriodSeconds"] = json!(grace.as_secs());
    }
    let mut spec = specification(deployment, replica.port(), grace);
    spec["nodeName"] = json!(replica.node.name);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": head,
        "spec": spec,
        "status": status(replica, phase, since),
    })
}

/// The last part of the name of a set.
pub(super) fn set_hash(set: &str) -> &str {
    set.rsplit('-').next().unwrap_or_default()
}

fn grace(site: &Site, deployment: &FunctionDeployment) -> Duration {
    site.context.surroundings.grace_period(deployment, site.context.grace_period)
}

/// The template that replicas are made of.
pub(super) fn template(site: &Site, deployment: &FunctionDeployment) -> Value {
    json!({
        "metadata": {"labels": labels(deployment), "annotations": deployment.annotations},
        "spec": specification(deployment, PORT, grace(site, deployment)),
    })
}

fn specification(deployment: &FunctionDeployment, port: u16, grace: Duration) -> Value {
    let volumes = deployment.secrets.iter().map(|name| json!({"name": name, "secret": {"secretName": name}}));
    json!({
        "containers": [container(deployment, port)],
        "volumes": volumes.collect::<Vec<_>>(),
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": grace.as_secs(),
    })
}

fn container(deployment: &FunctionDeployment, port: u16) -> Value {
    let variables = deployment.env_vars.iter().map(|(name, value)| json!({"name": name, "value": value}));
    let mounts = deployment
        .secrets
        .iter()
        .map(|name| json!({"name": name, "mountPath": format!("{SECRETS}/{name}"), "readOnly": true}));
    json!({
        "name": deployment.service,
        "image": deployment.image,
        "imagePullPolicy": "Never",
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "env": variables.collect::<Vec<_>>(),
        "resources": {
            "limits": quantities(deployment.limits.as_ref()),
            "requests": quantities(deployment.requests.as_ref()),
        },
        "volumeMounts": mounts.collect::<Vec<_>>(),
        "readinessProbe": {
            "httpGet": {"path": "/_/ready", "port": port, "scheme": "HTTP"},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
        "securityContext": {"readOnlyRootFilesystem": deployment.read_only_root_filesystem},
    })
}

/// Memory and CPU.
fn quantities(resources: Option<&Resources>) -> Map<String, Value> {
    let Some(resources) = resources else { return Map::new() };
    [("cpu", &resources.cpu), ("memory", &resources.memory)]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.clone()?))))
        .collect()
}

fn status(replica: &Replica, phase: Phase, since: SystemTime) -> Value {
    let (ready, process) = (replica.takes_calls(), replica.process());
    let running = process.is_some() || phase != Phase::Starting;
    let condition = |kind: &str, holds: bool, at: SystemTime| {
        let status = if holds { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": time(at), "lastProbeTime": null})
    };
    let state = if running {
        json!({"running": {"startedAt": time(replica.created)}})
    } else {
        json!({"waiting": {"reason": "ContainerCreating"}})
    };
    let deployment = &replica.deployment;
    json!({
        "phase": if running { "Running" } else { "Pending" },
        "conditions": [
            condition("PodScheduled", true, replica.created),
            condition("Initialized", true, replica.created),
            condition("ContainersReady", ready, since),
            condition("Ready", ready, since),
        ],
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "startTime": time(replica.created),
        "containerStatuses": [{
            "name": deployment.service,
            "image": deployment.image,
            "imageID": "",
            "containerID": process.map(|id| format!("process://{id}")).unwrap_or_default(),
            "ready": ready,
            "started": running,
            // A process that ends is replaced by another replica, of another name.
            "restartCount": 0,
            "state": state,
            "lastState": {},
        }],
        "qosClass": quality(deployment),
    })
}

fn quality(deployment: &FunctionDeployment) -> &'static str {
    let limits = quantities(deployment.limits.as_ref());
    let requests = quantities(deployment.requests.as_ref());
    match (limits.len(), requests.len()) {
        (0, 0) => "BestEffort",
        (2, _) if requests.is_empty() || requests == limits => "Guaranteed",
        _ => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_follows_limits_and_requests() {
        let both =
            |memory: &str, cpu: &str| Some(Resources { memory: Some(memory.into()), cpu: Some(cpu.into()) });
        let quality_of = |limits, requests| {
            quality(&FunctionDeployment { limits, requests, ..FunctionDeployment::default() })
        };
        assert_eq!(quality_of(None, None), "BestEffort");
        assert_eq!(quality_of(both("1Gi", "1"), None), "Guaranteed");
        assert_eq!(quality_of(both("1Gi", "1"), both("1Gi", "100m")), "Burstable");
        assert_eq!(quality_of(None, both("1Gi", "1")), "Burstable");
    }
}
