//! A server for what asynchronous calls are answered with.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

/// How often each call was answered, by its number.
type Received = Arc<Mutex<HashMap<usize, usize>>>;

/// Takes callbacks on loopback until this program ends.
pub(crate) struct Callbacks {
    /// Where to post to.
    pub(crate) url: String,
    received: Received,
}

impl Callbacks {
    /// # Errors
    /// No port is free.
    pub(crate) fn listen() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening for callbacks")?;
        let url = format!("http://{}/", listener.local_addr()?);
        let received = Received::default();
        let counting = received.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let received = counting.clone();
                // A connection that breaks brings nothing more.
                thread::spawn(move || serve(&stream, &received));
            }
        });
        Ok(Self { url, received })
    }

    /// How often each call was answered with success.
    pub(crate) fn received(&self) -> MutexGuard<'_, HashMap<usize, usize>> {
        lock(&self.received)
    }
}

fn lock(received: &Received) -> MutexGuard<'_, HashMap<usize, usize>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one request after the other from a connection.
fn serve(stream: &TcpStream, received: &Received) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(call) = read(&mut reader)? {
        if let Some(call) = call {
            *lock(received).entry(call).or_default() += 1;
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
    Ok(())
}

/// The next request: the number of a call that went well, which is its body. `None` at the end.
fn read(reader: &mut impl BufRead) -> Result<Option<Option<usize>>> {
    let (mut length, mut status) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().context("a callback's length")?,
            "x-function-status" => status = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    Ok(Some(body.parse().ok().filter(|_| status == "200")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_call_and_failures_are_not() {
        let callbacks = Callbacks::listen().unwrap();
        let authority = callbacks.url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(authority).unwrap();
        for (status, call) in [(200, "7"), (500, "8"), (200, "7"), (200, "9")] {
            let head = format!("POST / HTTP/1.1\r\nX-Function-Status: {status}\r\nContent-Length: 1\r\n\r\n");
            stream.write_all((head + call).as_bytes()).unwrap();
            let mut answer = [0; 38];
            stream.read_exact(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200"));
        }
        assert_eq!(*callbacks.received(), HashMap::from([(7, 2), (9, 1)]));
    }
}
