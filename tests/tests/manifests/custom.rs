//! What Kubernetes' schemas do not have: Knative's Service and OpenFaaS' Profile. Their own fields are checked
//! here, against what Knative's admission (`pkg/apis/serving/fieldmask.go`) and OpenFaaS' reference of profiles
//! allow; what they take over from Kubernetes is put into an object of Kubernetes, for its schemas.

use serde_json::{Value, json};

use crate::manifest::{self, Manifest, list};

/// What of it Kubernetes has a schema for.
pub(crate) fn inner(manifest: &Manifest) -> Value {
    let mut object = json!({"apiVersion": "v1", "metadata": {"name": manifest.name()}});
    if manifest.is_knative() {
        object["kind"] = "PodTemplate".into();
        object["template"] = manifest.spec()["template"].clone();
        let spec = &mut object["template"]["spec"];
        for own in ["containerConcurrency", "timeoutSeconds"] {
            spec.as_object_mut().unwrap().remove(own);
        }
        // Knative names the container itself.
        for container in spec["containers"].as_array_mut().unwrap() {
            container["name"] = "user-container".into();
        }
    } else {
        object["kind"] = "Pod".into();
        object["spec"] = manifest.spec().clone();
        object["spec"]["containers"] = json!([{"name": "function"}]);
    }
    object
}

/// Everything that a value may say: the keys of a map that are no such are refused.
fn only(place: &str, value: &Value, allowed: &[&str]) {
    for key in value.as_object().unwrap_or_else(|| panic!("{place}: {value} is no map")).keys() {
        assert!(allowed.contains(&key.as_str()), "{place}: {key} is none of {}", allowed.join(", "));
    }
}

fn between(place: &str, value: &Value, least: u64, most: u64) {
    let found = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    assert!(found.is_some_and(|found| (least..=most).contains(&found)), "{place}: {value}");
}

#[test]
fn knative_services_say_only_what_knative_allows_by_default() {
    let services = manifest::of("knative/functions.yaml");
    assert_eq!(services.len(), 3);
    for service in &services {
        let place = service.name();
        assert_eq!(service.value["apiVersion"], "serving.knative.dev/v1");
        assert_eq!(service.kind(), "Service");
        only(place, &service.value, &["apiVersion", "kind", "metadata", "spec"]);
        only(place, &service.value["metadata"], &["name", "namespace", "labels"]);
        only(place, service.spec(), &["template"]);
        let template = &service.spec()["template"];
        only(place, template, &["metadata", "spec"]);
        only(place, &template["metadata"], &["labels", "annotations"]);
        let scale = &template["metadata"]["annotations"];
        let (least, most) = ("autoscaling.knative.dev/min-scale", "autoscaling.knative.dev/max-scale");
        only(place, scale, &[least, most]);
        between(place, &scale[least], 1, 1000);
        between(place, &scale[most], scale[least].as_str().unwrap().parse().unwrap(), 1000);
        revision(place, &template["spec"]);
    }
}

/// The pod, as far as no feature flag but `kubernetes.podspec-fieldref` is needed.
fn revision(place: &str, spec: &Value) {
    let own = ["containerConcurrency", "timeoutSeconds"];
    let taken_over = ["containers", "volumes", "enableServiceLinks", "automountServiceAccountToken"];
    only(place, spec, &[&own[..], &taken_over].concat());
    between(place, &spec["containerConcurrency"], 0, 1000);
    // Up to max-revision-timeout-seconds.
    between(place, &spec["timeoutSeconds"], 1, 600);
    assert_eq!(list(&spec["containers"]).len(), 1, "{place}");
    let container = &spec["containers"][0];
    let allowed = [
        "image",
        "imagePullPolicy",
        "ports",
        "env",
        "livenessProbe",
        "readinessProbe",
        "resources",
        "securityContext",
        "volumeMounts",
    ];
    only(place, container, &allowed);
    assert_eq!(list(&container["ports"]).len(), 1, "{place}: Knative takes one port");
    only(place, &container["ports"][0], &["name", "containerPort"]);
    assert_eq!(container["ports"][0]["name"], "http1", "{place}");
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], container["ports"][0]["containerPort"], "{place}");
    }
    for variable in list(&container["env"]) {
        let name = variable["name"].as_str().unwrap();
        let reserved = ["PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"].contains(&name);
        // `port` would win over Knative's PORT.
        assert!(!reserved && name != "port", "{place}: {name} is Knative's to say");
    }
    for volume in list(&spec["volumes"]) {
        only(place, volume, &["name", "emptyDir", "secret", "configMap", "projected"]);
    }
}

#[test]
fn a_profile_says_only_what_openfaas_takes_from_it() {
    let [profile] = &manifest::of("profiles/beside-redis.yaml")[..] else { panic!("one profile") };
    assert_eq!((&profile.value["apiVersion"], profile.kind()), (&json!("openfaas.com/v1"), "Profile"));
    // Where OpenFaaS looks for profiles.
    assert_eq!(profile.namespace(), "openfaas");
    let allowed = [
        "tolerations",
        "runtimeClassName",
        "podSecurityContext",
        "affinity",
        "topologySpreadConstraints",
        "dnsPolicy",
        "dnsConfig",
        "resources",
        "priorityClassName",
        "strategy",
    ];
    only(profile.name(), profile.spec(), &allowed);
    // The pod of `inner` has the first two, under the same name.
    only(profile.name(), profile.spec(), &["affinity", "topologySpreadConstraints"]);
}
