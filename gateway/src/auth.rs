//! Who may use `/system`: basic authentication, or, on loopback without it, anyone but a web page.

use std::fs;
use std::path::Path;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Shared;
use crate::digest::Sha256Digest;
use crate::error::{GatewayError, StorageError};

/// A user name and a password, as their digests: these have one length, and nobody can read them.
pub(crate) struct Credentials {
    user: Sha256Digest,
    password: Sha256Digest,
}

impl Credentials {
    fn new(user: &[u8], password: &[u8]) -> Self {
        Self { user: Sha256::digest(user).into(), password: Sha256::digest(password).into() }
    }

    /// Reads the files that OpenFaaS keeps in its secret `basic-auth`.
    pub(crate) fn read(folder: &Path) -> Result<Self, GatewayError> {
        let [user, password] = ["basic-auth-user", "basic-auth-password"].map(|name| folder.join(name));
        Ok(Self::new(read_one(&user)?.as_bytes(), read_one(&password)?.as_bytes()))
    }

    /// Whether the header `Authorization` holds exactly these, in a time that depends on the header alone.
    fn admit(&self, header: Option<&HeaderValue>) -> bool {
        let decoded = header
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok());
        let Some(decoded) = decoded else { return false };
        let Some(colon) = decoded.iter().position(|byte| *byte == b':') else { return false };
        let given = Self::new(&decoded[..colon], &decoded[colon + 1..]);
        // Both are compared, and each to its end.
        (given.user.ct_eq(&self.user) & given.password.ct_eq(&self.password)).into()
    }
}

fn read_one(path: &Path) -> Result<String, GatewayError> {
    let text = fs::read_to_string(path).map_err(StorageError::io("read", path))?;
    let trimmed = text.trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        return Err(GatewayError::EmptyCredential(path.to_owned()));
    }
    Ok(trimmed.to_owned())
}

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It does not bring the credentials.
    Credentials,
    /// A web page sent it to a gateway that is open.
    WebPage,
}

/// Whether a request is admitted that may have its credentials in any of the headers `names`.
pub(crate) fn admit(shared: &Shared, headers: &HeaderMap, names: &[HeaderName]) -> Result<(), Rejection> {
    match &shared.credentials {
        Some(credentials) if !names.iter().any(|name| credentials.admit(headers.get(name))) => {
            Err(Rejection::Credentials)
        }
        None if from_a_web_page(headers) => Err(Rejection::WebPage),
        _ => Ok(()),
    }
}

/// Guards every route under `/system`.
pub(crate) async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match admit(&shared, request.headers(), &[AUTHORIZATION]) {
        Ok(()) => next.run(request).await,
        Err(Rejection::Credentials) => (
            StatusCode::UNAUTHORIZED,
            [(WWW_AUTHENTICATE, "Basic realm=\"Restricted\"")],
            "invalid credentials\n",
        )
            .into_response(),
        Err(Rejection::WebPage) => {
            (StatusCode::FORBIDDEN, "web pages may not use /system without basic authentication\n")
                .into_response()
        }
    }
}

/// A browser sends `Origin` with what a page posts, and a page that rebinds its own name sends that as `Host`.
fn from_a_web_page(headers: &HeaderMap) -> bool {
    let host =
        headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
    let local = host.is_none_or(|host| {
        let name = host.host().trim_matches(['[', ']']);
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    headers.contains_key(ORIGIN) || !local
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_the_exact_credentials_are_admitted() {
        let credentials = Credentials::new(b"admin", b"a:b");
        let admit = |value: &str| credentials.admit(Some(&HeaderValue::from_str(value).unwrap()));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(admit(&basic("admin:a:b")));
        for wrong in ["admin:a", "admin:a:bb", "admi:a:b", "admin", "", ":"] {
            assert!(!admit(&basic(wrong)), "{wrong}");
        }
        assert!(!admit("Bearer ") && !admit("Basic ???") && !admit("Basic"));
        assert!(!credentials.admit(None));
    }

    #[test]
    fn web_pages_are_told_from_tools() {
        for host in ["127.0.0.1:8080", "localhost", "[::1]:80"] {
            assert!(!from_a_web_page(&headers(HOST, host)), "{host}");
        }
        assert!(from_a_web_page(&headers(HOST, "rebound.example:8080")));
        assert!(from_a_web_page(&headers(ORIGIN, "https://page.example")));
    }
}
