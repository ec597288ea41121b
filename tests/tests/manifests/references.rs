//! What names something else finds it.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::manifest::{self, Manifest, PodTemplate, labels, list, selects, text};

/// The objects of OpenFaaS or Kubernetes in the namespace of this name.
fn of_kind(kind: &str) -> Vec<Manifest> {
    let all = manifest::all().into_iter();
    all.filter(|manifest| manifest.is_kubernetes() && manifest.kind() == kind).collect()
}

#[test]
fn names_are_used_once_and_namespaces_are_the_functions() {
    let mut seen = BTreeSet::new();
    for manifest in manifest::all() {
        let id = (
            manifest.value["apiVersion"].clone().to_string(),
            manifest.kind().to_owned(),
            manifest.name().to_owned(),
        );
        assert!(seen.insert(id), "{}: {} is there twice", manifest.file, manifest.name());
        let wanted = match manifest.kind() {
            "Namespace" => "",
            "Profile" => "openfaas",
            _ => "openfaas-fn",
        };
        assert_eq!(manifest.namespace(), wanted, "{}", manifest.file);
        let part_of = labels(&manifest.value["metadata"]["labels"]).remove("app.kubernetes.io/part-of");
        assert!(
            manifest.kind() == "Namespace" || part_of.as_deref() == Some("downpour"),
            "{}",
            manifest.file
        );
    }
}

#[test]
fn a_selector_selects_the_pods_of_its_own_template() {
    for kind in ["Deployment", "StatefulSet"] {
        let owners = of_kind(kind);
        assert!(!owners.is_empty());
        for owner in owners {
            let pods = owner.pods().unwrap();
            assert!(selects(&owner.spec()["selector"], &pods.labels), "{}", pods.owner);
        }
    }
}

#[test]
fn a_service_selects_pods_of_one_owner_and_names_a_port_of_theirs() {
    for service in of_kind("Service") {
        let selector = serde_json::json!({"matchLabels": service.spec()["selector"]});
        // Knative makes its Services itself.
        let own = manifest::all().into_iter().filter(|manifest| !manifest.is_knative());
        let selected: Vec<PodTemplate> = own
            .filter_map(|manifest| manifest.pods())
            .filter(|pods| selects(&selector, &pods.labels))
            .collect();
        let [pods] = &selected[..] else { panic!("{}: {selected:?}", service.name()) };
        for port in list(&service.spec()["ports"]) {
            assert!(container_port(pods, &port["targetPort"]).is_some(), "{}: {port}", service.name());
        }
    }
}

/// The number of a container's port, which has that name or number.
pub(crate) fn container_port(pods: &PodTemplate, wanted: &Value) -> Option<u64> {
    let ports = pods.containers().into_iter().flat_map(|container| list(&container["ports"]));
    let found = ports.into_iter().find(|port| port["name"] == *wanted || port["containerPort"] == *wanted);
    found.and_then(|port| port["containerPort"].as_u64())
}

#[test]
fn probes_name_ports_of_their_container() {
    for pods in manifest::pods() {
        for container in pods.containers() {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let Some(http) = container[probe].get("httpGet") else { continue };
                assert!(container_port(&pods, &http["port"]).is_some(), "{}: {probe}", pods.owner);
                let wanted = if probe == "readinessProbe" { "/_/ready" } else { "/_/health" };
                assert_eq!(http["path"], wanted, "{}", pods.owner);
            }
        }
    }
}

#[test]
fn what_goes_on_has_probes() {
    for pods in manifest::pods().iter().filter(|pods| !pods.owner.starts_with("Job/")) {
        for container in pods.containers() {
            for probe in ["livenessProbe", "readinessProbe"] {
                assert!(container[probe].is_object(), "{}: no {probe}", pods.owner);
            }
        }
    }
}

#[test]
fn every_mount_has_its_volume_and_every_volume_a_mount() {
    for manifest in manifest::all() {
        let Some(pods) = manifest.pods() else { continue };
        let names = |values: &[Value], at: &str| -> BTreeSet<String> {
            values.iter().map(|value| text(value.pointer(at).unwrap()).to_owned()).collect()
        };
        let mut volumes = names(list(&pods.spec["volumes"]), "/name");
        volumes.extend(names(list(&manifest.spec()["volumeClaimTemplates"]), "/metadata/name"));
        let mounts = pods
            .containers()
            .into_iter()
            .flat_map(|container| names(list(&container["volumeMounts"]), "/name"));
        assert_eq!(volumes, mounts.collect(), "{}", pods.owner);
    }
}

#[test]
fn config_maps_and_claims_are_there_and_secrets_are_made_as_written() {
    let guide = fs::read_to_string(manifest::folder().join("../docs/CLUSTER.md")).unwrap();
    for pods in manifest::pods() {
        let volumes = list(&pods.spec["volumes"]).iter();
        let sources = volumes.flat_map(|volume| match volume.get("projected") {
            Some(projected) => list(&projected["sources"]).to_vec(),
            None => vec![volume.clone()],
        });
        for source in sources {
            let named = |kind: &str, at: &str| {
                source.pointer(at).map(|name| (kind.to_owned(), text(name).to_owned()))
            };
            let found = [
                named("ConfigMap", "/configMap/name"),
                named("PersistentVolumeClaim", "/persistentVolumeClaim/claimName"),
            ];
            for (kind, name) in found.into_iter().flatten() {
                assert!(
                    of_kind(&kind).iter().any(|manifest| manifest.name() == name),
                    "{}: {kind} {name}",
                    pods.owner
                );
            }
            for (_, name) in
                [named("Secret", "/secret/secretName"), named("Secret", "/secret/name")].into_iter().flatten()
            {
                let command = format!("create secret generic {name} ");
                assert!(guide.contains(&command), "{}: CLUSTER.md does not say `{command}`", pods.owner);
            }
        }
    }
}

#[test]
fn the_guide_names_every_file_and_no_other() {
    let guide = fs::read_to_string(manifest::folder().join("../docs/CLUSTER.md")).unwrap();
    for file in manifest::files() {
        let name = format!("deploy/{}", file.strip_prefix(manifest::folder()).unwrap().display());
        assert!(guide.contains(&name), "CLUSTER.md does not say {name}");
    }
    let named = guide.split(|c: char| !(c.is_ascii_alphanumeric() || "/-._".contains(c)));
    for name in named.filter(|name| name.starts_with("deploy/") && name.ends_with(".yaml")) {
        assert!(manifest::folder().join("..").join(name).is_file(), "CLUSTER.md names {name}");
    }
}
