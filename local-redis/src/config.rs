//! The server's `redis.conf`.

use std::path::Path;

use crate::{Options, Transport, address::Address};

/// The file's text. `dir` is the server's folder, valid UTF-8 and absolute.
pub(crate) fn text(options: &Options, dir: &str, address: &Address) -> String {
    let append_only = if options.append_only { "yes" } else { "no" };
    let mut lines = vec![
        "# Written at every start; changes are lost.".to_owned(),
        "daemonize no".to_owned(),
        "protected-mode yes".to_owned(),
        format!("dir {}", quoted(dir)),
        format!("pidfile {}", quoted(&format!("{dir}/redis.pid"))),
        format!("logfile {}", quoted(&format!("{dir}/redis.log"))),
        "save \"\"".to_owned(),
        format!("appendonly {append_only}"),
        "appendfsync everysec".to_owned(),
        // Deltas hardly compress, and training writes 64 MB, the default, in a second or two.
        "rdbcompression no".to_owned(),
        "auto-aof-rewrite-min-size 512mb".to_owned(),
    ];
    if let Address::Tcp(port) | Address::Tls { port, .. } = address {
        lines.push("bind 127.0.0.1".to_owned());
        let name = if matches!(address, Address::Tcp(_)) { "port" } else { "tls-port" };
        lines.push(format!("{name} {port}"));
    }
    if let Address::Unix(socket) | Address::Tls { socket, .. } = address {
        lines.push("port 0".to_owned());
        lines.push(format!("unixsocket {}", path(socket)));
        lines.push("unixsocketperm 700".to_owned());
    }
    if let Transport::Tls { certificate, key } = &options.transport {
        lines.push(format!("tls-cert-file {}", path(certificate)));
        lines.push(format!("tls-key-file {}", path(key)));
        // Users have passwords, not certificates.
        lines.push("tls-auth-clients no".to_owned());
    }
    lines.extend(options.config.iter().cloned());
    lines.join("\n") + "\n"
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A value in the quotes and escapes of `redis.conf`.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// The last `count` lines of a log file; empty where it can't be read.
pub(crate) fn last_lines(path: &Path, count: usize) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_escape_quotes_backslashes_and_line_ends() {
        assert_eq!(quoted("a \"b\" \\ c\nd"), r#""a \"b\" \\ c\nd""#);
    }
}
