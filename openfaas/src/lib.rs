//! OpenFaaS's REST API as types, a client for it, and `stack.yml`.

pub mod names;
pub mod types;
