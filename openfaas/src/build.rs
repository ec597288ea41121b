//! What `faas-cli` sends a remote builder, and what it reads back.
//!
//! `POST /build` takes a tar: the build context under [`CONTEXT`] and a [`BuildConfig`] as [`CONFIG_FILE`]. Its
//! signature is in the header [`SIGNATURE_HEADER`]. The answer is a line of JSON for each [`BuildResult`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The header with `sha256=` and the hexadecimal HMAC-SHA256 of the body.
pub const SIGNATURE_HEADER: &str = "X-Build-Signature";
/// The folder of the tar that holds the build context.
pub const CONTEXT: &str = "context";
/// The entry of the tar that holds the [`BuildConfig`].
pub const CONFIG_FILE: &str = "com.openfaas.docker.config";
/// The entry of the tar that holds sealed build secrets.
pub const SECRETS_FILE: &str = "com.openfaas.secrets";

/// What to build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BuildConfig {
    /// The image to make, such as `docker.io/me/fn:latest`.
    pub image: String,
    /// Arguments for the Dockerfile; `faas-cli` always sends `ADDITIONAL_PACKAGE`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub build_args: BTreeMap<String, String>,
    /// Such as `linux/amd64`; empty, or one empty text, where none is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
}

/// How far a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStatus {
    /// More is to come.
    InProgress,
    /// The image is there.
    Success,
    /// There is no new image.
    Failed,
}

/// A line of a builder's answer. `faas-cli` reads lines up to 64 KiB and takes a longer one for the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildResult {
    /// What the build wrote since the last line.
    pub log: Vec<String>,
    /// The image that is being made.
    pub image: String,
    /// How far the build is.
    pub status: BuildStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}
