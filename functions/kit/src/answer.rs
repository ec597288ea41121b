//! What functions reply, errors included.

use platform::data::DataError;
use serde::Serialize;
use sgd_lib::store::Claim;
use watchdog::{Reply, StatusCode};

/// A call that is not done: a status and a line that says why.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    /// The caller asked for something that can't be: 400.
    pub fn bad_request(why: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why: why.to_string() }
    }

    /// Not now; the caller should try again, elsewhere or later: 429. The local gateway tries the next replica
    /// by itself.
    pub fn busy(why: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, why: why.to_string() }
    }

    /// The caller asked for data that can't be: 400. A store that fails is nobody's fault: 500.
    pub fn data(error: DataError) -> Self {
        match error {
            DataError::Shipment(error) => error.into(),
            other => Self::bad_request(other),
        }
    }

    /// With another status.
    pub fn new(status: StatusCode, why: impl std::fmt::Display) -> Self {
        Self { status, why: why.to_string() }
    }

    /// As a reply: one line of text.
    pub fn reply(self) -> Reply {
        let text = format!("{}\n", self.why);
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            Reply::at_limit(text)
        } else {
            Reply::text(self.status, text)
        }
    }
}

/// What went wrong by nobody's fault is a 500 with the whole chain of causes.
impl<E: Into<anyhow::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, why: format!("{:#}", error.into()) }
    }
}

/// What became of the wish for a place in a run: 202 where a worker begins there, 200 where one did before,
/// each with what `describe` says of it; 409 where all are taken, 410 where the run is over.
///
/// # Errors
/// There is no place, or the description does not serialise.
pub fn placed<T: Serialize>(claim: Claim, describe: impl FnOnce(u32) -> T) -> Result<Reply, Refusal> {
    match claim {
        Claim::Granted { lease, .. } => json(StatusCode::ACCEPTED, &describe(lease.worker)),
        Claim::Duplicate { worker } => json(StatusCode::OK, &describe(worker)),
        Claim::Taken => Err(Refusal::new(StatusCode::CONFLICT, "every place of the run is taken")),
        Claim::Over { reason } => Err(Refusal::new(StatusCode::GONE, format!("the run is over: {reason}"))),
    }
}

/// A JSON object, a line feed after it: it is read in terminals too.
///
/// # Errors
/// The value does not serialise.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Reply, Refusal> {
    let mut reply = Reply::json(status, value)?;
    let mut body = reply.body.to_vec();
    body.push(b'\n');
    reply.body = body.into();
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_says_so_to_the_gateway() {
        let mark = |refusal: Refusal| refusal.reply().headers.get("x-openfaas-internal").cloned();
        assert_eq!(mark(Refusal::busy("full")).unwrap(), "faas-middleware");
        assert_eq!(mark(Refusal::bad_request("no")), None);
    }
}
