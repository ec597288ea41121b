//! Pods that are looked up and deleted.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::failure::Failure;
use super::kind::Kind;
use super::requests::is_dry_run;
use super::target::parse_query;
use crate::Shared;
use crate::supervisor::replica::Replica;

/// The replica of this name.
pub(super) fn find(shared: &Shared, name: &str) -> Option<Arc<Replica>> {
    let replicas = shared.supervisor.list().into_iter().flat_map(|function| function.replicas());
    replicas.into_iter().find(|replica| replica.pod == name && replica.lived().is_none())
}

/// What a query may say of a deletion, besides its body.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DeleteQuery {
    grace_period_seconds: Option<u64>,
}

/// Ends a replica as a rolling update would; the supervisor puts another in its place. `options` is `DeleteOptions`.
/// The pod, which is ending now.
pub(super) fn delete(
    shared: &Shared,
    name: &str,
    options: &Value,
    query: &str,
) -> Result<Arc<Value>, Failure> {
    let pod = shared.kubernetes.get(Kind::Pod, name)?;
    let replica = find(shared, name).ok_or_else(|| Failure::not_found(Kind::Pod, name))?;
    for field in ["uid", "resourceVersion"] {
        let (wanted, found) = (&options["preconditions"][field], &pod["metadata"][field]);
        if wanted.is_string() && wanted != found {
            let why = format!("Precondition failed: {field} in precondition: {wanted}, in object: {found}");
            return Err(Failure::conflict(Kind::Pod, name, &why));
        }
    }
    let grace = parse_query::<DeleteQuery>(query)?.grace_period_seconds;
    let grace = options["gracePeriodSeconds"].as_u64().or(grace);
    if is_dry_run(query)? || options["dryRun"].as_array().is_some_and(|stages| !stages.is_empty()) {
        return Ok(pod);
    }
    match grace {
        Some(0) => replica.kill(),
        Some(seconds) => {
            replica.stop();
            shared.context.tasks.spawn(async move {
                tokio::select! {
                    () = replica.ended() => {}
                    () = tokio::time::sleep(Duration::from_secs(seconds)) => replica.kill(),
                }
            });
        }
        None => replica.stop(),
    }
    Ok(shared.kubernetes.get(Kind::Pod, name).unwrap_or(pod))
}
