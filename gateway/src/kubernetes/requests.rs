//! Requests for objects: which method on which path does what, and what is refused.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use openfaas::types::DEFAULT_NAMESPACE;
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;
use super::kind::Kind;
use super::table::{Include, table};
use super::target::{ListOptions, Target, parse_query};
use super::watch::{self, Watch};
use super::{body, logs, pods, scale};
use crate::Shared;
use crate::routes::{SYSTEM_BODY_LIMIT, read_body};

/// Below `/api/v1`.
pub(super) async fn core(
    State(shared): State<Shared>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    answer("", &shared, &path, request).await
}

/// Below `/apis/apps/v1`.
pub(super) async fn apps(
    State(shared): State<Shared>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    answer("apps", &shared, &path, request).await
}

/// What a request brings besides its path.
struct Asked {
    method: Method,
    headers: HeaderMap,
    query: String,
    body: Bytes,
}

async fn answer(group: &str, shared: &Shared, path: &str, request: Request) -> Result<Response, Failure> {
    let target = Target::parse(group, path).ok_or_else(Failure::unknown)?;
    let (parts, body) = request.into_parts();
    let asked = Asked {
        query: parts.uri.query().unwrap_or_default().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body: read_body(body, SYSTEM_BODY_LIMIT).await?,
    };
    match target.name.as_deref() {
        Some(name) => one(shared, &target, name, &asked).await,
        None => all(shared, &target, &asked),
    }
}

/// Whether anything is in the namespace asked for.
fn inhabited(target: &Target) -> bool {
    target.namespace.as_deref().is_none_or(|namespace| namespace == DEFAULT_NAMESPACE)
}

/// Answers a request for all objects of a kind.
fn all(shared: &Shared, target: &Target, asked: &Asked) -> Result<Response, Failure> {
    let kind = target.kind;
    match asked.method {
        Method::GET => {}
        Method::POST => return Err(Failure::not_served(kind, None, "create objects")),
        Method::DELETE => return Err(Failure::not_served(kind, None, "delete whole lists")),
        _ => return Err(Failure::no_method()),
    }
    let options = ListOptions::parse(kind, &asked.query)?;
    let tables = tables(&asked.headers, &options.include_object);
    if options.watch {
        watch::check(&shared.kubernetes, &options)?;
        return Ok(watch::answer(shared, Watch { kind, options, tables, inhabited: inhabited(target) }));
    }
    let (version, mut objects) = shared.kubernetes.list(kind);
    objects.retain(|object| inhabited(target) && options.selector.matches(object));
    let (version, objects) = (version.to_string(), objects.iter().map(|object| &**object));
    Ok(match tables {
        Some(include) => Json(table(kind, &version, objects, include)).into_response(),
        None => Json(json!({
            "kind": format!("{}List", kind.description().kind),
            "apiVersion": kind.api_version(),
            "metadata": {"resourceVersion": version},
            "items": objects.collect::<Vec<_>>(),
        }))
        .into_response(),
    })
}

/// Answers a request for the object `name`, or a part of it.
async fn one(shared: &Shared, target: &Target, name: &str, asked: &Asked) -> Result<Response, Failure> {
    let kind = target.kind;
    if !inhabited(target) {
        return Err(Failure::not_found(kind, name));
    }
    match (kind, target.subresource.as_deref(), &asked.method) {
        (_, None | Some("status"), &Method::GET) => {
            Ok(shown(kind, &*shared.kubernetes.get(kind, name)?, asked))
        }
        (Kind::Pod, Some("log"), &Method::GET) => logs::read(shared, name, &asked.query).await,
        (Kind::Deployment, Some("scale"), &Method::GET) => {
            Ok(Json(scale::read(shared, name)?).into_response())
        }
        (Kind::Deployment, Some("scale"), &Method::PUT | &Method::PATCH) => {
            let Asked { method, headers, query, body } = asked;
            let scale = scale::write(shared, name, method, headers, body, is_dry_run(query)?).await?;
            Ok(Json(scale).into_response())
        }
        (Kind::Pod, None, &Method::DELETE) => {
            let options = body::read_json(&asked.headers, &asked.body)?;
            let pod = pods::delete(shared, name, &options, &asked.query)?;
            Ok(Json(&*pod).into_response())
        }
        (_, None, &Method::PATCH) if body::is_apply(&asked.headers) => {
            Err(Failure::not_served(kind, Some(name), "apply objects"))
        }
        (_, subresource, method) => {
            shared.kubernetes.get(kind, name)?;
            Err(refusal(kind, name, subresource, method))
        }
    }
}

fn shown(kind: Kind, object: &Value, asked: &Asked) -> Response {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let include = parse_query::<TableQuery>(&asked.query).unwrap_or_default().include_object;
    match tables(&asked.headers, &include) {
        Some(include) => Json(table(kind, version, [object], include)).into_response(),
        None => Json(object).into_response(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TableQuery {
    include_object: String,
}

/// How much of each object the rows hold where a table is what is wanted most.
fn tables(headers: &HeaderMap, include: &str) -> Option<Include> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = accept.split(',').next().unwrap_or_default();
    let wanted = first.split(';').any(|part| part.trim() == "as=Table");
    wanted.then(|| Include::parse(include))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DryRunQuery {
    dry_run: String,
}

/// Whether a change is only to be tried.
pub(super) fn is_dry_run(query: &str) -> Result<bool, Failure> {
    Ok(!parse_query::<DryRunQuery>(query)?.dry_run.is_empty())
}

/// Why something that exists is not changed.
fn refusal(kind: Kind, name: &str, subresource: Option<&str>, method: &Method) -> Failure {
    let what = match (subresource, method) {
        (Some("exec" | "attach"), _) => "run commands in replicas",
        (Some("portforward" | "proxy"), _) => {
            "forward ports (a replica listens on loopback, at the port that kubectl describe shows)"
        }
        (Some(_), _) => return Failure::unknown(),
        (None, &Method::PUT | &Method::PATCH) => "change objects",
        (None, &Method::DELETE) => "delete anything but pods",
        _ => return Failure::no_method(),
    };
    Failure::not_served(kind, Some(name), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_gets_tables_and_others_objects() {
        let accepts = |text: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT, text.parse().unwrap())]);
            tables(&headers, "")
        };
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
                       g=meta.k8s.io,application/json";
        assert_eq!(accepts(kubectl), Some(Include::Metadata));
        for other in ["application/json", "*/*", "application/vnd.kubernetes.protobuf,application/json"] {
            assert_eq!(accepts(other), None);
        }
    }
}
