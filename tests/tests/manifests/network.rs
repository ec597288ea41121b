//! Who may call whom: the NetworkPolicies, applied to the pods of the manifests and to some others.

use serde_json::{Value, json};

use crate::manifest::{self, Labels, PodTemplate, list, selects};
use crate::references::container_port;

const OURS: [&str; 1] = ["network-policies.yaml"];
const WITH_KNATIVE: [&str; 2] = ["network-policies.yaml", "knative/network-policy.yaml"];

fn policies(files: &[&str]) -> Vec<manifest::Manifest> {
    files.iter().flat_map(|file| manifest::of(file)).collect()
}

fn pod(owner: &str) -> PodTemplate {
    manifest::pods().into_iter().find(|pods| pods.owner == owner).unwrap_or_else(|| panic!("no {owner}"))
}

/// A pod of somebody else.
fn other(namespace: &str, labels: &[(&str, &str)]) -> PodTemplate {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    PodTemplate {
        owner: format!("a pod in {namespace}"),
        namespace: namespace.to_owned(),
        labels,
        spec: json!({}),
    }
}

/// Whether a peer of a rule is that pod; `home` is the policy's namespace.
fn is_peer(peer: &Value, home: &str, pod: &PodTemplate) -> bool {
    let name = [("kubernetes.io/metadata.name".to_owned(), pod.namespace.clone())];
    let namespace = match peer.get("namespaceSelector") {
        Some(selector) => selects(selector, &Labels::from(name)),
        None => pod.namespace == home,
    };
    namespace && peer.get("podSelector").is_none_or(|selector| selects(selector, &pod.labels))
}

/// Whether the policies let one side of a connection through: a pod that no policy selects is open.
fn lets(
    policies: &[manifest::Manifest],
    kind: &str,
    pod: &PodTemplate,
    peer: &PodTemplate,
    target: (&PodTemplate, u64),
) -> bool {
    let selecting: Vec<_> = policies
        .iter()
        .filter(|policy| {
            policy.namespace() == pod.namespace && selects(&policy.spec()["podSelector"], &pod.labels)
        })
        .filter(|policy| list(&policy.spec()["policyTypes"]).contains(&json!(kind)))
        .collect();
    let (rules, peers) = if kind == "Ingress" { ("ingress", "from") } else { ("egress", "to") };
    let allows = |policy: &manifest::Manifest, rule: &Value| {
        // Without ports, or without a number, a rule is about all of them.
        let is_target = |port: &Value| {
            let Some(port) = port.get("port") else { return true };
            port.as_u64().or_else(|| container_port(target.0, port)) == Some(target.1)
        };
        let reaches = rule.get("ports").is_none() || list(&rule["ports"]).iter().any(is_target);
        let known = rule.get(peers).is_none()
            || list(&rule[peers]).iter().any(|found| is_peer(found, policy.namespace(), peer));
        reaches && known
    };
    selecting.is_empty()
        || selecting.iter().any(|policy| list(&policy.spec()[rules]).iter().any(|rule| allows(policy, rule)))
}

fn may_call(files: &[&str], from: &PodTemplate, to: &PodTemplate, port: u64) -> bool {
    let policies = policies(files);
    lets(&policies, "Egress", from, to, (to, port)) && lets(&policies, "Ingress", to, from, (to, port))
}

#[test]
fn only_functions_synchronizers_and_jobs_reach_redis() {
    let synchronizer = other(
        "openfaas-fn",
        &[("app.kubernetes.io/part-of", "downpour"), ("app.kubernetes.io/component", "synchronizer")],
    );
    let friends = [
        "Deployment/emnist-setup",
        "Deployment/emnist-train",
        "Deployment/emnist-single",
        "Job/downpour-data",
    ]
    .map(pod)
    .into_iter()
    .chain([synchronizer, other("openfaas-fn", &[("faas_function", "my-fn")])]);
    let strangers = [
        other("openfaas-fn", &[("app", "shell")]),
        other("default", &[("faas_function", "emnist-train")]),
        other("openfaas", &[("app", "gateway")]),
        pod("StatefulSet/redis"),
        pod("Deployment/redis-local"),
    ];
    for redis in ["StatefulSet/redis", "Deployment/redis-local"].map(pod) {
        for friend in friends.clone() {
            assert!(may_call(&OURS, &friend, &redis, 6379), "{} → {}", friend.owner, redis.owner);
            assert!(!may_call(&OURS, &friend, &redis, 22), "{} → {}", friend.owner, redis.owner);
        }
        assert!(!may_call(&OURS, &redis, &other("nowhere", &[]), 443), "{} calls out", redis.owner);
        for stranger in &strangers {
            assert!(!may_call(&OURS, stranger, &redis, 6379), "{} → {}", stranger.owner, redis.owner);
        }
    }
}

#[test]
fn functions_reach_what_they_need_and_nothing_else() {
    let (setup, train) = (pod("Deployment/emnist-setup"), pod("Deployment/emnist-train"));
    let gateway = other("openfaas", &[("app", "gateway")]);
    let resolver = other("kube-system", &[("k8s-app", "kube-dns")]);
    assert!(may_call(&OURS, &setup, &train, 8080) && may_call(&OURS, &train, &train, 8080));
    assert!(may_call(&OURS, &gateway, &setup, 8080) && may_call(&OURS, &train, &gateway, 8080));
    assert!(may_call(&OURS, &train, &resolver, 53));
    assert!(may_call(&OURS, &pod("Job/downpour-data"), &train, 8080));
    let internet = other("nowhere", &[]);
    assert!(!may_call(&OURS, &train, &internet, 443));
    assert!(!may_call(&OURS, &internet, &train, 8080));
    assert!(!may_call(&OURS, &other("openfaas", &[("app", "prometheus")]), &train, 22));
}

#[test]
fn on_knative_calls_go_through_its_ingress() {
    let train = pod("Service/emnist-train");
    let ingress = other("kourier-system", &[("app", "3scale-kourier-gateway")]);
    let activator = other("knative-serving", &[("app", "activator")]);
    for files in [&OURS[..], &WITH_KNATIVE] {
        let open = files.len() > 1;
        assert_eq!(may_call(files, &train, &ingress, 8081), open);
        assert_eq!(may_call(files, &ingress, &train, 8012), open);
        assert_eq!(may_call(files, &activator, &train, 8012), open);
    }
    assert!(!may_call(&WITH_KNATIVE, &other("default", &[]), &train, 8012));
    assert!(may_call(&WITH_KNATIVE, &train, &pod("StatefulSet/redis"), 6379));
}
