//! The keys in a Redis, asked for in its own protocol: the store's interface lists none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

/// Every key that matches `pattern` in the Redis at this address, sorted.
///
/// # Panics
/// It does not answer.
pub fn matching(url: &str, pattern: &str) -> Vec<String> {
    let mut keys = if let Some(path) = url.strip_prefix("redis+unix://") {
        ask(UnixStream::connect(path).expect("a Redis"), pattern)
    } else {
        let address = url.strip_prefix("redis://").expect("a Redis' address");
        ask(TcpStream::connect(address).expect("a Redis"), pattern)
    };
    keys.sort();
    keys
}

fn ask(mut stream: impl Read + Write, pattern: &str) -> Vec<String> {
    write!(stream, "*2\r\n$4\r\nKEYS\r\n${}\r\n{pattern}\r\n", pattern.len()).expect("a Redis");
    let mut answer = BufReader::new(stream).lines().map(|line| line.expect("a Redis that answers"));
    let head = answer.next().unwrap_or_default();
    let count: usize = head.strip_prefix('*').and_then(|count| count.parse().ok()).expect(&head);
    // Each key after its length; no key of ours has a line feed.
    (0..count).filter_map(|_| answer.nth(1)).collect()
}
