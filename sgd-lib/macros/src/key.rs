//! Key templates: string literals with arguments in braces, as in `format!`.

use proc_macro2::Ident;
use syn::{Error, LitStr, Result};

/// The names in braces, in order. What `format!` itself checks (the part after a colon) is left to it.
pub(crate) fn names(key: &LitStr) -> Result<Vec<String>> {
    let text = key.value();
    let error = |message: String| Error::new(key.span(), message);
    if text.is_empty() {
        return Err(error("the key is empty".to_owned()));
    }
    let mut names = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['{', '}']) {
        let brace = &rest[at..];
        if let Some(tail) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
            rest = tail;
            continue;
        }
        let Some(inside) = brace.strip_prefix('{') else {
            return Err(error(
                "a `}` without its `{`; a brace that belongs to the key is doubled: `}}`".to_owned(),
            ));
        };
        let Some((field, tail)) = inside.split_once('}') else {
            return Err(error(
                "a `{` without its `}`; a brace that belongs to the key is doubled: `{{`".to_owned(),
            ));
        };
        let (name, format) = field.split_once(':').unwrap_or((field, ""));
        if syn::parse_str::<Ident>(name).is_err() || format.contains('$') {
            return Err(error(format!("`{{{field}}}` is not the name of an argument, as in `{{run}}`")));
        }
        names.push(name.to_owned());
        rest = tail;
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn parse(key: &str) -> Result<Vec<String>> {
        names(&LitStr::new(key, Span::call_site()))
    }

    #[test]
    fn names_are_found_between_escaped_braces() {
        assert_eq!(parse("dp:{{{run}}}:log:{worker:03}").unwrap(), ["run", "worker"]);
        assert_eq!(parse("plain {{not}}").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for key in
            ["", "{", "}", "a{run", "a}b", "{}", "{0}", "{run.id}", "{a b}", "{run:w$}", "{{{run}}", "{fn}"]
        {
            assert!(parse(key).is_err(), "{key}");
        }
    }
}
