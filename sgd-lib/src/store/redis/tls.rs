//! TLS to a Redis: whose word is taken for who it is, and what is said where it is not.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error as TlsError, RootCertStore, StreamOwned,
};

/// The authorities whose word is taken, and what connections are made by.
pub(super) struct Tls {
    /// The authorities, and who named them; the system's where nobody did.
    given: Option<(String, RootCertStore)>,
    /// Made at the first connection: the system's authorities are read from files.
    config: OnceLock<Arc<ClientConfig>>,
}

/// A connection under TLS.
pub(super) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

const NO_TRUST: &str = "no trusted connection";

impl Tls {
    /// What `rediss://` asks for, by the authorities that this system trusts, and the address without it.
    pub(super) fn of_address(url: &str) -> (Cow<'_, str>, Option<Self>) {
        match url.split_once("://") {
            Some((scheme, rest)) if ["rediss", "valkeys"].contains(&scheme.to_ascii_lowercase().as_str()) => {
                (format!("redis://{rest}").into(), Some(Self { given: None, config: OnceLock::new() }))
            }
            _ => (url.into(), None),
        }
    }

    /// Takes the word of these authorities alone: certificates, PEM. `origin` says where they are from.
    ///
    /// # Errors
    /// There is no certificate, or one that is none.
    pub(super) fn of(origin: &str, pem: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("{origin}: not PEM: {error}"))?;
            roots.add(certificate).map_err(|error| format!("{origin}: {error}"))?;
        }
        if roots.is_empty() {
            return Err(format!("{origin}: found no certificate, wanted is one in PEM or several"));
        }
        Ok(Self { given: Some((origin.to_owned(), roots)), config: OnceLock::new() })
    }

    /// The stream under TLS, once the server has shown that it is `host`. Each of the few steps takes `patience`
    /// at most.
    ///
    /// # Errors
    /// The server does not speak TLS, or its certificate is not accepted.
    pub(super) fn wrap(
        &self,
        host: &str,
        mut stream: TcpStream,
        patience: Duration,
    ) -> RedisResult<TlsStream> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| unacceptable(format!("{host:?} is no name to check: {error}")))?;
        let mut session =
            ClientConnection::new(self.config()?, name).map_err(|error| unacceptable(error.to_string()))?;
        while session.is_handshaking() {
            session.complete_io(&mut stream).map_err(|error| self.explained(error))?;
        }
        Ok(StreamOwned::new(session, stream))
    }

    fn config(&self) -> RedisResult<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let roots = match &self.given {
            Some((_, roots)) => roots.clone(),
            None => roots_of_the_system()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unacceptable(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.config.get_or_init(|| Arc::new(config)).clone())
    }

    /// Why there is no TLS, in words.
    fn explained(&self, error: io::Error) -> RedisError {
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            return io::Error::new(io::ErrorKind::TimedOut, "no answer in TLS; is it the port for TLS?")
                .into();
        }
        let cause = error.get_ref().and_then(|cause| (cause as &dyn Error).downcast_ref::<TlsError>());
        match cause {
            // The latter: by somebody of the same name.
            Some(TlsError::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => {
                let whom = match &self.given {
                    Some((origin, _)) => format!("none of the authorities in {origin}"),
                    None => "no authority that this system trusts".to_owned(),
                };
                unacceptable(format!("{whom} has signed its certificate"))
            }
            Some(TlsError::InvalidCertificate(why)) => {
                unacceptable(format!("its certificate is refused: {why}"))
            }
            Some(TlsError::InvalidMessage(_)) => {
                unacceptable("it does not speak TLS; is it the port for TLS?".to_owned())
            }
            _ => error.into(),
        }
    }
}

fn roots_of_the_system() -> RedisResult<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system has old ones among them that can't be read.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
        return Err(unacceptable(format!("this system has no authorities{why}; name one")));
    }
    Ok(roots)
}

/// An error after which no other try would help.
fn unacceptable(why: String) -> RedisError {
    (ErrorKind::InvalidClientConfig, NO_TRUST, why).into()
}

/// Why there is no connection that can be trusted, if that is what the error says.
pub(super) fn no_trust(error: &RedisError) -> Option<&str> {
    error.detail().filter(|_| error.kind() == ErrorKind::InvalidClientConfig)
}
