//! `X-Call-Id`: names a call in every log it passes through.

use hyper::HeaderMap;

/// The header's name.
pub(crate) const X_CALL_ID: &str = "x-call-id";

/// The caller's id, or a new one when there is none or it can't be printed.
pub(crate) fn take_or_generate(headers: &HeaderMap) -> String {
    let given = headers.get(X_CALL_ID).and_then(|value| value.to_str().ok()).map(str::trim);
    match given {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => generate(),
    }
}

/// A random UUID (version 4, RFC 9562).
#[expect(clippy::expect_used, reason = "no source of randomness: the process can't go on in any useful way")]
fn generate() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has no random bytes");
    let mut id = u128::from_be_bytes(bytes);
    id = id & !(0xf << 76) | 0x4 << 76; // version
    id = id & !(0x3 << 62) | 0x2 << 62; // variant
    let hex = format!("{id:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn takes_over_what_is_given() {
        let headers = |value: &'static [u8]| {
            HeaderMap::from_iter([(
                hyper::header::HeaderName::from_static(X_CALL_ID),
                HeaderValue::from_bytes(value).unwrap(),
            )])
        };
        assert_eq!(take_or_generate(&headers(b"abc 1")), "abc 1");
        for unusable in [headers(b""), headers(b" "), headers(b"\xff"), HeaderMap::new()] {
            assert_eq!(take_or_generate(&unusable).len(), 36);
        }
    }

    #[test]
    fn generates_version_4_uuids() {
        let id = generate();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        assert_ne!(id, generate());
    }
}
