//! Amounts of memory and CPU in Kubernetes' notation, such as `128Mi` and `100m`.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

use openfaas::types::Resources;

use super::SpecificationError;

const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];

/// Checks what a function asks for: quantities, none below zero, and no request above its limit.
pub(super) fn check_resources(
    requests: Option<&Resources>,
    limits: Option<&Resources>,
) -> Result<(), SpecificationError> {
    let memory = |resources: &Resources| resources.memory.clone();
    let cpu = |resources: &Resources| resources.cpu.clone();
    let bytes = "a quantity of bytes such as 128Mi";
    check_pair("memory", bytes, requests.and_then(memory), limits.and_then(memory))?;
    check_pair("cpu", "a quantity of cores such as 100m", requests.and_then(cpu), limits.and_then(cpu))
}

/// Checks the two values of one resource; an empty one counts as not given.
fn check_pair(
    name: &str,
    wanted: &str,
    request: Option<String>,
    limit: Option<String>,
) -> Result<(), SpecificationError> {
    let amount = |part: &str, text: Option<String>| {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        match parse(&text) {
            Some(amount) => Ok(Some((amount, text))),
            None => Err(SpecificationError::value(format!("{part}.{name}"), &text, wanted)),
        }
    };
    let pair = amount("requests", request)?.zip(amount("limits", limit)?);
    match pair {
        Some(((request, text), (limit, most))) if request > limit => {
            let wanted = format!("at most limits.{name}, which is {most:?}");
            Err(SpecificationError::value(format!("requests.{name}"), &text, wanted))
        }
        _ => Ok(()),
    }
}

/// The amount in units; `None` if `text` is no quantity.
fn parse(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    // Also turns away what Rust reads as a number and Kubernetes does not, such as "" and ".".
    let number: f64 = number.parse().ok().filter(|_| number.contains(|c: char| c.is_ascii_digit()))?;
    let by_suffix = SUFFIXES.iter().find(|(name, _)| *name == suffix).map(|(_, factor)| *factor);
    let amount = number * by_suffix.or_else(|| exponent(suffix))?;
    amount.is_finite().then_some(amount)
}

/// `e3` and `E-2`.
fn exponent(suffix: &str) -> Option<f64> {
    let power = suffix.strip_prefix(['e', 'E'])?;
    let signed = power.strip_prefix(['+', '-']).unwrap_or(power);
    let all_digits = !signed.is_empty() && signed.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| power.parse::<i32>().ok()).flatten().map(|power| 10_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_kubernetes_own() {
        for (text, amount) in [
            ("128Mi", 134_217_728.0),
            ("0.5", 0.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("100m", 0.1),
            ("1e3", 1000.0),
            ("1E3", 1000.0),
            ("12e-1", 1.2),
            ("2E", 2e18),
            ("+1k", 1000.0),
            ("0", 0.0),
        ] {
            let found = parse(text).unwrap();
            assert!((found - amount).abs() <= amount * 1e-12, "{text}: {found}");
        }
        for text in [
            "", ".", "+", "-1", "lots", "128MB", "1 Gi", "128mi", "1e", "1e+", "0x10", "1..2", "inf", "NaN",
            "1e999", "--1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_wrong_quantity_is_named() {
        let resources =
            |memory: &str, cpu: &str| Resources { memory: Some(memory.into()), cpu: Some(cpu.into()) };
        let check = |requests: &Resources, limits: &Resources| {
            check_resources(Some(requests), Some(limits)).map_err(|error| error.to_string())
        };
        let (small, large) = (resources("64Mi", "100m"), resources("128Mi", ""));
        assert_eq!(check(&small, &large), Ok(()));
        assert_eq!(
            check(&large, &small).unwrap_err(),
            "requests.memory is \"128Mi\": wanted at most limits.memory, which is \"64Mi\""
        );
        assert_eq!(
            check(&small, &resources("64Mi", "fast")).unwrap_err(),
            "limits.cpu is \"fast\": wanted a quantity of cores such as 100m"
        );
        assert_eq!(check_resources(None, None), Ok(()));
    }
}
