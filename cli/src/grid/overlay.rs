//! The grid's stack files, `tests/emnist<batch><workers>.yml`: `stack.yml` with a few values set and the
//! functions left out that the grid has no use for.
//!
//! Whole files, comments included, since faas-cli knows no overlays: `diff stack.yml tests/emnist321.yml`
//! shows what a configuration is.

use anyhow::{Context, Result, bail, ensure};
use openfaas::names::{SCALE_MAX, SCALE_MIN};

use crate::local::stack::OWN_STACK;
use crate::training::{SETUP, TRAIN};

const BATCH_SIZES: [u32; 4] = [16, 32, 64, 128];
const WORKERS: [u32; 3] = [1, 3, 6];
/// OpenFaaS's Community Edition has no more replicas of a function; further workers share one, as
/// `max_inflight` allows.
const MOST_REPLICAS: u32 = 5;

/// As in the original experiments, whatever `stack.yml` says.
const FIXED: [(&str, &str); 6] = [
    ("n_fetch", "10"),
    ("n_push", "10"),
    ("iterations", "55"),
    ("target_accuracy", "0.75"),
    ("hidden_size", "100"),
    ("dropout_percent", "0.2"),
];

/// One of the grid's stack files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StackFile {
    /// Its name without `.yml`, such as `emnist321`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The stack files of the whole grid, by batch size, then workers.
pub(crate) fn all() -> Result<Vec<StackFile>> {
    let pairs = BATCH_SIZES.into_iter().flat_map(|batch| WORKERS.map(|workers| (batch, workers)));
    pairs.map(|(batch, workers)| derive(OWN_STACK, batch, workers)).collect()
}

/// How many replicas so many workers have.
pub(crate) fn replicas(workers: u32) -> u32 {
    workers.min(MOST_REPLICAS)
}

fn derive(stack: &str, batch_size: u32, workers: u32) -> Result<StackFile> {
    let mut sections = Sections::of(stack)?;
    sections.functions.retain(|function| [SETUP, TRAIN].contains(&function.name));
    let setup = sections.function(SETUP)?;
    setup.set("batch_size", &batch_size.to_string())?;
    setup.set("number_of_workers", &workers.to_string())?;
    for (key, value) in FIXED {
        setup.set(key, value)?;
    }
    let train = sections.function(TRAIN)?;
    let replicas = replicas(workers).to_string();
    train.set(SCALE_MIN, &replicas)?;
    train.set(SCALE_MAX, &replicas)?;
    let plural = if workers == 1 { "" } else { "s" };
    let text = format!(
        "# Batch size {batch_size}, {workers} worker{plural}. Written by `make grid-files` from stack.yml: change that.\n{}",
        sections.text()
    );
    Ok(StackFile { name: format!("emnist{batch_size}{workers}"), text })
}

/// A stack file, cut where a function begins.
struct Sections<'a> {
    /// What comes before the functions, without the comment at the top.
    head: Vec<&'a str>,
    functions: Vec<Function<'a>>,
}

struct Function<'a> {
    name: &'a str,
    /// The comment above it included.
    lines: Vec<String>,
}

impl<'a> Sections<'a> {
    fn of(stack: &'a str) -> Result<Self> {
        let mut head: Vec<&str> = stack.lines().skip_while(|line| line.starts_with('#')).collect();
        let start = head.iter().position(|line| *line == "functions:").context("no line `functions:`")?;
        let mut functions: Vec<Function<'a>> = Vec::new();
        // A comment belongs to the function below it.
        let mut above = Vec::new();
        for line in head.split_off(start + 1) {
            let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'));
            if let Some(name) = name.filter(|name| !name.starts_with([' ', '#'])) {
                above.push(line.to_owned());
                functions.push(Function { name, lines: std::mem::take(&mut above) });
            } else if line.is_empty() || line.starts_with("  #") {
                above.push(line.to_owned());
            } else {
                let Some(function) = functions.last_mut() else { bail!("no function above {line:?}") };
                function.lines.append(&mut above);
                function.lines.push(line.to_owned());
            }
        }
        Ok(Self { head, functions })
    }

    fn function(&mut self, name: &str) -> Result<&mut Function<'a>> {
        let found = self.functions.iter_mut().find(|function| function.name == name);
        found.with_context(|| format!("stack.yml has no function {name}"))
    }

    fn text(&self) -> String {
        let functions = self.functions.iter().flat_map(|function| &function.lines).map(String::as_str);
        self.head.iter().copied().chain(functions).map(|line| format!("{line}\n")).collect()
    }
}

impl Function<'_> {
    /// Sets the value of a key that is there once.
    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let name = self.name;
        let is_key = |line: &&mut String| {
            line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
        };
        let mut lines = self.lines.iter_mut().filter(is_key);
        let line = lines.next().with_context(|| format!("stack.yml, {name}: no {key}"))?;
        ensure!(lines.next().is_none(), "stack.yml, {name}: {key} is there twice");
        let indent = line.len() - line.trim_start().len();
        *line = format!("{}{key}: \"{value}\"", &line[..indent]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use openfaas::names::ScaleRange;
    use openfaas::stack::Stack;

    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
    }

    #[test]
    fn the_committed_files_are_those_that_are_derived() {
        let mut names = BTreeSet::new();
        for file in all().unwrap() {
            let name = format!("{}.yml", file.name);
            let committed = fs::read_to_string(folder().join(&name)).unwrap_or_default();
            assert!(committed == file.text, "tests/{name} is stale: run `make grid-files`");
            names.insert(name);
        }
        let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
        let found: BTreeSet<_> = entries
            .map(|name| name.into_string().unwrap())
            .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "yml"))
            .collect();
        assert_eq!(found, names);
    }

    #[test]
    fn a_file_differs_from_the_stack_in_what_makes_the_configuration() {
        let stack = Stack::parse(OWN_STACK, |_| None).unwrap().deployments();
        for (file, (batch, workers)) in
            all().unwrap().iter().zip(BATCH_SIZES.iter().flat_map(|b| WORKERS.iter().map(move |w| (b, w))))
        {
            let [setup, train] = &Stack::parse(&file.text, |_| None).unwrap().deployments()[..] else {
                panic!("two functions: {}", file.text);
            };
            assert_eq!(setup.env_vars["batch_size"], batch.to_string());
            assert_eq!(setup.env_vars["number_of_workers"], workers.to_string());
            let range = ScaleRange::from_labels(&train.labels).unwrap();
            let replicas = u64::from(*workers.min(&5));
            assert_eq!((range.min, range.max), (replicas, replicas));
            let packed: u64 = train.env_vars["max_inflight"].parse().unwrap();
            assert!(replicas * packed >= u64::from(*workers), "{}: no place for every worker", file.name);
            assert_eq!((&setup.image, &train.env_vars), (&stack[0].image, &stack[1].env_vars));
        }
    }

    #[test]
    fn a_stack_without_what_is_to_be_set_is_named() {
        let wrong =
            |from: &str, to: &str| derive(&OWN_STACK.replace(from, to), 16, 1).unwrap_err().to_string();
        assert!(wrong("functions:", "none:").contains("functions:"));
        assert!(wrong("  emnist-train:", "  other:").contains("emnist-train"));
        assert!(wrong("n_fetch:", "nFetch:").contains("emnist-setup: no n_fetch"));
        assert!(wrong("n_fetch:", "n_push: \"1\"\n      n_fetch:").contains("n_push is there twice"));
    }
}
