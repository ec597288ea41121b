//! The kinds of objects that there are, and what a client has to know of each.

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The namespace that functions are in.
    Namespace,
    /// This machine.
    Node,
    /// A function.
    Deployment,
    /// The replicas of one version of a function.
    ReplicaSet,
    /// A replica.
    Pod,
    /// Something that happened.
    Event,
}

/// How a kind is named and what it allows.
#[derive(Debug)]
pub(crate) struct Description {
    /// The API group; the core group has no name.
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) short: &'static str,
    pub(crate) namespaced: bool,
    /// Whether `kubectl get all` shows it.
    pub(crate) in_all: bool,
    pub(crate) verbs: &'static [&'static str],
    /// Fields that may be selected by, besides name and namespace.
    pub(crate) fields: &'static [&'static str],
}

const READ: &[&str] = &["get", "list", "watch"];

/// What most kinds have in common.
const COMMON: Description = Description {
    group: "",
    kind: "",
    plural: "",
    singular: "",
    short: "",
    namespaced: true,
    in_all: true,
    verbs: READ,
    fields: &[],
};

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Namespace, Self::Node, Self::Deployment, Self::ReplicaSet, Self::Pod, Self::Event];

    /// The kind that a path names.
    pub(crate) fn find(group: &str, plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            let description = kind.description();
            description.group == group && description.plural == plural
        })
    }

    pub(crate) fn description(self) -> &'static Description {
        match self {
            Self::Namespace => &NAMESPACE,
            Self::Node => &NODE,
            Self::Deployment => &DEPLOYMENT,
            Self::ReplicaSet => &REPLICA_SET,
            Self::Pod => &POD,
            Self::Event => &EVENT,
        }
    }

    /// Group and version, as objects have it.
    pub(crate) fn api_version(self) -> &'static str {
        if self.description().group.is_empty() { "v1" } else { "apps/v1" }
    }

    /// `pods`, `deployments.apps`: as messages name what is asked for.
    pub(crate) fn qualified(self) -> String {
        let Description { group, plural, .. } = self.description();
        if group.is_empty() { (*plural).to_owned() } else { format!("{plural}.{group}") }
    }
}

static NAMESPACE: Description = Description {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short: "ns",
    namespaced: false,
    in_all: false,
    fields: &["status.phase"],
    ..COMMON
};

static NODE: Description = Description {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short: "no",
    namespaced: false,
    in_all: false,
    fields: &["spec.unschedulable"],
    ..COMMON
};

static DEPLOYMENT: Description = Description {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short: "deploy",
    ..COMMON
};

static REPLICA_SET: Description = Description {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short: "rs",
    fields: &["status.replicas"],
    ..COMMON
};

static POD: Description = Description {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short: "po",
    verbs: &["delete", "get", "list", "watch"],
    fields: &["spec.nodeName", "spec.restartPolicy", "status.phase", "status.podIP"],
    ..COMMON
};

static EVENT: Description = Description {
    kind: "Event",
    plural: "events",
    singular: "event",
    short: "ev",
    in_all: false,
    fields: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    ..COMMON
};
