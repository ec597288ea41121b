//! What the functions share, so that each of them reads like its algorithm.
//!
//! | module | what it is for |
//! |---|---|
//! | [`host`] | what a function is given: settings, store, invoker, name |
//! | [`order`] | what a train function is asked |
//! | [`answer`] | what functions reply, errors included |
//! | `carried` | what a worker leaves to its successor, in the store |
//! | `succession` | the call for a successor |
//! | `gauge` | how many workers there is room for |
//! | `seat` | which runs this replica has workers of |
//! | [`worker`] | a worker on a thread of its own, in flight until it ends |

pub mod answer;
mod carried;
mod gauge;
pub mod host;
pub mod order;
mod seat;
mod succession;
pub mod worker;

pub use answer::Refusal;
pub use host::Host;
pub use order::Order;
pub use seat::Seat;
