//! The configurations of a grid: stack files, and settings varied beyond them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use openfaas::names::{SCALE_MAX, SCALE_MIN};
use openfaas::stack::Stack;
use openfaas::types::FunctionDeployment;
use platform::settings::{Settings, Workers};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::overlay;
use crate::exit_code::BadArguments;
use crate::training::{SETUP, TRAIN};

/// The variables of what the plots' axes and lines go by.
pub(crate) const WORKERS: &str = "number_of_workers";
pub(crate) const BATCH_SIZE: &str = "batch_size";

/// One configuration: what is deployed, and what setup is told.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    /// The stack file's name, and the settings that differ from it.
    pub(crate) name: String,
    /// The functions.
    pub(crate) deployments: Vec<FunctionDeployment>,
    /// Settings that differ from the stack file's, by variable.
    pub(crate) varied: BTreeMap<String, String>,
    /// All settings, as setup will have them.
    pub(crate) settings: Settings,
}

/// A setting with the values to try: `--set KEY=VALUE,…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    variable: String,
    values: Vec<String>,
}

impl std::str::FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (variable, values) = text.split_once('=').ok_or("wanted is KEY=VALUE[,VALUE…]")?;
        if variable == "seed" {
            return Err("every round has its own seed: its number".to_owned());
        }
        let values: Vec<_> = values.split(',').map(|value| value.trim().to_owned()).collect();
        for value in &values {
            settings_with(Settings::default(), &[(variable.to_owned(), value.clone())].into())
                .map_err(|error| error.to_string())?;
        }
        Ok(Self { variable: variable.to_owned(), values })
    }
}

/// The configurations of these stack files (without any: of `tests/emnist*.yml` below this folder, else of
/// the built-in ones), each once for every combination of the axes' values.
///
/// # Errors
/// A file can't be read or has no setup function, or two configurations have one name.
pub(crate) fn configurations(files: &[PathBuf], axes: &[Axis]) -> Result<Vec<Configuration>> {
    let mut configurations = Vec::new();
    for (name, stack) in stacks(files)? {
        for varied in combinations(axes) {
            configurations.push(Configuration::new(&name, &stack, varied)?);
        }
    }
    if files.is_empty() {
        configurations.sort_by_key(|c| (c.varied.clone(), c.settings.batch_size, c.settings.workers));
    }
    let mut names: Vec<_> = configurations.iter().map(|configuration| &configuration.name).collect();
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(BadArguments(format!("there are two configurations called {}", twice[0])).into());
    }
    Ok(configurations)
}

/// Stack files with their names.
fn stacks(files: &[PathBuf]) -> Result<Vec<(String, Stack)>> {
    let found = if files.is_empty() { found_here()? } else { files.to_vec() };
    let lookup = |name: &str| env::var(name).ok();
    if found.is_empty() {
        let parse = |file: overlay::StackFile| {
            let stack =
                Stack::parse(&file.text, lookup).with_context(|| format!("built-in {}", file.name))?;
            Ok((file.name, stack))
        };
        return overlay::all()?.into_iter().map(parse).collect();
    }
    let load = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let stack = Stack::load(path, lookup).map_err(|error| BadArguments(error.to_string()))?;
        Ok((name, stack))
    };
    found.iter().map(load).collect()
}

/// The grid's files of a project's folder.
fn found_here() -> Result<Vec<PathBuf>> {
    let folder = Path::new("tests");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).context("can't read the folder tests")?;
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("emnist") && name.ends_with(".yml")
        })
        .collect();
    found.sort();
    Ok(found)
}

fn combinations(axes: &[Axis]) -> Vec<BTreeMap<String, String>> {
    axes.iter().fold(vec![BTreeMap::new()], |combinations, axis| {
        let with = |combination: &BTreeMap<String, String>, value: &String| {
            let mut combination = combination.clone();
            combination.insert(axis.variable.clone(), value.clone());
            combination
        };
        combinations.iter().flat_map(|c| axis.values.iter().map(move |value| with(c, value))).collect()
    })
}

impl Configuration {
    fn new(file: &str, stack: &Stack, varied: BTreeMap<String, String>) -> Result<Self> {
        let mut deployments = stack.deployments();
        let setup = deployments.iter().find(|function| function.service == SETUP);
        let setup = setup.ok_or_else(|| BadArguments(format!("{file} deploys no function {SETUP}")))?;
        let settings = Settings::from_environment(|name| setup.env_vars.get(name).cloned())
            .with_context(|| format!("{file}, {SETUP}"))?;
        let settings = settings_with(settings, &varied)?;
        let Some(workers) = settings.workers.fixed() else {
            return Err(
                BadArguments(format!("{file}: {WORKERS} is auto; a grid compares numbers of them")).into()
            );
        };
        if varied.contains_key(WORKERS) {
            make_room(&mut deployments, u32::try_from(workers)?);
        }
        let name = varied.iter().fold(file.to_owned(), |name, (key, value)| format!("{name} {key}={value}"));
        Ok(Self { name, deployments, varied, settings })
    }

    /// The body of the setup invocation of one round. Every round has a seed of its own: with the same,
    /// one worker would train the same parameters again and again.
    pub(crate) fn order(&self, round: u32) -> Value {
        let mut body: Map<_, _> =
            self.varied.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        body.insert("seed".to_owned(), round.into());
        Value::Object(body)
    }

    /// Tells this configuration on this platform from any other.
    pub(crate) fn fingerprint(&self, platform: &str) -> Result<String> {
        let text = serde_json::to_string(&(platform, &self.deployments, &self.varied))?;
        Ok(Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Makes a relative folder of data one of this folder's: functions on this machine have folders of
    /// their own.
    ///
    /// # Errors
    /// It has no absolute path.
    pub(crate) fn find_folders_from_here(&mut self) -> Result<()> {
        for function in &mut self.deployments {
            if let Some(folder) = function.env_vars.get_mut("data_dir").filter(|folder| !folder.is_empty()) {
                let absolute =
                    std::path::absolute(&*folder).with_context(|| format!("data_dir {folder:?}"))?;
                *folder = absolute.to_string_lossy().into_owned();
            }
        }
        Ok(())
    }

    /// In words.
    pub(crate) fn description(&self) -> String {
        let Settings { batch_size, workers, n_fetch, n_push, .. } = self.settings;
        let plural = if workers == Workers::Fixed(1) { "" } else { "s" };
        let target = self.settings.target_accuracy.map_or_else(
            || format!("{} epochs", self.settings.epochs),
            |target| format!("to {} %", 100.0 * target),
        );
        format!(
            "batch size {batch_size}, {workers} worker{plural}, nFetch {n_fetch}, nPush {n_push}, {target}"
        )
    }
}

/// Lets a stack file's train function have the replicas for another number of workers.
fn make_room(deployments: &mut [FunctionDeployment], workers: u32) {
    let replicas = overlay::replicas(workers);
    for train in deployments.iter_mut().filter(|function| function.service == TRAIN) {
        for label in [SCALE_MIN, SCALE_MAX] {
            train.labels.insert(label.to_owned(), replicas.to_string());
        }
        let packed = workers.div_ceil(replicas);
        if let Some(most) = train.env_vars.get_mut("max_inflight")
            && most.parse().is_ok_and(|most: u32| (1..packed).contains(&most))
        {
            *most = packed.to_string();
        }
    }
}

fn settings_with(settings: Settings, varied: &BTreeMap<String, String>) -> Result<Settings> {
    let body: Map<_, _> = varied.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    Ok(settings.overridden_by_json(&serde_json::to_vec(&body)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in(axes: &[&str]) -> Vec<Configuration> {
        let axes: Vec<Axis> = axes.iter().map(|axis| axis.parse().unwrap()).collect();
        // The folder of this crate has no tests/emnist*.yml.
        configurations(&[], &axes).unwrap()
    }

    #[test]
    fn the_built_in_grid_is_ordered_and_has_the_originals_settings() {
        let grid = built_in(&[]);
        let names: Vec<_> = grid.iter().map(|configuration| configuration.name.as_str()).collect();
        let expected = "emnist161 emnist163 emnist166 emnist321 emnist323 emnist326 emnist641 emnist643 \
                        emnist646 emnist1281 emnist1283 emnist1286";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
        let settings = &grid[5].settings;
        assert_eq!((settings.batch_size, settings.workers.fixed(), settings.n_fetch), (32, Some(6), 10));
        assert_eq!((settings.target_accuracy, settings.dropout), (Some(0.75), 0.2));
        assert_eq!(grid[0].description(), "batch size 16, 1 worker, nFetch 10, nPush 10, to 75 %");
    }

    #[test]
    fn axes_multiply_and_reach_setup() {
        let grid = built_in(&["n_fetch=1,50", "codec=f32"]);
        assert_eq!(grid.len(), 24);
        assert_eq!(grid[0].name, "emnist161 codec=f32 n_fetch=1");
        assert_eq!((grid[0].settings.n_fetch, grid[12].settings.n_fetch), (1, 50));
        assert_eq!(grid[12].order(3), serde_json::json!({"codec": "f32", "n_fetch": "50", "seed": 3}));
        assert_ne!(grid[0].fingerprint("a").unwrap(), grid[12].fingerprint("a").unwrap());
        assert_ne!(grid[0].fingerprint("a").unwrap(), grid[0].fingerprint("b").unwrap());
    }

    #[test]
    fn other_workers_have_replicas_to_run_on() {
        let grid = built_in(&["number_of_workers=2,64"]);
        for (configuration, replicas, packed) in [(&grid[0], "2", 2), (&grid[12], "5", 13)] {
            let train = configuration.deployments.iter().find(|function| function.service == TRAIN).unwrap();
            assert_eq!([SCALE_MIN, SCALE_MAX].map(|label| train.labels[label].as_str()), [replicas; 2]);
            assert!(train.env_vars["max_inflight"].parse::<u32>().unwrap() >= packed);
        }
    }

    #[test]
    fn an_axis_that_can_not_be_is_named() {
        let error = |text: &str| text.parse::<Axis>().unwrap_err();
        assert!(error("n_fetch").contains("KEY=VALUE"));
        assert!(error("n_fetch=1,none").contains("n_fetch"));
        assert!(error("nfetch=1").contains("nfetch"));
        assert!(error("seed=1").contains("seed"));
    }
}
