//! Kubernetes' schemas, with PyPI's `kubernetes-validate`, strictly: a field that they do not know is an error.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::custom;
use crate::manifest::{self, Manifest};

/// The oldest minor version of Kubernetes that the manifests are for.
const OLDEST: u32 = 28;

/// The installed program: where `scripts/install-deps.sh` puts it, or on the PATH.
fn program() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap_or_default();
    let installed = cache.join("downpour/kubernetes-validate/bin/kubernetes-validate");
    if installed.is_file() { installed } else { "kubernetes-validate".into() }
}

fn run(args: &[&str]) -> (bool, String) {
    let output = Command::new(program()).args(args).output().unwrap_or_else(|error| {
        panic!("kubernetes-validate: {error}; `scripts/install-deps.sh kubernetes-validate` installs it")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// The newest minor version of Kubernetes that it knows: its own version says so.
fn newest() -> u32 {
    let (_, version) = run(&["--version"]);
    let minor = version.split('.').nth(1).and_then(|minor| minor.trim().parse().ok());
    minor.unwrap_or_else(|| panic!("{version:?} is no version"))
}

/// What is wrong with the objects of these files in that version; each object must have been looked at.
fn validate(minor: u32, files: &[PathBuf], objects: usize) -> Result<(), String> {
    let version = format!("1.{minor}");
    let mut args = vec!["--kubernetes-version", &version, "--strict"];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    let (succeeded, said) = run(&args);
    let passed = said.lines().filter(|line| line.starts_with("INFO ") && line.contains(" passed ")).count();
    if succeeded && passed == objects { Ok(()) } else { Err(said) }
}

/// Writes objects into files of their own.
fn rendered(folder: &Path, objects: &[serde_json::Value]) -> Vec<PathBuf> {
    let files = objects.iter().enumerate().map(|(index, object)| {
        let file = folder.join(format!("{index}.yaml"));
        fs::write(&file, object.to_string()).unwrap();
        file
    });
    files.collect()
}

#[test]
fn every_manifest_is_valid_from_the_oldest_version_to_the_newest() {
    let folder = tempfile::TempDir::new().unwrap();
    let (own, others): (Vec<Manifest>, Vec<Manifest>) =
        manifest::all().into_iter().partition(Manifest::is_kubernetes);
    // Of the others, what stands for an object of Kubernetes.
    let objects: Vec<_> =
        own.into_iter().map(|manifest| manifest.value).chain(others.iter().map(custom::inner)).collect();
    let files = rendered(folder.path(), &objects);
    let newest = newest();
    assert!(newest >= 37, "1.{newest} is older than what install-deps.sh installs");
    for minor in OLDEST..=newest {
        validate(minor, &files, objects.len()).unwrap_or_else(|said| panic!("1.{minor}:\n{said}"));
    }
}

#[test]
fn the_files_are_taken_as_they_are() {
    let own: Vec<PathBuf> = manifest::files()
        .into_iter()
        .filter(|file| {
            let name = file.strip_prefix(manifest::folder()).unwrap().to_str().unwrap();
            manifest::of(name).iter().all(Manifest::is_kubernetes)
        })
        .collect();
    let objects = manifest::all().iter().filter(|manifest| manifest.is_kubernetes()).count();
    validate(newest(), &own, objects).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn a_field_that_no_schema_has_and_a_kind_that_nobody_knows_are_noticed() {
    let folder = tempfile::TempDir::new().unwrap();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}});
    let mut typo = service.clone();
    typo["spec"] = json!({"selectors": {"a": "b"}});
    let mut unknown = service.clone();
    unknown["kind"] = "Sevrice".into();
    for (object, fits) in [(service, true), (typo, false), (unknown, false)] {
        let files = rendered(folder.path(), std::slice::from_ref(&object));
        assert_eq!(validate(OLDEST, &files, 1).is_ok(), fits, "{object}");
    }
}
