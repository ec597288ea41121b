//! Asks a server whether it is ready.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use crate::address::Address;

/// What a server says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Info {
    /// The id of the process that answers, which tells a foreign server on the same port apart.
    pub(crate) pid: u32,
    /// Whether it is still reading its data.
    pub(crate) loading: bool,
}

/// An answer to `INFO` is a few kilobytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Sends `PING` and `INFO`: the second is answered while the server loads its data, too.
pub(crate) fn ask(address: &Address) -> io::Result<Info> {
    let mut stream = address.connect(Duration::from_secs(1))?;
    stream.write_all(b"PING\r\nINFO\r\n")?;
    parse(BufReader::new(stream.take(LONGEST_ANSWER)))
}

/// Reads `+PONG` or `-LOADING …`, then `$LENGTH`, then lines `key:value` up to that length.
fn parse(mut answer: impl BufRead) -> io::Result<Info> {
    let ping = line(&mut answer)?;
    if !ping.starts_with("+PONG") && !ping.starts_with("-LOADING") {
        return Err(invalid(&ping));
    }
    let header = line(&mut answer)?;
    let length: u64 =
        header.strip_prefix('$').and_then(|n| n.parse().ok()).ok_or_else(|| invalid(&header))?;
    let mut info = String::new();
    answer.take(length.min(LONGEST_ANSWER)).read_to_string(&mut info)?;
    let value = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let pid = value("process_id").and_then(|pid| pid.parse().ok()).ok_or_else(|| invalid(&info))?;
    Ok(Info { pid, loading: ping.starts_with('-') || value("loading") == Some("1") })
}

fn line(answer: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn invalid(found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(answer: &str) -> io::Result<Info> {
        parse(answer.as_bytes())
    }

    #[test]
    fn reads_who_answers_and_whether_it_is_ready() {
        let ready = "+PONG\r\n$45\r\n# Server\r\nprocess_id:17\r\n# Persistence\r\nloading:0\r\n";
        assert_eq!(parsed(ready).unwrap(), Info { pid: 17, loading: false });
        let loading = "-LOADING Redis is loading\r\n$28\r\nprocess_id:17\r\nloading:1\r\n\r\n";
        assert_eq!(parsed(loading).unwrap(), Info { pid: 17, loading: true });
    }

    #[test]
    fn refuses_other_protocols_cut_off_answers_and_absurd_lengths() {
        for answer in ["", "HTTP/1.1 200 OK\r\n", "-NOAUTH\r\n", "+PONG\r\n$5\r\nproce", "+PONG\r\n$x\r\n"] {
            assert!(parsed(answer).is_err(), "{answer:?}");
        }
        assert!(parsed("+PONG\r\n$18446744073709551615\r\nprocess_id:x").is_err());
    }
}
