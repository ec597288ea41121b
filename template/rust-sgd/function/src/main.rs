//! Greets whom the request names: a function to start from.

use std::convert::Infallible;
use std::process::ExitCode;

use serde::Deserialize;
use watchdog::{Call, Reply, StatusCode};

/// The body of a request.
#[derive(Deserialize)]
struct Request {
    name: String,
}

fn main() -> ExitCode {
    watchdog::run(handle)
}

async fn handle(call: Call) -> Result<Reply, Infallible> {
    Ok(greet(&call.body))
}

fn greet(body: &[u8]) -> Reply {
    match serde_json::from_slice::<Request>(body) {
        Ok(request) => Reply::text(StatusCode::OK, format!("Hello, {}!\n", request.name)),
        Err(error) => Reply::text(
            StatusCode::BAD_REQUEST,
            format!("request body: {error}; wanted is {{\"name\": TEXT}}\n"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        let reply = greet(br#"{"name": "Ada"}"#);
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.body, "Hello, Ada!\n");
    }

    #[test]
    fn a_body_without_a_name_is_refused() {
        for body in ["", "{}", "Ada", "[1]"] {
            assert_eq!(greet(body.as_bytes()).status, StatusCode::BAD_REQUEST, "{body}");
        }
    }
}
