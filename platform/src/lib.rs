//! What functions and the command line share.
//!
//! | module | what it is for |
//! |---|---|
//! | [`settings`] | the one table of settings: variable, flag, JSON key, default, range |
//! | [`invoker`] | calls to functions, retried and fanned out |
//! | [`identity`] | the names of this pod and its node |
//! | [`secrets`] | the secrets that are mounted into a function |

pub mod identity;
pub mod invoker;
pub mod secrets;
pub mod settings;
