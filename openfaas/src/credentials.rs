//! The credentials that `faas-cli login` saved.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// What basic authentication sends.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user, as a rule `admin`.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A file of saved credentials that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct SavedError {
    path: PathBuf,
    reason: String,
}

/// `config.yml`, as far as it matters here.
#[derive(Deserialize)]
struct Saved {
    #[serde(default)]
    auths: Vec<Login>,
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

impl Credentials {
    /// Those that `faas-cli login` saved for a gateway: in `$OPENFAAS_CONFIG/config.yml`, else in
    /// `~/.openfaas/config.yml`, or where the variable `CI` is true in `./.openfaas/config.yml`. `None` for
    /// a gateway that nobody logged in to.
    ///
    /// # Errors
    /// The file can't be read, or the gateway's entry is no basic authentication.
    pub fn saved_by_faas_cli(
        gateway: &str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SavedError> {
        let Some(path) = file(lookup) else { return Ok(None) };
        let wrong = |reason: String| SavedError { path: path.clone(), reason };
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let saved: Option<Saved> = serde_saphyr::from_str(&text)
            .map_err(|error| wrong(format!("not what faas-cli writes: {}", error.without_snippet())))?;
        let logins = saved.map(|saved| saved.auths).unwrap_or_default();
        let Some(login) = logins.iter().find(|login| same(&login.gateway, gateway)) else { return Ok(None) };
        if login.auth != "basic" {
            return Err(wrong(format!("auth of {gateway} is {:?}, wanted basic", login.auth)));
        }
        let credentials = decode(&login.token);
        credentials
            .map(Some)
            .ok_or_else(|| wrong(format!("the token of {gateway} is no base64 of USER:PASSWORD")))
    }
}

fn file(lookup: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let folder = if let Some(folder) = given("OPENFAAS_CONFIG") {
        PathBuf::from(folder)
    } else if given("CI").is_some_and(|ci| ci == "true" || ci == "1") {
        PathBuf::from(".openfaas")
    } else {
        Path::new(&given("HOME")?).join(".openfaas")
    };
    Some(folder.join("config.yml"))
}

/// faas-cli writes addresses in lower case, without the slash at their end.
fn same(saved: &str, gateway: &str) -> bool {
    saved.trim_end_matches('/').eq_ignore_ascii_case(gateway.trim_end_matches('/'))
}

fn decode(token: &str) -> Option<Credentials> {
    let text = String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As faas-cli 0.18 writes it.
    const SAVED: &str = "\
auths:
  - gateway: http://127.0.0.1:8080
    auth: basic
    token: YWRtaW46czpjcmV0
  - gateway: http://other:8080
    auth: oauth2
    token: abc
  - gateway: http://broken:8080
    auth: basic
    token: YWRtaW4=
";

    fn saved(text: &str, gateway: &str) -> Result<Option<Credentials>, String> {
        let folder = std::env::temp_dir().join(format!("openfaas-credentials-{}", std::process::id()));
        let folder = folder.join(gateway.replace(['/', ':'], "-")).join(text.len().to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yml"), text).unwrap();
        let lookup = |name: &str| (name == "OPENFAAS_CONFIG").then(|| folder.to_str().unwrap().to_owned());
        let found = Credentials::saved_by_faas_cli(gateway, lookup).map_err(|error| error.to_string());
        fs::remove_dir_all(&folder).unwrap();
        found
    }

    #[test]
    fn finds_what_was_saved_for_the_gateway() {
        let admin = Credentials { user: "admin".into(), password: "s:cret".into() };
        assert_eq!(saved(SAVED, "http://127.0.0.1:8080/"), Ok(Some(admin)));
        assert_eq!(saved(SAVED, "http://127.0.0.1:8081"), Ok(None));
        assert_eq!(saved("", "http://127.0.0.1:8080"), Ok(None));
        assert!(saved(SAVED, "http://other:8080").unwrap_err().contains("oauth2"));
        let error = saved(SAVED, "http://broken:8080").unwrap_err();
        assert!(error.contains("config.yml: the token of http://broken:8080"), "{error}");
        assert!(saved("auths: 1", "http://other:8080").is_err());
    }

    #[test]
    fn looks_where_faas_cli_does() {
        let with = |variables: &'static [(&str, &str)]| {
            file(|name| variables.iter().find(|(other, _)| *other == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(with(&[("HOME", "/h")]), Some("/h/.openfaas/config.yml".into()));
        assert_eq!(with(&[("HOME", "/h"), ("CI", "true")]), Some(".openfaas/config.yml".into()));
        assert_eq!(with(&[("OPENFAAS_CONFIG", "/c"), ("CI", "true")]), Some("/c/config.yml".into()));
        assert_eq!(with(&[]), None);
    }
}
