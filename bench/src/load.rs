//! A load on an HTTP server: many connections, kept open, each of which sends its next request as soon as the last
//! one was answered. One thread drives them all, so that it takes little of the machine that is measured.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls to make: each POSTs its number, which is its `X-Call-Id` as well.
pub(crate) struct Load<'a> {
    /// Where to, as HOST:PORT.
    pub(crate) authority: &'a str,
    pub(crate) path: &'a str,
    /// Further lines of a request's head, each with its end.
    pub(crate) headers: String,
    pub(crate) connections: usize,
    pub(crate) calls: usize,
    /// Whether an answer repeats what was sent.
    pub(crate) echoes: bool,
}

/// What became of the calls.
#[derive(Default)]
pub(crate) struct Answers {
    /// Milliseconds to each answer's end.
    pub(crate) milliseconds: Vec<f64>,
    /// The calls that were answered with success.
    pub(crate) accepted: HashSet<usize>,
    /// Answers that said that it did not work.
    pub(crate) refused: usize,
    /// Calls whose connection broke, and answers that were not those to the call.
    pub(crate) lost: usize,
    /// Seconds that all took.
    pub(crate) seconds: f64,
}

impl Load<'_> {
    /// Makes all calls; `answered` counts those that are over.
    ///
    /// # Errors
    /// The server can't be reached, or stops answering.
    pub(crate) fn run(&self, answered: &AtomicUsize) -> Result<Answers> {
        let begun = Instant::now();
        let mut next = 0..self.calls;
        let mut answers = Answers::default();
        let mut connections = Vec::with_capacity(self.connections);
        for call in next.by_ref().take(self.connections) {
            connections.push(Connection::open(self, call)?);
        }
        while !connections.is_empty() {
            for index in ready(&connections)?.into_iter().rev() {
                let Some(end) = connections[index].advance() else { continue };
                let connection = &mut connections[index];
                let (call, took) = (connection.call, connection.sent.elapsed());
                answers.count(call, took, &end, self.echoes);
                answered.fetch_add(1, Ordering::Relaxed);
                match next.next() {
                    Some(call) if end.is_some() => connection.send(self, call)?,
                    Some(call) => *connection = Connection::open(self, call)?,
                    None => drop(connections.swap_remove(index)),
                }
            }
        }
        answers.seconds = begun.elapsed().as_secs_f64();
        Ok(answers)
    }

    fn request(&self, call: usize) -> Vec<u8> {
        let (path, authority, headers, body) = (self.path, self.authority, &self.headers, call.to_string());
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nX-Call-Id: {call}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

impl Answers {
    fn count(&mut self, call: usize, took: Duration, answer: &Option<Answer>, echoes: bool) {
        let Some(answer) = answer else {
            self.lost += 1;
            return;
        };
        self.milliseconds.push(1000.0 * took.as_secs_f64());
        let wrong = echoes && answer.body != call.to_string().as_bytes();
        match answer.status {
            200..300 if wrong => self.lost += 1,
            200..300 => {
                self.accepted.insert(call);
            }
            _ => self.refused += 1,
        }
    }
}

/// A whole answer.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// A connection with a call on its way.
struct Connection {
    stream: TcpStream,
    call: usize,
    sent: Instant,
    received: Vec<u8>,
}

impl Connection {
    fn open(load: &Load<'_>, call: usize) -> Result<Self> {
        let stream = TcpStream::connect(load.authority).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut connection = Self { stream, call, sent: Instant::now(), received: Vec::new() };
        connection.send(load, call)?;
        Ok(connection)
    }

    /// Sends a call; a request is smaller than what the system buffers.
    fn send(&mut self, load: &Load<'_>, call: usize) -> Result<()> {
        (self.call, self.sent) = (call, Instant::now());
        self.received.clear();
        let request = load.request(call);
        match self.stream.write(&request) {
            Ok(length) if length == request.len() => Ok(()),
            Ok(length) => bail!("only {length} of {} bytes could be sent", request.len()),
            // Seen by whoever reads next: the call is lost.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error).context("sending"),
        }
    }

    /// Reads what has come. `None`: the answer is not whole yet; `Some(None)`: there will be none.
    fn advance(&mut self) -> Option<Option<Answer>> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Some(None),
                Ok(length) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    if let Some(answer) = parse(&self.received) {
                        return Some(Some(answer));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Some(None),
            }
        }
    }
}

/// The connections where something has come.
fn ready(connections: &[Connection]) -> Result<Vec<usize>> {
    let mut waiting: Vec<_> =
        connections.iter().map(|connection| PollFd::new(&connection.stream, PollFlags::IN)).collect();
    let limit = Timespec::try_from(PATIENCE).context("a time to wait")?;
    if poll(&mut waiting, Some(&limit)).context("waiting for answers")? == 0 {
        bail!("no answer within {PATIENCE:?}");
    }
    let ready = waiting.iter().enumerate().filter(|(_, it)| !it.revents().is_empty());
    Ok(ready.map(|(index, _)| index).collect())
}

/// The answer, once it is whole: as long as its head says.
fn parse(received: &[u8]) -> Option<Answer> {
    let head = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&received[..head]).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let body = received.get(head..head + length?)?;
    Some(Answer { status, body: body.to_vec() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn an_answer_is_whole_when_all_of_its_body_is_there() {
        let text = b"HTTP/1.1 202 Accepted\r\ncontent-LENGTH: 2\r\n\r\n17";
        for length in 0..text.len() {
            assert!(parse(&text[..length]).is_none(), "{length}");
        }
        let answer = parse(text).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (202, &b"17"[..]));
    }

    /// Serves one connection after the other, each with one of these answers to its first request, and closes it.
    fn answering(answers: [&'static str; 4]) -> Answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            for answer in answers {
                let mut stream = listener.accept().unwrap().0;
                let mut request = [0; 1000];
                assert!(stream.read(&mut request).unwrap() > 0);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let load = Load {
            authority: &authority,
            path: "/",
            headers: String::new(),
            connections: 4,
            calls: 4,
            echoes: true,
        };
        let answers = load.run(&AtomicUsize::new(0)).unwrap();
        server.join().unwrap();
        answers
    }

    #[test]
    fn what_breaks_off_or_is_another_calls_answer_is_lost() {
        let answers = answering([
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n0",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7",
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n3",
        ]);
        assert_eq!((answers.accepted, answers.refused, answers.lost), (HashSet::from([0]), 1, 2));
        assert_eq!(answers.milliseconds.len(), 3);
    }
}
