//! Kubernetes' scheduler, as far as rules about other pods go that must hold: `podAffinity` and
//! `podAntiAffinity`, `requiredDuringSchedulingIgnoredDuringExecution`, with nodes as the topology.
//!
//! As in the real one, rules are looked at when a pod is placed and never again; the anti-affinity of pods that
//! are there counts too; and a pod that would be the first that its own affinity looks for may go anywhere.

use serde_json::Value;

use crate::manifest::{Labels, PodTemplate, list, selects, text};

/// Which of the nodes that may be a pod goes to. What must hold must hold for each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Preference {
    First,
    Last,
    /// Where the fewest pods of its owner are.
    Spread,
}

impl Preference {
    pub(crate) const ALL: [Self; 3] = [Self::First, Self::Last, Self::Spread];
}

/// A rule about other pods on the node.
#[derive(Clone, Debug)]
struct Term {
    selector: Value,
    namespaces: Vec<String>,
}

#[derive(Clone, Debug)]
struct Pod {
    owner: String,
    namespace: String,
    labels: Labels,
    near: Vec<Term>,
    apart: Vec<Term>,
    node: Option<usize>,
}

/// Nodes, and pods that are on one or pending.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    nodes: usize,
    preference: Preference,
    pods: Vec<Pod>,
}

impl Term {
    fn read(rules: &Value, pods: &PodTemplate) -> Vec<Self> {
        let terms = list(&rules["requiredDuringSchedulingIgnoredDuringExecution"]).iter();
        let read = terms.map(|term| {
            assert_eq!(term["topologyKey"], "kubernetes.io/hostname", "{}", pods.owner);
            assert!(term.get("namespaceSelector").is_none(), "{}: not simulated", pods.owner);
            let named: Vec<String> =
                list(&term["namespaces"]).iter().map(|name| text(name).to_owned()).collect();
            let namespaces = if named.is_empty() { vec![pods.namespace.clone()] } else { named };
            Self { selector: term["labelSelector"].clone(), namespaces }
        });
        read.collect()
    }

    fn is_about(&self, pod: &Pod) -> bool {
        self.namespaces.contains(&pod.namespace) && selects(&self.selector, &pod.labels)
    }
}

impl Cluster {
    pub(crate) fn new(nodes: usize, preference: Preference) -> Self {
        Self { nodes, preference, pods: Vec::new() }
    }

    /// So many pods of a template, scheduled as far as they can be; and whatever was pending.
    pub(crate) fn scale(&mut self, template: &PodTemplate, replicas: usize) {
        let affinity = &template.spec["affinity"];
        let pod = Pod {
            owner: template.owner.clone(),
            namespace: template.namespace.clone(),
            labels: template.labels.clone(),
            near: Term::read(&affinity["podAffinity"], template),
            apart: Term::read(&affinity["podAntiAffinity"], template),
            node: None,
        };
        while self.pods_of(template).count() > replicas {
            // Pending ones go first, as Kubernetes has it.
            let of_owner = |pod: &Pod| pod.owner == template.owner;
            let pending = self.pods.iter().position(|pod| of_owner(pod) && pod.node.is_none());
            let index = pending.or_else(|| self.pods.iter().rposition(of_owner)).unwrap();
            self.pods.remove(index);
        }
        while self.pods_of(template).count() < replicas {
            self.pods.push(pod.clone());
        }
        self.schedule();
    }

    /// Deletes the pods of a template on a node; their owner makes others, which are scheduled anew.
    pub(crate) fn delete_from(&mut self, template: &PodTemplate, node: usize) {
        for pod in self.pods.iter_mut().filter(|pod| pod.owner == template.owner && pod.node == Some(node)) {
            pod.node = None;
        }
        self.schedule();
    }

    /// One pod of a template goes from a node, and its successor comes to be on another.
    pub(crate) fn move_one(&mut self, template: &PodTemplate, from: usize, to: usize) {
        let found = self.pods.iter_mut().find(|pod| pod.owner == template.owner && pod.node == Some(from));
        found.expect("a pod on the node").node = Some(to);
        self.schedule();
    }

    /// How many pods of a template are on each node.
    pub(crate) fn on_nodes(&self, template: &PodTemplate) -> Vec<usize> {
        (0..self.nodes).map(|node| self.count(&template.owner, node)).collect()
    }

    /// How many pods of a template have no node.
    pub(crate) fn pending(&self, template: &PodTemplate) -> usize {
        self.pods_of(template).filter(|pod| pod.node.is_none()).count()
    }

    fn pods_of<'a>(&'a self, template: &'a PodTemplate) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(|pod| pod.owner == template.owner)
    }

    fn count(&self, owner: &str, node: usize) -> usize {
        self.pods.iter().filter(|pod| pod.owner == owner && pod.node == Some(node)).count()
    }

    /// Places pending pods until no further one finds a node.
    fn schedule(&mut self) {
        loop {
            let placeable = |pod: &Pod| pod.node.is_none().then(|| self.choose(pod)).flatten();
            let found = self.pods.iter().enumerate().find_map(|(index, pod)| Some((index, placeable(pod)?)));
            let Some((index, node)) = found else { return };
            self.pods[index].node = Some(node);
        }
    }

    fn choose(&self, pod: &Pod) -> Option<usize> {
        let mut fitting = (0..self.nodes).filter(|&node| self.fits(pod, node));
        match self.preference {
            Preference::First => fitting.next(),
            Preference::Last => fitting.next_back(),
            Preference::Spread => fitting.min_by_key(|&node| self.count(&pod.owner, node)),
        }
    }

    fn fits(&self, pod: &Pod, node: usize) -> bool {
        let here = || self.pods.iter().filter(|other| other.node == Some(node));
        let placed = || self.pods.iter().filter(|other| other.node.is_some());
        let is_first = |term: &Term| term.is_about(pod) && !placed().any(|other| term.is_about(other));
        pod.near.iter().all(|term| here().any(|other| term.is_about(other)) || is_first(term))
            && !pod.apart.iter().any(|term| here().any(|other| term.is_about(other)))
            && !here().any(|other| other.apart.iter().any(|term| term.is_about(pod)))
    }
}
