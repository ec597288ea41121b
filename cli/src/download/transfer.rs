//! Downloads one file: resumes, checks, and shows only complete files under their name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

/// A file on a server.
#[derive(Clone, Debug)]
pub(crate) struct Remote<'a> {
    /// Its name here.
    pub(crate) name: &'a str,
    /// Where it is, best first.
    pub(crate) urls: Vec<String>,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its SHA-256 checksum in lower-case hexadecimal.
    pub(crate) sha256: &'a str,
}

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// No server answered.
    #[error("can't reach {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// A server answered with something else than the file.
    #[error("{url} answered {status}; expected the file")]
    Status { url: String, status: StatusCode },
    /// The connection broke, again and again.
    #[error(
        "{url} broke off after {received} of {bytes} bytes: {reason}; run the command again to go on from there"
    )]
    BrokeOff { url: String, received: u64, bytes: u64, reason: String },
    /// The server sends more than the file.
    #[error("{url} sends more than the {bytes} bytes of the file")]
    TooLong { url: String, bytes: u64 },
    /// The file is not the published one.
    #[error("{}: its SHA-256 checksum is {found}, expected {wanted}{hint}", path.display())]
    Checksum { path: PathBuf, found: String, wanted: String, hint: &'static str },
    /// A file here can't be read or written.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A connection that broke is tried again this often, from where it broke, if it brought anything.
const FRUITLESS_ATTEMPTS: usize = 3;
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// The longest silence of a server.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
const BUFFER: usize = 64 * 1024;

/// Downloads `file` to `dir` from the first address that has it. What an earlier attempt left in
/// `NAME.part` is kept and added to; a complete file is only checked. The bar counts bytes.
///
/// # Errors
/// As [`TransferError`] lists: the last address's, when all fail.
pub(crate) fn fetch(file: &Remote<'_>, dir: &Path, bar: &ProgressBar) -> Result<PathBuf, TransferError> {
    let target = dir.join(file.name);
    if target.exists() {
        check(&target, file.sha256, "; remove the file to download it again")?;
        return Ok(target);
    }
    let part = dir.join(format!("{}.part", file.name));
    bar.set_length(file.bytes);
    let agent = agent();
    let mut result =
        Err(TransferError::Unreachable { url: file.name.to_owned(), reason: "no address".to_owned() });
    for url in &file.urls {
        let download = Download { agent: &agent, url, part: &part, bytes: file.bytes, bar };
        result = download.run().and_then(|()| {
            // A wrong file is of no use to a later attempt.
            check(&part, file.sha256, "").inspect_err(|_| drop(std::fs::remove_file(&part)))
        });
        if result.is_ok() {
            break;
        }
    }
    result?;
    std::fs::rename(&part, &target).map_err(at(&target))?;
    Ok(target)
}

fn agent() -> Agent {
    Agent::new_with_config(
        Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_per_read(Some(SILENCE_LIMIT))
            .build(),
    )
}

/// The transfer of one file from one address into its `.part` file.
struct Download<'a> {
    agent: &'a Agent,
    url: &'a str,
    part: &'a Path,
    bytes: u64,
    bar: &'a ProgressBar,
}

impl Download<'_> {
    /// Requests what is missing until all is here, or nothing more comes.
    fn run(&self) -> Result<(), TransferError> {
        let mut fruitless = 0;
        loop {
            let before = length(self.part)?;
            match self.request(before) {
                Err(TransferError::BrokeOff { received, .. }) if received > before => fruitless = 0,
                Err(TransferError::BrokeOff { .. }) if fruitless + 1 < FRUITLESS_ATTEMPTS => fruitless += 1,
                result => return result,
            }
        }
    }

    /// One request for everything from byte `start` on.
    fn request(&self, start: u64) -> Result<(), TransferError> {
        let mut request = self.agent.get(self.url).header(header::ACCEPT_ENCODING, "identity");
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(start) => {
                self.save(response, start)
            }
            // The server does not resume, or what is here can't be resumed: all of it again.
            StatusCode::OK => self.save(response, 0),
            StatusCode::RANGE_NOT_SATISFIABLE if start == self.bytes => Ok(()),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => {
                std::fs::remove_file(self.part).map_err(at(self.part))?;
                self.request(0)
            }
            status => Err(TransferError::Status { url: self.url.to_owned(), status }),
        }
    }

    /// Writes the body from byte `start` on.
    fn save(&self, response: Response<ureq::Body>, start: u64) -> Result<(), TransferError> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(start == 0)
            .open(self.part)
            .map_err(at(self.part))?;
        file.seek(SeekFrom::Start(start)).map_err(at(self.part))?;
        let mut received = start;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            self.bar.set_position(received);
            let count =
                body.read(&mut buffer).map_err(|error| self.broke_off(received, error.to_string()))?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(at(self.part))?;
            received += count as u64;
            if received > self.bytes {
                return Err(TransferError::TooLong { url: self.url.to_owned(), bytes: self.bytes });
            }
        }
        Ok(())
    }

    fn unreachable(&self, error: &ureq::Error) -> TransferError {
        TransferError::Unreachable { url: self.url.to_owned(), reason: error.to_string() }
    }

    fn broke_off(&self, received: u64, reason: String) -> TransferError {
        TransferError::BrokeOff { url: self.url.to_owned(), received, bytes: self.bytes, reason }
    }
}

/// `bytes 100-199/200` starts at 100.
fn range_start(response: &Response<ureq::Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// The length of a file; 0 where there is none.
fn length(path: &Path) -> Result<u64, TransferError> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(at(path)(error)),
    }
}

fn check(path: &Path, wanted: &str, hint: &'static str) -> Result<(), TransferError> {
    let mut file = File::open(path).map_err(at(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = file.read(&mut buffer).map_err(at(path))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == wanted {
        return Ok(());
    }
    Err(TransferError::Checksum { path: path.to_owned(), found, wanted: wanted.to_owned(), hint })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> TransferError {
    let path = path.to_owned();
    move |source| TransferError::Io { path, source }
}

#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
