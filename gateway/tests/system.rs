//! The rest of `/system`: secrets, logs, authentication, and input that is refused.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod support;

use std::os::unix::fs::PermissionsExt;

use gateway::{Config, Gateway};
use openfaas::types::{FunctionStatus, LogMessage};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::{Platform, deployment, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn secrets_go_in_and_never_out() {
    let mut platform = Platform::start();
    let secret = |value: &str| json!({"name": "api-key", "namespace": "openfaas-fn", "value": value});
    let send =
        async |method, body: &Value| platform.send(method, "/system/secrets", body).await.status().as_u16();
    assert_eq!(send(Method::PUT, &secret("one")).await, 404);
    assert_eq!(send(Method::POST, &secret("one")).await, 202);
    assert_eq!(send(Method::POST, &secret("two")).await, 409);
    assert_eq!(send(Method::POST, &json!({"name": "../x", "value": "v"})).await, 400);
    assert_eq!(send(Method::POST, &json!({"name": "raw", "rawValue": "cmF3"})).await, 202);
    assert_eq!(
        send(Method::POST, &json!({"name": "tls.crt", "value": "text", "rawValue": "cmF3"})).await,
        202
    );
    for wrong in
        [json!({"name": "s"}), json!({"name": "s", "value": ""}), json!({"name": "s", "rawValue": "???"})]
    {
        assert_eq!(send(Method::POST, &wrong).await, 400);
    }
    let listed: Value = platform.get("/system/secrets").await.json().await.unwrap();
    let expected =
        ["api-key", "raw", "tls.crt"].map(|name| json!({"name": name, "namespace": "openfaas-fn"}));
    assert_eq!(listed, json!(expected));
    let file = platform.path("state/secrets/api-key").metadata().unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);

    let missing = deployment("fn", json!({"secrets": ["none"]}));
    let response = platform.send(Method::POST, "/system/functions", &missing).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.text().await.unwrap(), "validation failed: secret none not found\n");
    platform.deploy("fn", json!({"secrets": ["api-key", "raw", "tls.crt"]})).await;
    assert_eq!(platform.text("/function/fn/secret?name=api-key").await, "one");
    for name in ["raw", "tls.crt"] {
        assert_eq!(platform.text(&format!("/function/fn/secret?name={name}")).await, "raw");
    }
    assert_eq!(send(Method::PUT, &secret("new")).await, 202);
    assert_eq!(platform.text("/function/fn/secret?name=api-key").await, "new");

    platform.restart();
    assert_eq!(platform.text("/function/fn/secret?name=api-key").await, "new");
    let remove = json!({"name": "api-key"});
    assert_eq!(platform.send(Method::DELETE, "/system/secrets", &remove).await.status(), 202);
    assert_eq!(platform.send(Method::DELETE, "/system/secrets", &remove).await.status(), 404);
}

/// The next line of a followed log.
async fn next_line(response: &mut Response, pending: &mut Vec<u8>) -> Option<LogMessage> {
    loop {
        if let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            return Some(serde_json::from_slice(&line).unwrap());
        }
        pending.extend_from_slice(&response.chunk().await.unwrap()?);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_kept_selected_and_followed() {
    let mut platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let pod = platform.text("/function/fn/pod").await;
    platform.text("/function/fn/log?text=first").await;
    let lines = async |query: &str| -> Vec<LogMessage> {
        let text = platform.text(&format!("/system/logs?name=fn&{query}")).await;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = eventually(async || Some(lines("").await).filter(|lines| lines.len() == 3)).await;
    assert!(
        all.iter().all(|line| line.instance == pod && line.name == "fn" && line.namespace == "openfaas-fn")
    );
    let mut texts: Vec<&str> = all.iter().map(|line| line.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["first", "first on stderr", format!("listening as {pod}").as_str()]);
    assert_eq!(lines("tail=1").await, all[2..]);
    assert_eq!(lines("tail=-1").await, all);
    assert_eq!(lines("tail=9&tail=1&follow=maybe").await, all[2..], "of two the last counts");
    assert_eq!(lines("instance=other").await, []);
    assert_eq!(lines("since=2100-01-01T00:00:00%2B01:00").await, []);
    assert_eq!(lines(&format!("since={}", all[0].timestamp)).await, all);

    let mut response = platform.get("/system/logs?name=fn.openfaas-fn&follow=true&tail=1").await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let mut pending = Vec::new();
    assert_eq!(next_line(&mut response, &mut pending).await.unwrap(), all[2]);
    platform.text("/function/fn/log?text=second").await;
    assert!(next_line(&mut response, &mut pending).await.unwrap().text.starts_with("second"));

    for (query, status) in
        [("name=none", 404), ("name=", 422), ("name=fn&since=now", 422), ("name=fn&tail=x", 422)]
    {
        assert_eq!(platform.get(&format!("/system/logs?{query}")).await.status(), status, "{query}");
    }
    platform.restart();
    assert!(platform.text("/system/logs?name=fn").await.contains("first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_of_logs_end_with_the_function_and_with_the_gateway() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    platform.deploy("other", json!({})).await;
    let follow = async |name: &str| platform.get(&format!("/system/logs?name={name}&follow=true")).await;
    let (of_fn, of_other) = (follow("fn").await, follow("other").await);
    platform.send(Method::DELETE, "/system/functions", &json!({"functionName": "fn"})).await;
    of_fn.text().await.unwrap();
    platform.shutdown().await;
    of_other.text().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn system_needs_the_credentials_and_functions_do_not() {
    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("basic-auth-user"), "admin\n").unwrap();
    std::fs::write(credentials.path().join("basic-auth-password"), "pass:word\n").unwrap();
    let platform = Platform::start_with(|config| config.basic_auth = Some(credentials.path().to_owned()));
    let ask = |password: &str| {
        platform.request(Method::GET, "/system/functions").basic_auth("admin", Some(password)).send()
    };
    assert_eq!(ask("pass:word").await.unwrap().status(), 200);
    assert_eq!(ask("pass").await.unwrap().status(), 401);
    let response = platform.request(Method::GET, "/system/info").bearer_auth("").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"Restricted\"");
    assert_eq!(response.text().await.unwrap(), "invalid credentials\n");
    assert_eq!(platform.get("/system/nowhere").await.status(), 401);
    assert_eq!(platform.get("/function/none").await.status(), 404);
    assert_eq!(platform.get("/healthz").await.status(), 503);
    platform.gateway().set_ready();
    assert_eq!(platform.get("/healthz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_only_this_machines_tools_may_use_system() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("state"), folder.path());
    config.listen = "0.0.0.0:0".parse().unwrap();
    let error = Gateway::start(config.clone()).err().unwrap().to_string();
    assert_eq!(
        error,
        "0.0.0.0:0 is not a loopback address: the gateway needs basic authentication there (basic_auth)"
    );
    config.basic_auth = Some(folder.path().to_owned());
    let error = Gateway::start(config).err().unwrap().to_string();
    assert!(error.contains("basic-auth-user"), "{error}");

    let platform = Platform::start();
    let ask =
        |name: &str, value: &str| platform.request(Method::GET, "/system/info").header(name, value).send();
    assert_eq!(ask("authorization", "Bearer ").await.unwrap().status(), 200);
    assert_eq!(ask("origin", "https://page.example").await.unwrap().status(), 403);
    assert_eq!(ask("host", "rebound.example").await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deployed_is_refused_in_one_line_and_leaves_nothing() {
    let platform = Platform::start();
    platform.deploy("there", json!({"envVars": {"colour": "red"}})).await;
    let pod = platform.text("/function/there/pod").await;
    let with = |field: &str, value: &Value| json!({"service": "fn", "image": "echo", field: value});
    std::fs::write(platform.path("outside"), "#!/bin/sh\n").unwrap();
    std::os::unix::fs::symlink(platform.path("outside"), platform.path("images/link")).unwrap();
    for (body, reason) in [
        (json!({"service": "Bad_Name", "image": "echo"}), "service \"Bad_Name\" is not a DNS label"),
        (json!({"service": "fn", "image": ":latest"}), "image \"\" is not a DNS label"),
        (json!({"service": "fn", "image": "me/none:1"}), "image \"me/none:1\": cannot use"),
        (json!({"service": "fn", "image": "../outside"}), "image \"../outside\": cannot use"),
        (json!({"service": "fn", "image": "link"}), "lies outside of"),
        (
            json!({"service": "fn", "image": "echo", "namespace": "other"}),
            "namespace \"other\" does not exist",
        ),
        (json!({"service": "fn", "image": "echo", "envVars": {"a=b": "c"}}), "envVars has a variable named"),
        (
            json!({"service": "fn", "image": "echo", "labels": {"com.openfaas.scale.min": "1000"}}),
            "label com.openfaas.scale.min is \"1000\": wanted a whole number from 0 to 100",
        ),
        (
            with("labels", &json!({"com.openfaas.scale.zero": "maybe"})),
            "label com.openfaas.scale.zero is \"maybe\": wanted true or false",
        ),
        (
            with("labels", &json!({"com.openfaas.scale.type": "rps"})),
            "label com.openfaas.scale.type asks for scaling by load",
        ),
        (with("labels", &json!({"team": "two words"})), "label team is \"two words\": wanted"),
        (with("limits", &json!({"memory": "lots"})), "limits.memory is \"lots\": wanted a quantity of bytes"),
        (with("requests", &json!({"cpu": "-1"})), "requests.cpu is \"-1\": wanted a quantity of cores"),
        (with("secrets", &json!(["none"])), "secret none not found"),
    ] {
        let response = platform.send(Method::POST, "/system/functions", &body).await;
        assert_eq!(response.status(), 400, "{body}");
        let text = response.text().await.unwrap();
        assert!(text.starts_with("validation failed: ") && text.contains(reason), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        // Nor does it harm one that is there.
        let mut update = body.clone();
        if body["service"] == "fn" {
            update["service"] = json!("there");
            let response = platform.send(Method::PUT, "/system/functions", &update).await;
            assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (400, text));
        }
    }
    let listed: Vec<FunctionStatus> = platform.get("/system/functions").await.json().await.unwrap();
    assert_eq!(listed.iter().map(|function| function.name.as_str()).collect::<Vec<_>>(), ["there"]);
    assert_eq!(std::fs::read_dir(platform.path("state/functions")).unwrap().count(), 1);
    assert_eq!(platform.text("/function/there/pod").await, pod);
    assert_eq!(listed[0].env_vars["colour"], "red");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_oversized_bodies_are_refused() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    for path in ["/system/functions", "/system/secrets", "/system/scale-function/fn"] {
        for body in ["", "{", "[]", "\"text\"", "{\"service\": 1, \"name\": 1, \"replicas\": \"x\"}", "\u{0}"]
        {
            let response = platform.post(path, body).await;
            assert_eq!(response.status(), 400, "{path} {body}");
            assert_eq!(response.text().await.unwrap().lines().count(), 1);
        }
        assert_eq!(platform.post(path, vec![b' '; (1 << 20) + 1]).await.status(), 413);
    }
    for (path, body, reason) in [
        (
            "/system/functions",
            json!({"service": "fn", "labels": {"a": 1}}),
            "labels.a: invalid type: integer `1`, expected a string",
        ),
        (
            "/system/functions",
            json!({"service": "fn", "limits": {"cpu": 0.5}}),
            "limits.cpu: invalid type: floating point",
        ),
        (
            "/system/functions",
            json!({"readOnlyRootFilesystem": "yes"}),
            "readOnlyRootFilesystem: invalid type: string \"yes\", expected a boolean",
        ),
        (
            "/system/scale-function/fn",
            json!({"replicas": "abc"}),
            "replicas: invalid type: string \"abc\", expected u64",
        ),
        (
            "/system/scale-function/fn",
            json!({"replicas": -1}),
            "replicas: invalid value: integer `-1`, expected u64",
        ),
        ("/system/scale-function/fn", json!({}), "missing field `replicas`"),
        (
            "/system/secrets",
            json!({"name": "s", "value": 7}),
            "value: invalid type: integer `7`, expected a string",
        ),
    ] {
        let response = platform.send(Method::POST, path, &body).await;
        assert_eq!(response.status(), 400, "{body}");
        let text = response.text().await.unwrap();
        assert!(text.contains(reason) && text.lines().count() == 1, "{text}");
    }
    let exists = platform.send(Method::POST, "/system/functions", &deployment("fn", json!({}))).await;
    assert_eq!(exists.status(), 409);
    let unknown = platform.send(Method::PUT, "/system/functions", &deployment("none", json!({}))).await;
    assert_eq!(unknown.status(), 404);
    assert_eq!(platform.scale("none", 1).await.status(), 404);
    let response = platform.scale("fn", 1_000_000_000_000).await;
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("the most is 20"));
    assert_eq!(platform.status("fn").await.replicas, 1);
    assert_eq!(platform.request(Method::PATCH, "/system/functions").send().await.unwrap().status(), 405);
    assert_eq!(platform.get("/system/functions?namespace=other").await.status(), 400);
    assert_eq!(platform.get("/system/nowhere").await.text().await.unwrap(), "404 page not found\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_tells_about_itself() {
    let platform = Platform::start();
    let info: Value = platform.get("/system/info").await.json().await.unwrap();
    assert!(info["version"]["release"].is_string() && info["provider"]["version"]["release"].is_string());
    assert_eq!(platform.text("/system/namespaces").await, "[\"openfaas-fn\"]");
    assert_eq!(platform.get("/system/namespace/x").await.status(), 501);
}
