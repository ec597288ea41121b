//! What happened, as events.

use std::time::UNIX_EPOCH;

use openfaas::types::DEFAULT_NAMESPACE;
use serde_json::{Value, json};

use super::{pod, time, uid};
use crate::kubernetes::kind::Kind;
use crate::supervisor::journal::Note;

/// Who says so.
const COMPONENT: &str = "downpour-gateway";

/// The event that `note` of a function, whose deployment has this identifier, is.
pub(super) fn event(function: &str, deployment_uid: &str, note: &Note) -> Value {
    let (kind, name, subject_uid) = match &note.pod {
        Some(name) => (Kind::Pod, name.as_str(), pod::uid_of(name)),
        None => (Kind::Deployment, function, deployment_uid.to_owned()),
    };
    let mut subject = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.description().kind,
        "namespace": DEFAULT_NAMESPACE,
        "name": name,
        "uid": subject_uid,
    });
    if kind == Kind::Pod {
        subject["fieldPath"] = json!(format!("spec.containers{{{function}}}"));
    }
    let nanoseconds = note.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let event = format!("{name}.{nanoseconds:x}");
    let at = time(note.at);
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": event,
            "namespace": DEFAULT_NAMESPACE,
            "uid": uid(Kind::Event, &[&event]),
            "creationTimestamp": at,
        },
        "involvedObject": subject,
        "type": if note.warning { "Warning" } else { "Normal" },
        "reason": note.reason,
        "message": note.message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "eventTime": null,
        "count": 1,
    })
}
