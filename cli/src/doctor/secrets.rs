//! The secrets that functions name.

use openfaas::client::Client;
use openfaas::types::FunctionStatus;

use super::Finding;

const PART: &str = "secrets";

pub(super) async fn check(gateway: &Client, functions: &[FunctionStatus]) -> Vec<Finding> {
    match gateway.secrets().await {
        Ok(there) => missing(functions, &there),
        Err(error) => vec![Finding::warning(PART, error.to_string(), "secrets were not looked at")],
    }
}

fn missing(functions: &[FunctionStatus], there: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut named = 0;
    for function in functions {
        named += function.secrets.len();
        for secret in function.secrets.iter().filter(|secret| !there.contains(secret)) {
            let text = format!("{} has the secret {secret}, which does not exist", function.name);
            findings.push(Finding::problem(PART, text, format!("faas-cli secret create {secret}")));
        }
        let password = function.env_vars.get("store_password_secret");
        let password = password.filter(|name| !matches!(name.as_str(), "" | "none"));
        if let Some(secret) = password.filter(|name| !function.secrets.contains(name)) {
            let text = format!("{}: store_password_secret is {secret}, which it is not given", function.name);
            let advice =
                format!("list {secret} under secrets: in stack.yml, and faas-cli secret create {secret}");
            findings.push(Finding::problem(PART, text, advice));
        }
    }
    if findings.is_empty() && named > 0 {
        findings.push(Finding::ok(PART, "all that functions name exist"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_must_exist_and_be_given_to_the_function() {
        let function = |secrets: &[&str], password: &str| FunctionStatus {
            name: "f".to_owned(),
            secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
            env_vars: [("store_password_secret".to_owned(), password.to_owned())].into(),
            ..FunctionStatus::default()
        };
        let there = ["redis-password".to_owned()];
        let found = |secrets: &[&str], password: &str| missing(&[function(secrets, password)], &there);
        assert_eq!(
            found(&["redis-password"], "redis-password"),
            [Finding::ok(PART, "all that functions name exist")]
        );
        assert_eq!(found(&[], "none"), []);
        assert!(found(&["other"], "")[0].found.contains("the secret other, which does not exist"));
        assert!(found(&[], "redis-password")[0].found.contains("which it is not given"));
    }
}
