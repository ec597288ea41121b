//! What asks a process to stop: SIGTERM, SIGINT, and the end of stdin.

use std::io::{self, Read};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::server::Stop;

/// 128 + the signal's number, as shells report a process that a signal ended.
const EXIT_BY_SIGINT: u8 = 130;
const EXIT_BY_SIGTERM: u8 = 143;

pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    stdin_closed: Option<oneshot::Receiver<()>>,
}

impl Signals {
    pub(crate) fn install(watch_stdin: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stdin_closed: if watch_stdin { Some(watch_for_end_of_stdin()?) } else { None },
        })
    }

    /// The first request to stop.
    pub(crate) async fn stop(&mut self) -> Stop {
        let stdin_closed = async {
            match &mut self.stdin_closed {
                Some(closed) => {
                    // An error would mean that the thread is gone without a word: as good as closed.
                    let _ = closed.await;
                }
                None => std::future::pending().await,
            }
        };
        let (stop, reason) = tokio::select! {
            _ = self.terminate.recv() => (Stop::AfterDrainDelay, "SIGTERM"),
            _ = self.interrupt.recv() => (Stop::Now, "SIGINT"),
            () = stdin_closed => (Stop::Now, "stdin closed"),
        };
        tracing::info!("{reason}: stopping");
        stop
    }

    /// The next signal, as an exit code.
    pub(crate) async fn abort(&mut self) -> u8 {
        let code = tokio::select! {
            _ = self.terminate.recv() => EXIT_BY_SIGTERM,
            _ = self.interrupt.recv() => EXIT_BY_SIGINT,
        };
        tracing::warn!("another signal: ending at once");
        code
    }
}

/// A thread of its own, because a read from stdin can't be cancelled; the process's end ends it.
fn watch_for_end_of_stdin() -> io::Result<oneshot::Receiver<()>> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut ignored = [0; 1024];
        loop {
            match stdin.read(&mut ignored) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        let _ = sender.send(());
    })?;
    Ok(receiver)
}
