//! Stops the server when the process that started it is gone.

use std::process::{Child, Command, Stdio};
use std::{io, os::unix::process::CommandExt};

/// A tiny shell that waits for the end of its standard input, which this process holds open: when
/// this process ends, however it ends, the system closes it and the shell tells the server to stop.
pub(crate) struct Watcher(Child);

impl Watcher {
    pub(crate) fn spawn(server: u32) -> io::Result<Self> {
        Command::new("/bin/sh")
            .args(["-c", "read -r _; kill -TERM \"$1\"", "downpour-redis-watcher", &server.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended already; there is nothing else to do about an error here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
