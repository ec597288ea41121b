//! A function that does nothing, for `downpour bench gateway`: it answers what it was asked with.

use std::convert::Infallible;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use watchdog::{Call, Reply, StatusCode};

/// A call waits until the file that this variable names is there.
const BEGIN_WHEN: &str = "begin_when";

async fn handle(call: Call) -> Result<Reply, Infallible> {
    if let Ok(path) = std::env::var(BEGIN_WHEN) {
        while !Path::new(&path).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let mut reply = Reply::empty(StatusCode::OK);
    reply.body = call.body;
    Ok(reply)
}

fn main() -> ExitCode {
    watchdog::run(handle)
}
