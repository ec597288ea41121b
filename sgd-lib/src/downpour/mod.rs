//! Downpour SGD (Dean et al., "Large Scale Distributed Deep Networks", NIPS 2012) on a store.
//!
//! M workers train on M shards of the data. Each computes minibatches on its own copy of the
//! parameters; every `n_push` minibatches it pushes what they changed, every `n_fetch` it fetches
//! what the others pushed. There is no parameter server: the store keeps a log of the pushes, and
//! each worker folds it itself.
//!
//! Beside Downpour SGD, other algorithms that send differences run on the same log: see [`Algorithm`].
//!
//! | file | what it is about |
//! |---|---|
//! | `config` | what setup decides and every worker reads |
//! | `run` | a run from outside: create, watch, stop, report |
//! | `worker` | the training loop |
//! | `schedule` | when workers push and fetch, and who waits for whom: an algorithm each |
//! | `partition` | whose minibatch is whose |
//! | `allotment` | who does which minibatches, where workers come and go |
//! | `division` | the same, from outside |
//! | `relief` | what a slow worker gives to others |
//! | `carried` | what a worker leaves to its successor beside the log |
//! | `replica` | a worker's copy of the parameters: base, residue, push, fold |
//! | `site`, `nodes` | where a worker's pushes go: the global store or its node's |
//! | `synchronizer` | carries sums between a node's store and the global one |
//! | `link` | the thread that talks to the store while the worker computes |
//! | `log` | reading the parameter log without missing anything |
//! | `shipment` | the data set in the store |
//! | `evaluator` | accuracy on the test data |
//! | `event`, `record` | what is told of a run while and after it goes on |

mod allotment;
mod carried;
mod config;
mod division;
mod evaluator;
mod event;
#[cfg(test)]
mod fuse;
pub(crate) mod fuzzing;
mod link;
mod log;
mod nodes;
mod partition;
mod record;
mod relief;
mod replica;
mod run;
mod schedule;
pub mod shipment;
mod site;
mod synchronizer;
mod worker;

pub use allotment::Change;
pub use carried::Carried;
pub use config::{Combine, ConfigError, DataRef, Database, MOST_WORKERS, RunConfig, StalenessLr};
pub use division::Division;
pub use event::Event;
pub use log::{Folded, LogError};
pub use nodes::NodeRecord;
pub use record::{Model, WorkerRecord};
pub use run::{Run, RunError, RunStatus, StopReason, run_name};
pub use schedule::Algorithm;
pub use site::Settled;
pub use synchronizer::Synchronizer;
pub use worker::{Compute, Computed, Departure, Identity, Surroundings, Worker, WorkerError};
