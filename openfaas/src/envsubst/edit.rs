//! What the operators of a substitution do to a variable's value.
//!
//! Offsets and lengths count bytes, as in the original; one inside a character moves to its end.

use crate::stack::MAX_FILE;

/// `${V:from:length}`: the value itself where a number is none, as in bash.
pub(super) fn slice(value: &str, from: &str, length: Option<&str>) -> String {
    let Ok(from) = from.parse::<i64>() else { return value.to_owned() };
    let total = value.len();
    let back = usize::try_from(from.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if from < 0 { total.saturating_sub(back) } else { back.min(total) };
    let end = match length.map(str::parse::<usize>) {
        None => total,
        Some(Ok(length)) => start.saturating_add(length).min(total),
        Some(Err(_)) => return value.to_owned(),
    };
    let boundary = |at: usize| (at..total).find(|&at| value.is_char_boundary(at)).unwrap_or(total);
    value[boundary(start)..boundary(end)].to_owned()
}

/// `${V^}`, `${V^^}`, `${V,}`, `${V,,}`.
pub(super) fn casing(value: &str, operator: &str) -> String {
    let mut chars = value.chars();
    match operator {
        "^^" => value.to_uppercase(),
        ",," => value.to_lowercase(),
        "^" => chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect()),
        "," => chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect()),
        _ => value.to_owned(),
    }
}

/// `${V/old/new}`; `place` is empty (the first), `/` (all), `#` (at the start) or `%` (at the end). `None` where all
/// would be longer than a file may be.
pub(super) fn replace(value: &str, place: &str, old: &str, new: Option<&str>) -> Option<String> {
    let text = new.unwrap_or_default();
    let longest = value.len().saturating_add(value.matches(old).count().saturating_mul(text.len()));
    (longest <= MAX_FILE || place != "/").then(|| replaced(value, place, old, new))
}

fn replaced(value: &str, place: &str, old: &str, new: Option<&str>) -> String {
    let text = new.unwrap_or_default();
    let anchored = match (place, new) {
        ("/", _) => return value.replace(old, text),
        ("#", Some(_)) => value.strip_prefix(old).map(|rest| format!("{text}{rest}")),
        ("%", Some(_)) => value.strip_suffix(old).map(|rest| format!("{rest}{text}")),
        ("#" | "%", None) => None,
        _ => return value.replacen(old, text, 1),
    };
    anchored.unwrap_or_else(|| value.to_owned())
}

/// `${V#pattern}` and its kin: without the shortest or longest start or end that matches.
pub(super) fn remove(value: &str, at_start: bool, longest: bool, pattern: &str) -> String {
    let boundaries = || (0..=value.len()).filter(|&at| value.is_char_boundary(at));
    let matches = |at: usize| {
        let part = if at_start { &value[..at] } else { &value[at..] };
        !part.is_empty() && glob(pattern, part)
    };
    // A later boundary is a longer start, and a shorter end.
    let cut = if at_start == longest {
        boundaries().rfind(|&at| matches(at))
    } else {
        boundaries().find(|&at| matches(at))
    };
    match cut {
        None => value.to_owned(),
        Some(at) if at_start => value[at..].to_owned(),
        Some(at) => value[..at].to_owned(),
    }
}

/// Whether `pattern`, with `*` for any text and `?` for any character, matches all of `text`.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and how much of the text it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|&c| c == '?' || c == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, swallowed)) = star {
            star = Some((at, swallowed + 1));
            p = at + 1;
            t = swallowed + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}
