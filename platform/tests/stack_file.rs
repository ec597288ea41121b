//! The repository's own `stack.yml`: what it deploys, and that its functions take the settings.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise")]

use std::path::Path;

use openfaas::stack::Stack;
use platform::settings::{Settings, TrainType, table};

/// The variables of a function that are the watchdog's.
const WATCHDOG: &[&str] =
    &["read_timeout", "write_timeout", "exec_timeout", "healthcheck_interval", "max_inflight"];

fn stack(lookup: impl Fn(&str) -> Option<String>) -> Stack {
    Stack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../stack.yml"), lookup).unwrap()
}

#[test]
fn deploys_the_three_functions() {
    let deployments = stack(|_| None).deployments();
    let images: Vec<_> = deployments.iter().map(|deployment| deployment.image.as_str()).collect();
    let expected =
        ["setup", "train", "single"].map(|name| format!("docker.io/downpour/emnist-{name}:latest"));
    assert_eq!(images, expected);
    for deployment in &deployments {
        assert!(deployment.image.contains(&format!("/{}:", deployment.service)));
        assert!(deployment.read_only_root_filesystem);
        assert!(deployment.labels.contains_key("com.openfaas.scale.min"));
    }
    assert_eq!(deployments[1].env_vars["max_inflight"], "8");
}

#[test]
fn registry_and_store_come_from_the_environment() {
    let stack = stack(|name| match name {
        "REGISTRY" => Some("localhost:5000/me".to_owned()),
        "TAG" => Some("7".to_owned()),
        "STORE_URL" => Some("redis://127.0.0.1:1234".to_owned()),
        _ => None,
    });
    let train = &stack.deployments()[1];
    assert_eq!(train.image, "localhost:5000/me/emnist-train:7");
    assert_eq!(train.env_vars["store_url"], "redis://127.0.0.1:1234");
}

#[test]
fn every_variable_is_a_setting_or_the_watchdogs() {
    for function in stack(|_| None).functions {
        for variable in function.environment.keys() {
            let known = table().iter().any(|setting| setting.variable == variable);
            assert!(known || WATCHDOG.contains(&variable.as_str()), "{}: {variable}", function.name);
        }
    }
}

#[test]
fn the_functions_take_their_settings() {
    let stack = stack(|_| None);
    let settings: Vec<_> = stack
        .functions
        .iter()
        .map(|function| Settings::from_environment(|name| function.environment.get(name).cloned()).unwrap())
        .collect();
    assert_eq!((settings[0].workers.fixed(), settings[0].target_accuracy), (Some(2), Some(0.75)));
    assert_eq!(settings[0].train_type, TrainType::SetupAndLoop);
    assert_eq!(settings[2].train_type, TrainType::SingleFunction);
    assert_eq!(settings[1].gateway, "http://gateway.openfaas:8080");
    assert_eq!(settings[1].data_dir, None);
}
