//! The replica experiments as they are on a cluster: with kubectl.

use std::collections::BTreeSet;

use reqwest::Method;
use scenarios::{Data, Platform, eventually};
use serde_json::{Value, json};

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/openfaas-fn/deployments/emnist-train";
const PODS: &str = "/api/v1/namespaces/openfaas-fn/pods";
const JSON: &str = "application/json";

/// Three workers that train for so many epochs.
fn settings(epochs: u64) -> Value {
    let data = Data::find();
    json!({
        "data_dir": data.folder(), "number_of_workers": 3, "iterations": epochs, "target_accuracy": "none",
    })
}

/// The pods that a report names.
fn pods_of(report: &Value) -> BTreeSet<String> {
    let workers = report["workers"].as_array().unwrap().iter();
    workers.map(|worker| worker["pod"].as_str().unwrap().to_owned()).collect()
}

/// What `kubectl scale deployment emnist-train --replicas=N` and `kubectl rollout status` send.
fn scale(platform: &Platform, replicas: u64) {
    let body = json!({"spec": {"replicas": replicas}});
    let path = format!("{DEPLOYMENT}/scale");
    platform.kubernetes(Method::PATCH, &path, "application/merge-patch+json", &body);
    eventually("the replicas are ready", || {
        let deployment = platform.kubernetes(Method::GET, DEPLOYMENT, JSON, &Value::Null);
        (deployment["status"]["availableReplicas"] == replicas).then_some(())
    });
}

#[test]
fn replicas_that_were_scaled_take_a_worker_each() {
    let platform = Platform::new();
    scale(&platform, 3);
    let run = platform.set_up(&settings(1));
    platform.await_end(&run);
    assert_eq!(pods_of(&platform.report(&run)).len(), 3);
    let kubeconfig = platform.kubeconfig.clone();
    assert!(std::fs::read_to_string(&kubeconfig).unwrap().contains(&platform.gateway_url));
    platform.down();
    assert!(!kubeconfig.exists(), "it would lead to whatever listens there next");
}

#[test]
fn a_run_outlives_the_deletion_of_a_pod_and_scaling_down() {
    let platform = Platform::new();
    scale(&platform, 3);
    let run = platform.set_up(&settings(12));
    let pod = platform.await_progress_pod(&run, 1);
    platform.kubernetes(Method::DELETE, &format!("{PODS}/{pod}"), JSON, &json!({}));
    scale(&platform, 1);
    platform.await_end(&run);
    let report = platform.report(&run);
    let workers = report["workers"].as_array().unwrap();
    assert!(workers.len() == 3 && workers.iter().all(|worker| worker["epochs"] == 12), "{report}");
}

#[test]
#[ignore = "needs kubectl on the PATH: make test-kubectl"]
fn an_unchanged_kubectl_scales_shows_and_deletes() {
    let platform = Platform::new();
    let kubectl = |args: &[&str]| platform.kubectl(args).succeeded();
    kubectl(&["scale", "deployment", "emnist-train", "--replicas=3"]);
    let rollout = kubectl(&["rollout", "status", "deployment/emnist-train", "--timeout=60s"]);
    assert!(rollout.contains("successfully rolled out"), "{rollout}");
    let run = platform.set_up(&settings(1));
    platform.await_end(&run);
    let pods = pods_of(&platform.report(&run));
    assert_eq!(pods.len(), 3);
    let shown = kubectl(&["get", "pods", "-o", "wide", "-l", "faas_function=emnist-train"]);
    assert!(pods.iter().all(|pod| shown.contains(pod.as_str())), "{shown}");

    let pod = pods.first().unwrap();
    assert!(kubectl(&["describe", "pod", pod]).contains("Started process"));
    assert!(kubectl(&["describe", "deployment", "emnist-train"]).contains("3 available"));
    assert!(kubectl(&["logs", pod, "--tail=1", "--timestamps"]).contains("Z "));
    kubectl(&["logs", "deployment/emnist-train"]);
    kubectl(&["delete", "pod", pod]);
    kubectl(&["wait", "--for=condition=Available", "deployment/emnist-train", "--timeout=60s"]);
    let shown = kubectl(&["get", "pods", "-A", "-o", "name"]);
    assert!(!shown.contains(pod.as_str()), "{shown}");
    for all in [&["get", "all"][..], &["get", "nodes", "-o", "yaml"], &["get", "events"], &["version"]] {
        kubectl(all);
    }
    let manifest = platform.place.write("pod.yml", POD.as_bytes());
    let refused: [(&[&str], &str); 4] = [
        (&["exec", pods.last().unwrap(), "--", "ls"], "does not run commands in replicas"),
        (&["apply", "-f", manifest.to_str().unwrap()], "does not create objects"),
        (&["get", "pod", pod], "not found"),
        (&["scale", "deployment", "emnist-train", "--replicas=101"], "from 0 to 100"),
    ];
    for (args, why) in refused {
        let message = platform.kubectl(args).failed(1);
        assert!(message.contains(why), "{args:?}: {message}");
    }
}

// Block style: what begins with a brace is JSON to kubectl, whatever the file's name.
const POD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  containers:
  - name: c
    image: i
";
