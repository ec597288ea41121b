//! The bodies of OpenFaaS's REST API, in the names and shapes that `faas-cli` sends and reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The namespace that functions live in unless a request names another.
pub const DEFAULT_NAMESPACE: &str = "openfaas-fn";

/// Memory and CPU in Kubernetes' notation, such as `128Mi` and `100m`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
}

/// What `POST` and `PUT /system/functions` take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionDeployment {
    /// The function's name: a DNS label.
    pub service: String,
    /// The image to run, such as `docker.io/me/fn:latest`.
    pub image: String,
    /// The namespace; empty means [`DEFAULT_NAMESPACE`].
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub namespace: String,
    /// The process that a fork-exec watchdog starts; kept and shown only.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub env_process: String,
    /// Environment variables.
    #[serde(deserialize_with = "or_default")]
    pub env_vars: BTreeMap<String, String>,
    /// Placement constraints; kept and shown only.
    #[serde(deserialize_with = "or_default")]
    pub constraints: Vec<String>,
    /// Names of secrets to mount.
    #[serde(deserialize_with = "or_default")]
    pub secrets: Vec<String>,
    /// Labels, such as `com.openfaas.scale.min`.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// Upper bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resources>,
    /// Reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Resources>,
    /// Whether the function may write to its file system other than `/tmp`.
    #[serde(deserialize_with = "or_default")]
    pub read_only_root_filesystem: bool,
}

/// What `GET /system/functions` lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionStatus {
    /// The function's name.
    pub name: String,
    /// The image it runs.
    pub image: String,
    /// The namespace it is in.
    pub namespace: String,
    /// As deployed.
    pub env_process: String,
    /// As deployed.
    #[serde(deserialize_with = "or_default")]
    pub env_vars: BTreeMap<String, String>,
    /// As deployed.
    #[serde(deserialize_with = "or_default")]
    pub constraints: Vec<String>,
    /// As deployed.
    #[serde(deserialize_with = "or_default")]
    pub secrets: Vec<String>,
    /// As deployed.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// As deployed.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// As deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resources>,
    /// As deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Resources>,
    /// As deployed.
    #[serde(deserialize_with = "or_default")]
    pub read_only_root_filesystem: bool,
    /// Requests served since the gateway first saw the function.
    pub invocation_count: f64,
    /// Replicas wanted.
    pub replicas: u64,
    /// Replicas that are ready.
    pub available_replicas: u64,
    /// When it was deployed, RFC 3339.
    pub created_at: String,
    /// CPU and memory, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What all replicas of a function use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Thousandths of a core.
    pub cpu: f64,
    /// Bytes.
    pub total_memory_bytes: f64,
}

/// What `DELETE /system/functions` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteFunctionRequest {
    /// The function's name.
    pub function_name: String,
    /// Its namespace; empty means the default one.
    pub namespace: String,
}

/// What `POST /system/scale-function/NAME` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleRequest {
    /// The function's name.
    #[serde(default)]
    pub service_name: String,
    /// Replicas wanted: must be there, or a slip would scale to zero.
    pub replicas: u64,
    /// Its namespace; empty means the default one.
    #[serde(default)]
    pub namespace: String,
}

/// A secret; the value goes in, and never comes out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secret {
    /// The secret's name: a DNS subdomain.
    pub name: String,
    /// Its namespace; empty means the default one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The value as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value as base64 of bytes; wins over `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_value: Option<String>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One line of `GET /system/logs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMessage {
    /// The function's name.
    pub name: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// The replica that wrote the line.
    pub instance: String,
    /// When it was written, RFC 3339.
    pub timestamp: String,
    /// The line, without its line feed.
    pub text: String,
}

/// What `GET /system/info` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemInfo {
    /// What runs the functions.
    pub provider: ProviderInfo,
    /// The gateway's version.
    pub version: VersionInfo,
    /// The machine's architecture.
    pub arch: String,
}

/// The part of [`SystemInfo`] about what runs the functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderInfo {
    /// The provider's name.
    pub provider: String,
    /// What it orchestrates with.
    pub orchestration: String,
    /// The provider's version.
    pub version: VersionInfo,
}

/// A version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VersionInfo {
    /// The release, such as `0.1.0`.
    pub release: String,
    /// The commit it was built from.
    pub sha: String,
    /// That commit's message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commit_message: String,
}

/// Go's encoder writes `null` for an empty map or list.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_faas_cli_sends() {
        let body = r#"{"service":"fn","image":"i:latest","envVars":{"a":"1"},"constraints":null,
            "secrets":[],"labels":{},"annotations":null,"readOnlyRootFilesystem":true,"unknown":1}"#;
        let deployment: FunctionDeployment = serde_json::from_str(body).unwrap();
        assert_eq!(deployment.service, "fn");
        assert_eq!(deployment.env_vars["a"], "1");
        assert!(deployment.constraints.is_empty() && deployment.read_only_root_filesystem);
    }

    #[test]
    fn a_secrets_value_is_not_printed() {
        let secret = Secret { name: "s".into(), value: Some("hush".into()), ..Secret::default() };
        assert!(!format!("{secret:?}").contains("hush"));
    }
}
