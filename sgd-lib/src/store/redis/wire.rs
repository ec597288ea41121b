//! A connection to Redis: the client library's commands and values, over a reader of our own.
//!
//! The library's reader asks the system for 8 KiB at a time, fills these with zeros first, gathers what came in a
//! buffer that is copied as it grows, and copies values out of that. Of a push and fetch of 87 kB over a Unix
//! socket it took a quarter of the time: as long as a minibatch's tenth, and more than that where every minibatch
//! is pushed. Here the bytes of a long value are read where they stay.

use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use redis::{
    ConnectionAddr, ConnectionInfo, ConnectionLike, ErrorKind, RedisError, RedisResult, ServerError, Value,
    cmd, parse_redis_value,
};

use super::tls::{Tls, TlsStream};

/// What an argument, and every line, ends with.
pub(super) const LINE_END: &[u8] = b"\r\n";
/// A longer value than Redis stores is none.
const LONGEST: usize = 512 << 20;
/// Nor is a longer line.
const LONGEST_LINE: u64 = 64 << 10;
/// What is read at a time of short replies.
const BUFFER: usize = 16 << 10;
/// No reply is nested deeper.
const DEEPEST: usize = 16;

/// What bytes come and go through.
trait Stream: Read + Write + Send {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}
impl Stream for TlsStream {}

/// An open connection, on which the password was given and the database chosen.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    db: i64,
    /// Whom the server takes us for.
    user: String,
    open: bool,
    /// When it was made.
    pub(super) made: Instant,
}

impl Wire {
    /// Connects within `patience`; afterwards nothing that is read or written takes longer than `timeout`.
    ///
    /// # Errors
    /// Nobody answers, or whoever does can't be trusted, or the password or the database is refused.
    pub(super) fn connect(
        info: &ConnectionInfo,
        tls: Option<&Tls>,
        patience: Duration,
        timeout: Duration,
    ) -> RedisResult<Self> {
        let settings = info.redis_settings();
        let stream = BufReader::with_capacity(BUFFER, stream(info.addr(), tls, patience, timeout)?);
        let mut wire = Self {
            stream,
            db: settings.db(),
            user: settings.username().unwrap_or("default").to_owned(),
            open: true,
            made: Instant::now(),
        };
        if let Some(password) = settings.password() {
            let mut auth = cmd("AUTH");
            if let Some(name) = settings.username() {
                auth.arg(name);
            }
            auth.arg(password).query::<()>(&mut wire).map_err(refused)?;
        }
        if wire.db != 0 {
            cmd("SELECT").arg(wire.db).query::<()>(&mut wire)?;
        }
        Ok(wire)
    }

    /// Sends commands, packed one after the other in these pieces, and returns the replies of all `count`. Pieces
    /// need not be copied together: a command may end with [`packed_but_last`] and a long argument as it is.
    ///
    /// # Errors
    /// The connection broke. What a command is refused for is its reply.
    pub(super) fn ask(&mut self, pieces: [&[u8]; 3], count: usize) -> RedisResult<Vec<RedisResult<Value>>> {
        self.send(pieces)?;
        let replies = (0..count).map(|_| {
            Ok(match self.receive()? {
                Value::ServerError(error) => Err(error.into()),
                value => Ok(value),
            })
        });
        replies.collect()
    }

    fn send(&mut self, pieces: [&[u8]; 3]) -> RedisResult<()> {
        let sent = write(self.stream.get_mut(), &mut pieces.map(IoSlice::new));
        self.open &= sent.is_ok();
        Ok(sent?)
    }

    fn receive(&mut self) -> RedisResult<Value> {
        let value = read(&mut self.stream, DEEPEST);
        self.open &= value.is_ok();
        match value? {
            Value::ServerError(error) if lacks_permission(&error) => with_user(&error, &self.user),
            value => Ok(value),
        }
    }
}

impl ConnectionLike for Wire {
    fn req_packed_command(&mut self, packed: &[u8]) -> RedisResult<Value> {
        self.send([packed, &[], &[]])?;
        self.receive()
    }

    fn req_packed_commands(&mut self, packed: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        self.send([packed, &[], &[]])?;
        let mut replies = Vec::with_capacity(count);
        for index in 0..offset + count {
            let reply = self.receive()?;
            if index >= offset {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    fn get_db(&self) -> i64 {
        self.db
    }

    fn check_connection(&mut self) -> bool {
        cmd("PING").query::<String>(self).is_ok()
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

fn stream(
    address: &ConnectionAddr,
    tls: Option<&Tls>,
    patience: Duration,
    timeout: Duration,
) -> RedisResult<Box<dyn Stream>> {
    let bounded = |stream: &TcpStream| {
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))
    };
    match address {
        ConnectionAddr::Tcp(host, port) => {
            let stream = connect(host, *port, patience)?;
            stream.set_nodelay(true)?;
            let Some(tls) = tls else {
                bounded(&stream)?;
                return Ok(Box::new(stream));
            };
            let stream = tls.wrap(host, stream, patience)?;
            bounded(stream.get_ref())?;
            Ok(Box::new(stream))
        }
        ConnectionAddr::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(Box::new(stream))
        }
        _ => Err((ErrorKind::InvalidClientConfig, "neither TCP nor a Unix socket").into()),
    }
}

/// The first of the host's addresses that answers.
fn connect(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(refusal) => error = refusal,
        }
    }
    Err(error)
}

fn write(stream: &mut impl Write, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        match stream.write_vectored(pieces) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut pieces, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // TLS may hold back the last of it.
    stream.flush()
}

/// A command as it is sent, up to its last argument, which has so many bytes; after that comes [`LINE_END`].
pub(super) fn packed_but_last(arguments: &[&[u8]], last: usize) -> Vec<u8> {
    let mut packed = format!("*{}\r\n", arguments.len() + 1).into_bytes();
    for argument in arguments {
        packed.extend(format!("${}\r\n", argument.len()).as_bytes());
        packed.extend_from_slice(argument);
        packed.extend_from_slice(LINE_END);
    }
    packed.extend(format!("${last}\r\n").as_bytes());
    packed
}

fn lacks_permission(error: &ServerError) -> bool {
    // Within a script it is an error of the script, worded by 7.0 and by later ones.
    let in_script = ["The user executing the script", "ACL failure in script"];
    error.code() == "NOPERM"
        || error.details().is_some_and(|text| in_script.iter().any(|start| text.starts_with(start)))
}

/// The error with the user's name: Redis 7.0 does not say who it is that may not.
fn with_user(error: &ServerError, user: &str) -> RedisResult<Value> {
    let details = error.details().unwrap_or_default();
    let user = user.escape_default();
    parse_redis_value(format!("-{} {details} (user {user})\r\n", error.code()).as_bytes())
}

/// A server that can't be reached, or loads its log, has not refused the password.
fn refused(error: RedisError) -> RedisError {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::Server(redis::ServerErrorKind::BusyLoading) => error,
        _ => (ErrorKind::AuthenticationFailed, "Password authentication failed", error.to_string()).into(),
    }
}

fn malformed(line: &[u8]) -> RedisError {
    let shown: String = line.iter().take(40).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
    (ErrorKind::Parse, "not a reply of Redis", shown).into()
}

/// A reply, in which lists are nested `depth` deep at most.
fn read(stream: &mut impl BufRead, depth: usize) -> RedisResult<Value> {
    let mut line = Vec::new();
    stream.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    let Some(text) = line.strip_suffix(b"\r\n") else {
        let cut_off = || RedisError::from(io::Error::from(io::ErrorKind::UnexpectedEof));
        return Err(if line.last() == Some(&b'\n') { malformed(&line) } else { cut_off() });
    };
    match text {
        b"$-1" | b"*-1" => Ok(Value::Nil),
        [b'$', length @ ..] => bytes(stream, number(length).ok_or_else(|| malformed(text))?),
        [b'*', length @ ..] if depth > 0 => {
            let length = number(length).ok_or_else(|| malformed(text))?;
            let values = (0..length).map(|_| read(stream, depth - 1));
            Ok(Value::Array(values.collect::<RedisResult<_>>()?))
        }
        [b'+' | b'-' | b':', ..] => parse_redis_value(&line),
        _ => Err(malformed(text)),
    }
}

/// A value of so many bytes, read to where it stays.
fn bytes(stream: &mut impl BufRead, length: usize) -> RedisResult<Value> {
    let mut value = vec![0; length];
    stream.read_exact(&mut value)?;
    let mut end = [0; 2];
    stream.read_exact(&mut end)?;
    if end == *b"\r\n" { Ok(Value::BulkString(value)) } else { Err(malformed(&end)) }
}

fn number(digits: &[u8]) -> Option<usize> {
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number <= LONGEST).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(bytes: &[u8]) -> RedisResult<Value> {
        read(&mut BufReader::with_capacity(7, bytes), DEEPEST)
    }

    #[test]
    fn replies_are_what_the_library_makes_of_them() {
        let long = [b"$40000\r\n".as_slice(), &[b'x'; 40_000], b"\r\n"].concat();
        let replies: [&[u8]; 12] = [
            b"+OK\r\n",
            b"+QUEUED\r\n",
            b":-17\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"$0\r\n\r\n",
            b"$4\r\na\r\nb\r\n",
            b"*0\r\n",
            b"*3\r\n$1\r\na\r\n*1\r\n:2\r\n$-1\r\n",
            b"-ERR no such thing\r\n",
            b"-LOADING wait\r\n",
            &long,
        ];
        for reply in replies {
            assert_eq!(parsed(reply).unwrap(), parse_redis_value(reply).unwrap(), "{}", reply.escape_ascii());
        }
    }

    #[test]
    fn pieces_are_what_the_library_packs() {
        let (arguments, last): ([&[u8]; 3], &[u8]) = ([b"XADD", b"key", b""], b"long\r\nlong");
        let mut library = cmd("XADD");
        library.arg(b"key").arg(b"").arg(last);
        let ours = [&packed_but_last(&arguments, last.len()), last, LINE_END].concat();
        assert_eq!(ours.escape_ascii().to_string(), library.get_packed_command().escape_ascii().to_string());
    }

    #[test]
    fn what_a_short_write_left_is_written() {
        struct Short(Vec<u8>);
        impl Write for Short {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.extend(&bytes[..bytes.len().min(3)]);
                Ok(bytes.len().min(3))
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut short = Short(Vec::new());
        let pieces: [&[u8]; 3] = [b"abcd", b"", b"efghijk"];
        write(&mut short, &mut pieces.map(IoSlice::new)).unwrap();
        assert_eq!(short.0, b"abcdefghijk");
    }

    #[test]
    fn what_is_no_reply_is_named() {
        let deep = b"*1\r\n".repeat(1000);
        let bad: [&[u8]; 9] = [
            b"HTTP/1.1\r\n",
            b"$x\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"*x\r\n",
            b"\r\n",
            b"$1\r\nabc",
            b"+\n",
            &deep,
        ];
        for reply in bad {
            let error = parsed(reply).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Parse, "{}: {error}", reply.escape_ascii());
        }
        for cut_off in [b"".as_slice(), b"+O", b"$5\r\nab", b"*2\r\n:1\r\n"] {
            assert_eq!(parsed(cut_off).unwrap_err().kind(), ErrorKind::Io, "{}", cut_off.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parsed(&bytes);
        }

        #[test]
        fn bytes_that_look_like_replies_never_panic(text in "([$*:+-][0-9a]{0,3}\r\n){0,20}") {
            let _ = parsed(text.as_bytes());
        }
    }
}
