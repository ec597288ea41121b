//! What a path names, and what a query asks for.

use std::time::Duration;

use serde::Deserialize;

use super::failure::Failure;
use super::kind::Kind;
use super::selector::Selector;

/// What a path below `/api/v1` or `/apis/apps/v1` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// `None` names all namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    /// Reads `[namespaces/NAMESPACE/]KINDS[/NAME[/SUBRESOURCE]]`; `None` where there is nothing of that name.
    pub(crate) fn parse(group: &str, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').collect();
        let (namespace, rest) = match segments.as_slice() {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() && rest != ["status"] => {
                (Some((*namespace).to_owned()), rest)
            }
            all => (None, all),
        };
        let (kind, rest) = rest.split_first()?;
        let kind = Kind::find(group, kind)?;
        let (name, subresource) = match rest {
            [] => (None, None),
            [name] => (Some((*name).to_owned()), None),
            // What is proxied or attached to may have a path of its own.
            [name, subresource, ..] => (Some((*name).to_owned()), Some((*subresource).to_owned())),
        };
        let fits = kind.description().namespaced == namespace.is_some()
            || (kind.description().namespaced && name.is_none());
        fits.then_some(Self { kind, namespace, name, subresource })
    }
}

/// The query of a list or a watch.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListQuery {
    watch: String,
    label_selector: String,
    field_selector: String,
    resource_version: String,
    timeout_seconds: Option<u64>,
    allow_watch_bookmarks: String,
    send_initial_events: String,
    include_object: String,
}

/// What is listed or watched, and in what form.
#[derive(Debug)]
pub(crate) struct ListOptions {
    pub(crate) watch: bool,
    pub(crate) selector: Selector,
    /// Changes after this version are asked for; `None` asks for what there is first.
    pub(crate) from: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) bookmarks: bool,
    /// Whether a bookmark has to tell the end of what there was first.
    pub(crate) initial_end: bool,
    /// How much of each object a table's row holds.
    pub(crate) include_object: String,
}

impl ListOptions {
    /// Reads a query.
    pub(crate) fn parse(kind: Kind, query: &str) -> Result<Self, Failure> {
        let query: ListQuery = parse_query(query)?;
        let selector = Selector::parse(kind, &query.label_selector, &query.field_selector)?;
        let version = match query.resource_version.as_str() {
            "" | "0" => None,
            text => Some(text.parse().map_err(|_| {
                Failure::bad_request(format!("Invalid value: {text:?}: resourceVersion is no version"))
            })?),
        };
        let initial = is_true(&query.send_initial_events);
        Ok(Self {
            watch: is_true(&query.watch),
            selector,
            from: version.filter(|_| !initial),
            timeout: query.timeout_seconds.map(Duration::from_secs),
            bookmarks: is_true(&query.allow_watch_bookmarks),
            initial_end: initial,
            include_object: query.include_object,
        })
    }
}

/// Kubernetes' notation: `1` and `true`.
pub(crate) fn is_true(text: &str) -> bool {
    matches!(text, "1" | "true" | "True" | "TRUE" | "t" | "T")
}

/// Reads a query as a struct whose fields are its parameters.
pub(crate) fn parse_query<T: serde::de::DeserializeOwned>(query: &str) -> Result<T, Failure> {
    let uri = axum::http::Uri::builder().path_and_query(format!("/?{query}")).build();
    let uri = uri.map_err(|error| Failure::bad_request(format!("cannot read the query: {error}")))?;
    let parsed = axum::extract::Query::try_from_uri(&uri);
    parsed.map(|axum::extract::Query(query)| query).map_err(|error| Failure::bad_request(error.body_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: Kind, parts: [Option<&str>; 3]) -> Option<Target> {
        let [namespace, name, subresource] = parts.map(|part| part.map(str::to_owned));
        Some(Target { kind, namespace, name, subresource })
    }

    #[test]
    fn paths_name_kinds_names_and_subresources() {
        assert_eq!(Target::parse("", "pods"), target(Kind::Pod, [None; 3]));
        assert_eq!(Target::parse("", "namespaces/a/pods"), target(Kind::Pod, [Some("a"), None, None]));
        assert_eq!(
            Target::parse("", "namespaces/a/pods/p/log"),
            target(Kind::Pod, [Some("a"), Some("p"), Some("log")])
        );
        assert_eq!(
            Target::parse("apps", "namespaces/a/deployments/d/scale"),
            target(Kind::Deployment, [Some("a"), Some("d"), Some("scale")])
        );
        assert_eq!(Target::parse("", "namespaces"), target(Kind::Namespace, [None; 3]));
        assert_eq!(Target::parse("", "namespaces/a"), target(Kind::Namespace, [None, Some("a"), None]));
        assert_eq!(Target::parse("", "nodes/n"), target(Kind::Node, [None, Some("n"), None]));
        for unknown in
            ["", "pods/p", "namespaces/a/nodes", "namespaces/a/deployments", "secrets", "namespaces/"]
        {
            let found = Target::parse("", unknown);
            assert!(found.is_none() || unknown == "namespaces/", "{unknown}: {found:?}");
        }
    }

    #[test]
    fn a_watch_goes_on_from_where_a_list_ended() {
        let options = |query| ListOptions::parse(Kind::Pod, query);
        let watch =
            options("watch=true&resourceVersion=7&timeoutSeconds=3&allowWatchBookmarks=true").unwrap();
        assert!(watch.watch && watch.bookmarks && !watch.initial_end);
        assert_eq!((watch.from, watch.timeout), (Some(7), Some(Duration::from_secs(3))));
        assert_eq!(options("resourceVersion=0").unwrap().from, None);
        let streaming = options("watch=1&resourceVersion=7&sendInitialEvents=true").unwrap();
        assert!(streaming.from.is_none() && streaming.initial_end);
        for wrong in
            ["resourceVersion=x", "timeoutSeconds=-1", "labelSelector=a%20b", "fieldSelector=spec.x%3D1"]
        {
            assert!(options(wrong).is_err(), "{wrong}");
        }
    }
}
