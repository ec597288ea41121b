//! A request on a connection of its own, as a kubelet's probe is: nothing is shared, nothing is kept.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// An answer must not take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// GETs `path` at `authority` (`HOST:PORT`).
///
/// # Errors
/// No answer, or one that is no success.
pub(crate) fn get(authority: &str, path: &str) -> Result<String> {
    ask(authority, "GET", path, "")
}

/// POSTs `body`.
///
/// # Errors
/// As [`get`].
pub(crate) fn post(authority: &str, path: &str, body: &str) -> Result<String> {
    ask(authority, "POST", path, body)
}

fn ask(authority: &str, method: &str, path: &str, body: &str) -> Result<String> {
    let answer = exchange(authority, method, path, body)
        .with_context(|| format!("{method} http://{authority}{path}"))?;
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!(
            "{method} http://{authority}{path}: {} {}",
            head.lines().next().unwrap_or_default(),
            rest.trim()
        );
    }
    Ok(rest.to_owned())
}

/// In HTTP 1.0, where an answer ends with its connection.
fn exchange(authority: &str, method: &str, path: &str, body: &str) -> Result<String> {
    let mut connection = TcpStream::connect(authority)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.0\r\nHost: {authority}\r\nContent-Length: {length}\r\n\r\n{body}");
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Asks a server that gives this answer: what comes of it, and what it was sent.
    fn asked(answer: &'static str) -> (Result<String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let mut connection = listener.accept().unwrap().0;
            let mut request = vec![0; 1000];
            let length = connection.read(&mut request).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (post(&authority, "/f", "{}"), server.join().unwrap())
    }

    #[test]
    fn an_answer_ends_with_its_connection() {
        let (answer, request) = asked("HTTP/1.0 202 Accepted\r\nServer: x\r\n\r\nyes\n");
        assert_eq!(answer.unwrap(), "yes\n");
        assert!(request.starts_with("POST /f HTTP/1.0\r\n") && request.ends_with("\r\n\r\n{}"), "{request}");
    }

    #[test]
    fn a_refusal_says_what_was_asked_and_why() {
        let text = asked("HTTP/1.1 404 Not Found\r\n\r\nno such function\n").0.unwrap_err().to_string();
        assert!(text.contains("/f: HTTP/1.1 404 Not Found no such function"), "{text}");
    }
}
