//! Label and field selectors, in Kubernetes' notation.

use serde_json::Value;

use super::failure::Failure;
use super::kind::Kind;

/// Which objects are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    /// JSON pointers and the value wanted or not wanted there.
    fields: Vec<(String, bool, String)>,
}

/// What one label has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    /// Reads both selectors; empty ones select all.
    pub(crate) fn parse(kind: Kind, labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = split(labels).into_iter().map(Requirement::parse).collect::<Result<_, _>>()?;
        let fields = split(fields).into_iter().map(|term| field(kind, term)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether `object` is one of those asked for.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.matches(labels))
            && self.fields.iter().all(|(pointer, equal, wanted)| {
                let found = object.pointer(pointer).map(text).unwrap_or_default();
                (found == *wanted) == *equal
            })
    }
}

/// The selector by which a deployment or replica set finds its pods, as it is shown and sent.
pub(super) fn of_owner(object: &Value) -> String {
    let labels = object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let terms: Vec<_> = labels.map(|(name, value)| format!("{name}={}", text(value))).collect();
    terms.join(",")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The terms between commas that are not in parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let terms = selector.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    terms.map(str::trim).filter(|term| !term.is_empty()).collect()
}

fn field(kind: Kind, term: &str) -> Result<(String, bool, String), Failure> {
    let (name, equal, value) = comparison(term).ok_or_else(|| {
        Failure::bad_request(format!("invalid selector: {term:?}: wanted FIELD=VALUE or FIELD!=VALUE"))
    })?;
    if !["metadata.name", "metadata.namespace"].contains(&name) && !kind.description().fields.contains(&name)
    {
        return Err(Failure::bad_request(format!("field label not supported: {name}")));
    }
    // An event's source is an object, of which the component is what is selected by.
    let path = if name == "source" { "source.component" } else { name };
    Ok((format!("/{}", path.replace('.', "/")), equal, value.to_owned()))
}

/// `a=b`, `a==b` and `a!=b`.
fn comparison(term: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = term.split_once('=')?;
    let value = value.strip_prefix('=').unwrap_or(value).trim();
    match name.strip_suffix('!') {
        Some(name) => Some((name.trim(), false, value)),
        None => Some((name.trim(), true, value)),
    }
}

impl Requirement {
    fn parse(term: &str) -> Result<Self, Failure> {
        let wrong =
            || Failure::bad_request(format!("unable to parse requirement: {term:?} is no label selector"));
        if let Some((name, equal, value)) = comparison(term) {
            let values = vec![checked(value).ok_or_else(wrong)?];
            let name = key(name).ok_or_else(wrong)?;
            return Ok(if equal { Self::In(name, values) } else { Self::NotIn(name, values) });
        }
        if let Some(name) = term.strip_prefix('!') {
            return key(name.trim()).map(Self::Absent).ok_or_else(wrong);
        }
        let Some((head, values)) = term.split_once('(') else {
            return key(term).map(Self::Exists).ok_or_else(wrong);
        };
        let values = values.strip_suffix(')').ok_or_else(wrong)?.split(',');
        let values = values.map(|value| checked(value.trim()).ok_or_else(wrong)).collect::<Result<_, _>>()?;
        let (name, operator) = head.trim().rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
        let name = key(name.trim()).ok_or_else(wrong)?;
        match operator {
            "in" => Ok(Self::In(name, values)),
            "notin" => Ok(Self::NotIn(name, values)),
            _ => Err(wrong()),
        }
    }

    fn matches(&self, labels: &Value) -> bool {
        let is_in = |name: &str, values: &[String]| {
            labels[name].as_str().is_some_and(|found| values.iter().any(|value| value == found))
        };
        match self {
            Self::In(name, values) => is_in(name, values),
            Self::NotIn(name, values) => !is_in(name, values),
            Self::Exists(name) => labels[name].is_string(),
            Self::Absent(name) => !labels[name].is_string(),
        }
    }
}

fn key(text: &str) -> Option<String> {
    checked(text).filter(|key| !key.is_empty())
}

fn checked(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    text.chars().all(allowed).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selects(labels: &str, fields: &str) -> bool {
        let pod = json!({
            "metadata": {"name": "p", "labels": {"app": "fn", "tier": "back"}},
            "status": {"phase": "Running"},
        });
        Selector::parse(Kind::Pod, labels, fields).unwrap().matches(&pod)
    }

    #[test]
    fn labels_are_compared_and_looked_up_in_sets() {
        for all in [
            "",
            "app=fn",
            "app==fn",
            "app = fn,tier!=front",
            "app in (x, fn),tier",
            "!gone",
            "gone!=1",
            "app notin (x,y)",
            "gone notin (x)",
        ] {
            assert!(selects(all, ""), "{all}");
        }
        for none in ["app=x", "app!=fn", "gone", "!app", "app in (x)", "app notin (fn)", "app=fn,tier=front"]
        {
            assert!(!selects(none, ""), "{none}");
        }
        for wrong in ["a b", "app in fn", "app in (fn", "=x", "!", "app of (x)", "app=a b", "a)b"] {
            assert!(Selector::parse(Kind::Pod, wrong, "").is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_known_fields_are_selected_by() {
        assert!(selects("", "metadata.name=p,status.phase!=Pending"));
        assert!(!selects("", "status.phase=Pending") && !selects("", "spec.nodeName=x"));
        for wrong in ["spec.containers=1", "metadata.name"] {
            assert!(Selector::parse(Kind::Pod, "", wrong).is_err(), "{wrong}");
        }
    }
}
