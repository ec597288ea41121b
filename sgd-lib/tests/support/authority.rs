//! An authority that signs the certificates of servers, and servers that show them.

use std::fs;

use local_redis::{LocalRedis, Options, Transport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// An authority, with a folder for what it signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("an authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder: TempDir::new().unwrap() }
    }

    /// Its own certificate, PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// How a server listens that shows a certificate for `host`, good until a year begins.
    pub(crate) fn transport(&self, host: &str, until: i32) -> Transport {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let [certificate, key_file] = ["pem", "key"].map(|ending| self.folder.path().join(ending));
        fs::write(&certificate, signed.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        Transport::Tls { certificate, key: key_file }
    }

    /// A server with a good certificate.
    pub(crate) fn server(&self, config: &[&str]) -> LocalRedis {
        let config = config.iter().map(|line| (*line).to_owned()).collect();
        let transport = self.transport("localhost", 4000);
        LocalRedis::start(Options { transport, config, ..Options::default() }).unwrap()
    }
}
