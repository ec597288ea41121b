//! The address of functions, as a template: what differs between OpenFaaS, Knative and plain Kubernetes.

use std::fmt;

use reqwest::Url;

use super::InvokeError;

const FUNCTION: &str = "{function}";
const GATEWAY: &str = "{gateway}";

/// An address with `{function}` in it, which becomes a function's name, and, where it begins so,
/// `{gateway}`, which becomes the gateway's address.
///
/// | engine | template |
/// |---|---|
/// | OpenFaaS | `{gateway}/function/{function}` |
/// | Knative Serving | `http://{function}.openfaas-fn.svc.cluster.local` |
/// | plain Kubernetes | `http://{function}.openfaas-fn:8080` |
#[derive(Clone, PartialEq, Eq)]
pub struct UrlTemplate(String);

impl UrlTemplate {
    /// What a template looks like, in words.
    pub const WANTED: &str = "http://HOST[:PORT]/… or {gateway}/… with {function} in it";

    /// OpenFaaS' asynchronous queue: a call that it takes is answered 202 before the function is called.
    pub fn queue() -> Self {
        Self(format!("{GATEWAY}/async-function/{FUNCTION}"))
    }

    /// The template of this text.
    ///
    /// # Errors
    /// It gives no address, or the same one for every function.
    pub fn parse(text: &str) -> Result<Self, InvokeError> {
        let template = Self(text.to_owned());
        let example = template.filled("http://gateway:8080", "f");
        if text.contains(FUNCTION) && !example.contains(['{', '}']) && address(&example).is_some() {
            Ok(template)
        } else {
            Err(template.wrong(text))
        }
    }

    /// Whether it leads through the gateway.
    pub fn needs_gateway(&self) -> bool {
        self.0.starts_with(GATEWAY)
    }

    /// The template's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of `function`, where the gateway is at `gateway`.
    pub(super) fn url(&self, gateway: &str, function: &str) -> Result<Url, InvokeError> {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // A name of dots only would climb out of its place in the path.
        if !function.chars().all(valid) || function.chars().all(|c| c == '.') {
            let (found, wanted) = (function.to_owned(), "letters, digits, -, _ and .");
            return Err(InvokeError::Input { what: "the function's name", found, wanted });
        }
        let text = self.filled(gateway, function);
        address(&text).ok_or_else(|| self.wrong(&text))
    }

    fn filled(&self, gateway: &str, function: &str) -> String {
        let text = match self.0.strip_prefix(GATEWAY) {
            Some(path) => format!("{}{path}", gateway.trim_end_matches('/')),
            None => self.0.clone(),
        };
        text.replace(FUNCTION, function)
    }

    fn wrong(&self, found: &str) -> InvokeError {
        InvokeError::Input { what: "the address of functions", found: found.to_owned(), wanted: Self::WANTED }
    }
}

/// Plain HTTP only, as between the parts of a cluster.
fn address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host())
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_has_its_address() {
        for (template, url) in [
            ("{gateway}/function/{function}", "http://g:1/base/function/emnist-train"),
            (
                "http://{function}.openfaas-fn.svc.cluster.local",
                "http://emnist-train.openfaas-fn.svc.cluster.local/",
            ),
            ("http://{function}.openfaas-fn:8080", "http://emnist-train.openfaas-fn:8080/"),
        ] {
            let template = UrlTemplate::parse(template).unwrap();
            assert_eq!(template.url("http://g:1/base/", "emnist-train").unwrap().as_str(), url);
        }
        assert_eq!(UrlTemplate::queue().url("http://g", "f").unwrap().as_str(), "http://g/async-function/f");
        assert!(UrlTemplate::queue().needs_gateway());
    }

    #[test]
    fn what_is_no_template_is_named() {
        for text in [
            "",
            "{function}",
            "{gateway}",
            "http://h/f",
            "https://{function}",
            "http://{function}:port",
            "http://{fn}/{function}",
            "http://h/{gateway}/{function}",
            "ftp://{function}",
        ] {
            let error = UrlTemplate::parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("the address of functions is {text:?}, wanted {}", UrlTemplate::WANTED)
            );
        }
    }

    #[test]
    fn a_name_stays_in_its_place() {
        let template = UrlTemplate::parse("http://{function}:8080").unwrap();
        for name in ["", "..", "a/b", "a?b", "a:b", "a@b", "ä"] {
            let error = template.url("", name).unwrap_err().to_string();
            assert_eq!(error, format!("the function's name is {name:?}, wanted letters, digits, -, _ and ."));
        }
    }
}
