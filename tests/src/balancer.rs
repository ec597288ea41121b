//! What a Kubernetes Service is for its clients: an address whose connections go to one of some others.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// An address in front of others. Each connection goes to the next of them, whatever comes over it.
#[derive(Clone, Debug)]
pub(crate) struct Balancer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Balancer {
    /// In front of nothing yet: it closes what comes. It listens until the process ends.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let targets = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let shared = targets.clone();
        thread::spawn(move || {
            for (count, client) in listener.incoming().flatten().enumerate() {
                let targets = shared.lock().expect("no test panics with it").clone();
                if let Some(target) = targets.get(count % targets.len().max(1)).copied() {
                    thread::spawn(move || connect(&client, target));
                }
            }
        });
        Self { address, targets }
    }

    /// From now on also in front of `target`.
    pub(crate) fn add(&self, target: SocketAddr) {
        self.targets.lock().expect("no test panics with it").push(target);
    }
}

fn connect(client: &TcpStream, target: SocketAddr) {
    // A target that is gone closes the connection, as a cluster's network does.
    let Ok(server) = TcpStream::connect(target) else { return };
    thread::scope(|scope| {
        scope.spawn(|| pass(client, &server));
        pass(&server, client);
    });
}

fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
