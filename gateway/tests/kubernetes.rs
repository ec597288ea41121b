//! What kubectl asks to look at functions and replicas, as `kubectl -v=8` shows it, and what it needs to be answered.

mod support;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};
use support::kubernetes::{DEPLOYMENTS, Lines, PODS, TABLE, get, json_of, patch_scale, pods, table};
use support::{Platform, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn discovery_lists_what_there_is_and_nothing_else() {
    let platform = Platform::start();
    // kubectl would rather have the aggregated form, and takes this one.
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let api = json_of(platform.request(Method::GET, "/api?timeout=32s").header(ACCEPT, accept), 200).await;
    assert_eq!((&api["kind"], &api["versions"]), (&json!("APIVersions"), &json!(["v1"])));
    let groups = get(&platform, "/apis?timeout=32s").await;
    assert_eq!(groups["groups"][0]["preferredVersion"]["groupVersion"], "apps/v1");
    let names = |list: &Value| -> Vec<String> {
        let resources = list["resources"].as_array().unwrap().iter();
        resources.map(|resource| resource["name"].as_str().unwrap().to_owned()).collect()
    };
    let core = names(&get(&platform, "/api/v1").await);
    assert_eq!(core, ["namespaces", "nodes", "pods", "events", "pods/log"]);
    let apps = names(&get(&platform, "/apis/apps/v1").await);
    assert_eq!(apps, ["deployments", "replicasets", "deployments/scale"]);
    assert_eq!(get(&platform, "/version").await["major"], "1");
    // Without this kubectl does not send what it applies, and its message is about schemas.
    let index = get(&platform, "/openapi/v3?timeout=32s").await;
    let path = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let patch = &get(&platform, &path).await["paths"]
        [format!("{}/{{name}}", DEPLOYMENTS.replace("openfaas-fn", "{namespace}"))]["patch"];
    assert_eq!(patch["parameters"][0]["name"], "fieldValidation");
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
    for unknown in
        ["/apis/batch/v1", "/api/v1/secrets", "/api/v2", "/openapi/v3/apis/batch/v1", "/api/v1/pods/x"]
    {
        let status = json_of(platform.request(Method::GET, unknown), 404).await;
        assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("NotFound")), "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_the_columns_and_rows_that_kubectl_prints() {
    let platform = Platform::start();
    platform.deploy("fn", json!({"limits": {"memory": "128Mi"}})).await;
    let shown = table(&platform, &format!("{PODS}?limit=500")).await;
    let names: Vec<_> = shown["columnDefinitions"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(
        names,
        ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"]
    );
    let pod = platform.text("/function/fn/pod").await;
    let row = &shown["rows"][0];
    assert_eq!(row["cells"].as_array().unwrap()[..4], [pod.as_str(), "1/1", "Running", "0"].map(Value::from));
    assert_eq!(row["object"]["metadata"]["labels"]["faas_function"], "fn");
    assert!(row["object"]["spec"].is_null());
    let whole = table(&platform, &format!("{PODS}?includeObject=Object")).await;
    assert_eq!(whole["rows"][0]["object"]["kind"], "Pod");

    let one = table(&platform, &format!("{DEPLOYMENTS}/fn")).await;
    assert_eq!(
        one["rows"][0]["cells"].as_array().unwrap()[..4],
        [json!("fn"), json!("1/1"), json!(1), json!(1)]
    );
    let everywhere = table(&platform, "/api/v1/pods?labelSelector=faas_function%3Dfn").await;
    assert_eq!(everywhere["rows"].as_array().unwrap().len(), 1);
    for none in ["/api/v1/namespaces/other/pods", "/api/v1/pods?labelSelector=faas_function!%3Dfn"] {
        assert_eq!(table(&platform, none).await["rows"], json!([]), "{none}");
    }
    for (path, name) in [("/api/v1/namespaces", "openfaas-fn"), ("/apis/apps/v1/replicasets", &pod[..13])] {
        assert_eq!(table(&platform, path).await["rows"][0]["cells"][0], name);
    }
    let node = table(&platform, "/api/v1/nodes").await["rows"][0]["cells"][0].clone();
    assert_eq!(get(&platform, &format!("{PODS}/{pod}")).await["spec"]["nodeName"], node);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_say_who_owns_them_and_hold_no_secrets() {
    let platform = Platform::start();
    let secret = json!({"name": "key", "value": "hush-hush"});
    assert_eq!(platform.send(Method::POST, "/system/secrets", &secret).await.status(), 202);
    let more = json!({
        "secrets": ["key"],
        "envVars": {"colour": "red"},
        "limits": {"memory": "128Mi", "cpu": "100m"},
    });
    platform.deploy("fn", more).await;
    let deployment = get(&platform, &format!("{DEPLOYMENTS}/fn")).await;
    let sets = get(&platform, "/apis/apps/v1/namespaces/openfaas-fn/replicasets").await;
    let list = get(&platform, PODS).await;
    let (set, pod) = (&sets["items"][0], &list["items"][0]);
    let owner = |object: &Value| object["metadata"]["ownerReferences"][0]["uid"].clone();
    assert_eq!(owner(set), deployment["metadata"]["uid"]);
    assert_eq!(owner(pod), set["metadata"]["uid"]);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["env"], json!([{"name": "colour", "value": "red"}]));
    assert_eq!(container["resources"]["limits"], json!({"memory": "128Mi", "cpu": "100m"}));
    assert_eq!(pod["spec"]["volumes"][0]["secret"]["secretName"], "key");
    assert!(![deployment, sets, list].iter().any(|object| object.to_string().contains("hush")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_happens_after_a_list() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    platform.deploy("other", json!({})).await;
    let selector = "labelSelector=faas_function%3Dfn";
    let list = table(&platform, &format!("{PODS}?{selector}")).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let first = list["rows"][0]["cells"][0].clone();
    let path = format!("{PODS}?{selector}&resourceVersion={version}&watch=true");
    let mut watch = Lines::of(platform.request(Method::GET, &path).header(ACCEPT, TABLE)).await;
    platform.scale("other", 2).await;
    json_of(patch_scale(&platform, "fn", json!(2)), 200).await;
    let (what, object) = watch.event().await;
    assert_eq!((what.as_str(), &object["kind"]), ("ADDED", &json!("Table")));
    let added = object["rows"][0]["cells"][0].clone();
    assert!(added != first && added.as_str().unwrap().starts_with("fn-"), "{added}");
    while watch.event().await.1["rows"][0]["cells"][1] != "1/1" {}
    json_of(patch_scale(&platform, "fn", json!(0)), 200).await;
    let mut deleted = Vec::new();
    while deleted.len() < 2 {
        let (what, object) = watch.event().await;
        assert_eq!(object["rows"][0]["cells"][2], "Terminating");
        deleted.extend((what == "DELETED").then(|| object["rows"][0]["cells"][0].clone()));
    }
    assert!(deleted.contains(&first) && deleted.contains(&added));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_may_begin_with_what_there_is_and_ends_in_time() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&timeoutSeconds=1";
    let path = format!("{DEPLOYMENTS}?fieldSelector=metadata.name%3Dfn&{query}");
    let mut watch = Lines::of(platform.request(Method::GET, &path)).await;
    assert_eq!(watch.event().await.0, "ADDED");
    let (what, object) = watch.event().await;
    assert_eq!(what, "BOOKMARK");
    assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(watch.next().await, None);
    // Versions of another gateway.
    for version in ["1", "99999999999999"] {
        let path = format!("{PODS}?watch=true&resourceVersion={version}");
        assert_eq!(json_of(platform.request(Method::GET, &path), 410).await["reason"], "Expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_of_one_pod_and_end_with_it() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let pod = platform.text("/function/fn/pod").await;
    let log = format!("{PODS}/{pod}/log");
    platform.text("/function/fn/log?text=one").await;
    eventually(async || platform.text(&log).await.contains("one on stderr").then_some(())).await;
    assert_eq!(platform.text(&format!("{log}?container=fn&tailLines=0")).await, "");
    assert_eq!(platform.text(&format!("{log}?sinceTime=2999-01-01T00%3A00%3A00Z")).await, "");
    let stamped = platform.text(&format!("{log}?timestamps=true&sinceSeconds=3600")).await;
    let (time, text) = stamped.lines().next().unwrap().split_once(' ').unwrap();
    assert_eq!(
        (time.len(), text),
        ("2030-01-31T12:00:00.000000000Z".len(), format!("listening as {pod}").as_str())
    );
    assert_eq!(platform.text(&format!("{log}?limitBytes=6")).await, "listen");

    let mut lines = Lines::of(platform.request(Method::GET, &format!("{log}?follow=true&tailLines=0"))).await;
    platform.text("/function/fn/log?text=two").await;
    assert!(lines.next().await.unwrap().starts_with("two"));
    json_of(platform.request(Method::DELETE, &format!("{PODS}/{pod}")), 200).await;
    while lines.next().await.is_some() {}
    for (query, status) in [("container=nope", 400), ("previous=true", 400), ("sinceTime=soon", 400)] {
        let pod = eventually(async || pods(&platform).await.pop()).await;
        json_of(platform.request(Method::GET, &format!("{PODS}/{pod}/log?{query}")), status).await;
    }
    json_of(platform.request(Method::GET, &format!("{PODS}/nope/log")), 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_starts_and_crashes() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let pod = platform.text("/function/fn/pod").await;
    let uid = get(&platform, &format!("{PODS}/{pod}")).await["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(platform.post("/function/fn/crash", "").await.status(), 502);
    let selector = format!("involvedObject.name%3D{pod}%2CinvolvedObject.uid%3D{uid}");
    let reasons = eventually(async || {
        let events =
            get(&platform, &format!("/api/v1/namespaces/openfaas-fn/events?fieldSelector={selector}")).await;
        let reasons: Vec<_> =
            events["items"].as_array()?.iter().map(|event| event["reason"].clone()).collect();
        (reasons.len() == 2).then_some(reasons)
    })
    .await;
    assert_eq!(reasons, ["Started", "Failed"]);
}
