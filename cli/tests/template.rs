//! The OpenFaaS template: contexts as faas-cli makes them build with nothing beside them, and what comes out
//! serves from a folder it can't write, as a user without rights.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may stop at the first surprise, too"
)]

#[path = "rust_sgd/context.rs"]
mod context;
#[path = "rust_sgd/served.rs"]
mod served;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use context::Context;
use served::Served;
use tempfile::TempDir;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What `scripts/template.sh` prints.
fn script(args: &[&str]) -> String {
    let output = Command::new(root().join("scripts/template.sh")).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs cargo in a function's folder; its target folder is kept, outside of the context.
/// Returns the binary.
fn cargo(folder: &Path, args: &[&str]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("template");
    let output = Command::new(env!("CARGO"))
        .args(args)
        // Unoptimised: the quickest build of the same sources.
        .args(["--config", "profile.dev.opt-level=0", "--config", "profile.dev.debug=false"])
        .args(["--config", "profile.dev.package.\"*\".opt-level=0", "--quiet", "--offline"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    target.join("debug")
}

#[test]
fn the_manifest_of_contexts_follows_the_workspace() {
    let committed = fs::read_to_string(root().join("template/rust-sgd/Cargo.toml")).unwrap();
    assert!(committed == script(&["manifest"]), "template/rust-sgd/Cargo.toml is stale: run `make template`");
}

#[test]
fn a_context_builds_by_itself_and_serves() {
    let place = TempDir::new().unwrap();
    let context = Context { folder: place.path().join("emnist-train") };
    script(&["context", "functions/emnist-train", context.folder.to_str().unwrap()]);
    context.compare_with_faas_cli(&root());
    let binaries = cargo(&context.function(), &["build"]);
    let wanted = locked(&root().join("Cargo.lock"));
    for package in locked(&context.folder.join("Cargo.lock")) {
        assert!(wanted.contains(&package) || package.contains("emnist-train"), "not as locked: {package}");
    }
    let served = Served::start(&binaries.join("emnist-train"), &[("store_url", "redis://127.0.0.1:1")]);
    assert_eq!(served.answer("GET", "/_/health", "").0, 200);
    let (status, body) = served.answer("POST", "/", "what?");
    assert_eq!(status, 400, "{body}");
    assert!(body.starts_with("request body: "), "{body}");
}

#[test]
fn a_new_function_of_another_repository_builds_tests_and_serves() {
    let place = TempDir::new().unwrap();
    script(&["dist", place.path().to_str().unwrap()]);
    // What `faas-cli new` does.
    let function = place.path().join("my-fn");
    context::copy(&place.path().join("template/rust-sgd/function"), &function);
    let context = Context::new(place.path(), &function, &place.path().join("build/my-fn"));
    let binaries = cargo(&context.function(), &["build", "--locked"]);
    cargo(&context.function(), &["test", "--locked"]);
    let served = Served::start(&binaries.join("function"), &[]);
    assert_eq!(served.answer("POST", "/", r#"{"name": "Ada"}"#), (200, "Hello, Ada!\n".to_owned()));
    assert_eq!(served.answer("POST", "/", "Ada").0, 400);
}

/// Name and version of each package in a lock file.
fn locked(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let packages = text.split("[[package]]\n").skip(1);
    packages.map(|package| package.lines().take(2).collect::<Vec<_>>().join(" ")).collect()
}
