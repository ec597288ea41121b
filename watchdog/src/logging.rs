//! Where log lines go, and how they look: stderr, as text for people or as JSON.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Starts logging for the whole process, panics included. A subscriber that is already there stays.
pub(crate) fn start(config: &Config) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log_filter))
        .with_writer(std::io::stderr)
        // They would be printed where lines can't be, and that panics: where whoever reads them has died, for one.
        .log_internal_errors(false)
        .with_ansi(config.log_format == LogFormat::Text && std::io::stderr().is_terminal());
    // Fails only when there is a subscriber already, and then that one is wanted.
    let _ = match config.log_format {
        LogFormat::Text => builder.compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}
