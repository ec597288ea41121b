//! Where a server listens.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Transport;

/// A socket's path fits into 108 bytes on Linux and 104 on macOS.
const LONGEST_SOCKET_PATH: usize = 100;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(u16),
    Unix(PathBuf),
    Tls {
        port: u16,
        /// A way in without TLS.
        socket: PathBuf,
    },
}

/// A connection of either kind.
pub(crate) trait Stream: io::Read + io::Write {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

impl Address {
    /// An address of the wanted kind for a server in `dir` (absolute), free right now.
    pub(crate) fn choose(transport: &Transport, dir: &Path) -> io::Result<Self> {
        let socket = dir.join("redis.sock");
        let fits = socket.as_os_str().len() <= LONGEST_SOCKET_PATH;
        match transport {
            Transport::UnixSocket if fits => Ok(Self::Unix(socket)),
            Transport::Tcp | Transport::UnixSocket => Ok(Self::Tcp(free_port()?)),
            Transport::Tls { .. } if fits => Ok(Self::Tls { port: free_port()?, socket }),
            Transport::Tls { .. } => {
                let why = format!("more than {LONGEST_SOCKET_PATH} bytes, too long for a Unix socket in it");
                Err(io::Error::new(io::ErrorKind::InvalidInput, why))
            }
        }
    }

    /// The address as Redis clients take it.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Tcp(port) => format!("redis://127.0.0.1:{port}"),
            Self::Unix(path) => format!("redis+unix://{}", percent_encoded(path)),
            Self::Tls { port, .. } => format!("rediss://localhost:{port}"),
        }
    }

    /// Connects, without TLS; reads and writes give up after `timeout`.
    pub(crate) fn connect(&self, timeout: Duration) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(port) => {
                let stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, *port).into(), timeout)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                Ok(Box::new(stream))
            }
            Self::Unix(path) | Self::Tls { socket: path, .. } => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                Ok(Box::new(stream))
            }
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn percent_encoded(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte);
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes
        .iter()
        .map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_falls_back_to_tcp() {
        let long = PathBuf::from(format!("/{}", "x".repeat(100)));
        assert!(matches!(Address::choose(&Transport::UnixSocket, &long), Ok(Address::Tcp(_))));
        let short = Address::choose(&Transport::UnixSocket, Path::new("/run")).unwrap();
        assert_eq!(short, Address::Unix(PathBuf::from("/run/redis.sock")));
    }

    #[test]
    fn urls_escape_what_urls_must() {
        assert_eq!(Address::Tcp(1234).url(), "redis://127.0.0.1:1234");
        let address = Address::Unix(PathBuf::from("/a b/50%/redis.sock"));
        assert_eq!(address.url(), "redis+unix:///a%20b/50%25/redis.sock");
    }
}
