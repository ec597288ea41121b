//! The file that lets kubectl find the local gateway.
//!
//! It is a file of its own that is there as long as the platform is: one left behind would lead to whatever listens
//! at that port then.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use openfaas::client::Credentials;
use openfaas::types::DEFAULT_NAMESPACE;

/// What tells such a file from anybody else's.
const FIRST_LINE: &str = "# Written by downpour up, and removed when it ends.\n";

/// Where to write it.
#[derive(Clone, Debug)]
pub(crate) struct Place(PathBuf);

/// A file that was written; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Kubeconfig {
    path: PathBuf,
    text: String,
}

impl Place {
    /// The file `path`, which may be there already if it is one of an earlier platform.
    ///
    /// # Errors
    /// It is another file, such as the user's own kubeconfig.
    pub(crate) fn choose(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).context("--kubeconfig")?;
        match fs::read(&path) {
            Ok(bytes) if !bytes.starts_with(FIRST_LINE.as_bytes()) => {
                bail!("{} is there and was not written by downpour up: name another file", path.display())
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("can't use {} as --kubeconfig", path.display()))
            }
            _ => Ok(Self(path)),
        }
    }

    /// Writes the file, whole or not at all, for this user only.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn write(self, gateway: SocketAddr, credentials: Option<&Credentials>) -> Result<Kubeconfig> {
        let text = text(gateway, credentials);
        replace(&self.0, &text).with_context(|| format!("can't write {}", self.0.display()))?;
        Ok(Kubeconfig { path: self.0, text })
    }
}

impl Kubeconfig {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        // Not if it is another platform's by now.
        if fs::read(&self.path).is_ok_and(|found| found == self.text.as_bytes()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // Of a name that nobody can foresee, and for this user only.
    let mut part = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
    part.write_all(text.as_bytes())?;
    part.persist(path)?;
    Ok(())
}

/// Clients of Kubernetes send a user's credentials over TLS only, but those of a proxy always: so the gateway is its
/// own proxy where it wants some.
fn text(mut gateway: SocketAddr, credentials: Option<&Credentials>) -> String {
    if gateway.ip().is_unspecified() {
        gateway.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let proxy = credentials.map_or_else(String::new, |Credentials { user, password }| {
        format!("\n    proxy-url: http://{}:{}@{gateway}", percent_encoded(user), percent_encoded(password))
    });
    format!(
        "{FIRST_LINE}apiVersion: v1
kind: Config
current-context: downpour
clusters:
- name: downpour
  cluster:
    server: http://{gateway}{proxy}
contexts:
- name: downpour
  context:
    cluster: downpour
    namespace: {DEFAULT_NAMESPACE}
    user: downpour
users:
- name: downpour
  user: {{}}
"
    )
}

/// All that may mean something in a URL or in YAML is written as `%XX`.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_private_names_the_gateway_and_goes_with_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let file = Place::choose(&path).unwrap().write("0.0.0.0:8080".parse().unwrap(), None).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("server: http://127.0.0.1:8080\n") && !text.contains("proxy-url"), "{text}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let later = Place::choose(&path).unwrap().write("127.0.0.1:8081".parse().unwrap(), None).unwrap();
        drop(file);
        assert!(path.exists(), "the later platform's file was removed");
        drop(later);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn credentials_are_those_of_a_proxy() {
        let credentials = Credentials { user: "admin".into(), password: "a:b@c d#".into() };
        let text = text("127.0.0.1:8080".parse().unwrap(), Some(&credentials));
        assert!(text.contains("proxy-url: http://admin:a%3Ab%40c%20d%23@127.0.0.1:8080\n"), "{text}");
    }

    #[test]
    fn nobody_elses_file_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, "apiVersion: v1\n").unwrap();
        let error = Place::choose(&path).unwrap_err().to_string();
        assert!(error.contains("was not written by downpour up"), "{error}");
        assert!(Place::choose(folder.path()).is_err());
    }
}
