//! What the functions share, so that each of them reads like its algorithm.
//!
//! | module | what it is for |
//! |---|---|
//! | [`host`] | what a function is given: settings, store, invoker, name |
//! | [`order`] | what a train function is asked |
//! | [`answer`] | what functions reply, errors included |
//! | `carried` | what a worker leaves to its successor, in the store |
//! | `succession` | the call for a successor |
//! | [`worker`] | a worker on a thread of its own, in flight until it ends |

pub mod answer;
mod carried;
pub mod host;
pub mod order;
mod succession;
pub mod worker;

pub use answer::Refusal;
pub use host::Host;
pub use order::Order;
