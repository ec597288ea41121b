//! What `faas-cli login` left: a gateway's credentials in `config.yml`.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openfaas::client::Credentials;
use serde::Deserialize;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: Option<Vec<Login>>,
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    gateway: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    token: String,
}

/// The credentials of the gateway at this address, if faas-cli has some.
///
/// # Errors
/// Its file can't be read, or what stands there for the gateway is none.
pub(super) fn find(gateway: &str) -> Result<Option<Credentials>> {
    let folder = |variable| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = folder("OPENFAAS_CONFIG").or_else(|| Some(folder("HOME")?.join(".openfaas")));
    match folder.map(|folder| folder.join("config.yml")).filter(|file| file.is_file()) {
        Some(file) => read(&file, gateway),
        None => Ok(None),
    }
}

fn read(file: &Path, gateway: &str) -> Result<Option<Credentials>> {
    let named = || format!("faas-cli's {}", file.display());
    let text = std::fs::read_to_string(file).with_context(named)?;
    let config: Option<Config> = serde_saphyr::from_str(&text).with_context(named)?;
    let mut logins = config.and_then(|config| config.auths).unwrap_or_default().into_iter();
    let same = |login: &Login| bare(&login.gateway) == bare(gateway) && login.auth == "basic";
    logins.find(same).map(|login| decoded(&login.token).with_context(named)).transpose()
}

/// faas-cli writes gateways in small letters.
fn bare(gateway: &str) -> String {
    gateway.trim_end_matches('/').to_ascii_lowercase()
}

fn decoded(token: &str) -> Result<Credentials> {
    let wanted = "the token of a login is not base64 of USER:PASSWORD";
    let text = String::from_utf8(STANDARD.decode(token.trim()).context(wanted)?).context(wanted)?;
    let (user, password) = text.split_once(':').context(wanted)?;
    Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_login_of_the_gateway_is_found() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("config.yml");
        let find = |text: &str, gateway: &str| {
            std::fs::write(&file, text).unwrap();
            read(&file, gateway)
        };
        // "admin:a:b"
        let text = "auths:\n- gateway: http://a.example:8080\n  auth: basic\n  token: YWRtaW46YTpi\n  options: []\n\
                    - gateway: http://b.example\n  auth: oauth2\n  token: x\n";
        let found = find(text, "http://A.example:8080/").unwrap().unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("admin", "a:b"));
        assert!(find(text, "http://b.example").unwrap().is_none());
        assert!(find(text, "http://c.example").unwrap().is_none());
        assert!(find("", "http://c.example").unwrap().is_none());
        assert!(find("auths:\n", "http://c.example").unwrap().is_none());
        for wrong in ["auths: 7\n", "auths:\n- gateway: http://g\n  auth: basic\n  token: '%'\n"] {
            let error = format!("{:#}", find(wrong, "http://g").unwrap_err());
            assert!(error.contains("config.yml"), "{error}");
        }
    }
}
