//! The scale of a deployment: how many replicas a function has.

use axum::http::{HeaderMap, Method};
use openfaas::names::REPLICA_LIMIT;
use serde_json::{Value, json};

use super::body;
use super::failure::Failure;
use super::kind::Kind;
use super::selector;
use crate::Shared;

/// The `Scale` object of the deployment `name`.
pub(super) fn read(shared: &Shared, name: &str) -> Result<Value, Failure> {
    let deployment = shared.kubernetes.get(Kind::Deployment, name)?;
    let head = &deployment["metadata"];
    let mut metadata = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        metadata.insert(field.to_owned(), head[field].clone());
    }
    Ok(json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": deployment["spec"]["replicas"]},
        "status": {"replicas": deployment["status"]["replicas"], "selector": selector::of_owner(&deployment)},
    }))
}

/// Takes a `Scale` object, or a patch of it; the object since.
pub(super) async fn write(
    shared: &Shared,
    name: &str,
    method: &Method,
    headers: &HeaderMap,
    bytes: &[u8],
    dry_run: bool,
) -> Result<Value, Failure> {
    let sent = match *method {
        Method::PATCH => body::read_merge_patch(headers, bytes)?,
        _ => body::read_json(headers, bytes)?,
    };
    let mut scale = read(shared, name)?;
    let expected = &sent["metadata"]["resourceVersion"];
    if expected
        .as_str()
        .is_some_and(|version| !version.is_empty() && *expected != scale["metadata"]["resourceVersion"])
    {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Failure::conflict(Kind::Deployment, name, why));
    }
    let replicas = match &sent["spec"]["replicas"] {
        // A patch of something else; in a whole object Go leaves a 0 out.
        Value::Null if method == Method::PATCH => return Ok(scale),
        Value::Null => 0,
        value => wanted(name, value)?,
    };
    if dry_run {
        scale["spec"]["replicas"] = json!(replicas);
        return Ok(scale);
    }
    let (supervisor, function) = (shared.supervisor.clone(), name.to_owned());
    crate::routes::blocking(move || supervisor.force_scale(&function, replicas)).await?;
    read(shared, name)
}

/// Labels such as `com.openfaas.scale.max` bind OpenFaaS, not kubectl; so it is on a cluster.
fn wanted(name: &str, value: &Value) -> Result<u64, Failure> {
    let wanted = value.as_u64().filter(|replicas| *replicas <= REPLICA_LIMIT);
    wanted.ok_or_else(|| {
        let why = format!(
            "Invalid value: {value}: must be a whole number from 0 to {REPLICA_LIMIT}, the most that \
             the local gateway starts"
        );
        Failure::invalid(Kind::Deployment, name, "spec.replicas", &why)
    })
}
