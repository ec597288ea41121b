//! OpenFaaS's REST API as types, a client for it, and `stack.yml`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`types`] | the bodies of the REST API |
//! | [`client`] | calls to a gateway |
//! | [`build`] | the bodies of the remote builder's `/build` |
//! | [`stack`] | `stack.yml`, read as faas-cli reads it |
//! | [`names`] | the names that functions, secrets and namespaces may have |
//! | [`envsubst`] | the `${NAME}` substitutions in it |

pub mod build;
pub mod client;
pub mod envsubst;
pub mod names;
pub mod stack;
pub mod types;
