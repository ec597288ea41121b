//! The lines that a process writes, of bounded length.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Reads a stream line by line.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    limit: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// A line of more than `limit` bytes is cut into pieces of no more than that.
    pub(crate) fn new(stream: R, limit: usize) -> Self {
        Self { reader: BufReader::with_capacity(limit, stream), limit }
    }

    /// The next line without its end; `None` after the last, or when the stream cannot be read any more.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            let buffer = self.reader.fill_buf().await.unwrap_or_default();
            if buffer.is_empty() {
                return Some(text(&line)).filter(|_| !line.is_empty());
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(buffer.len()).min(self.limit - line.len());
            line.extend_from_slice(&buffer[..taken]);
            let ended = end == Some(taken);
            self.reader.consume(taken + usize::from(ended));
            if ended || line.len() >= self.limit {
                return Some(text(&line));
            }
        }
    }
}

fn text(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end_matches('\r').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(stream: &[u8], limit: usize) -> Vec<String> {
        let mut lines = Lines::new(stream, limit);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn lines_end_at_their_ends_and_at_the_limit() {
        assert_eq!(all(b"one\r\n\ntwo\nrest", 8).await, ["one", "", "two", "rest"]);
        assert_eq!(all(b"123456\n12", 4).await, ["1234", "56", "12"]);
        assert_eq!(all(b"", 4).await, Vec::<String>::new());
        assert_eq!(all(b"\xff\n", 4).await, ["\u{fffd}"]);
    }
}
