//! Whether the functions find a data set.

use std::time::Instant;

use openfaas::client::Client;

use super::clocks::Reading;
use super::{Finding, SETUP};

const PART: &str = "data";
/// Setup opens the data before it sees that no data set has one pixel and one class, and begins nothing.
const IMPOSSIBLE: &str = r#"{"pixels_per_image": 1, "num_labels": 1}"#;

/// Asks setup for a run that can't be: its refusal says which data it found.
pub(super) async fn check(gateway: &Client, clocks: &mut Vec<Reading>) -> Vec<Finding> {
    let asked = Instant::now();
    let reply = match gateway.invoke(SETUP, IMPOSSIBLE.into(), Default::default()).await {
        Ok(reply) => reply,
        Err(error) => {
            return vec![Finding::problem(PART, error.to_string(), format!("downpour logs {SETUP}"))];
        }
    };
    clocks.extend(Reading::of_reply(&reply, asked));
    let line = reply.first_line();
    match (reply.status, line.strip_prefix("pixels_per_image is 1; ")) {
        (400, Some(found)) => {
            let found = found.replace(" has ", ", images of ");
            vec![Finding::ok(PART, format!("{SETUP} finds {found} pixels"))]
        }
        (400, None) => {
            let advice = "data_dir or data_root in stack.yml name its folder; dataset_source store takes it from the Redis";
            vec![Finding::problem(PART, format!("{SETUP}: {line}"), advice)]
        }
        (status, _) => {
            let text = format!("{SETUP} answers {status}: {line}");
            vec![Finding::problem(PART, text, format!("downpour logs {SETUP}"))]
        }
    }
}
