//! A gateway as a process of its own, for tests that kill it or let its disk be full: `STATE IMAGES CONCURRENCY`. It
//! prints where it listens, and ends with its stdin.

use std::io::{self, Read, Write};
use std::time::Duration;

use gateway::{Config, Gateway};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state, images, concurrency] = arguments.as_slice() else { return Err("three arguments".into()) };
    let mut config = Config::new(state, images);
    config.queue.concurrency = concurrency.parse()?;
    config.queue.min_wait = Duration::from_millis(20);
    config.queue.max_wait = Duration::from_millis(200);
    let gateway = Gateway::start(config)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", gateway.address())?;
    stdout.flush()?;
    tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
    gateway.shutdown().await;
    Ok(())
}
