//! The grammar of what stands in the attribute's parentheses.

use std::fmt;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, Ident, LitInt, LitStr, Result, Token};

/// How often a body runs at most, if the attribute does not say.
const DEFAULT_TRIES: u32 = 16;

/// The whole attribute.
pub(crate) struct Args {
    pub(crate) store: Expr,
    pub(crate) ttl: Option<Expr>,
    /// How often the body runs at most; 1: a conflict is returned.
    pub(crate) tries: u32,
    pub(crate) entries: Vec<Entry>,
}

/// One argument that lives in the store.
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) name: Ident,
    pub(crate) key: LitStr,
    pub(crate) default: Option<Fallback>,
}

/// What an argument is when nothing is stored.
pub(crate) enum Fallback {
    /// `default`
    Trait,
    /// `default = EXPR`
    Value(Box<Expr>),
}

/// What is done with an argument that lives in the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Put,
    Create,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Create => "create",
        })
    }
}

/// The options as they stand there.
#[derive(Default)]
struct Options {
    store: Option<Expr>,
    ttl: Option<Expr>,
    conflict: Option<LitStr>,
    tries: Option<LitInt>,
    entries: Vec<Entry>,
}

impl Args {
    pub(crate) fn parse(attribute: TokenStream) -> Result<Self> {
        let options = Options::parse.parse2(attribute)?;
        let tries = options.tries()?;
        let Some(store) = options.store else {
            return Err(Error::new(Span::call_site(), "`store = …` is missing: where the state lives"));
        };
        if options.entries.is_empty() {
            let message = "nothing lives in the store: add `get(…)`, `put(…)` or `create(…)`";
            return Err(Error::new(Span::call_site(), message));
        }
        Ok(Self { store, ttl: options.ttl, tries, entries: options.entries })
    }
}

impl Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            options.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        let option = input.call(Ident::parse_any)?;
        match option.to_string().as_str() {
            "get" => self.parse_entries(Kind::Get, input),
            "put" => self.parse_entries(Kind::Put, input),
            "create" => self.parse_entries(Kind::Create, input),
            "store" => set(&mut self.store, &option, input),
            "ttl" => set(&mut self.ttl, &option, input),
            "conflict" => set(&mut self.conflict, &option, input),
            "tries" => set(&mut self.tries, &option, input),
            found => {
                let message = format!(
                    "unknown option `{found}`; known are `store`, `get`, `put`, `create`, `ttl`, `conflict`, `tries`"
                );
                Err(Error::new(option.span(), message))
            }
        }
    }

    fn parse_entries(&mut self, kind: Kind, input: ParseStream<'_>) -> Result<()> {
        let content;
        syn::parenthesized!(content in input);
        let before = self.entries.len();
        while !content.is_empty() {
            let name = content.call(Ident::parse_any)?;
            if name == "default" {
                let entry = self.entries[before..].last_mut();
                parse_default(entry, &name, &content)?;
            } else {
                if self.entries.iter().any(|entry| entry.name == name) {
                    let message = format!("`{name}` is named twice; an argument lives under one key");
                    return Err(Error::new(name.span(), message));
                }
                content.parse::<Token![=]>()?;
                self.entries.push(Entry { kind, name, key: content.parse()?, default: None });
            }
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }

    fn tries(&self) -> Result<u32> {
        let retry = match &self.conflict {
            None => true,
            Some(policy) => match policy.value().as_str() {
                "retry" => true,
                "fail" => false,
                found => {
                    let message = format!("conflict is {found:?}; allowed are \"retry\" and \"fail\"");
                    return Err(Error::new(policy.span(), message));
                }
            },
        };
        match &self.tries {
            None => Ok(if retry { DEFAULT_TRIES } else { 1 }),
            Some(tries) if !retry => {
                Err(Error::new(tries.span(), "`tries` has no meaning with conflict = \"fail\""))
            }
            Some(tries) => match tries.base10_parse() {
                Ok(number @ 2..) => Ok(number),
                _ => {
                    let message = format!(
                        "tries is {tries}; it must be between 2 and {} (for one try: conflict = \"fail\")",
                        u32::MAX
                    );
                    Err(Error::new(tries.span(), message))
                }
            },
        }
    }
}

fn set<T: syn::parse::Parse>(slot: &mut Option<T>, option: &Ident, input: ParseStream<'_>) -> Result<()> {
    input.parse::<Token![=]>()?;
    if slot.replace(input.parse()?).is_some() {
        return Err(Error::new(option.span(), format!("`{option}` is given twice")));
    }
    Ok(())
}

fn parse_default(entry: Option<&mut Entry>, word: &Ident, input: ParseStream<'_>) -> Result<()> {
    let Some(entry) = entry else {
        let message = "`default` must come after the argument that it is for: `name = \"key\", default`";
        return Err(Error::new(word.span(), message));
    };
    let fallback = if input.is_empty() || input.peek(Token![,]) {
        Fallback::Trait
    } else if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        Fallback::Value(input.parse()?)
    } else {
        return Err(input.error("expected `default` or `default = value`"));
    };
    if entry.default.replace(fallback).is_some() {
        return Err(Error::new(word.span(), format!("`{}` has two defaults", entry.name)));
    }
    Ok(())
}
