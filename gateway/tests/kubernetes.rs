//! What kubectl sends, as `kubectl -v=8` shows it, and what it needs to be answered.

mod support;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use support::{Platform, eventually, processes_of};

/// What `kubectl get` accepts.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
                     g=meta.k8s.io,application/json";
const PODS: &str = "/api/v1/namespaces/openfaas-fn/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/openfaas-fn/deployments";

async fn json_of(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    let found = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn get(platform: &Platform, path: &str) -> Value {
    json_of(platform.request(Method::GET, path), 200).await
}

async fn table(platform: &Platform, path: &str) -> Value {
    json_of(platform.request(Method::GET, path).header(ACCEPT, TABLE), 200).await
}

fn patch_scale(platform: &Platform, name: &str, replicas: Value) -> RequestBuilder {
    let body = json!({"spec": {"replicas": replicas}}).to_string();
    let path = format!("{DEPLOYMENTS}/{name}/scale");
    platform.request(Method::PATCH, &path).header(CONTENT_TYPE, "application/merge-patch+json").body(body)
}

/// The names of the pods that are not ending.
async fn pods(platform: &Platform) -> Vec<String> {
    let list = get(platform, PODS).await;
    let items = list["items"].as_array().unwrap().iter();
    let alive = items.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    alive.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Reads an answer that goes on, line by line.
struct Lines {
    response: Response,
    read: Vec<u8>,
}

impl Lines {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, read: Vec::new() }
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.drain(..=end).collect::<Vec<u8>>();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            let patience = std::time::Duration::from_secs(30);
            let chunk = tokio::time::timeout(patience, self.response.chunk()).await.expect("nothing comes");
            self.read.extend_from_slice(&chunk.unwrap()?);
        }
    }

    /// The next event of a watch.
    async fn event(&mut self) -> (String, Value) {
        let line = self.next().await.expect("the watch ended");
        let event: Value = serde_json::from_str(&line).unwrap();
        (event["type"].as_str().unwrap().to_owned(), event["object"].clone())
    }
}

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
        "limits": {"memory": "128Mi", "cpu": "no quantity"},
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
    assert_eq!(
        container["resources"]["limits"],
        json!({"memory": "128Mi"}),
        "clients refuse wrong quantities"
    );
    assert_eq!(pod["spec"]["volumes"][0]["secret"]["secretName"], "key");
    assert!(![deployment, sets, list].iter().any(|object| object.to_string().contains("hush")));
}

#[tokio::test(flavor = "multi_thread")]
async fn scales_past_labels_to_zero_and_not_past_the_limit() {
    let platform = Platform::start();
    platform.deploy("fn", json!({"labels": {"com.openfaas.scale.max": "2"}})).await;
    let scale = json_of(patch_scale(&platform, "fn", json!(3)), 200).await;
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(3)));
    // What `kubectl rollout status` waits for.
    let deployment = eventually(async || {
        let deployment = get(&platform, &format!("{DEPLOYMENTS}/fn")).await;
        (deployment["status"]["availableReplicas"] == 3).then_some(deployment)
    })
    .await;
    assert_eq!(deployment["metadata"]["generation"], deployment["status"]["observedGeneration"]);
    assert_eq!(
        (&deployment["metadata"]["generation"], &deployment["status"]["updatedReplicas"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(pods(&platform).await.len(), 3);

    // `kubectl scale --current-replicas` reads, and sends the whole object back.
    let path = format!("{DEPLOYMENTS}/fn/scale");
    let mut read = get(&platform, &path).await;
    read["spec"] = json!({"replicas": 1});
    let put = |body: &Value, query: &str| platform.request(Method::PUT, &format!("{path}{query}")).json(body);
    assert_eq!(json_of(put(&read, "?dryRun=All"), 200).await["spec"]["replicas"], 1);
    assert_eq!(platform.status("fn").await.replicas, 3);
    json_of(put(&read, ""), 200).await;
    let conflict = json_of(put(&read, ""), 409).await;
    assert!(
        conflict["message"]
            .as_str()
            .unwrap()
            .starts_with("Operation cannot be fulfilled on deployments.apps")
    );
    json_of(patch_scale(&platform, "fn", json!(0)), 200).await;
    eventually(async || processes_of(&platform.path("images")).is_empty().then_some(())).await;

    for wrong in [json!(101), json!(-1), json!("two"), json!(1.5)] {
        let status = json_of(patch_scale(&platform, "fn", wrong), 422).await;
        assert_eq!(status["details"]["causes"][0]["field"], "spec.replicas");
    }
    json_of(patch_scale(&platform, "nope", json!(1)), 404).await;
    let patch = patch_scale(&platform, "fn", json!(1)).header(CONTENT_TYPE, "application/json-patch+json");
    json_of(patch, 415).await;
    assert_eq!(platform.status("fn").await.replicas, 0);
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
async fn a_deleted_pod_drains_and_is_replaced() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let pod = platform.text("/function/fn/pod").await;
    let path = format!("{PODS}/{pod}");
    let slow = tokio::spawn(platform.request(Method::GET, "/function/fn/slow?ms=500").send());
    eventually(async || (platform.status("fn").await.invocation_count > 1.0).then_some(())).await;
    let wrong = json!({"preconditions": {"uid": "of another"}});
    json_of(platform.request(Method::DELETE, &path).json(&wrong), 409).await;
    let tried = json!({"dryRun": ["All"], "propagationPolicy": "Background"});
    json_of(platform.request(Method::DELETE, &path).json(&tried), 200).await;
    assert_eq!(pods(&platform).await, [pod.clone()]);
    let deleted =
        json_of(platform.request(Method::DELETE, &path).json(&json!({"kind": "DeleteOptions"})), 200).await;
    assert!(deleted["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "slept", "a call in flight is answered");
    let next = platform.text("/function/fn/pod").await;
    assert_ne!(next, pod);
    json_of(platform.request(Method::GET, &path), 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deaf_is_killed_by_force() {
    let platform = Platform::start();
    platform.deploy("deaf", json!({"envVars": {"ignore_sigterm": "true", "write_timeout": "1h"}})).await;
    let pod = platform.text("/function/deaf/pod").await;
    let path = format!("{PODS}/{pod}");
    json_of(platform.request(Method::DELETE, &path), 200).await;
    let shown = table(&platform, &path).await;
    assert_eq!(shown["rows"][0]["cells"][2], "Terminating");
    json_of(platform.request(Method::DELETE, &path).json(&json!({"gracePeriodSeconds": 0})), 200).await;
    eventually(async || (platform.get(&path).await.status() == 404).then_some(())).await;
    let second = eventually(async || pods(&platform).await.pop()).await;
    json_of(platform.request(Method::DELETE, &format!("{PODS}/{second}?gracePeriodSeconds=1")), 200).await;
    eventually(async || (platform.get(&format!("{PODS}/{second}")).await.status() == 404).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_starts_and_crashes() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let pod = platform.text("/function/fn/pod").await;
    let uid = get(&platform, &format!("{PODS}/{pod}")).await["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(platform.get("/function/fn/crash").await.status(), 500);
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_refused_with_the_reason() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let pod = platform.text("/function/fn/pod").await;
    let deployment = format!("{DEPLOYMENTS}/fn");
    for (method, path) in [
        (Method::POST, format!("{PODS}/{pod}/exec?command=ls")),
        (Method::GET, format!("{PODS}/{pod}/exec?command=ls")),
        (Method::POST, format!("{PODS}/{pod}/portforward")),
        (Method::POST, PODS.to_owned()),
        (Method::DELETE, PODS.to_owned()),
        (Method::PATCH, deployment.clone()),
        (Method::PUT, deployment.clone()),
        (Method::DELETE, deployment.clone()),
    ] {
        let status = json_of(platform.request(method, &path).json(&json!({})), 403).await;
        assert_eq!(status["reason"], "Forbidden");
        assert!(status["message"].as_str().unwrap().contains("faas-cli"), "{path}: {status}");
    }
    let apply = platform.request(Method::PATCH, &format!("{DEPLOYMENTS}/new?fieldManager=kubectl"));
    json_of(apply.header(CONTENT_TYPE, "application/apply-patch+yaml").body("a: b"), 403).await;
    json_of(platform.request(Method::PUT, PODS), 405).await;
    json_of(platform.request(Method::POST, &deployment), 405).await;
    json_of(platform.request(Method::POST, "/version"), 405).await;
    json_of(platform.request(Method::DELETE, &format!("{PODS}/{pod}")).body("["), 400).await;
    json_of(platform.request(Method::GET, &format!("{PODS}?fieldSelector=spec.x%3D1")), 400).await;
    json_of(platform.request(Method::GET, &deployment.replace("openfaas-fn", "other")), 404).await;
    assert_eq!(platform.text("/function/fn/pod").await, pod);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_as_a_servers_or_a_proxys() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("basic-auth-user"), "admin\n").unwrap();
    std::fs::write(folder.path().join("basic-auth-password"), "secret\n").unwrap();
    let platform = Platform::start_with(|config| config.basic_auth = Some(folder.path().to_owned()));
    assert_eq!(json_of(platform.request(Method::GET, PODS), 401).await["reason"], "Unauthorized");
    json_of(platform.request(Method::GET, PODS).basic_auth("admin", Some("secret")), 200).await;
    // As from a client that takes the gateway for its proxy: only so does kubectl send any over plain HTTP.
    let gateway = platform.url("");
    let proxy = reqwest::Proxy::http(&gateway).unwrap().basic_auth("admin", "secret");
    let client = reqwest::Client::builder().proxy(proxy).build().unwrap();
    json_of(client.get(platform.url(PODS)), 200).await;
    let proxy = reqwest::Proxy::http(&gateway).unwrap().basic_auth("admin", "wrong");
    let client = reqwest::Client::builder().proxy(proxy).build().unwrap();
    json_of(client.get(platform.url(PODS)), 401).await;
    let system = client.get(platform.url("/system/functions")).send().await.unwrap();
    assert_eq!(system.status(), StatusCode::UNAUTHORIZED);

    let open = Platform::start();
    let page = open.request(Method::GET, PODS).header("origin", "https://page.example");
    assert_eq!(json_of(page, 403).await["reason"], "Forbidden");
}
