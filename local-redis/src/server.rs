//! A running server.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::address::Address;
use crate::lock::FolderLock;
use crate::watcher::Watcher;
use crate::{LocalRedisError, Options, config, probe, program};

/// How long a starting server may stay silent; one that says that it loads its data is waited for.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a server gets to write out its data when it is stopped.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);
/// Somebody else may take a free port before the server binds it; several times in a row is no chance.
const PORT_ATTEMPTS: usize = 5;
const LOG_LINES: usize = 15;

/// A private server; stopped when dropped.
pub struct LocalRedis {
    // Fields drop in this order: the lock goes before its folder.
    process: Option<Process>,
    address: Address,
    url: String,
    program: &'static str,
    options: Options,
    lock: FolderLock,
    dir: PathBuf,
    _temporary: Option<TempDir>,
}

struct Process {
    child: Child,
    watcher: Watcher,
}

impl LocalRedis {
    /// Starts a server and waits until it answers (blocking).
    ///
    /// # Errors
    /// No server is installed, it is too old, the folder is in use or can't be written, or the server
    /// does not come up (the error holds the end of its log).
    pub fn start(options: Options) -> Result<Self, LocalRedisError> {
        let program = program::find()?;
        let (dir, temporary) = folder(options.dir.as_deref())?;
        let lock = FolderLock::take(&dir)?;
        let address = choose_address(&options, &dir)?;
        let mut redis = Self {
            process: None,
            url: address.url(),
            address,
            program,
            options,
            lock,
            dir,
            _temporary: temporary,
        };
        redis.launch_on_free_address()?;
        Ok(redis)
    }

    /// Where it listens: `redis://127.0.0.1:PORT`, `redis+unix:///PATH` or `rediss://localhost:PORT`. It stays the same over
    /// [`LocalRedis::restart`].
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's process, unless it was killed.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// The server's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stops the server, which writes out its data first, and waits for its end.
    ///
    /// # Errors
    /// The server's process can't be waited for.
    pub fn stop(mut self) -> Result<(), LocalRedisError> {
        self.terminate()
    }

    /// Kills the server, as a crash would, and waits for its end.
    ///
    /// # Errors
    /// The server's process can't be waited for.
    pub fn kill(&mut self) -> Result<(), LocalRedisError> {
        match self.process.take() {
            Some(process) => process.kill().map_err(LocalRedisError::Wait),
            None => Ok(()),
        }
    }

    /// Starts the server again with the same data and address; one that runs is stopped first.
    ///
    /// # Errors
    /// As [`LocalRedis::start`].
    pub fn restart(&mut self) -> Result<(), LocalRedisError> {
        self.terminate()?;
        self.launch()
    }

    /// How many bytes its append-only file has. What was acknowledged stands in it.
    ///
    /// # Errors
    /// It has none.
    pub fn log_length(&self) -> Result<u64, LocalRedisError> {
        let path = self.append_only_file();
        path.metadata().map(|log| log.len()).map_err(|source| LocalRedisError::Folder { path, source })
    }

    /// Kills the server as a power cut would, which takes along what its append-only file has after `length` bytes,
    /// and starts it again.
    ///
    /// # Errors
    /// It has no such file, and as [`LocalRedis::kill`] and [`LocalRedis::restart`].
    pub fn restart_with_log_of(&mut self, length: u64) -> Result<(), LocalRedisError> {
        self.kill()?;
        let (path, length) = (self.append_only_file(), length.min(self.log_length()?));
        let cut = OpenOptions::new().write(true).open(&path).and_then(|log| log.set_len(length));
        cut.map_err(|source| LocalRedisError::Folder { path, source })?;
        self.restart()
    }

    fn append_only_file(&self) -> PathBuf {
        self.dir.join("appendonlydir/appendonly.aof.1.incr.aof")
    }

    fn terminate(&mut self) -> Result<(), LocalRedisError> {
        match self.process.take() {
            Some(process) => process.stop().map_err(LocalRedisError::Wait),
            None => Ok(()),
        }
    }

    fn launch_on_free_address(&mut self) -> Result<(), LocalRedisError> {
        for _ in 1..PORT_ATTEMPTS {
            match self.launch() {
                Err(LocalRedisError::Ended { log_tail, .. }) if log_tail.contains("already in use") => {
                    self.address = choose_address(&self.options, &self.dir)?;
                    self.url = self.address.url();
                }
                result => return result,
            }
        }
        self.launch()
    }

    /// Starts the process at the chosen address and waits until it is ready.
    fn launch(&mut self) -> Result<(), LocalRedisError> {
        let server_lock = self.lock.for_server(&self.dir)?;
        let config = self.dir.join("redis.conf");
        let dir = self.dir.to_str().ok_or_else(|| LocalRedisError::FolderName { dir: self.dir.clone() })?;
        std::fs::write(&config, config::text(&self.options, dir, &self.address))
            .map_err(|source| LocalRedisError::Folder { path: config.clone(), source })?;
        // Only this start's lines belong in an error.
        let log = self.log();
        if log.exists() {
            std::fs::rename(&log, self.dir.join("redis.log.1"))
                .map_err(|source| LocalRedisError::Folder { path: log, source })?;
        }
        let process = Process::spawn(self.program, &config, server_lock)
            .map_err(|source| LocalRedisError::Spawn { program: self.program, source })?;
        self.process = Some(process);
        let ready = self.wait_until_ready();
        if ready.is_err() {
            self.kill()?;
        }
        ready
    }

    fn wait_until_ready(&mut self) -> Result<(), LocalRedisError> {
        let mut deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Err(self.ended_error(status));
            }
            match probe::ask(&self.address) {
                Ok(info) if Some(info.pid) == self.pid() => {
                    if !info.loading {
                        return Ok(());
                    }
                    deadline = Instant::now() + START_LIMIT;
                }
                // Not listening yet, or another server has the port: then ours is about to end.
                Ok(_) | Err(_) => {}
            }
            std::thread::sleep(POLL);
        }
        let log = self.log();
        let log_tail = config::last_lines(&log, LOG_LINES);
        Err(LocalRedisError::NoAnswer {
            program: self.program,
            seconds: START_LIMIT.as_secs(),
            log,
            log_tail,
        })
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, LocalRedisError> {
        match &mut self.process {
            Some(process) => process.child.try_wait().map_err(LocalRedisError::Wait),
            None => Ok(None),
        }
    }

    fn ended_error(&self, status: ExitStatus) -> LocalRedisError {
        let log = self.log();
        let log_tail = config::last_lines(&log, LOG_LINES);
        LocalRedisError::Ended { program: self.program, status, log, log_tail }
    }

    fn log(&self) -> PathBuf {
        self.dir.join("redis.log")
    }
}

impl Drop for LocalRedis {
    fn drop(&mut self) {
        // Nobody is left to tell; a server that survives is stopped by the next start.
        let _ = self.terminate();
    }
}

impl Process {
    fn spawn(program: &str, config: &Path, lock: std::fs::File) -> std::io::Result<Self> {
        let mut child = Command::new(program)
            .arg(config)
            .stdin(Stdio::from(lock))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in the terminal is for the process that started the server, which then stops it.
            .process_group(0)
            .spawn()?;
        match Watcher::spawn(child.id()) {
            Ok(watcher) => Ok(Self { child, watcher }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    fn stop(mut self) -> std::io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        signal(&self.child, Signal::TERM);
        // The watcher must be gone before the server is reaped and its id free for others.
        drop(self.watcher);
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    fn kill(mut self) -> std::io::Result<()> {
        drop(self.watcher);
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Fails only for a process that is gone.
        let _ = kill_process(pid, signal);
    }
}

/// The folder, created and absolute, since the server changes into it.
fn folder(dir: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), LocalRedisError> {
    let error = |path: &Path| {
        let path = path.to_owned();
        move |source| LocalRedisError::Folder { path, source }
    };
    let Some(dir) = dir else {
        let base = std::env::temp_dir();
        let temporary = TempDir::with_prefix("downpour-redis-").map_err(error(&base))?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    };
    std::fs::create_dir_all(dir).map_err(error(dir))?;
    Ok((dir.canonicalize().map_err(error(dir))?, None))
}

fn choose_address(options: &Options, dir: &Path) -> Result<Address, LocalRedisError> {
    Address::choose(&options.transport, dir)
        .map_err(|source| LocalRedisError::Folder { path: dir.to_owned(), source })
}
