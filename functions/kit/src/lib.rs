//! What the functions share, so that each of them reads like its algorithm.
//!
//! | module | what it is for |
//! |---|---|
//! | [`host`] | what a function is given: settings, store, invoker, name |
//! | [`order`] | what a train function is asked |
//! | [`answer`] | what functions reply, errors included |
//! | [`worker`] | a worker on a thread of its own, in flight until it ends |

pub mod answer;
pub mod host;
pub mod order;
pub mod worker;

pub use answer::Refusal;
pub use host::Host;
pub use order::Order;
