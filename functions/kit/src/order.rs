//! What a train function is asked: to become a worker of a run.

use serde::{Deserialize, Serialize};

/// The body of an invocation of `emnist-train`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The run.
    pub run: String,
    /// Names the place in the run that this invocation stands for: delivered twice, it starts no
    /// second worker.
    pub place: String,
    /// The worker to become; without one, the lowest that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u32>,
    /// The token of the lease that the caller gives up to this invocation, having pushed everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Refuse (429) where this replica has a worker of the run already, so that another gets the call.
    #[serde(default)]
    pub spread: bool,
}

impl Order {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it, and what is wanted.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| {
            format!("request body: {error}; wanted is {{\"run\": NAME, \"place\": NAME[, \"worker\": NUMBER][, \"from\": NUMBER][, \"spread\": BOOL]}}")
        })
    }

    /// As a body.
    ///
    /// # Errors
    /// Never: all fields are text, numbers and booleans.
    pub fn to_body(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_travel() {
        let order =
            Order { run: "r".into(), place: "p".into(), worker: Some(3), from: Some(u64::MAX), spread: true };
        assert_eq!(Order::parse(&order.to_body().unwrap()).unwrap(), order);
        let least = Order::parse(br#"{"run":"r","place":"p"}"#).unwrap();
        assert_eq!((least.worker, least.from, least.spread), (None, None, false));
    }

    #[test]
    fn what_is_no_order_is_named() {
        for body in [&b""[..], b"{", b"[]", br#"{"run":1}"#, br#"{"run":"r","place":"p","x":1}"#, b"\xff"] {
            let error = Order::parse(body).unwrap_err();
            assert!(error.starts_with("request body: ") && error.contains("wanted is"), "{error}");
        }
    }
}
