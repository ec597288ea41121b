//! What stands between clients and Redis, and cuts connections in the middle of replies.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Listens on loopback for as long as the test lives.
pub(crate) struct Proxy {
    pub(crate) url: String,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    /// In front of the server at `redis://host:port`.
    pub(crate) fn before(url: &str) -> Self {
        let server = url.strip_prefix("redis://").expect("an address").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("an address"));
        let cut = Arc::new(AtomicBool::new(false));
        let cuts = cut.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // While the server is away, clients are turned away, too.
                if let Ok(server) = TcpStream::connect(&server) {
                    connect(&client, &server, &cuts);
                }
            }
        });
        Self { url, cut }
    }

    /// The next reply breaks off in its middle, though the server has done what it was asked.
    pub(crate) fn cut_the_next_reply(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

fn connect(client: &TcpStream, server: &TcpStream, cut: &Arc<AtomicBool>) {
    let never = Arc::new(AtomicBool::new(false));
    for (from, to, cut) in [(client, server, &never), (server, client, cut)] {
        let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
        let cut = cut.clone();
        thread::spawn(move || copy(from, to, &cut));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let ends = cut.swap(false, Ordering::SeqCst);
        let sent = if ends { read / 2 } else { read };
        if to.write_all(&buffer[..sent]).is_err() || ends {
            break;
        }
    }
    // Whatever ended, both sides see it.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
