//! What there is to ask for: versions, groups, resources. In the old form, which every client falls back to; and as
//! much of OpenAPI as lets `kubectl apply` come to the point where it is refused.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::failure::Failure;
use super::kind::Kind;
use super::{SERVER_VERSION, VERSION};

pub(super) async fn version() -> Json<Value> {
    let (major, minor) = VERSION;
    Json(json!({
        "major": major.to_string(),
        "minor": minor.to_string(),
        "gitVersion": SERVER_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    }))
}

pub(super) async fn core_versions() -> Json<Value> {
    Json(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}))
}

pub(super) async fn groups() -> Json<Value> {
    Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [apps()]}))
}

pub(super) async fn group() -> Json<Value> {
    let mut group = apps();
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    Json(group)
}

fn apps() -> Value {
    let version = json!({"groupVersion": "apps/v1", "version": "v1"});
    json!({"name": "apps", "versions": [version], "preferredVersion": version})
}

fn of_group(group: &str) -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(move |kind| kind.description().group == group)
}

pub(super) async fn core_resources() -> Json<Value> {
    let mut all: Vec<_> = of_group("").map(resource).collect();
    all.push(subresource("pods/log", "Pod", &["get"]));
    Json(resource_list("v1", &all))
}

pub(super) async fn apps_resources() -> Json<Value> {
    let mut all: Vec<_> = of_group("apps").map(resource).collect();
    let mut scale = subresource("deployments/scale", "Scale", &["get", "patch", "update"]);
    scale["group"] = json!("autoscaling");
    scale["version"] = json!("v1");
    all.push(scale);
    Json(resource_list("apps/v1", &all))
}

fn resource_list(version: &str, resources: &[Value]) -> Value {
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources})
}

fn resource(kind: Kind) -> Value {
    let description = kind.description();
    let mut resource = json!({
        "name": description.plural,
        "singularName": description.singular,
        "namespaced": description.namespaced,
        "kind": description.kind,
        "verbs": description.verbs,
        "shortNames": [description.short],
    });
    if description.in_all {
        resource["categories"] = json!(["all"]);
    }
    resource
}

fn subresource(name: &str, kind: &str, verbs: &[&str]) -> Value {
    json!({"name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": verbs})
}

pub(super) async fn openapi() -> Json<Value> {
    let path = |group: &str| json!({"serverRelativeURL": format!("/openapi/v3/{group}")});
    Json(json!({"paths": {"api/v1": path("api/v1"), "apis/apps/v1": path("apis/apps/v1")}}))
}

/// Of each kind the one method that kubectl looks up to know whether the server checks fields, which spares it the
/// schemas.
pub(super) async fn openapi_group(Path(path): Path<String>) -> Result<Json<Value>, Failure> {
    let (group, prefix) = match path.as_str() {
        "api/v1" => ("", "/api/v1"),
        "apis/apps/v1" => ("apps", "/apis/apps/v1"),
        _ => return Err(Failure::unknown()),
    };
    let paths: BTreeMap<_, _> = of_group(group)
        .map(|kind| {
            let description = kind.description();
            let namespace = if description.namespaced { "/namespaces/{namespace}" } else { "" };
            let patch = json!({
                "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                "responses": {},
                "x-kubernetes-group-version-kind": {"group": group, "version": "v1", "kind": description.kind},
            });
            (format!("{prefix}{namespace}/{}/{{name}}", description.plural), json!({"patch": patch}))
        })
        .collect();
    let info = json!({"title": "Downpour's local gateway", "version": SERVER_VERSION});
    Ok(Json(json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}})))
}
