//! Addresses of stores as they may be shown.

/// The address without its user and password, in front of the host or after a question mark.
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let separator = if rest.len() < url.len() { "://" } else { "" };
    // The last @: in a password that is not escaped there may be another.
    let (hidden, place) = rest.rsplit_once('@').map_or(("", rest), |(_, place)| ("***@", place));
    match place.split_once('?') {
        Some((place, _)) => format!("{scheme}{separator}{hidden}{place}?***"),
        None => format!("{scheme}{separator}{hidden}{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_wherever_it_stands() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:SEC@RET@host:6379/1", "redis://***@host:6379/1"),
            ("rediss://user:SEC/RET@host", "rediss://***@host"),
            ("http://u:SEC?RET@host", "http://***@host"),
            ("redis+unix:///run/redis.sock?user=u&pass=SECRET", "redis+unix:///run/redis.sock?***"),
            ("user:SECRET@host", "***@host"),
            ("host", "host"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
