//! Why a request is refused, as the `Status` object that kubectl prints.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::kind::Kind;
use crate::error::Refusal;

/// A refusal.
#[derive(Debug)]
pub(crate) struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    /// What it is about.
    object: Option<(Kind, String)>,
    /// The field that cannot have its value.
    field: Option<&'static str>,
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), object: None, field: None }
    }

    fn about(self, kind: Kind, name: &str) -> Self {
        Self { object: Some((kind, name.to_owned())), ..self }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// Not who may ask.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// No such path.
    pub(crate) fn unknown() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// No such object.
    pub(crate) fn not_found(kind: Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(kind, name)
    }

    /// A method that no server has for this path.
    pub(crate) fn no_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// Nobody may do so, for this reason.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// What a cluster does and this gateway does not.
    pub(crate) fn not_served(kind: Kind, name: Option<&str>, what: &str) -> Self {
        let name = name.unwrap_or_default();
        let shown = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        let message = format!(
            "{}{shown} is forbidden: the local gateway does not {what}: it answers reading, kubectl scale and the \
             deletion of pods; functions are deployed and removed by faas-cli",
            kind.qualified()
        );
        Self::forbidden(message).about(kind, name)
    }

    /// The object is another one than whoever asks thinks.
    pub(crate) fn conflict(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified());
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name)
    }

    /// A value that `field` cannot have. The message is the cause's; [`Failure::status`] adds what it is about.
    pub(crate) fn invalid(kind: Kind, name: &str, field: &'static str, why: &str) -> Self {
        let failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", why);
        Self { field: Some(field), ..failure.about(kind, name) }
    }

    /// A body in another form than is read here.
    pub(crate) fn media_type(found: &str, wanted: &str) -> Self {
        let message = format!("the body of the request is {found:?}: wanted {wanted}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// A watch from a version whose successors are forgotten: whoever watches has to list anew.
    pub(crate) fn expired(version: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {version} ({oldest})");
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        if let Some((kind, name)) = &self.object {
            let description = kind.description();
            status["details"] = json!({"name": name, "group": description.group, "kind": description.plural});
            if let Some(field) = self.field {
                let dot = if description.group.is_empty() { "" } else { "." };
                status["message"] = json!(format!(
                    "{}{dot}{} {name:?} is invalid: {field}: {}",
                    description.kind, description.group, self.message
                ));
                // kubectl prints the causes, and the kind as it stands here.
                status["details"]["kind"] = json!(description.kind);
                status["details"]["causes"] =
                    json!([{"reason": "FieldValueInvalid", "message": self.message, "field": field}]);
            }
        }
        status
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let reason = match refusal {
            Refusal::Invalid(_) => "BadRequest",
            Refusal::NotFound(_) => "NotFound",
            Refusal::Unauthorized(_) => "Unauthorized",
            Refusal::Exists(_) => "AlreadyExists",
            Refusal::TooSlow(_) => "Timeout",
            Refusal::TooLarge(_) => "RequestEntityTooLarge",
            Refusal::Unprocessable(_) => "Invalid",
            Refusal::Unavailable(_) => "ServiceUnavailable",
            Refusal::Storage(_) | Refusal::Task => "InternalError",
        };
        Self::new(refusal.status(), reason, refusal.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.code.is_server_error() {
            tracing::error!(error = self.message, "request failed");
        }
        (self.code, Json(self.status())).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_that_kubectl_users_know() {
        let message = |failure: Failure| failure.status()["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(message(Failure::not_found(Kind::Deployment, "x")), "deployments.apps \"x\" not found");
        assert_eq!(message(Failure::not_found(Kind::Pod, "x")), "pods \"x\" not found");
        let invalid = Failure::invalid(Kind::Deployment, "x", "spec.replicas", "Invalid value: -1");
        assert_eq!(message(invalid), "Deployment.apps \"x\" is invalid: spec.replicas: Invalid value: -1");
    }
}
