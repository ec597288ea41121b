//! Who this process is: the names of its pod and its node, as reports show them.

/// The names of this pod and its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The replica: the `HOSTNAME` variable, which is a pod's name in Kubernetes, else the host name.
    pub pod: String,
    /// The machine: the `node_name` variable, else the host name.
    pub node: String,
}

impl Identity {
    /// This process's names; an empty variable counts as none.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(host_name);
        Self { pod: variable("HOSTNAME"), node: variable("node_name") }
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_win_over_the_host_name() {
        let given = |name: &str| match name {
            "HOSTNAME" => Some("emnist-train-0".to_owned()),
            "node_name" => Some("node-a".to_owned()),
            _ => None,
        };
        let expected = Identity { pod: "emnist-train-0".to_owned(), node: "node-a".to_owned() };
        assert_eq!(Identity::from_environment(given), expected);
        let none = Identity::from_environment(|name| (name == "HOSTNAME").then(String::new));
        assert!(!none.pod.is_empty());
        assert_eq!(none.pod, none.node);
    }
}
