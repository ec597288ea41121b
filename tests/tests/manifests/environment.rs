//! The variables of functions and jobs.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openfaas::stack::Stack;
use platform::identity::Identity;
use platform::secrets;
use platform::settings::{self, Settings};
use serde_json::Value;

use crate::manifest::{self, Labels, PodTemplate, list, text};

const STACK: &str = include_str!("../../../stack.yml");

/// What differs between platforms; everything else is the same in `stack.yml` and in the manifests.
const OF_THE_PLATFORM: [&str; 9] = [
    "gateway_hostname",
    "gateway_password_secret",
    "function_url",
    "store_password_secret",
    "store_ca_secret",
    "dataset_source",
    "data_dir",
    "database",
    "node_name",
];

/// Every variable that a program reads which asks `read` for them.
fn asked_for(read: impl Fn(&dyn Fn(&str) -> Option<String>)) -> BTreeSet<String> {
    let names = RefCell::new(BTreeSet::new());
    read(&|name| {
        names.borrow_mut().insert(name.to_owned());
        None
    });
    names.into_inner()
}

/// Every variable that a function reads.
fn of_functions() -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        settings::table().iter().map(|setting| setting.variable.to_owned()).collect();
    names.extend(asked_for(|lookup| drop(watchdog::Config::from_lookup(lookup))));
    names.extend(asked_for(|lookup| drop(Identity::from_environment(lookup))));
    names.extend(asked_for(|lookup| drop(secrets::read("a", lookup))));
    names
}

/// Every variable that the command line reads beside those: its own, and what it puts into `stack.yml`.
fn of_the_command_line() -> BTreeSet<String> {
    let substituted = STACK.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next());
    substituted.chain(["DOWNPOUR_STATE"]).map(str::to_owned).collect()
}

fn environment(container: &Value) -> Labels {
    let variables = list(&container["env"]).iter();
    let pairs = variables.map(|variable| {
        let value = variable["value"].as_str().unwrap_or_else(|| {
            assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName", "{variable}");
            "node-1"
        });
        (text(&variable["name"]).to_owned(), value.to_owned())
    });
    let found: BTreeMap<_, _> = pairs.collect();
    assert_eq!(found.len(), list(&container["env"]).len(), "a variable is there twice: {container}");
    found
}

/// The name of the image of ours that a container runs.
fn image(container: &Value) -> Option<&str> {
    text(&container["image"]).strip_prefix("docker.io/downpour/")?.strip_suffix(":latest")
}

fn functions() -> Vec<PodTemplate> {
    manifest::pods().into_iter().filter(|pods| pods.labels.contains_key("faas_function")).collect()
}

#[test]
fn every_variable_is_read_by_the_program_that_gets_it() {
    let (of_functions, of_the_command_line) = (of_functions(), of_the_command_line());
    for pods in manifest::pods() {
        for container in pods.containers() {
            let Some(image) = image(container) else { continue };
            for name in environment(container).keys() {
                let own = image == "downpour" && of_the_command_line.contains(name);
                assert!(own || of_functions.contains(name), "{}: nobody reads {name}", pods.owner);
            }
        }
    }
}

#[test]
fn functions_take_their_settings_and_have_the_time_that_they_need_to_end() {
    let functions = functions();
    assert_eq!(functions.len(), 6, "three on Knative, three on plain Kubernetes");
    for pods in functions {
        let container = pods.containers()[0];
        let variables = environment(container);
        let lookup = |name: &str| variables.get(name).cloned();
        Settings::from_environment(lookup).unwrap_or_else(|error| panic!("{}: {error}", pods.owner));
        let config =
            watchdog::Config::from_lookup(lookup).unwrap_or_else(|error| panic!("{}: {error}", pods.owner));
        assert_eq!(image(container), pods.labels.get("faas_function").map(String::as_str), "{}", pods.owner);
        let grace =
            pods.spec["terminationGracePeriodSeconds"].as_u64().or(pods.spec["timeoutSeconds"].as_u64());
        let needed = config.healthcheck_interval + config.write_timeout;
        assert!(
            grace.is_some_and(|grace| Duration::from_secs(grace) > needed),
            "{}: {grace:?} s",
            pods.owner
        );
    }
}

#[test]
fn settings_are_those_of_the_stack_file() {
    let stack = Stack::parse(STACK, |_| None).unwrap();
    let shared = |variables: &mut dyn Iterator<Item = (&String, &String)>| -> Labels {
        let own = variables.filter(|(name, _)| !OF_THE_PLATFORM.contains(&name.as_str()));
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    for pods in functions() {
        let name = &pods.labels["faas_function"];
        let function = stack.functions.iter().find(|function| function.name == *name).unwrap();
        let variables = environment(pods.containers()[0]);
        assert_eq!(shared(&mut variables.iter()), shared(&mut function.environment.iter()), "{}", pods.owner);
    }
}

#[test]
fn calls_go_where_the_platform_has_its_services() {
    for (file, wanted) in [
        ("plain/functions.yaml", "http://{function}.openfaas-fn:8080"),
        ("knative/functions.yaml", "http://{function}.openfaas-fn.svc.cluster.local"),
    ] {
        for pods in manifest::of(file).iter().filter_map(manifest::Manifest::pods) {
            assert_eq!(environment(pods.containers()[0])["function_url"], wanted, "{}", pods.owner);
        }
    }
}

#[test]
fn the_store_is_the_service_redis_and_its_password_is_mounted() {
    let services = manifest::of("redis/global.yaml");
    let service = services.iter().find(|manifest| manifest.kind() == "Service").unwrap();
    let port = &service.spec()["ports"][0]["port"];
    let address = format!("redis://{}.{}:{port}", service.name(), service.namespace());
    for pods in manifest::pods() {
        for container in pods.containers() {
            let variables = environment(container);
            let Some(url) = variables.get("store_url") else { continue };
            assert_eq!(*url, address, "{}", pods.owner);
            let secret = &variables["store_password_secret"];
            let mount = list(&container["volumeMounts"])
                .iter()
                .find(|mount| mount["mountPath"] == "/var/openfaas/secrets")
                .unwrap_or_else(|| panic!("{}: no secrets are mounted", pods.owner));
            let volume = list(&pods.spec["volumes"]).iter().find(|volume| volume["name"] == mount["name"]);
            assert_eq!(volume.unwrap()["secret"]["secretName"], **secret, "{}", pods.owner);
        }
    }
}
