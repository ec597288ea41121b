//! Which stack file to deploy.

use std::env;
use std::path::Path;

use anyhow::{Context, Result};
use openfaas::stack::Stack;

/// The project's own, for a folder that has none.
pub(crate) const OWN_STACK: &str = include_str!("../../../stack.yml");
/// In the order in which `faas-cli` looks.
const FILES: [&str; 2] = ["stack.yaml", "stack.yml"];

/// The stack of the file given, else of the one in this folder, else the project's own.
///
/// # Errors
/// The file can't be read, or is no stack.
pub(crate) fn load(given: Option<&Path>) -> Result<Stack> {
    let lookup = |name: &str| env::var(name).ok();
    let here = || FILES.into_iter().map(Path::new).find(|file| file.is_file());
    match given.or_else(here) {
        Some(file) => Ok(Stack::load(file, lookup)?),
        None => Stack::parse(OWN_STACK, lookup).context("the built-in stack.yml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_stack_finds_redis_where_the_local_platform_replaces_it() {
        let stack = Stack::parse(OWN_STACK, |_| None).unwrap();
        for function in stack.deployments() {
            assert_eq!(function.env_vars["store_url"], super::super::redis::CLUSTER_ADDRESS);
        }
    }
}
