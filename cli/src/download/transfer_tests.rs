//! Transfers from a server on this machine that breaks off, resumes, or does not.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use tempfile::TempDir;

use super::*;

const CONTENT: &[u8] = b"0123456789abcdefghij";
/// What `sha256sum` says about [`CONTENT`].
const SHA256: &str = "6bc14bdc4517a7a682c6910de2e2946eb8e1ecd04090728fef6d092a7ceb62c5";

/// How the server answers one request.
enum Answer {
    /// As a proper server does, but the connection is closed after so many bytes of the body.
    Honest {
        cut_after: usize,
    },
    /// Everything from the start, whatever was asked for.
    NoResume,
    /// Some other file.
    Other,
    /// More than the file.
    Endless,
    NotFound,
}

/// Answers one request per element and sends back each request's range (empty where it had none).
fn serve(answers: Vec<Answer>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, ranges) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range =
                headers.iter().find_map(|line| line.to_lowercase().strip_prefix("range: ").map(String::from));
            let range = range.unwrap_or_default();
            stream.write_all(&respond(&answer, &range)).unwrap();
            sender.send(range).unwrap();
        }
    });
    (url, ranges)
}

fn respond(answer: &Answer, range: &str) -> Vec<u8> {
    let start: usize =
        range.strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')).map_or(0, |r| r.parse().unwrap());
    let end = CONTENT.len();
    let (head, body) = match answer {
        Answer::Honest { .. } if start >= end && start > 0 => (
            format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{end}\r\nContent-Length: 0"),
            &b""[..],
        ),
        Answer::Honest { cut_after } => {
            let head = match start {
                0 => format!("200 OK\r\nContent-Length: {end}"),
                _ => format!(
                    "206 Partial Content\r\nContent-Range: bytes {start}-{}/{end}\r\nContent-Length: {}",
                    end - 1,
                    end - start
                ),
            };
            (head, &CONTENT[start..end.min(start + cut_after)])
        }
        Answer::NoResume => (format!("200 OK\r\nContent-Length: {end}"), CONTENT),
        Answer::Other => ("200 OK\r\nContent-Length: 5".to_owned(), &b"hello"[..]),
        Answer::Endless => ("200 OK".to_owned(), &[0; 1000][..]),
        Answer::NotFound => ("404 Not Found\r\nContent-Length: 0".to_owned(), &b""[..]),
    };
    [format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
}

fn honest() -> Answer {
    Answer::Honest { cut_after: usize::MAX / 2 }
}

fn fetched(urls: &[String], dir: &TempDir) -> Result<PathBuf, TransferError> {
    let urls = urls.iter().map(|url| format!("{url}images.gz")).collect();
    let file = Remote { name: "images.gz", urls, bytes: CONTENT.len() as u64, sha256: SHA256 };
    fetch(&file, dir.path(), &ProgressBar::hidden())
}

fn assert_complete(dir: &TempDir) {
    assert_eq!(std::fs::read(dir.path().join("images.gz")).unwrap(), CONTENT);
    assert!(!dir.path().join("images.gz.part").exists());
}

#[test]
fn a_file_arrives_and_is_not_fetched_twice() {
    let dir = TempDir::new().unwrap();
    let (url, ranges) = serve(vec![honest()]);
    fetched(std::slice::from_ref(&url), &dir).unwrap();
    assert_complete(&dir);
    assert_eq!(ranges.recv().unwrap(), "");
    // The server answers no second request.
    fetched(&[url], &dir).unwrap();
}

#[test]
fn an_earlier_attempt_is_resumed() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("images.gz.part"), &CONTENT[..7]).unwrap();
    let (url, ranges) = serve(vec![honest()]);
    fetched(&[url], &dir).unwrap();
    assert_complete(&dir);
    assert_eq!(ranges.recv().unwrap(), "bytes=7-");
}

#[test]
fn a_connection_that_breaks_is_resumed() {
    let dir = TempDir::new().unwrap();
    let (url, ranges) =
        serve(vec![Answer::Honest { cut_after: 4 }, Answer::Honest { cut_after: 9 }, honest()]);
    fetched(&[url], &dir).unwrap();
    assert_complete(&dir);
    assert_eq!(ranges.iter().collect::<Vec<_>>(), ["", "bytes=4-", "bytes=13-"]);
}

#[test]
fn a_server_that_breaks_off_for_good_leaves_what_came() {
    let dir = TempDir::new().unwrap();
    let cut = |cut_after| Answer::Honest { cut_after };
    let (url, _ranges) = serve(vec![cut(5), cut(0), cut(0), cut(0)]);
    let error = fetched(&[url], &dir).unwrap_err().to_string();
    assert!(error.contains("after 5 of 20 bytes"), "{error}");
    assert_eq!(std::fs::read(dir.path().join("images.gz.part")).unwrap(), &CONTENT[..5]);
}

#[test]
fn a_server_that_can_not_resume_sends_everything_again() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("images.gz.part"), b"012").unwrap();
    let (url, _ranges) = serve(vec![Answer::NoResume]);
    fetched(&[url], &dir).unwrap();
    assert_complete(&dir);
}

#[test]
fn what_is_complete_but_unchecked_is_checked() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("images.gz.part"), CONTENT).unwrap();
    let (url, _ranges) = serve(vec![honest()]);
    fetched(&[url], &dir).unwrap();
    assert_complete(&dir);
}

#[test]
fn a_part_longer_than_the_file_is_thrown_away() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("images.gz.part"), [CONTENT, CONTENT].concat()).unwrap();
    let (url, _ranges) = serve(vec![honest(), honest()]);
    fetched(&[url], &dir).unwrap();
    assert_complete(&dir);
}

#[test]
fn a_wrong_file_is_refused_and_removed() {
    let dir = TempDir::new().unwrap();
    let (url, _ranges) = serve(vec![Answer::Other]);
    let error = fetched(&[url], &dir).unwrap_err().to_string();
    assert!(error.contains("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"), "{error}");
    assert!(error.contains(SHA256), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_never_ends_is_cut_off() {
    let dir = TempDir::new().unwrap();
    let (url, _ranges) = serve(vec![Answer::Endless]);
    let error = fetched(&[url], &dir).unwrap_err().to_string();
    assert!(error.ends_with("images.gz sends more than the 20 bytes of the file"), "{error}");
}

#[test]
fn a_wrong_file_that_was_there_is_left_alone() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("images.gz"), b"mine").unwrap();
    let error = fetched(&[], &dir).unwrap_err().to_string();
    assert!(error.ends_with("remove the file to download it again"), "{error}");
    assert_eq!(std::fs::read(dir.path().join("images.gz")).unwrap(), b"mine");
}

#[test]
fn the_next_mirror_is_tried() {
    let dir = TempDir::new().unwrap();
    let (bad, _ranges) = serve(vec![Answer::NotFound]);
    let (good, _ranges) = serve(vec![honest()]);
    fetched(&[bad, good], &dir).unwrap();
    assert_complete(&dir);
}

#[test]
fn without_a_server_the_error_names_the_address() {
    let dir = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = fetched(std::slice::from_ref(&url), &dir).unwrap_err();
    assert!(matches!(&error, TransferError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}
