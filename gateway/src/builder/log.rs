//! What a build tells its client, while it runs and at its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use http_body::Frame;
use openfaas::build::{BuildResult, BuildStatus};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Bytes that a text may have. `faas-cli` stops at a line of more than 64 KiB and takes that for a success; one byte
/// may become six in JSON.
pub(crate) const TEXT_LIMIT: usize = 8 << 10;
/// Bytes of an image's name that are repeated in each result.
const IMAGE_LIMIT: usize = 512;
/// Results that wait for a slow client.
const WAITING: usize = 64;

/// Where a build says what it does.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    image: String,
    results: Sender<BuildResult>,
}

impl Log {
    /// The log of a build, and what its client gets.
    pub(crate) fn new() -> (Self, Results) {
        let (results, receiver) = mpsc::channel(WAITING);
        (Self { image: String::new(), results }, Results(receiver))
    }

    /// From now on results name the image.
    pub(crate) fn name(&mut self, image: &str) {
        bounded(image, IMAGE_LIMIT).clone_into(&mut self.image);
    }

    /// A line of at most [`TEXT_LIMIT`] bytes.
    pub(crate) async fn line(&self, line: impl Into<String>) {
        self.send(vec![line.into()], BuildStatus::InProgress, "").await;
    }

    /// The end: the image is there, or the reason why not.
    pub(crate) async fn end<E: std::fmt::Display>(self, outcome: Result<(), E>) {
        let (status, error) = match outcome {
            Ok(()) => (BuildStatus::Success, String::new()),
            Err(error) => (BuildStatus::Failed, error.to_string()),
        };
        self.send(Vec::new(), status, bounded(&error, TEXT_LIMIT)).await;
    }

    /// Comes back when the client is gone.
    pub(crate) async fn abandoned(&self) {
        self.results.closed().await;
    }

    async fn send(&self, log: Vec<String>, status: BuildStatus, error: &str) {
        let result = BuildResult { log, image: self.image.clone(), status, error: error.to_owned() };
        // Nobody is left to tell that nobody listens; the build is ended by `abandoned`.
        let _ = self.results.send(result).await;
    }
}

fn bounded(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What a build says: a body of newline-delimited JSON.
#[derive(Debug)]
pub(crate) struct Results(Receiver<BuildResult>);

impl Results {
    /// The end of the build, with the whole log, for a client that reads no stream.
    pub(crate) async fn collect(mut self) -> Option<BuildResult> {
        let mut all = self.0.recv().await?;
        while let Some(next) = self.0.recv().await {
            let log = all.log.into_iter().chain(next.log).collect();
            all = BuildResult { log, ..next };
        }
        Some(all)
    }
}

impl HttpBody for Results {
    type Data = Bytes;
    type Error = serde_json::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|result| result.map(|result| line(&result).map(Frame::data)))
    }
}

fn line(result: &BuildResult) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(result)?;
    line.push(b'\n');
    Ok(line.into())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn results_are_lines_as_faas_cli_reads_them() {
        let (mut log, results) = Log::new();
        log.line("first").await;
        log.name("me/fn:1");
        log.line("a \"second\"").await;
        log.end(Err("one\ntwo")).await;
        let text = results.collect_text().await;
        let expected = [
            r#"{"log":["first"],"image":"","status":"in_progress"}"#,
            r#"{"log":["a \"second\""],"image":"me/fn:1","status":"in_progress"}"#,
            r#"{"log":[],"image":"me/fn:1","status":"failed","error":"one\ntwo"}"#,
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert!(text.ends_with('\n'));
    }

    impl Results {
        async fn collect_text(self) -> String {
            String::from_utf8(BodyExt::collect(self).await.unwrap().to_bytes().to_vec()).unwrap()
        }
    }

    #[tokio::test]
    async fn no_line_is_too_long_for_faas_cli() {
        let (mut log, results) = Log::new();
        let long = "\u{1}".repeat(100 << 10);
        log.name(&long);
        log.end(Err(&long)).await;
        assert!(results.collect_text().await.len() < 64 << 10);
    }

    #[tokio::test]
    async fn a_client_without_a_stream_gets_the_whole_log() {
        let (log, results) = Log::new();
        log.line("one").await;
        log.line("two").await;
        log.end(Ok::<_, &str>(())).await;
        let all = results.collect().await.unwrap();
        assert_eq!((all.log.join(" ").as_str(), all.status), ("one two", BuildStatus::Success));
    }
}
