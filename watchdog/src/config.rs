//! The watchdog's settings, read once from environment variables with OpenFaaS's names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use tracing_subscriber::EnvFilter;

use crate::duration::parse_duration;

const ENV_BIND_ADDRESS: &str = "bind_address";
const ENV_PORT: &str = "port";
/// Knative's name for it, which a container can't choose.
const ENV_KNATIVE_PORT: &str = "PORT";
const ENV_METRICS_PORT: &str = "metrics_port";
const ENV_READ_TIMEOUT: &str = "read_timeout";
const ENV_WRITE_TIMEOUT: &str = "write_timeout";
const ENV_EXEC_TIMEOUT: &str = "exec_timeout";
const ENV_HEALTHCHECK_INTERVAL: &str = "healthcheck_interval";
const ENV_MAX_INFLIGHT: &str = "max_inflight";
const ENV_MAX_BODY_BYTES: &str = "max_body_bytes";
const ENV_READY_PATH: &str = "ready_path";
const ENV_SUPPRESS_LOCK: &str = "suppress_lock";
const ENV_TMPDIR: &str = "TMPDIR";
const ENV_EXIT_ON_STDIN_CLOSE: &str = "exit_on_stdin_close";
const ENV_LOG_FORMAT: &str = "log_format";
const ENV_LOG_CALLID: &str = "log_callid";
const ENV_LOG_FILTER: &str = "RUST_LOG";

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_MAX_BODY_BYTES: usize = 16 << 20;

/// Everything that can be set. Durations are whole seconds or in Go's syntax (`1m30s`), switches are
/// `true`, `1`, `false` or `0`, and a variable that is empty counts as not set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where calls and probes are answered: `bind_address` (0.0.0.0) and `port` (`PORT`, which Knative sets,
    /// else 8080).
    pub address: SocketAddr,
    /// Where Prometheus scrapes: `bind_address` and `metrics_port` (8081). OpenFaaS has no variable for
    /// it; we do, because many replicas may run on one machine.
    pub metrics_address: SocketAddr,
    /// `read_timeout` (30s): bounds reading a request's head, then its body, and how long a connection
    /// may idle between requests. `None` (0): no limit.
    pub read_timeout: Option<Duration>,
    /// `write_timeout` (30s): a call that has no reply by then has its connection closed; bounds also how
    /// long a client may stall while the reply is sent, and the drain at the end.
    pub write_timeout: Duration,
    /// `exec_timeout` (30s): a function that takes longer is cancelled. `None` (0): no limit.
    pub exec_timeout: Option<Duration>,
    /// `healthcheck_interval` (= write_timeout): how long a terminated server goes on serving, so that
    /// whoever routes calls to it can notice first.
    pub healthcheck_interval: Duration,
    /// `max_inflight`: calls that may be in flight at once. `None` (0): no limit.
    pub max_inflight: Option<NonZeroUsize>,
    /// `max_body_bytes` (16 MiB): the largest request body.
    pub max_body_bytes: usize,
    /// `ready_path`: the function itself answers `/_/ready`, called by GET with this path.
    pub ready_path: Option<Uri>,
    /// `$TMPDIR/.lock` (`/tmp/.lock`): exists while the function is healthy; probes that run a command
    /// look for it. `None` with `suppress_lock=true`, which replicas that share a TMPDIR need.
    pub lock_file: Option<PathBuf>,
    /// `exit_on_stdin_close` (false): stop when stdin reaches its end, which is when whoever holds the
    /// other end of that pipe has died.
    pub exit_on_stdin_close: bool,
    /// `log_format` (`text`).
    pub log_format: LogFormat,
    /// `log_callid` (false): adds the call's id to its line in the text log. (JSON always has it.)
    pub log_callid: bool,
    /// `RUST_LOG` (`info`): a filter in tracing's syntax, known to be valid.
    pub log_filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// A variable with a value that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable} is {found:?}, wanted {wanted}")]
pub struct ConfigError {
    /// The variable's name.
    pub variable: &'static str,
    /// Its value.
    pub found: String,
    /// What would have been accepted.
    pub wanted: String,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads the variables through `lookup`, so that it takes no environment to test a configuration.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let vars = Variables(&lookup);
        let ip = vars.parsed(ENV_BIND_ADDRESS, IpAddr::V4(Ipv4Addr::UNSPECIFIED), "an IP address")?;
        let write_timeout = vars.duration(ENV_WRITE_TIMEOUT, DEFAULT_TIMEOUT)?;
        if write_timeout.is_zero() {
            return Err(vars.error(ENV_WRITE_TIMEOUT, "a duration above 0"));
        }
        let port = |name, default| vars.parsed(name, default, "a port, 0 to 65535");
        let own_port = if vars.get(ENV_PORT).is_some() { ENV_PORT } else { ENV_KNATIVE_PORT };
        Ok(Self {
            address: SocketAddr::new(ip, port(own_port, 8080)?),
            metrics_address: SocketAddr::new(ip, port(ENV_METRICS_PORT, 8081)?),
            read_timeout: unless_zero(vars.duration(ENV_READ_TIMEOUT, DEFAULT_TIMEOUT)?),
            write_timeout,
            exec_timeout: unless_zero(vars.duration(ENV_EXEC_TIMEOUT, DEFAULT_TIMEOUT)?),
            healthcheck_interval: vars.duration(ENV_HEALTHCHECK_INTERVAL, write_timeout)?,
            max_inflight: NonZeroUsize::new(vars.parsed(ENV_MAX_INFLIGHT, 0, "a number of calls")?),
            max_body_bytes: vars.parsed(ENV_MAX_BODY_BYTES, DEFAULT_MAX_BODY_BYTES, "a number of bytes")?,
            ready_path: vars.ready_path()?,
            lock_file: vars.lock_file()?,
            exit_on_stdin_close: vars.switch(ENV_EXIT_ON_STDIN_CLOSE)?,
            log_format: vars.log_format()?,
            log_callid: vars.switch(ENV_LOG_CALLID)?,
            log_filter: vars.log_filter()?,
        })
    }
}

fn unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, variable: &'static str) -> Option<String> {
        (self.0)(variable).filter(|value| !value.is_empty())
    }

    fn error(&self, variable: &'static str, wanted: impl Into<String>) -> ConfigError {
        ConfigError { variable, found: self.get(variable).unwrap_or_default(), wanted: wanted.into() }
    }

    fn parsed<T: FromStr>(&self, variable: &'static str, default: T, wanted: &str) -> Result<T, ConfigError> {
        match self.get(variable) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| self.error(variable, wanted)),
        }
    }

    fn duration(&self, variable: &'static str, default: Duration) -> Result<Duration, ConfigError> {
        match self.get(variable) {
            None => Ok(default),
            Some(text) => parse_duration(&text).map_err(|reason| {
                self.error(variable, format!("a duration such as 30s, 1m30s or 30 (this is {reason})"))
            }),
        }
    }

    fn switch(&self, variable: &'static str) -> Result<bool, ConfigError> {
        match self.get(variable).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(self.error(variable, "true, 1, false or 0")),
        }
    }

    fn ready_path(&self) -> Result<Option<Uri>, ConfigError> {
        let Some(path) = self.get(ENV_READY_PATH) else { return Ok(None) };
        match path.parse() {
            Ok(uri) if path.starts_with('/') => Ok(Some(uri)),
            _ => Err(self.error(ENV_READY_PATH, "a path that begins with /")),
        }
    }

    fn lock_file(&self) -> Result<Option<PathBuf>, ConfigError> {
        if self.switch(ENV_SUPPRESS_LOCK)? {
            return Ok(None);
        }
        let folder = self.get(ENV_TMPDIR).unwrap_or_else(|| "/tmp".to_owned());
        Ok(Some(Path::new(&folder).join(".lock")))
    }

    fn log_format(&self) -> Result<LogFormat, ConfigError> {
        match self.get(ENV_LOG_FORMAT).as_deref() {
            None | Some("text") => Ok(LogFormat::Text),
            Some("json") => Ok(LogFormat::Json),
            Some(_) => Err(self.error(ENV_LOG_FORMAT, "text or json")),
        }
    }

    fn log_filter(&self) -> Result<String, ConfigError> {
        let filter = self.get(ENV_LOG_FILTER).unwrap_or_else(|| "info".to_owned());
        match EnvFilter::try_new(&filter) {
            Ok(_) => Ok(filter),
            Err(_) => Err(self.error(ENV_LOG_FILTER, "a level or filter such as info or watchdog=debug")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_are_those_of_openfaas() {
        let config = config(&[]).unwrap();
        assert_eq!(config.address, "0.0.0.0:8080".parse().unwrap());
        assert_eq!(config.metrics_address, "0.0.0.0:8081".parse().unwrap());
        assert_eq!(config.read_timeout, Some(DEFAULT_TIMEOUT));
        assert_eq!(config.write_timeout, DEFAULT_TIMEOUT);
        assert_eq!(config.exec_timeout, Some(DEFAULT_TIMEOUT));
        assert_eq!(config.healthcheck_interval, DEFAULT_TIMEOUT);
        assert_eq!(config.max_inflight, None);
        assert_eq!(config.max_body_bytes, 16 * 1024 * 1024);
        assert_eq!(config.ready_path, None);
        assert_eq!(config.lock_file, Some(PathBuf::from("/tmp/.lock")));
        assert_eq!(config.log_format, LogFormat::Text);
        assert_eq!(config.log_filter, "info");
        assert!(!config.exit_on_stdin_close && !config.log_callid);
    }

    #[test]
    fn reads_every_variable() {
        let config = config(&[
            ("bind_address", "::1"),
            ("port", "0"),
            ("metrics_port", "9"),
            ("read_timeout", "0"),
            ("write_timeout", "5"),
            ("exec_timeout", "0s"),
            ("max_inflight", "3"),
            ("max_body_bytes", "10"),
            ("ready_path", "/ready?x=1"),
            ("TMPDIR", "/var/x"),
            ("exit_on_stdin_close", "1"),
            ("log_format", "json"),
            ("log_callid", "true"),
            ("RUST_LOG", "watchdog=debug"),
        ])
        .unwrap();
        assert_eq!(config.address, "[::1]:0".parse().unwrap());
        assert_eq!(config.metrics_address, "[::1]:9".parse().unwrap());
        assert_eq!((config.read_timeout, config.exec_timeout), (None, None));
        assert_eq!(config.healthcheck_interval, Duration::from_secs(5), "follows write_timeout");
        assert_eq!(config.max_inflight, NonZeroUsize::new(3));
        assert_eq!(config.max_body_bytes, 10);
        assert_eq!(config.ready_path, Some(Uri::from_static("/ready?x=1")));
        assert_eq!(config.lock_file, Some(PathBuf::from("/var/x/.lock")));
        assert_eq!(config.log_format, LogFormat::Json);
        assert!(config.exit_on_stdin_close && config.log_callid);
    }

    #[test]
    fn empty_is_not_set_and_a_lock_can_be_suppressed() {
        let config = config(&[("port", ""), ("suppress_lock", "true")]).unwrap();
        assert_eq!(config.address.port(), 8080);
        assert_eq!(config.lock_file, None);
    }

    #[test]
    fn the_port_is_knatives_unless_ours_is_given() {
        let port = |variables: &[(&str, &str)]| config(variables).map(|config| config.address.port());
        assert_eq!(port(&[("PORT", "8012")]), Ok(8012));
        assert_eq!(port(&[("PORT", "8012"), ("port", "9000")]), Ok(9000));
        assert_eq!(port(&[("PORT", "tcp://10.0.0.1:80"), ("port", "9000")]), Ok(9000));
        assert_eq!(port(&[("PORT", "tcp://10.0.0.1:80")]).unwrap_err().variable, "PORT");
    }

    #[test]
    fn an_error_names_variable_value_and_what_is_wanted() {
        let error = config(&[("exec_timeout", "1 minute")]).unwrap_err();
        assert_eq!(error.variable, "exec_timeout");
        let text = error.to_string();
        assert!(
            text.contains("exec_timeout") && text.contains("1 minute") && text.contains("1m30s"),
            "{text}"
        );
    }

    #[test]
    fn every_variable_refuses_nonsense() {
        for (variable, value) in [
            ("bind_address", "localhost"),
            ("port", "65536"),
            ("metrics_port", "x"),
            ("read_timeout", "-1"),
            ("write_timeout", "0"),
            ("exec_timeout", "1d"),
            ("healthcheck_interval", "soon"),
            ("max_inflight", "-1"),
            ("max_body_bytes", "16MiB"),
            ("ready_path", "ready"),
            ("ready_path", "/a b"),
            ("suppress_lock", "yes"),
            ("exit_on_stdin_close", "on"),
            ("log_format", "xml"),
            ("log_callid", "2"),
            ("RUST_LOG", "a=b=c"),
        ] {
            let error = config(&[(variable, value)]).unwrap_err();
            assert_eq!((error.variable, error.found.as_str()), (variable, value));
        }
    }
}
