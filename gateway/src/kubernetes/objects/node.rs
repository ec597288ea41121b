//! What replicas run on and in: this machine, or virtual nodes on it, and the one namespace.

use std::fs;

use openfaas::names::REPLICA_LIMIT;
use openfaas::types::DEFAULT_NAMESPACE;
use serde_json::{Value, json};

use super::{Site, time, uid};
use crate::kubernetes::SERVER_VERSION;
use crate::kubernetes::kind::Kind;

/// The namespace that functions are in.
pub(super) fn namespace(site: &Site) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": DEFAULT_NAMESPACE,
            "uid": uid(Kind::Namespace, &[DEFAULT_NAMESPACE]),
            "creationTimestamp": time(site.started),
            "labels": {"kubernetes.io/metadata.name": DEFAULT_NAMESPACE},
        },
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    })
}

/// The node `name`.
pub(super) fn node(site: &Site, name: &str) -> Value {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let resources = json!({
        "cpu": processors.to_string(),
        "memory": format!("{}Ki", memory_kibibytes()),
        "pods": REPLICA_LIMIT.to_string(),
    });
    let started = time(site.started);
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": uid(Kind::Node, &[name]),
            "creationTimestamp": started,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture()},
        },
        "spec": {},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": site.gateway.ip().to_string()},
                {"type": "Hostname", "address": name},
            ],
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "GatewayReady",
                "message": "the gateway runs replicas as processes of this machine",
                "lastHeartbeatTime": started,
                "lastTransitionTime": started,
            }],
            "nodeInfo": system(),
        },
    })
}

fn system() -> Value {
    let system = rustix::system::uname();
    json!({
        "architecture": architecture(),
        "operatingSystem": std::env::consts::OS,
        "osImage": os_name(),
        "kernelVersion": system.release().to_string_lossy(),
        "kubeletVersion": SERVER_VERSION,
        "kubeProxyVersion": "",
        "containerRuntimeVersion": concat!("process://", env!("CARGO_PKG_VERSION")),
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    })
}

/// Kubernetes has Go's names.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Zero where the system does not say.
fn memory_kibibytes() -> u64 {
    let all = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = all.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

fn os_name() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}
