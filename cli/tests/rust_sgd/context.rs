//! Build contexts, made by the steps that faas-cli documents.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What `docker build` would get.
pub(crate) struct Context {
    pub(crate) folder: PathBuf,
}

impl Context {
    /// The template, and the handler over its handler folder.
    pub(crate) fn new(root: &Path, handler: &Path, folder: &Path) -> Self {
        let context = Self { folder: folder.to_owned() };
        copy(&root.join("template/rust-sgd"), folder);
        for entry in fs::read_dir(handler).unwrap() {
            let name = entry.unwrap().file_name();
            if name != "build" && name != "template" {
                copy(&handler.join(&name), &context.function().join(&name));
            }
        }
        context
    }

    /// The folder of the handler.
    pub(crate) fn function(&self) -> PathBuf {
        self.folder.join("function")
    }

    /// Where a faas-cli is at hand, its context must be the same.
    pub(crate) fn compare_with_faas_cli(&self, root: &Path) {
        let Some(faas_cli) = on_path("faas-cli") else { return };
        let (place, home) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        // Its contexts are in build/ of the working directory.
        for entry in fs::read_dir(root).unwrap() {
            let name = entry.unwrap().file_name();
            if name != "build" {
                std::os::unix::fs::symlink(root.join(&name), place.path().join(&name)).unwrap();
            }
        }
        let name = self.folder.file_name().unwrap();
        let output = Command::new(faas_cli)
            .args(["build", "--shrinkwrap", "-f", "stack.yml", "--filter"])
            .arg(name)
            .current_dir(place.path())
            .env("OPENFAAS_CONFIG", home.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (theirs, ours) = (files(&place.path().join("build").join(name)), files(&self.folder));
        assert_eq!(theirs.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
        for (path, content) in &theirs {
            assert!(ours[path] == *content, "{}", path.display());
        }
    }
}

/// Copies a file or a folder; links are followed.
pub(crate) fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = fs::read(&path).unwrap();
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), content);
            }
        }
    }
    found
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}
