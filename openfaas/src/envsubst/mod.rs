//! The `${NAME}` substitutions that faas-cli makes in the whole text of a `stack.yml`.
//!
//! They are those of drone/envsubst: `${V}`, `${V:-default}` (also `:=`, `=`, `:?`, `:+`, all of
//! which mean the default here), `${#V}`, `${V^}`, `${V^^}`, `${V,}`, `${V,,}`, `${V:from:length}`,
//! `${V/old/new}` (also `//`, `/#`, `/%`), `${V#prefix}` and `${V%suffix}` with `*` and `?`.
//! A bare `$V` is left alone, `$$` is one dollar, `\/` and `\\` lose their first backslash.
//! A variable that is not set is empty.

mod edit;

use crate::stack::MAX_FILE;

/// Substitutions inside substitutions end here.
const MAX_DEPTH: usize = 32;

/// A `${…}` that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "line {line}: found {found:?}, wanted a substitution such as ${{NAME}} or ${{NAME:-default}} \
     ($$ stands for one dollar sign), and at most {MAX_FILE} bytes in all"
)]
pub struct SubstitutionError {
    /// Where it starts, from 1.
    pub line: usize,
    /// Its text from there on, shortened.
    pub found: String,
}

/// Replaces every substitution in `text`; `lookup` gives a variable's value.
///
/// # Errors
/// A `${` that does not begin a substitution, or a text that grows beyond [`MAX_FILE`] bytes.
pub fn substitute(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, SubstitutionError> {
    let mut parser = Parser { text, at: 0, lookup: &lookup };
    let mut out = String::with_capacity(text.len());
    loop {
        out.push_str(&parser.text_until(|_| false, true));
        if parser.at == text.len() {
            return Ok(out);
        }
        let start = parser.at;
        let wrong = || SubstitutionError {
            line: text[..start].matches('\n').count() + 1,
            found: text[start..].lines().next().unwrap_or_default().chars().take(40).collect(),
        };
        let value = parser.substitution(0).ok_or_else(wrong)?;
        out.push_str(&value);
        if out.len() > MAX_FILE {
            return Err(wrong());
        }
    }
}

/// What may be wrong has one answer, `None`: [`substitute`] knows where it began.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, expected: &str) -> Option<()> {
        let found = self.text[self.at..].starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found.then_some(())
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    /// Plain text up to a `${`, a character that ends it, or the end of everything.
    fn text_until(&mut self, ends: impl Fn(char) -> bool, escapes: bool) -> String {
        let mut out = String::new();
        while let Some(next) = self.peek() {
            let rest = &self.text[self.at..];
            if rest.starts_with("${") {
                break;
            }
            if escapes && let Some(escaped) = ["$$", "\\/", "\\\\"].iter().find(|e| rest.starts_with(**e)) {
                out.push_str(&escaped[1..]);
                self.at += escaped.len();
            } else if ends(next) {
                break;
            } else {
                out.push(next);
                self.at += next.len_utf8();
            }
        }
        out
    }

    /// From a `${` to past its `}`.
    fn substitution(&mut self, depth: usize) -> Option<String> {
        self.take("${")?;
        if depth == MAX_DEPTH {
            return None;
        }
        if self.take("#").is_some() {
            let length = self.variable()?.len();
            self.take("}")?;
            return Some(length.to_string());
        }
        let value = self.variable()?;
        match self.peek()? {
            ':' if self.text[self.at + 1..].starts_with(['=', '-', '?', '+']) => {
                self.at += 2;
                self.default(value, depth)
            }
            '=' => {
                self.at += 1;
                self.default(value, depth)
            }
            ':' => self.slice(&value, depth),
            ',' | '^' => self.casing(&value),
            '/' => self.replacement(&value, depth),
            side @ ('#' | '%') => self.removal(&value, side, depth),
            _ => self.take("}").map(|()| value),
        }
    }

    fn variable(&mut self) -> Option<String> {
        let name = self.take_while(|c| c.is_alphanumeric() || c == '_');
        if name.is_empty() { None } else { Some((self.lookup)(&name).unwrap_or_default()) }
    }

    /// One operand: a substitution, or text that is not empty.
    fn operand(&mut self, ends: impl Fn(char) -> bool, escapes: bool, depth: usize) -> Option<String> {
        if self.text[self.at..].starts_with("${") {
            return self.substitution(depth + 1);
        }
        Some(self.text_until(ends, escapes)).filter(|text| !text.is_empty())
    }

    fn default(&mut self, value: String, depth: usize) -> Option<String> {
        let mut default = String::new();
        while self.peek()? != '}' {
            default.push_str(&self.operand(|c| c == '}', false, depth)?);
            if default.len() > MAX_FILE {
                return None;
            }
        }
        self.take("}")?;
        Some(if value.is_empty() { default } else { value })
    }

    fn slice(&mut self, value: &str, depth: usize) -> Option<String> {
        self.take(":")?;
        let from = self.operand(|c| c == ':' || c == '}', false, depth)?;
        if self.take("}").is_some() {
            return Some(edit::slice(value, &from, None));
        }
        if self.take_while(|c| c == ':').is_empty() {
            return None;
        }
        let length = self.operand(|c| c == '}', false, depth)?;
        self.take("}")?;
        Some(edit::slice(value, &from, Some(&length)))
    }

    fn casing(&mut self, value: &str) -> Option<String> {
        let start = self.at;
        while self.at < start + 2 && matches!(self.peek(), Some(',' | '^')) {
            self.at += 1;
        }
        let operator = &self.text[start..self.at];
        self.take("}")?;
        Some(edit::casing(value, operator))
    }

    fn replacement(&mut self, value: &str, depth: usize) -> Option<String> {
        self.take("/")?;
        let place = ["/", "#", "%"].into_iter().find(|place| self.take(place).is_some()).unwrap_or_default();
        let old = self.operand(|c| c == '/', true, depth)?;
        if self.take_while(|c| c == '/').is_empty() {
            return None;
        }
        let new = if self.peek()? == '}' { None } else { Some(self.operand(|c| c == '}', true, depth)?) };
        self.take("}")?;
        edit::replace(value, place, &old, new.as_deref())
    }

    fn removal(&mut self, value: &str, side: char, depth: usize) -> Option<String> {
        let start = self.at;
        while self.at < start + 2 && self.peek() == Some(side) {
            self.at += 1;
        }
        let longest = self.at - start == 2;
        let pattern = self.operand(|c| c == '}', false, depth)?;
        self.take("}")?;
        Some(edit::remove(value, side == '#', longest, &pattern))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "V" => Some("value".to_owned()),
            "PATH_" => Some("a/b/c.tar.gz".to_owned()),
            "EMPTY" => Some(String::new()),
            "ä" => Some("Ärger".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn substitutes_as_faas_cli_does() {
        for (text, expected) in [
            ("plain }text", "plain }text"),
            ("a: ${V}, b: ${UNSET}.", "a: value, b: ."),
            ("$V stays, $${V} and $$V lose a dollar, $", "$V stays, ${V} and $V lose a dollar, $"),
            ("${UNSET:-d} ${EMPTY:-d} ${V:-d} ${UNSET:-}", "d d value "),
            ("${UNSET=d} ${UNSET:=d} ${UNSET:?d} ${UNSET:+d}", "d d d d"),
            ("${UNSET:-http://x:80/a-b}", "http://x:80/a-b"),
            ("${UNSET:-${EMPTY:-x${V}y}z}", "xvalueyz"),
            ("${#V} ${V^} ${V^^} ${ä,,} ${ä,}", "5 Value VALUE ärger ärger"),
            ("${V:1} ${V:1:2} ${V:-9} ${V:9} ${V:x} ${V:9:1}", "alue al value  value "),
            (
                "${PATH_/b/x} ${PATH_//./-} ${PATH_/#a/z} ${PATH_/%gz/xz}",
                "a/x/c.tar.gz a/b/c-tar-gz z/b/c.tar.gz a/b/c.tar.xz",
            ),
            ("${PATH_/b/} ${PATH_/\\//:}", "a//c.tar.gz a:b/c.tar.gz"),
            ("${PATH_#*/} ${PATH_##*/} ${PATH_%.*} ${PATH_%%.*}", "b/c.tar.gz c.tar.gz a/b/c.tar a/b/c"),
            ("http://x \\/ \\\\ \\n", "http://x / \\ \\n"),
        ] {
            assert_eq!(substitute(text, lookup).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_where_a_substitution_is_none() {
        for bad in [
            "${",
            "${}",
            "${V",
            "${V-d}",
            "${ V}",
            "${V:}",
            "${V:1:}",
            "${V/a}",
            "${V#}",
            "${V^^^}",
            "${V:-${}}",
        ] {
            let error = substitute(&format!("a\nb: {bad}"), lookup).unwrap_err();
            assert_eq!(error.line, 2, "{bad}");
            assert!(error.found.starts_with("${"), "{bad}");
        }
        assert_eq!(
            substitute("x: ${V-d}", lookup).unwrap_err().to_string(),
            "line 1: found \"${V-d}\", wanted a substitution such as ${NAME} or ${NAME:-default} \
             ($$ stands for one dollar sign), and at most 1048576 bytes in all"
        );
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_stack_overflow() {
        assert!(substitute(&"${A:-".repeat(100_000), lookup).is_err());
        // A text of 1 MiB times one of 100 kB would be 100 GB.
        let long = |_: &str| Some("x".repeat(100_000));
        let new = "y".repeat(1 << 20);
        assert!(substitute(&format!("${{A//x/{new}}}"), long).is_err());
        assert!(substitute(&"${A}".repeat(11), long).is_err());
        assert!(
            substitute(&format!("${{N:-{}}}", "${A}".repeat(11)), |name| (name == "A")
                .then(|| "x".repeat(100_000)))
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "[$\\{\\}VÄä:/#%^,=?*\\\\0-9\\- ]{0,40}") {
            let _ = substitute(&text, lookup);
        }

        #[test]
        fn text_without_dollars_and_backslashes_is_unchanged(text in "[^$\\\\]{0,80}") {
            prop_assert_eq!(substitute(&text, lookup), Ok(text));
        }
    }
}
