//! Where the node-local Redis comes to be: on each node that has train functions, once, and nowhere else; and
//! what becomes of that when functions go and come.

use serde_json::json;

use crate::manifest::{self, Manifest, PodTemplate};
use crate::scheduler::{Cluster, Preference};

const NODES: [usize; 4] = [1, 2, 3, 5];

fn redis() -> PodTemplate {
    let local = manifest::of("redis/local.yaml");
    local.iter().find_map(Manifest::pods).unwrap()
}

/// The train function as each platform makes its pods: OpenFaaS' have the label and nothing else of ours.
fn train_functions() -> Vec<PodTemplate> {
    let ours = manifest::pods()
        .into_iter()
        .filter(|pods| pods.labels.get("faas_function").is_some_and(|function| function == "emnist-train"));
    let openfaas = PodTemplate {
        owner: "OpenFaaS".to_owned(),
        namespace: "openfaas-fn".to_owned(),
        labels: [("faas_function".to_owned(), "emnist-train".to_owned())].into(),
        spec: json!({}),
    };
    let all: Vec<_> = ours.chain([openfaas]).collect();
    assert_eq!(all.len(), 3, "Knative, plain Kubernetes, OpenFaaS");
    all
}

/// The cases: nodes, where the scheduler likes to go, train functions.
fn cases() -> impl Iterator<Item = (usize, Preference, PodTemplate)> {
    NODES.into_iter().flat_map(|nodes| {
        Preference::ALL.into_iter().flat_map(move |preference| {
            train_functions().into_iter().map(move |train| (nodes, preference, train))
        })
    })
}

/// One for each node with functions, as a count.
fn wanted(cluster: &Cluster, train: &PodTemplate) -> Vec<usize> {
    cluster.on_nodes(train).into_iter().map(|functions| functions.min(1)).collect()
}

#[test]
fn each_node_with_functions_has_one_and_no_other_node_has_any() {
    for (nodes, preference, train) in cases() {
        for functions in 1..=2 * nodes {
            for functions_first in [true, false] {
                let mut cluster = Cluster::new(nodes, preference);
                let (one, two) = ((&train, functions), (&redis(), nodes));
                for (template, replicas) in if functions_first { [one, two] } else { [two, one] } {
                    cluster.scale(template, replicas);
                }
                let case =
                    format!("{functions} functions of {} on {nodes} nodes, {preference:?}", train.owner);
                assert_eq!(cluster.on_nodes(&redis()), wanted(&cluster, &train), "{case}");
                assert_eq!(cluster.on_nodes(&train).iter().sum::<usize>(), functions, "{case}");
            }
        }
    }
}

#[test]
fn replicas_without_a_node_to_go_to_are_pending() {
    for (nodes, preference, train) in cases() {
        let mut cluster = Cluster::new(nodes, preference);
        cluster.scale(&redis(), nodes + 2);
        assert_eq!(cluster.pending(&redis()), nodes + 2, "no functions, so nowhere to go");
        cluster.scale(&train, nodes);
        let placed: usize = wanted(&cluster, &train).iter().sum();
        assert_eq!(cluster.on_nodes(&redis()), wanted(&cluster, &train));
        assert_eq!(cluster.pending(&redis()), nodes + 2 - placed);
    }
}

/// What was seen on a real cluster: Kubernetes looks at affinity only when it schedules a pod.
#[test]
fn one_stays_behind_where_functions_went_and_a_pending_one_goes_where_they_came() {
    for train in train_functions() {
        let mut cluster = Cluster::new(3, Preference::First);
        cluster.scale(&train, 1);
        cluster.scale(&redis(), 3);
        assert_eq!(cluster.on_nodes(&redis()), [1, 0, 0]);
        cluster.move_one(&train, 0, 2);
        assert_eq!(cluster.on_nodes(&train), [0, 0, 1]);
        // Drift: the first has no function any more. The second stepped in.
        assert_eq!(cluster.on_nodes(&redis()), [1, 0, 1]);
        cluster.delete_from(&redis(), 0);
        assert_eq!(cluster.on_nodes(&redis()), [0, 0, 1]);
    }
}

#[test]
fn with_fewer_replicas_than_nodes_a_function_can_be_without() {
    for train in train_functions() {
        let mut cluster = Cluster::new(3, Preference::First);
        cluster.scale(&train, 1);
        cluster.scale(&redis(), 1);
        cluster.move_one(&train, 0, 1);
        // Drift of both kinds: the function falls back to the global store.
        assert_eq!(cluster.on_nodes(&redis()), [1, 0, 0]);
        // What docs/CLUSTER.md advises: delete the one that nobody uses.
        cluster.delete_from(&redis(), 0);
        assert_eq!(cluster.on_nodes(&redis()), wanted(&cluster, &train));
        // Or have as many as nodes.
        cluster.move_one(&train, 1, 2);
        cluster.scale(&redis(), 3);
        assert_eq!(cluster.on_nodes(&redis()), [0, 1, 1]);
    }
}

#[test]
fn scaling_down_and_up_again_needs_no_more_than_one_a_node() {
    for (nodes, preference, train) in cases() {
        let mut cluster = Cluster::new(nodes, preference);
        cluster.scale(&redis(), nodes);
        for functions in [2 * nodes, 1, 0, nodes, 1, 2 * nodes] {
            cluster.scale(&train, functions);
            let (redis, wanted) = (cluster.on_nodes(&redis()), wanted(&cluster, &train));
            // More may be left over, none is missing, none is there twice.
            assert!(redis.iter().zip(&wanted).all(|(found, wanted)| found >= wanted), "{redis:?} {wanted:?}");
            assert!(redis.iter().all(|found| *found <= 1), "{redis:?}");
        }
    }
}

#[test]
fn a_function_with_the_profile_waits_for_no_redis() {
    let [profile] = &manifest::of("profiles/beside-redis.yaml")[..] else { panic!("one profile") };
    for (nodes, preference, mut train) in cases() {
        train.spec["affinity"] = profile.spec()["affinity"].clone();
        let mut cluster = Cluster::new(nodes, preference);
        cluster.scale(&redis(), nodes);
        cluster.scale(&train, nodes);
        assert_eq!((cluster.pending(&train), cluster.on_nodes(&redis())), (0, wanted(&cluster, &train)));
    }
}

#[test]
fn callers_reach_the_redis_of_their_own_node_only() {
    let local = manifest::of("redis/local.yaml");
    let service = local.iter().find(|manifest| manifest.kind() == "Service").unwrap();
    assert_eq!(service.spec()["internalTrafficPolicy"], "Local");
    // A new pod can't be beside an old one, so a rolling update would wait forever.
    let deployment = local.iter().find(|manifest| manifest.kind() == "Deployment").unwrap();
    assert_eq!(deployment.spec()["strategy"]["type"], "Recreate");
}
