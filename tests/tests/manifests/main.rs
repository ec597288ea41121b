//! The manifests in `deploy/`: that Kubernetes takes them, that they fit together, that they do what
//! `docs/CLUSTER.md` says.
//!
//! | file | what it is about |
//! |---|---|
//! | `manifest` | reading them |
//! | `schemas` | Kubernetes' own schemas, every version from 1.28 on |
//! | `custom` | Knative's Service and OpenFaaS' Profile, which these schemas do not have |
//! | `references` | selectors, ports, volumes, secrets that name each other |
//! | `environment` | the variables of functions and jobs |
//! | `security` | who a process is, what it may use |
//! | `network` | who may call whom |
//! | `scheduler`, `placement` | on which nodes the node-local Redis comes to be |
//! | `redis_pod`, `redis` | the Redis of the manifests, run for real |
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may stop at the first surprise, too"
)]

mod custom;
mod environment;
mod manifest;
mod network;
mod placement;
mod redis;
mod redis_pod;
mod references;
mod scheduler;
mod schemas;
mod security;
