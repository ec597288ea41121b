//! A function as a process: environment, logging, runtime, signals, exit code.

use std::fmt::Display;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::call::Call;
use crate::config::Config;
use crate::logging;
use crate::reply::Reply;
use crate::server::{Listeners, ServeError, serve};
use crate::signals::Signals;

/// The exit code for a wrong setting; everything else that keeps a function from starting is 1.
const EXIT_BAD_CONFIG: u8 = 64;

/// Threads that answer requests; what computes has its own.
const RUNTIME_THREADS: usize = 2;

/// The whole of a function's `main`: reads [`Config`] from the environment, starts logging, and serves
/// `handler` until SIGTERM, SIGINT or, with `exit_on_stdin_close`, the end of stdin.
///
/// An error of the handler (`{error:#}`) becomes a 500 with that text; a panic a 500, too, and the server
/// lives, unless the program was built with `panic = "abort"`.
///
/// Returns 0 after a graceful end, 64 for a wrong setting, 1 if the server can't start, and 128 + signal
/// when a second signal cut the graceful end short. Return it from `main` at once: threads that are still
/// busy end with the process.
pub fn run<H, F, E>(handler: H) -> ExitCode
where
    H: Fn(Call) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Reply, E>> + Send + 'static,
    E: Display + Send,
{
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            // There is no log yet: how it is to look is part of the configuration.
            eprintln!("{error}");
            return EXIT_BAD_CONFIG.into();
        }
    };
    logging::start(&config);
    let ended = runtime().map_err(ServeError::from).and_then(|runtime| {
        let ended = runtime.block_on(run_until_stopped(config, handler));
        // Waits for no handler that blocks.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(RUNTIME_THREADS).thread_name("watchdog").enable_all().build()
}

async fn run_until_stopped<H, F, E>(config: Config, handler: H) -> Result<ExitCode, ServeError>
where
    H: Fn(Call) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Reply, E>> + Send + 'static,
    E: Display + Send,
{
    let mut signals = Signals::install(config.exit_on_stdin_close)?;
    let listeners = Listeners::bind(&config).await?;
    let (stop, stopped) = oneshot::channel();
    let served = serve(config, listeners, handler, async move {
        match stopped.await {
            Ok(stop) => stop,
            // Its sender lives as long as the server.
            Err(_) => std::future::pending().await,
        }
    });
    let aborted = async {
        let _ = stop.send(signals.stop().await);
        signals.abort().await
    };
    tokio::select! {
        result = served => result.map(|()| ExitCode::SUCCESS),
        code = aborted => Ok(code.into()),
    }
}
