//! The HTTP server inside every function: OpenFaaS's watchdog contract, without a second process.
//!
//! A function is a plain program whose `main` hands an async handler to [`run`]:
//!
//! ```no_run
//! use watchdog::{Call, Reply, StatusCode};
//!
//! async fn handle(call: Call) -> Result<Reply, std::convert::Infallible> {
//!     Ok(Reply::text(StatusCode::OK, format!("{} bytes\n", call.body.len())))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     watchdog::run(handle)
//! }
//! ```
//!
//! The server answers `/_/health`, `/_/ready` and, on a second port, `/metrics`; every other path is a
//! call of the function. It bounds what a call may cost (time, body, concurrency; see [`Config`]), and
//! ends gracefully on SIGTERM.
//!
//! Handlers run on a small async runtime that also answers the probes: computing belongs on a thread of
//! its own. A call that goes on after its reply moves [`Call::in_flight`] into that thread, and looks at
//! [`Call::shutdown`] now and then.
//!
//! # Layout
//! - what a function sees: `call`, `reply`, `in_flight`, `shutdown`
//! - settings: `config`, `duration`
//! - serving, from outside to inside: `run` (process), `server` (life cycle), `listener`, `connection`,
//!   `service` (routes), `body`, `function` (the handler, behind a panic barrier)
//! - at the side: `metrics`, `observation` (log line and metrics of a call), `logging`, `lock_file`,
//!   `signals`, `call_id`, `allocator`

#[cfg(target_env = "musl")]
mod allocator;
mod body;
mod call;
mod call_id;
mod config;
mod connection;
mod duration;
mod function;
mod in_flight;
mod listener;
mod lock_file;
mod logging;
mod metrics;
mod observation;
mod reply;
mod run;
mod server;
mod service;
mod shutdown;
mod signals;

pub use bytes::Bytes;
pub use call::Call;
pub use config::{Config, ConfigError, LogFormat};
pub use duration::{DurationError, parse_duration};
pub use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, StatusCode, Uri};
pub use in_flight::InFlight;
pub use reply::Reply;
pub use run::run;
pub use server::{Listeners, ServeError, Stop, serve};
pub use shutdown::Shutdown;
