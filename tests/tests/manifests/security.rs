//! Who a process is and what it may use: Kubernetes' Pod Security Standard `restricted`, which
//! `namespace.yaml` enforces, and a little more.

use std::fs;

use serde_json::{Value, json};

use crate::manifest::{self, PodTemplate, list, text};

/// The container's own word, else the pod's.
fn effective<'a>(pods: &'a PodTemplate, container: &'a Value, field: &str) -> &'a Value {
    match container["securityContext"].get(field) {
        Some(value) => value,
        None => &pods.spec["securityContext"][field],
    }
}

#[test]
fn every_container_is_restricted() {
    for pods in manifest::pods() {
        assert!(!pods.containers().is_empty(), "{}", pods.owner);
        for container in pods.containers() {
            let of = |field| effective(&pods, container, field);
            assert_eq!(*of("runAsNonRoot"), json!(true), "{}", pods.owner);
            assert!(of("runAsUser").as_u64().is_some_and(|user| user > 0), "{}", pods.owner);
            assert_eq!(of("seccompProfile")["type"], "RuntimeDefault", "{}", pods.owner);
            assert_eq!(*of("allowPrivilegeEscalation"), json!(false), "{}", pods.owner);
            assert_eq!(*of("readOnlyRootFilesystem"), json!(true), "{}", pods.owner);
            assert_eq!(
                container["securityContext"]["capabilities"],
                json!({"drop": ["ALL"]}),
                "{}",
                pods.owner
            );
        }
        for volume in list(&pods.spec["volumes"]) {
            assert!(volume.get("hostPath").is_none(), "{}", pods.owner);
        }
        // Nothing here talks to Kubernetes, and variables of other services only confuse.
        assert_eq!(pods.spec["automountServiceAccountToken"], json!(false), "{}", pods.owner);
        assert_eq!(pods.spec["enableServiceLinks"], json!(false), "{}", pods.owner);
    }
}

#[test]
fn an_image_is_a_program_without_a_shell_or_root() {
    let dockerfile = include_str!("../../../template/rust-sgd/Dockerfile");
    let (_, image) = dockerfile.rsplit_once("\nFROM ").unwrap();
    let mut lines = image.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(lines.next(), Some("scratch"));
    let instructions: Vec<&str> = lines.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(instructions, ["COPY", "USER", "ENV", "EXPOSE", "ENTRYPOINT"]);
    assert!(image.contains("\nUSER 12000:12000\n") && image.contains("\nENTRYPOINT [\"/function\"]"));
    let stack = include_str!("../../../stack.yml");
    let functions = openfaas::stack::Stack::parse(stack, |_| None).unwrap().deployments();
    assert!(!functions.is_empty() && functions.iter().all(|function| function.read_only_root_filesystem));
}

/// A promise is as good as its test.
#[test]
fn every_test_that_security_md_names_is_there() {
    let root = manifest::folder().join("..");
    let words = include_str!("../../../SECURITY.md").split('`');
    let named: Vec<_> = words.filter_map(|word| word.split_once(".rs: ")).collect();
    assert!(named.len() > 20, "{named:?}");
    for (file, test) in named {
        let source = fs::read_to_string(root.join(format!("{file}.rs")))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let at = source.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{file}.rs has no {test}"));
        let head = source[..at].rsplit("\n\n").next().unwrap();
        assert!(
            ["#[test]", "#[tokio::test"].iter().any(|word| head.contains(word)),
            "{file}.rs: {test} is no test"
        );
    }
}

#[test]
fn every_container_says_what_it_needs_and_may_have() {
    for pods in manifest::pods() {
        for container in pods.containers() {
            for (kind, resource) in
                [("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory")]
            {
                assert!(
                    container["resources"][kind][resource].is_string(),
                    "{}: {kind} {resource}",
                    pods.owner
                );
            }
        }
        // A folder in memory or on the node's disk is bounded too.
        for volume in list(&pods.spec["volumes"]) {
            let Some(empty) = volume.get("emptyDir") else { continue };
            assert!(empty["sizeLimit"].is_string(), "{}: {}", pods.owner, text(&volume["name"]));
        }
    }
}

#[test]
fn a_full_redis_refuses_before_the_kernel_kills_it() {
    let redis = manifest::pods().into_iter().filter(|pods| {
        pods.labels.get("app.kubernetes.io/name").is_some_and(|name| name.starts_with("redis"))
    });
    let mut seen = 0;
    for pods in redis {
        let container = pods.containers()[0];
        let mut arguments =
            list(&container["args"]).iter().map(text).skip_while(|word| *word != "--maxmemory");
        let maxmemory =
            arguments.nth(1).and_then(|size| size.strip_suffix("mb")?.parse::<u64>().ok()).unwrap();
        let limit = text(&container["resources"]["limits"]["memory"]).strip_suffix("Gi").unwrap();
        let limit = limit.parse::<u64>().unwrap() * 1024;
        assert!(maxmemory * 4 <= limit * 3, "{}: {maxmemory} of {limit} MiB", pods.owner);
        seen += 1;
    }
    assert_eq!(seen, 2);
}
