//! The objects, made of what the supervisor knows.
//!
//! They are plain JSON: a dozen fields of each kind are of use here, and tables and selectors look them up by their
//! paths. Nothing in them depends on when they are made, so that equal objects mean that nothing changed.

mod deployment;
mod event;
mod node;
mod pod;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openfaas::types::{DEFAULT_NAMESPACE, FunctionDeployment};
use serde_json::{Value, json};

use super::kind::Kind;
use crate::supervisor::Supervisor;
use crate::supervisor::context::Context;

/// The label that OpenFaaS gives pods and selects them by.
const FUNCTION_LABEL: &str = "faas_function";
/// The label that tells the replicas of one version from those of another.
const SET_LABEL: &str = "pod-template-hash";

/// What objects are made of.
pub(crate) struct Site {
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) context: Arc<Context>,
    pub(crate) gateway: SocketAddr,
    /// When the gateway started.
    pub(crate) started: SystemTime,
}

impl Site {
    /// All nodes.
    fn nodes(&self) -> Vec<&str> {
        self.context.surroundings.nodes.iter().map(|node| node.name.as_str()).collect()
    }
}

/// All objects there are.
pub(crate) fn all(site: &Site) -> Vec<(Kind, Value)> {
    let mut all = vec![(Kind::Namespace, node::namespace(site))];
    all.extend(site.nodes().into_iter().map(|name| (Kind::Node, node::node(site, name))));
    for function in site.supervisor.list() {
        let (version, replicas) = (function.version(), function.replicas());
        all.push((Kind::Deployment, deployment::deployment(site, &version, &replicas)));
        let sets = deployment::replica_sets(site, &version, &replicas);
        all.extend(sets.into_iter().map(|set| (Kind::ReplicaSet, set)));
        // One that has ended is only not forgotten yet.
        let pods = replicas.iter().filter(|replica| replica.lived().is_none());
        all.extend(pods.map(|replica| (Kind::Pod, pod::pod(site, replica))));
        let uid = deployment::uid_of(&version.record);
        let notes = function.notes().into_iter();
        all.extend(notes.map(|note| (Kind::Event, event::event(&function.name, &uid, &note))));
    }
    all
}

/// The end of the last year that has four digits, in seconds since 1970.
const LATEST: u64 = 253_402_300_799;

/// RFC 3339, whole seconds; at most the end of the year 9999, which is all that it can write.
fn time(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().min(LATEST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// The time so long after another, as far as there is one.
fn after(at: SystemTime, wait: Duration) -> SystemTime {
    at.checked_add(wait).unwrap_or(UNIX_EPOCH + Duration::from_secs(LATEST))
}

/// An identifier that is the same whenever it is made of the same parts.
fn uid(kind: Kind, parts: &[&str]) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, kind.description().kind, parts).hash(&mut hasher);
        hasher.finish()
    };
    let (high, low) = (half(0), half(1));
    // Version 8, an identifier made in its own way, and the variant of RFC 9562.
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        ((low >> 48) & 0x3fff) | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

fn owner(kind: Kind, name: &str, uid: &str) -> Value {
    json!([{
        "apiVersion": kind.api_version(),
        "kind": kind.description().kind,
        "name": name,
        "uid": uid,
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

/// The labels of a function's pods, but for that of their version.
fn labels(deployment: &FunctionDeployment) -> BTreeMap<String, String> {
    let mut labels = deployment.labels.clone();
    labels.insert(FUNCTION_LABEL.to_owned(), deployment.service.clone());
    labels
}

fn selector(deployment: &FunctionDeployment) -> Value {
    json!({"matchLabels": {FUNCTION_LABEL: deployment.service}})
}

/// The head of an object of a namespace.
fn metadata(name: &str, uid: &str, created: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({
        "name": name,
        "namespace": DEFAULT_NAMESPACE,
        "uid": uid,
        "creationTimestamp": created,
        "labels": labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_can_be_written() {
        let later = |seconds| time(after(UNIX_EPOCH, Duration::from_secs(seconds)));
        assert_eq!(later(1), "1970-01-01T00:00:01Z");
        for seconds in [LATEST, LATEST + 1, 300_000_000_000, u64::MAX] {
            assert_eq!(later(seconds), "9999-12-31T23:59:59Z", "{seconds}");
        }
        assert_eq!(time(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn identifiers_are_steady_and_differ() {
        let first = uid(Kind::Pod, &["a", "b"]);
        assert_eq!(first, uid(Kind::Pod, &["a", "b"]));
        assert_ne!(first, uid(Kind::Deployment, &["a", "b"]));
        assert_ne!(first, uid(Kind::Pod, &["ab"]));
        let groups: Vec<usize> = first.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }
}
