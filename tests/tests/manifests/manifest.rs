//! Reads the manifests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Labels, or other names with a text each.
pub(crate) type Labels = BTreeMap<String, String>;

/// One object of a file.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// The file, below `deploy/`.
    pub(crate) file: String,
    /// All that it says.
    pub(crate) value: Value,
}

/// The pods that an object makes.
#[derive(Clone, Debug)]
pub(crate) struct PodTemplate {
    /// `kind/name` of that object.
    pub(crate) owner: String,
    pub(crate) namespace: String,
    pub(crate) labels: Labels,
    pub(crate) spec: Value,
}

/// `deploy/`.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").canonicalize().unwrap()
}

/// Every file, sorted.
pub(crate) fn files() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() { below(&entry.path(), found) } else { found.push(entry.path()) }
        }
    }
    let mut found = Vec::new();
    below(&folder(), &mut found);
    found.sort();
    assert!(found.iter().all(|file| file.extension().is_some_and(|end| end == "yaml")), "{found:?}");
    found
}

/// Every object of every file.
pub(crate) fn all() -> Vec<Manifest> {
    files().iter().flat_map(|file| read(file)).collect()
}

/// The objects of one file below `deploy/`.
pub(crate) fn of(file: &str) -> Vec<Manifest> {
    read(&folder().join(file))
}

fn read(file: &Path) -> Vec<Manifest> {
    let text = fs::read_to_string(file).unwrap();
    let values: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned();
    values.into_iter().map(|value| Manifest { file: name.clone(), value }).collect()
}

impl Manifest {
    pub(crate) fn kind(&self) -> &str {
        text(&self.value["kind"])
    }

    pub(crate) fn name(&self) -> &str {
        text(&self.value["metadata"]["name"])
    }

    pub(crate) fn namespace(&self) -> &str {
        self.value["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    pub(crate) fn spec(&self) -> &Value {
        &self.value["spec"]
    }

    /// Whether it is Kubernetes' own; else some other project defines it.
    pub(crate) fn is_kubernetes(&self) -> bool {
        let version = text(&self.value["apiVersion"]);
        !version.contains('.') || version.contains(".k8s.io/")
    }

    pub(crate) fn is_knative(&self) -> bool {
        text(&self.value["apiVersion"]).starts_with("serving.knative.dev/")
    }

    pub(crate) fn pods(&self) -> Option<PodTemplate> {
        let template = self.spec().get("template")?;
        Some(PodTemplate {
            owner: format!("{}/{}", self.kind(), self.name()),
            namespace: self.namespace().to_owned(),
            labels: labels(&template["metadata"]["labels"]),
            spec: template["spec"].clone(),
        })
    }
}

impl PodTemplate {
    /// Init containers, then containers.
    pub(crate) fn containers(&self) -> Vec<&Value> {
        list(&self.spec["initContainers"]).iter().chain(list(&self.spec["containers"])).collect()
    }
}

/// The pods of every object that makes some.
pub(crate) fn pods() -> Vec<PodTemplate> {
    all().iter().filter_map(Manifest::pods).collect()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// The items of a list; none where there is no list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn labels(value: &Value) -> Labels {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), text(value).to_owned())).collect()
}

/// Whether a label selector, `matchLabels` and `matchExpressions`, selects something with these labels. An
/// empty one selects everything.
pub(crate) fn selects(selector: &Value, labels: &Labels) -> bool {
    let equal =
        self::labels(&selector["matchLabels"]).iter().all(|(key, value)| labels.get(key) == Some(value));
    equal && list(&selector["matchExpressions"]).iter().all(|expression| holds(expression, labels))
}

fn holds(expression: &Value, labels: &Labels) -> bool {
    let found = labels.get(text(&expression["key"]));
    match text(&expression["operator"]) {
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "In" => found.is_some_and(|found| list(&expression["values"]).iter().any(|value| value == found)),
        "NotIn" => !found.is_some_and(|found| list(&expression["values"]).iter().any(|value| value == found)),
        other => panic!("{other:?} is no operator"),
    }
}
