//! The virtual nodes of the local platform: each has a Redis of its own beside the global one.

use anyhow::Result;
use gateway::Node;
use local_redis::LocalRedis;

use super::redis;
use crate::state_dir::StateDir;

/// Where functions in a cluster find the Redis of their node; replicas here get their virtual node's.
pub(crate) const CLUSTER_ADDRESS: &str = "redis://redis-local.openfaas-fn:6379";

/// Running virtual nodes; dropping them kills their Redis.
#[derive(Default)]
pub(crate) struct Nodes {
    stores: Vec<(String, LocalRedis)>,
}

impl Nodes {
    /// Starts `node-0` to the one before `node-COUNT`. What their stores hold does not outlive them: a run goes
    /// on from the global store.
    ///
    /// # Errors
    /// A Redis does not come up.
    pub(crate) async fn start(state: &StateDir, count: usize) -> Result<Self> {
        let names = (0..count).map(|index| format!("node-{index}"));
        let mut starting = Vec::new();
        for name in names {
            let dir = state.node(&name);
            starting.push((name, tokio::spawn(async move { redis::start_volatile(&dir).await })));
        }
        let mut stores = Vec::new();
        for (name, store) in starting {
            stores.push((name, store.await??));
        }
        Ok(Self { stores })
    }

    /// As the gateway has to know them.
    pub(crate) fn for_gateway(&self) -> Vec<Node> {
        let node = |(name, store): &(String, LocalRedis)| Node {
            name: name.clone(),
            addresses: vec![(CLUSTER_ADDRESS.to_owned(), store.url().to_owned())],
        };
        self.stores.iter().map(node).collect()
    }

    /// Stops them.
    ///
    /// # Errors
    /// One can't be waited for.
    pub(crate) async fn stop(self) -> Result<()> {
        for (_, store) in self.stores {
            redis::stop(store).await?;
        }
        Ok(())
    }
}
