//! From the tree to the types, with an error that names function and field.

use std::collections::BTreeMap;

use super::node::{self, Node, Value};
use super::{Function, Provider, Stack, StackError};
use crate::types::Resources;

/// A whole stack file.
pub(super) fn stack(text: &str) -> Result<Stack, StackError> {
    let mut stack = Stack::default();
    for (key, node) in entries(&node::parse(text)?, "the file")? {
        let field = format!("`{key}`");
        match key {
            "version" => {
                stack.version = scalar(node, &field)?;
                if !["", "1.0"].contains(&stack.version.as_str()) {
                    return Err(wrong(node, &field, "1.0"));
                }
            }
            "provider" => stack.provider = provider(node)?,
            "functions" => {
                for (name, node) in entries(node, &field)? {
                    stack.functions.push(function(name, node)?);
                }
            }
            _ => {}
        }
    }
    if stack.provider.name.is_empty() {
        let found = "nothing".to_owned();
        return Err(StackError::Field {
            line: 1,
            field: "`provider.name`".to_owned(),
            found,
            wanted: "openfaas",
        });
    }
    Ok(stack)
}

/// The `environment` of an environment file.
pub(super) fn environment(text: &str) -> Result<BTreeMap<String, String>, StackError> {
    let root = node::parse(text)?;
    match entries(&root, "the file")?.find(|(key, _)| *key == "environment") {
        Some((_, node)) => map(node, "`environment`"),
        None => Ok(BTreeMap::new()),
    }
}

fn provider(node: &Node) -> Result<Provider, StackError> {
    let mut provider = Provider::default();
    for (key, node) in entries(node, "`provider`")? {
        let field = format!("`provider.{key}`");
        match key {
            "name" => {
                provider.name = scalar(node, &field)?;
                if provider.name != "openfaas" {
                    return Err(wrong(node, &field, "openfaas"));
                }
            }
            "gateway" => provider.gateway = scalar(node, &field)?,
            _ => {}
        }
    }
    Ok(provider)
}

fn function(name: &str, node: &Node) -> Result<Function, StackError> {
    let mut function = Function { name: name.to_owned(), ..Function::default() };
    for (key, node) in entries(node, &format!("function `{name}`"))? {
        let field = &format!("function `{name}`, `{key}`");
        match key {
            "lang" => function.lang = scalar(node, field)?,
            "handler" => function.handler = scalar(node, field)?,
            "image" => function.image = scalar(node, field)?,
            "fprocess" => function.fprocess = scalar(node, field)?,
            "namespace" => function.namespace = scalar(node, field)?,
            "environment" => function.environment = map(node, field)?,
            "environment_file" => function.environment_file = list(node, field)?,
            "secrets" => function.secrets = list(node, field)?,
            "constraints" => function.constraints = list(node, field)?,
            "labels" => function.labels = map(node, field)?,
            "annotations" => function.annotations = map(node, field)?,
            "limits" => function.limits = resources(node, field)?,
            "requests" => function.requests = resources(node, field)?,
            "readonly_root_filesystem" => function.readonly_root_filesystem = boolean(node, field)?,
            "skip_build" => function.skip_build = boolean(node, field)?,
            _ => {}
        }
    }
    Ok(function)
}

fn resources(node: &Node, field: &str) -> Result<Option<Resources>, StackError> {
    if matches!(node.value, Value::Null) {
        return Ok(None);
    }
    let mut resources = Resources::default();
    for (key, node) in entries(node, field)? {
        let text =
            || scalar(node, &format!("{field}, `{key}`")).map(|text| Some(text).filter(|t| !t.is_empty()));
        match key {
            "memory" => resources.memory = text()?,
            "cpu" => resources.cpu = text()?,
            _ => {}
        }
    }
    Ok(Some(resources))
}

/// The entries of a mapping; of null, none.
fn entries<'a>(
    node: &'a Node,
    field: &str,
) -> Result<impl Iterator<Item = (&'a str, &'a Node)> + use<'a>, StackError> {
    let entries = match &node.value {
        Value::Null => &[],
        Value::Map(entries) => entries.as_slice(),
        _ => return Err(wrong(node, field, "a mapping")),
    };
    Ok(entries.iter().map(|(key, node)| (key.as_str(), node)))
}

fn map(node: &Node, field: &str) -> Result<BTreeMap<String, String>, StackError> {
    entries(node, field)?
        .map(|(key, node)| Ok((key.to_owned(), scalar(node, &format!("{field}, `{key}`"))?)))
        .collect()
}

fn list(node: &Node, field: &str) -> Result<Vec<String>, StackError> {
    match &node.value {
        Value::Null => Ok(Vec::new()),
        Value::List(items) => items.iter().map(|item| scalar(item, field)).collect(),
        _ => Err(wrong(node, field, "a list")),
    }
}

fn scalar(node: &Node, field: &str) -> Result<String, StackError> {
    match &node.value {
        Value::Null => Ok(String::new()),
        Value::Scalar { text, .. } => Ok(text.clone()),
        _ => Err(wrong(node, field, "text")),
    }
}

/// A boolean; the words of YAML 1.1 count, quoted ones of YAML 1.2 do not.
fn boolean(node: &Node, field: &str) -> Result<bool, StackError> {
    match &node.value {
        Value::Null => Ok(false),
        Value::Scalar { text, is_text } => match (text.as_str(), is_text) {
            ("true" | "True" | "TRUE", false) => Ok(true),
            ("false" | "False" | "FALSE", false) => Ok(false),
            ("y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON", true) => Ok(true),
            ("n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF", true) => Ok(false),
            _ => Err(wrong(node, field, "true or false")),
        },
        _ => Err(wrong(node, field, "true or false")),
    }
}

fn wrong(node: &Node, field: &str, wanted: &'static str) -> StackError {
    let found = match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Scalar { text, is_text: true } => {
            format!("the text {:?}", text.chars().take(60).collect::<String>())
        }
        Value::Scalar { text, .. } => text.chars().take(60).collect(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    };
    StackError::Field { line: node.line, field: field.to_owned(), found, wanted }
}
