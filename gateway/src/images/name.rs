//! An image's name, as a deployment gives it and as a build makes it.

use openfaas::names::{NameError, check_label};
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// A name whose last part is a DNS label, such as `docker.io/me/echo:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageName {
    full: String,
    base: String,
}

impl ImageName {
    /// `docker.io/me/echo` is the same as `docker.io/me/echo:latest`.
    pub(crate) fn parse(image: &str) -> Result<Self, NameError> {
        let untagged = image.split('@').next().unwrap_or_default();
        let last = untagged.rsplit('/').next().unwrap_or_default();
        let base = last.split(':').next().unwrap_or_default();
        check_label("image", base)?;
        let tagged = last.contains(':') || image.contains('@');
        let full = if tagged { image.to_owned() } else { format!("{image}:latest") };
        Ok(Self { full, base: base.to_owned() })
    }

    /// Registry, path and tag.
    pub(crate) fn full(&self) -> &str {
        &self.full
    }

    /// `docker.io/me/echo:latest@sha256:…` → `echo`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A file's name that no other image has.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}", self.base, hex(&Sha256::digest(&self.full)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_tag_and_digest_are_cut() {
        for image in
            ["echo", "echo:1", "me/echo", "docker.io/me/echo:latest", "localhost:5000/echo@sha256:00"]
        {
            assert_eq!(ImageName::parse(image).unwrap().base(), "echo", "{image}");
        }
    }

    #[test]
    fn only_a_missing_tag_is_the_same_as_latest() {
        let name = |image: &str| ImageName::parse(image).unwrap();
        assert_eq!(name("localhost:5000/echo"), name("localhost:5000/echo:latest"));
        assert_eq!(name("echo@sha256:00").full(), "echo@sha256:00");
        assert_ne!(name("a/echo:1").file_name(), name("b/echo:1").file_name());
    }
}
