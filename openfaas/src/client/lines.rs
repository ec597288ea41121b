//! The log stream: one JSON object a line, for as long as the gateway sends.

use reqwest::{Response, Url};

use super::ClientError;
use super::error::reasons;
use crate::types::LogMessage;

/// No line of a log stream is longer than this, in bytes.
const MAX_LINE: usize = 1 << 20;

/// Log messages as they come; the stream ends when the gateway closes it.
#[derive(Debug)]
pub struct LogLines {
    response: Response,
    url: Url,
    /// What came and was not yet given out; a message ends with a line feed.
    buffer: Vec<u8>,
    /// Up to here the buffer holds no line feed.
    searched: usize,
    ended: bool,
}

impl LogLines {
    pub(super) fn new(response: Response, url: Url) -> Self {
        Self { response, url, buffer: Vec::new(), searched: 0, ended: false }
    }

    /// The next message, or `None` at the end.
    ///
    /// # Errors
    /// The connection broke, or a line is no log message.
    pub async fn next(&mut self) -> Result<Option<LogMessage>, ClientError> {
        loop {
            let Some(line) = self.next_line().await? else { return Ok(None) };
            if !line.trim_ascii().is_empty() {
                return serde_json::from_slice(&line).map(Some).map_err(|error| {
                    let text = String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned();
                    self.wrong(format!("{error} in the line {text:?}"))
                });
            }
        }
    }

    async fn next_line(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            if let Some(found) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + found + 1);
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            self.searched = self.buffer.len();
            if self.ended {
                let last = std::mem::take(&mut self.buffer);
                self.searched = 0;
                return Ok(Some(last).filter(|line| !line.is_empty()));
            }
            if self.buffer.len() > MAX_LINE {
                return Err(self.wrong(format!("a line of more than {MAX_LINE} bytes")));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) => self.ended = true,
                Err(error) => {
                    let reason = reasons(error);
                    return Err(ClientError::NoAnswer { method: "GET", url: self.url.to_string(), reason });
                }
            }
        }
    }

    fn wrong(&self, reason: String) -> ClientError {
        ClientError::Answer { method: "GET", url: self.url.to_string(), reason }
    }
}
