//! Answers that go on until their reader leaves: log lines as they are written.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::Sender;
use openfaas::types::LogMessage;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::logs::Selection;

/// Passes on lines, in the form that `write` gives them, until the reader or the function is gone, or until `end`
/// comes back and all that was written before is passed on.
pub(crate) async fn follow(
    mut live: Receiver<Arc<LogMessage>>,
    selection: &Selection,
    write: impl Fn(&LogMessage) -> Vec<u8>,
    end: impl Future<Output = ()>,
    sender: &mut Sender<Bytes>,
) {
    tokio::pin!(end);
    loop {
        let received = tokio::select! {
            biased;
            received = live.recv() => received,
            () = &mut end => return,
            () = gone(sender) => return,
        };
        match received {
            Ok(message) if selection.wants(&message) => {
                if sender.send_data(write(&message).into()).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(lines)) => {
                tracing::warn!(lines, "a follower of logs is too slow: lines left out");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Comes back when nobody reads any more.
pub(crate) async fn gone(sender: &mut Sender<Bytes>) {
    // The channel tells only on sending, and an empty piece sends nothing on the wire.
    while sender.send_data(Bytes::new()).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
