//! What kubectl may change, what it may not, and who may use it.

mod support;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::kubernetes::{DEPLOYMENTS, PODS, get, json_of, patch_scale, pods, table};
use support::{Platform, eventually, processes_of};

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
    let patch = platform.request(Method::PATCH, &path).header(CONTENT_TYPE, "application/json-patch+json");
    json_of(patch.body("[]"), 415).await;
    assert_eq!(platform.status("fn").await.replicas, 0);
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
    assert_eq!(pods(&platform).await, std::slice::from_ref(&pod));
    let deleted =
        json_of(platform.request(Method::DELETE, &path).json(&json!({"kind": "DeleteOptions"})), 200).await;
    assert!(deleted["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "slept", "a call in flight is answered");
    let next = platform.text("/function/fn/pod").await;
    assert_ne!(next, pod);
    eventually(async || (platform.get(&path).await.status() == 404).then_some(())).await;
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
