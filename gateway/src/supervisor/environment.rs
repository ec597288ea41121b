//! The environment of a replica: put together from nothing, so that nothing of the gateway's own leaks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use openfaas::types::{DEFAULT_NAMESPACE, FunctionDeployment};

use crate::config::{CLUSTER_NAMES, Node};
use crate::specification::parse_duration;

/// Variables of the gateway's own that replicas get too.
const INHERITED: [&str; 3] = ["PATH", "HOME", "RUST_LOG"];

/// What is the same for all replicas.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) defaults: BTreeMap<String, String>,
    pub(crate) addresses: Vec<(String, String)>,
    /// The gateway's own address.
    pub(crate) gateway: SocketAddr,
    /// The nodes that replicas are spread over; at least one.
    pub(crate) nodes: Vec<Node>,
}

/// What is a replica's own.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) pod: &'a str,
    pub(crate) node: &'a Node,
    pub(crate) port: u16,
    pub(crate) metrics_port: u16,
    pub(crate) temporary: &'a Path,
    pub(crate) secrets: &'a Path,
}

impl Surroundings {
    /// All variables of one replica of `deployment`.
    pub(crate) fn compose(
        &self,
        deployment: &FunctionDeployment,
        place: &Place<'_>,
    ) -> BTreeMap<String, String> {
        let inherited =
            INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
        let mut all: BTreeMap<String, String> = inherited.collect();
        all.insert("node_name".to_owned(), place.node.name.clone());
        let chosen = self.defaults.iter().chain(&deployment.env_vars);
        all.extend(
            chosen.map(|(name, value)| (name.clone(), self.resolve(&replaced(value, &place.node.addresses)))),
        );
        all.extend(own(deployment, place));
        all
    }

    /// The node with the fewest of `taken`, the first of equals.
    pub(crate) fn pick_node<'a>(&self, taken: &(impl Iterator<Item = &'a str> + Clone)) -> Option<&Node> {
        let load = |node: &&Node| taken.clone().filter(|name| *name == node.name).count();
        self.nodes.iter().min_by_key(load)
    }

    /// Replaces the cluster's names in `text` by addresses.
    pub(crate) fn resolve(&self, text: &str) -> String {
        let resolved = replaced(text, &self.addresses);
        let mut gateway = self.gateway;
        if gateway.ip().is_unspecified() {
            gateway.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        CLUSTER_NAMES.iter().fold(resolved, |text, name| text.replace(name, &gateway.to_string()))
    }

    /// How long a replica of `deployment` may drain: its `write_timeout`, as in OpenFaaS.
    pub(crate) fn grace_period(&self, deployment: &FunctionDeployment, default: Duration) -> Duration {
        let variable =
            deployment.env_vars.get("write_timeout").or_else(|| self.defaults.get("write_timeout"));
        let Some(text) = variable else { return default };
        parse_duration(text).unwrap_or_else(|| {
            tracing::warn!(function = deployment.service, value = text, "write_timeout is no duration");
            default
        })
    }
}

fn replaced(text: &str, addresses: &[(String, String)]) -> String {
    addresses.iter().fold(text.to_owned(), |text, (name, address)| text.replace(name, address))
}

/// What no deployment may set otherwise.
fn own(deployment: &FunctionDeployment, place: &Place<'_>) -> [(String, String); 10] {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    [
        ("port", place.port.to_string()),
        ("metrics_port", place.metrics_port.to_string()),
        ("bind_address", "127.0.0.1".to_owned()),
        // The gateway holds the other end: a replica must not outlive it.
        ("exit_on_stdin_close", "true".to_owned()),
        // No call is sent to a replica that was told to end, so there is nothing to wait for before draining.
        ("healthcheck_interval", "0s".to_owned()),
        ("TMPDIR", path(place.temporary)),
        ("secret_mount_path", path(place.secrets)),
        ("HOSTNAME", place.pod.to_owned()),
        ("OPENFAAS_NAME", deployment.service.clone()),
        ("OPENFAAS_NAMESPACE", DEFAULT_NAMESPACE.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node { name: name.into(), addresses: vec![("redis://near".into(), format!("redis://{name}:1"))] }
    }

    fn surroundings() -> Surroundings {
        Surroundings {
            defaults: BTreeMap::from([
                ("store_url".into(), "redis://redis:6379".into()),
                ("a".into(), "1".into()),
            ]),
            addresses: vec![("redis://redis:6379".into(), "redis://127.0.0.1:7000".into())],
            gateway: "0.0.0.0:8081".parse().unwrap(),
            nodes: ["here", "there"].map(node).into(),
        }
    }

    #[test]
    fn a_deployments_variables_win_over_defaults_but_not_over_the_replicas_own() {
        let set = [
            ("a", "2"),
            ("b", "redis://near"),
            ("port", "1"),
            ("gateway_hostname", "http://gateway.openfaas:8080/x"),
        ];
        let deployment = FunctionDeployment {
            service: "fn".into(),
            env_vars: set.map(|(k, v)| (k.into(), v.into())).into(),
            ..FunctionDeployment::default()
        };
        let folder = Path::new("/t");
        let node = node("here");
        let place = Place {
            pod: "fn-x-y",
            node: &node,
            port: 7,
            metrics_port: 8,
            temporary: folder,
            secrets: folder,
        };
        let all = surroundings().compose(&deployment, &place);
        assert_eq!(all["b"], "redis://here:1");
        assert_eq!(all["a"], "2");
        assert_eq!(all["port"], "7");
        assert_eq!(all["store_url"], "redis://127.0.0.1:7000");
        assert_eq!(all["gateway_hostname"], "http://127.0.0.1:8081/x");
        assert_eq!(all["HOSTNAME"], "fn-x-y");
        assert_eq!(all["node_name"], "here");
        assert!(!all.contains_key("CARGO"), "the gateway's own environment leaked");
    }

    #[test]
    fn replicas_are_spread_over_the_nodes() {
        let surroundings = surroundings();
        let pick =
            |taken: &[&'static str]| surroundings.pick_node(&taken.iter().copied()).unwrap().name.clone();
        assert_eq!(pick(&[]), "here");
        assert_eq!(pick(&["here"]), "there");
        assert_eq!(pick(&["there", "here"]), "here");
        assert_eq!(pick(&["here", "here", "there"]), "there");
    }

    #[test]
    fn the_grace_period_is_the_write_timeout() {
        let grace = |text: &str| {
            let env_vars = BTreeMap::from([("write_timeout".to_owned(), text.to_owned())]);
            let deployment = FunctionDeployment { env_vars, ..FunctionDeployment::default() };
            surroundings().grace_period(&deployment, Duration::from_secs(30)).as_secs()
        };
        assert_eq!([grace("5"), grace("1m30s"), grace("soon"), grace("65s")], [5, 90, 30, 65]);
    }
}
