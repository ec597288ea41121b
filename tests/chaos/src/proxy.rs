//! A network that fails: an address in front of a Redis, through which everything passes until it is told otherwise.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};

/// As much as one read takes.
const CHUNK: usize = 64 << 10;

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Break {
    /// As if the other side had closed it.
    #[default]
    Close,
    /// With a reset.
    Reset,
}

/// What the network does for now.
#[derive(Clone, Debug, Default)]
struct Weather {
    /// Connections of an earlier one end.
    generation: u64,
    /// In this way.
    by: Break,
    /// What the server says is passed on so much later.
    delay: Duration,
}

/// A TCP proxy on a thread of its own; it ends with its connections when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    /// So many of the replies to come end in their middle, and their connections with them.
    truncate: Arc<AtomicU32>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of the server at `target`, on a free port of loopback.
    ///
    /// # Errors
    /// No port can be bound, or no thread started.
    pub(crate) fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (weather, watched) = watch::channel(Weather::default());
        let (end, ended) = oneshot::channel();
        let truncate = Arc::new(AtomicU32::new(0));
        let line = Line { target, weather: watched, truncate: truncate.clone() };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    _ = accept(listener, line) => {}
                }
            });
        })?;
        Ok(Self { address, weather, truncate, end: Some(end), thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection that there is; new ones can be made at once.
    pub(crate) fn cut(&self, by: Break) {
        self.weather.send_modify(|weather| {
            weather.generation += 1;
            weather.by = by;
        });
    }

    /// Passes on what the server says so much later, each piece of it.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// The next so many pieces of what the server says end in their middle, and their connections with them.
    pub(crate) fn truncate(&self, replies: u32) {
        self.truncate.store(replies, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing that could panic; a test is about something else anyway.
            let _ = thread.join();
        }
    }
}

/// What a connection has to know.
#[derive(Clone)]
struct Line {
    target: SocketAddr,
    weather: watch::Receiver<Weather>,
    truncate: Arc<AtomicU32>,
}

async fn accept(listener: std::net::TcpListener, line: Line) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let line = line.clone();
        tokio::spawn(async move {
            // A server that is away ends the connection, as a network does where nobody listens.
            if let Ok(server) = TcpStream::connect(line.target).await {
                // An error is an end, too.
                let _ = line.connect(client, server).await;
            }
        });
    }
}

impl Line {
    async fn connect(mut self, mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let generation = self.weather.borrow_and_update().generation;
        let (mut asked, mut said) = (vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            tokio::select! {
                changed = self.weather.changed() => {
                    let weather = self.weather.borrow_and_update();
                    if changed.is_err() || weather.generation != generation {
                        return end(&client, weather.by);
                    }
                }
                read = client.read(&mut asked) => match read? {
                    0 => return Ok(()),
                    length => server.write_all(&asked[..length]).await?,
                },
                read = server.read(&mut said) => match read? {
                    0 => return Ok(()),
                    length => {
                        let delay = self.weather.borrow().delay;
                        tokio::time::sleep(delay).await;
                        if self.is_to_be_truncated() {
                            client.write_all(&said[..length / 2]).await?;
                            return Ok(());
                        }
                        client.write_all(&said[..length]).await?;
                    }
                },
            }
        }
    }

    fn is_to_be_truncated(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.truncate.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

fn end(client: &TcpStream, by: Break) -> io::Result<()> {
    match by {
        Break::Close => Ok(()),
        Break::Reset => client.set_zero_linger(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;

    /// A server that says back what it is told.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let (mut read, mut write) = (stream.try_clone().unwrap(), stream);
                    let _ = io::copy(&mut read, &mut write);
                });
            }
        });
        address
    }

    fn ask(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(text)?;
        let mut answer = vec![0; text.len()];
        let mut length = 0;
        while length < text.len() {
            match stream.read(&mut answer[length..])? {
                0 => break,
                read => length += read,
            }
        }
        answer.truncate(length);
        Ok(answer)
    }

    #[test]
    fn everything_passes_until_connections_are_cut() {
        let proxy = Proxy::start(echo()).unwrap();
        let connect = || TcpStream::connect(proxy.address()).unwrap();
        let mut stream = connect();
        let long = vec![7; 1 << 20];
        stream.set_nonblocking(false).unwrap();
        assert_eq!(ask(&mut stream, b"hello").unwrap(), b"hello");
        // More than fits into any buffer on the way, by somebody who reads meanwhile.
        let (mut reader, sent) = (stream.try_clone().unwrap(), long.clone());
        let writer = thread::spawn(move || stream.write_all(&sent).map(|()| stream));
        let mut back = vec![0; long.len()];
        reader.read_exact(&mut back).unwrap();
        assert_eq!(back, long);
        let mut stream = writer.join().unwrap().unwrap();
        proxy.cut(Break::Close);
        assert_eq!(stream.read(&mut back).unwrap(), 0);
        let mut stream = connect();
        assert_eq!(ask(&mut stream, b"again").unwrap(), b"again");
        proxy.cut(Break::Reset);
        assert_eq!(stream.read(&mut back).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_reply_is_cut_in_its_middle_once() {
        let proxy = Proxy::start(echo()).unwrap();
        proxy.truncate(1);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        assert_eq!(ask(&mut stream, b"12345678").unwrap(), b"1234");
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        assert_eq!(ask(&mut stream, b"12345678").unwrap(), b"12345678");
    }

    #[test]
    fn replies_come_later() {
        let proxy = Proxy::start(echo()).unwrap();
        let delay = Duration::from_millis(50);
        proxy.delay(delay);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        let begun = Instant::now();
        assert_eq!(ask(&mut stream, b"12345678").unwrap(), b"12345678");
        assert!(begun.elapsed() >= delay);
    }
}
