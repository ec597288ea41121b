//! What functions and the command line share.
//!
//! | module | what it is for |
//! |---|---|
//! | [`settings`] | the one table of settings: variable, flag, JSON key, default, range |
//! | [`data`] | the data that settings ask for |
//! | [`store`] | the store that settings name |
//! | [`training`] | from settings and data to what sgd-lib trains |
//! | [`invoker`] | calls to functions, retried and fanned out |
//! | [`replicas`] | how many replicas of a function are ready |
//! | [`identity`] | the names of this pod and its node |
//! | [`secrets`] | the secrets that are mounted into a function |

pub mod data;
pub mod identity;
pub mod invoker;
pub mod replicas;
pub mod secrets;
pub mod settings;
pub mod store;
pub mod training;
