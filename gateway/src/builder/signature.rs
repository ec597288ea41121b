//! Who may build: whoever signs the request's body with the payload secret.

use std::fs;
use std::path::Path;

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use openfaas::build::SIGNATURE_HEADER;
use sha2::Sha256;

use crate::digest::{Sha256Digest, from_hex};
use crate::error::{GatewayError, Refusal, StorageError};

/// The payload secret, as the beginning of every signature.
pub(crate) struct Secret(Hmac<Sha256>);

impl Secret {
    /// Reads a secret, without the white space around it, as `faas-cli` does.
    pub(crate) fn read(path: &Path) -> Result<Self, GatewayError> {
        let text = fs::read(path).map_err(StorageError::io("read", path))?;
        // No key is too short or too long for an HMAC.
        let secret = Some(text.trim_ascii()).filter(|key| !key.is_empty());
        let state = secret.and_then(|key| Hmac::new_from_slice(key).ok());
        state.map(Self).ok_or_else(|| GatewayError::EmptySecret(path.to_owned()))
    }

    /// Begins to check a body that comes with `headers`.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Check, Refusal> {
        let header = headers.get(SIGNATURE_HEADER);
        let claimed =
            header.and_then(|value| value.to_str().ok()?.strip_prefix("sha256=")).and_then(from_hex);
        let claimed = claimed.ok_or_else(|| {
            Refusal::Unauthorized(format!(
                "the header {SIGNATURE_HEADER} must be sha256= and 64 hexadecimal digits"
            ))
        })?;
        Ok(Check { signature: self.0.clone(), claimed })
    }
}

/// The signature of a body that is being received.
pub(crate) struct Check {
    signature: Hmac<Sha256>,
    claimed: Sha256Digest,
}

impl Check {
    /// Takes in the next piece of the body.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.signature.update(piece);
    }

    /// Whether the body was signed with the secret, in a time that does not depend on where the signatures differ.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        self.signature.verify_slice(&self.claimed).map_err(|_| {
            Refusal::Unauthorized(format!(
                "the signature in {SIGNATURE_HEADER} was made with another payload secret"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Result<Secret, GatewayError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, text).unwrap();
        Secret::read(&path)
    }

    /// Test case 2 of RFC 4231.
    const SIGNED: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn admits(header: &str, body: &[u8]) -> bool {
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("x-build-signature"),
            header.parse().unwrap(),
        )]);
        let Ok(mut check) = secret(" Jefe\n").unwrap().check(&headers) else { return false };
        body.chunks(5).for_each(|piece| check.update(piece));
        check.finish().is_ok()
    }

    #[test]
    fn only_the_secrets_signature_of_the_whole_body_is_admitted() {
        let body = b"what do ya want for nothing?";
        assert!(admits(&format!("sha256={SIGNED}"), body));
        assert!(!admits(&format!("sha256={SIGNED}"), &body[1..]));
        for header in
            ["", SIGNED, "sha256=", &format!("sha1={SIGNED}"), &format!("sha256={}", "0".repeat(64))]
        {
            assert!(!admits(header, body), "{header}");
        }
        assert!(secret("Jefe").unwrap().check(&HeaderMap::new()).is_err());
    }

    #[test]
    fn an_empty_secret_is_none() {
        assert!(
            secret(" \n")
                .err()
                .unwrap()
                .to_string()
                .ends_with("wanted the secret that builds are signed with")
        );
    }
}
