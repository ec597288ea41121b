//! What a Redis may say, and what is made of it.

use std::time::Duration;

use redis::{RedisResult, Value, parse_redis_value};

use super::exchange::entries;
use super::parse;
use super::wire::{DEEPEST, read};
use crate::store::{ClaimRequest, RunKeys};

/// Whether `bytes` are a reply; where they are, the client library has to read the same.
pub fn reply(bytes: &[u8]) -> bool {
    let Ok((value, used)) = first(bytes) else { return false };
    assert_eq!(parse_redis_value(&bytes[..used]).ok(), Some(value));
    true
}

/// Reads `bytes` as a reply, and that as the answer to each question about a run; whether it is one to any.
pub fn log_reply(bytes: &[u8]) -> bool {
    let (Ok((value, _)), Ok(run)) = (first(bytes), RunKeys::new("r")) else { return false };
    let vector = |value| parse::vector("snapshot", parse::array("snapshot", value)?);
    // Each of them is asked.
    [
        entries(&run, value.clone()).is_ok(),
        parse::control("control", value.clone()).is_ok(),
        parse::readers("readers", value.clone()).is_ok(),
        parse::claim(&run, &request(), value.clone()).is_ok(),
        vector(value).is_ok(),
    ]
    .contains(&true)
}

/// The reply at the beginning of `bytes`, and how many it takes.
fn first(bytes: &[u8]) -> RedisResult<(Value, usize)> {
    let mut rest = bytes;
    read(&mut rest, DEEPEST).map(|value| (value, bytes.len() - rest.len()))
}

fn request() -> ClaimRequest {
    ClaimRequest {
        place: "place".to_owned(),
        worker: None,
        workers: 1,
        holder: "holder".to_owned(),
        ttl: Duration::from_secs(2),
        from: None,
        seize: false,
    }
}
