//! Why a private server can't be had.

use std::io;
use std::path::PathBuf;

/// Why a private server did not start, or did not do as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalRedisError {
    /// Neither `redis-server` nor `valkey-server` is in the `PATH`.
    #[error("redis-server is not installed; install it with: {install}")]
    NotInstalled {
        /// The command that installs it on this system.
        install: String,
    },
    /// The installed server is too old.
    #[error("{program} is version {found}; {wanted} or newer is needed")]
    TooOld {
        /// The program asked.
        program: &'static str,
        /// Its version.
        found: String,
        /// The oldest version that will do.
        wanted: &'static str,
    },
    /// `--version` printed something else than a version.
    #[error("`{program} --version` printed {found:?}; expected a text with \"v=MAJOR.MINOR\"")]
    UnknownVersion {
        /// The program asked.
        program: &'static str,
        /// What it printed.
        found: String,
    },
    /// Another process runs a server in this folder.
    #[error("{} is in use by another process; stop that one or choose another folder", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// A server that outlived the process that started it can't be stopped.
    #[error("a redis-server left over in {} does not end; end it by hand (its id is in redis.pid there)", dir.display())]
    Leftover {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder or a file in it can't be used.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder's name can't be written into a configuration file.
    #[error("{:?} is not valid UTF-8; the server's folder must be", dir)]
    FolderName {
        /// The folder.
        dir: PathBuf,
    },
    /// The program can't be executed.
    #[error("can't run {program}: {source}")]
    Spawn {
        /// The program.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The server ended before it answered.
    #[error("{program} ended before it answered ({status}); the end of {}:\n{log_tail}", log.display())]
    Ended {
        /// The program.
        program: &'static str,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// Its log file.
        log: PathBuf,
        /// The last lines of that file.
        log_tail: String,
    },
    /// The server runs, but does not answer.
    #[error("{program} did not answer within {seconds} s; the end of {}:\n{log_tail}", log.display())]
    NoAnswer {
        /// The program.
        program: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
        /// The last lines of that file.
        log_tail: String,
    },
    /// The server's process can't be waited for.
    #[error("can't wait for redis-server: {0}")]
    Wait(io::Error),
}
