//! A function as a deployment, and each of its versions as a replica set.

use std::sync::Arc;

use openfaas::types::FunctionDeployment;
use serde_json::{Value, json};

use super::pod::{set_hash, template};
use super::{SET_LABEL, Site, labels, metadata, owner, selector, time, uid};
use crate::kubernetes::kind::Kind;
use crate::supervisor::function::{Record, Version};
use crate::supervisor::replica::Replica;

/// The identifier of a function's deployment.
pub(super) fn uid_of(record: &Record) -> String {
    uid(Kind::Deployment, &[&record.deployment.service, &record.created_at])
}

/// How many replicas there are.
#[derive(Default)]
struct Count {
    /// Not told to end.
    all: u64,
    ready: u64,
}

impl Count {
    fn of<'a>(replicas: impl IntoIterator<Item = &'a Arc<Replica>>) -> Self {
        let mut count = Self::default();
        for replica in replicas.into_iter().filter(|replica| !replica.stopped() && replica.lived().is_none())
        {
            count.all += 1;
            count.ready += u64::from(replica.takes_calls());
        }
        count
    }
}

/// The deployment that is a function of this version with these replicas.
pub(super) fn deployment(site: &Site, version: &Version, replicas: &[Arc<Replica>]) -> Value {
    let Record { deployment, replicas: wanted, created_at } = &version.record;
    let set = version.set();
    let (all, updated) =
        (Count::of(replicas), Count::of(replicas.iter().filter(|replica| replica.set == set)));
    let mut head = metadata(&deployment.service, &uid_of(&version.record), created_at, &labels(deployment));
    head["annotations"] = json!(deployment.annotations);
    head["generation"] = json!(1);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": head,
        "spec": {
            "replicas": wanted,
            "selector": selector(deployment),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
            "template": template(site, deployment),
            "progressDeadlineSeconds": 600,
        },
        "status": {
            "observedGeneration": 1,
            "replicas": all.all,
            "updatedReplicas": updated.all,
            "readyReplicas": all.ready,
            "availableReplicas": all.ready,
            "unavailableReplicas": wanted.saturating_sub(all.ready),
            "conditions": conditions(&version.record, replicas, all.ready, updated.ready),
        },
    })
}

fn conditions(record: &Record, replicas: &[Arc<Replica>], available: u64, updated: u64) -> Value {
    let latest = replicas.iter().map(|replica| replica.phase_since().1).max();
    let at = latest.map_or_else(|| record.created_at.clone(), time);
    let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
        json!({
            "type": kind,
            "status": if holds { "True" } else { "False" },
            "reason": reason,
            "message": message,
            "lastUpdateTime": at,
            "lastTransitionTime": at,
        })
    };
    let enough = available >= record.replicas;
    let (reason, message) = if enough {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let complete = updated >= record.replicas;
    let progress = if complete { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" };
    json!([
        condition("Available", enough, reason, message),
        condition(
            "Progressing",
            true,
            progress,
            "Replicas of the newest version take calls or are on their way."
        ),
    ])
}

/// The replica set of the newest version, and those of older ones that have replicas.
pub(super) fn replica_sets(site: &Site, version: &Version, replicas: &[Arc<Replica>]) -> Vec<Value> {
    let current = version.set();
    let make = |set: &str, deployment: &FunctionDeployment, wanted: Option<u64>, created: &str| {
        let count = Count::of(replicas.iter().filter(|replica| replica.set == set));
        replica_set(site, &version.record, set, deployment, (wanted.unwrap_or(count.all), &count), created)
    };
    let record = &version.record;
    let mut sets = vec![make(&current, &record.deployment, Some(record.replicas), &record.created_at)];
    let mut seen = vec![current.as_str()];
    for replica in replicas.iter().filter(|replica| replica.lived().is_none()) {
        if !seen.contains(&replica.set.as_str()) {
            seen.push(&replica.set);
            sets.push(make(&replica.set, &replica.deployment, None, &record.created_at));
        }
    }
    sets
}

fn replica_set(
    site: &Site,
    record: &Record,
    set: &str,
    deployment: &FunctionDeployment,
    (wanted, count): (u64, &Count),
    created: &str,
) -> Value {
    let mut all = labels(deployment);
    all.insert(SET_LABEL.to_owned(), set_hash(set).to_owned());
    let mut head = metadata(set, &uid(Kind::ReplicaSet, &[set]), created, &all);
    head["ownerReferences"] = owner(Kind::Deployment, &deployment.service, &uid_of(record));
    head["generation"] = json!(1);
    let mut template = template(site, deployment);
    template["metadata"]["labels"] = json!(all);
    let mut selector = selector(deployment);
    selector["matchLabels"][SET_LABEL] = json!(set_hash(set));
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": head,
        "spec": {"replicas": wanted, "selector": selector, "template": template},
        "status": {
            "observedGeneration": 1,
            "replicas": count.all,
            "fullyLabeledReplicas": count.all,
            "readyReplicas": count.ready,
            "availableReplicas": count.ready,
        },
    })
}
