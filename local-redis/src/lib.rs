//! Starts a private redis-server, waits until it answers, stops it again.
//!
//! The server listens on loopback only, keeps everything in one folder, and never touches another
//! server on the machine. It lives no longer than the process that started it: dropping
//! [`LocalRedis`] stops it, and where a process ends without dropping anything (it was killed), a
//! watcher does so. Should even the watcher have been killed, the next start in the same folder stops
//! what was left, and the data is in the append-only file.
//!
//! ```no_run
//! use local_redis::{LocalRedis, Options};
//! let redis = LocalRedis::start(Options::default())?;
//! println!("{}", redis.url());
//! redis.stop()?;
//! # Ok::<(), local_redis::LocalRedisError>(())
//! ```

mod address;
mod config;
mod error;
mod lock;
mod options;
mod probe;
mod program;
mod server;
mod watcher;

pub use error::LocalRedisError;
pub use options::{Options, Transport};
pub use server::LocalRedis;
