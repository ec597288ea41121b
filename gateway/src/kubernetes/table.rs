//! Objects as rows of a table, with the columns of Kubernetes' own server: what `kubectl get` prints.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::kind::Kind;
use super::selector;

/// A column; wide ones are shown by `-o wide` only.
struct Column {
    name: &'static str,
    kind: &'static str,
    wide: bool,
    cell: fn(&Value, SystemTime) -> Value,
}

const fn column(name: &'static str, cell: fn(&Value, SystemTime) -> Value) -> Column {
    Column { name, kind: "string", wide: false, cell }
}

const fn number(name: &'static str, cell: fn(&Value, SystemTime) -> Value) -> Column {
    Column { name, kind: "integer", wide: false, cell }
}

const fn wide(name: &'static str, cell: fn(&Value, SystemTime) -> Value) -> Column {
    Column { name, kind: "string", wide: true, cell }
}

const NAME: Column = column("Name", |object, _| object["metadata"]["name"].clone());
const AGE: Column = column("Age", |object, now| age(&object["metadata"]["creationTimestamp"], now));
const CONTAINERS: Column = wide("Containers", |object, _| of_containers(object, "name"));
const IMAGES: Column = wide("Images", |object, _| of_containers(object, "image"));
const SELECTOR: Column = wide("Selector", |object, _| json!(selector::of_owner(object)));
const NONE: fn(&Value, SystemTime) -> Value = |_, _| json!("<none>");

fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Namespace => NAMESPACE,
        Kind::Node => NODE,
        Kind::Deployment => DEPLOYMENT,
        Kind::ReplicaSet => REPLICA_SET,
        Kind::Pod => POD,
        Kind::Event => EVENT,
    }
}

static NAMESPACE: &[Column] = &[NAME, column("Status", |object, _| object["status"]["phase"].clone()), AGE];

static POD: &[Column] = &[
    NAME,
    column("Ready", |pod, _| json!(format!("{}/1", u8::from(is_ready(pod))))),
    column("Status", |pod, _| pod_status(pod)),
    column("Restarts", |pod, _| json!(pod["status"]["containerStatuses"][0]["restartCount"].to_string())),
    AGE,
    wide("IP", |pod, _| pod["status"]["podIP"].clone()),
    wide("Node", |pod, _| pod["spec"]["nodeName"].clone()),
    wide("Nominated Node", NONE),
    wide("Readiness Gates", NONE),
];

static DEPLOYMENT: &[Column] = &[
    NAME,
    column("Ready", |object, _| {
        json!(format!("{}/{}", object["status"]["readyReplicas"], object["spec"]["replicas"]))
    }),
    number("Up-to-date", |object, _| object["status"]["updatedReplicas"].clone()),
    number("Available", |object, _| object["status"]["availableReplicas"].clone()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

static REPLICA_SET: &[Column] = &[
    NAME,
    number("Desired", |object, _| object["spec"]["replicas"].clone()),
    number("Current", |object, _| object["status"]["replicas"].clone()),
    number("Ready", |object, _| object["status"]["readyReplicas"].clone()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

static NODE: &[Column] = &[
    NAME,
    column("Status", |_, _| json!("Ready")),
    column("Roles", NONE),
    AGE,
    column("Version", |node, _| node["status"]["nodeInfo"]["kubeletVersion"].clone()),
    wide("Internal-IP", |node, _| node["status"]["addresses"][0]["address"].clone()),
    wide("External-IP", NONE),
    wide("OS-Image", |node, _| node["status"]["nodeInfo"]["osImage"].clone()),
    wide("Kernel-Version", |node, _| node["status"]["nodeInfo"]["kernelVersion"].clone()),
    wide("Container-Runtime", |node, _| node["status"]["nodeInfo"]["containerRuntimeVersion"].clone()),
];

static EVENT: &[Column] = &[
    column("Last Seen", |event, now| age(&event["lastTimestamp"], now)),
    column("Type", |event, _| event["type"].clone()),
    column("Reason", |event, _| event["reason"].clone()),
    column("Object", |event, _| {
        let subject = &event["involvedObject"];
        let text = |field: &str| subject[field].as_str().unwrap_or_default();
        json!(format!("{}/{}", text("kind").to_lowercase(), text("name")))
    }),
    wide("Subobject", |event, _| event["involvedObject"]["fieldPath"].clone()),
    wide("Source", |event, _| event["source"]["component"].clone()),
    column("Message", |event, _| event["message"].clone()),
    wide("First Seen", |event, now| age(&event["firstTimestamp"], now)),
    wide("Count", |event, _| event["count"].clone()),
    wide("Name", |event, _| event["metadata"]["name"].clone()),
];

/// How much of each object a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Include {
    /// Reads `includeObject`.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "None" => Self::Nothing,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// The table of `objects`, which are of `kind`.
pub(crate) fn table<'a>(
    kind: Kind,
    version: &str,
    objects: impl IntoIterator<Item = &'a Value>,
    include: Include,
) -> Value {
    let now = SystemTime::now();
    let columns = columns(kind);
    let definitions = columns.iter().map(|column| {
        json!({
            "name": column.name,
            "type": column.kind,
            "format": if column.name == "Name" { "name" } else { "" },
            "description": "",
            "priority": u8::from(column.wide),
        })
    });
    let rows = objects.into_iter().map(|object| {
        let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object, now)).collect();
        json!({"cells": cells, "object": included(object, include)})
    });
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": definitions.collect::<Vec<_>>(),
        "rows": rows.collect::<Vec<_>>(),
    })
}

fn included(object: &Value, include: Include) -> Value {
    match include {
        Include::Nothing => Value::Null,
        Include::Object => object.clone(),
        Include::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"],
        }),
    }
}

fn is_ready(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["ready"] == true
}

fn pod_status(pod: &Value) -> Value {
    if pod["metadata"]["deletionTimestamp"].is_string() {
        return json!("Terminating");
    }
    let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
    if waiting.is_string() { waiting.clone() } else { pod["status"]["phase"].clone() }
}

fn of_containers(object: &Value, field: &str) -> Value {
    object["spec"]["template"]["spec"]["containers"][0][field].clone()
}

fn age(since: &Value, now: SystemTime) -> Value {
    let since = since.as_str().and_then(|text| humantime::parse_rfc3339(text).ok());
    let Some(since) = since else { return json!("<unknown>") };
    json!(short(now.duration_since(since).unwrap_or_default()))
}

/// A length of time in two units at most, as kubectl shows ages: `90s`, `3m20s`, `5h`, `2d3h`, `400d`, `3y`.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |first: u64, unit: &str, second: u64, smaller: &str| match second {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit}{second}{smaller}"),
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (30_000, "8h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (700_000, "8d"),
            (63_072_000, "2y"),
            (64_000_000, "2y10d"),
            (300_000_000, "9y"),
        ];
        for (seconds, shown) in cases {
            assert_eq!(short(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn rows_hold_what_is_asked_for() {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "n", "creationTimestamp": "2020-01-01T00:00:00Z"},
            "spec": {"nodeName": "here"},
            "status": {
                "phase": "Running",
                "podIP": "127.0.0.1",
                "containerStatuses": [{"ready": true, "restartCount": 0, "state": {"running": {}}}],
            },
        });
        let row = |include| table(Kind::Pod, "7", [&pod], include)["rows"][0].clone();
        let shown = row(Include::Metadata);
        assert_eq!(shown["cells"].as_array().unwrap()[..4], ["p", "1/1", "Running", "0"].map(Value::from));
        assert_eq!(shown["object"]["metadata"]["namespace"], "n");
        assert!(shown["object"]["spec"].is_null() && row(Include::Nothing)["object"].is_null());
        assert_eq!(row(Include::Object)["object"], pod);
        let mut ending = pod.clone();
        ending["metadata"]["deletionTimestamp"] = json!("2020-01-01T00:00:00Z");
        assert_eq!(pod_status(&ending), "Terminating");
    }
}
