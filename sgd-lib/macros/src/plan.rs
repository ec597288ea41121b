//! Which argument is read, written or passed on; everything that can't be is an error here.

use syn::{Error, Expr, FnArg, Ident, ReceiverKind, Result, Type, TypeReference};

use crate::args::{Args, Entry, Kind};
use crate::key;
use crate::parse::{Argument, Function, bare};

/// What is to be generated.
pub(crate) struct Plan {
    pub(crate) store: Expr,
    pub(crate) ttl: Option<Expr>,
    pub(crate) tries: u32,
    pub(crate) states: Vec<State>,
    /// The arguments of the generated function.
    pub(crate) passed: Vec<Argument>,
    pub(crate) function: Function,
}

/// One argument that lives in the store.
pub(crate) struct State {
    pub(crate) entry: Entry,
    pub(crate) argument: Argument,
    /// The type that is stored.
    pub(crate) stored: Type,
}

impl Plan {
    pub(crate) fn new(args: Args, mut function: Function) -> Result<Self> {
        let mut passed = std::mem::take(&mut function.arguments);
        let names: Vec<Ident> = passed.iter().map(|argument| argument.name.clone()).collect();
        let mut states = Vec::new();
        let mut errors = Errors::default();
        for entry in args.entries {
            match passed.iter().position(|argument| argument.name == entry.name) {
                Some(at) => states.extend(errors.keep(State::new(entry, passed.remove(at)))),
                None => errors.push(no_argument(&entry.name, &names)),
            }
        }
        for state in &states {
            errors.keep(check_key(&state.entry, &passed, &names));
        }
        // What writes nothing meets no conflict.
        let reads_only = states.iter().all(|state| state.entry.kind == Kind::Get);
        let tries = if reads_only { 1 } else { args.tries };
        if tries > 1 {
            errors.keep(check_receiver(&function));
            for argument in &passed {
                errors.keep(check_repeatable(argument));
            }
        }
        errors.finish()?;
        Ok(Self { store: args.store, ttl: args.ttl, tries, states, passed, function })
    }
}

impl State {
    fn new(entry: Entry, argument: Argument) -> Result<Self> {
        let stored = match (entry.kind, &argument.ty) {
            (Kind::Get, Type::Reference(TypeReference { mutability: Some(_), .. })) => {
                let message =
                    format!("`get` only reads `{0}`: take `&T` or `T`, or use `put({0} = …)`", entry.name);
                return Err(Error::new_spanned(&argument.ty, message));
            }
            (Kind::Get, Type::Reference(TypeReference { elem, .. }))
            | (Kind::Put | Kind::Create, Type::Reference(TypeReference { mutability: Some(_), elem, .. })) => {
                bare(elem)
            }
            (Kind::Get, owned) => owned,
            (Kind::Put | Kind::Create, _) => {
                let message = format!("`{}` writes `{}`, so it must be a `&mut T`", entry.kind, entry.name);
                return Err(Error::new_spanned(&argument.ty, message));
            }
        };
        let unsized_path = matches!(stored, Type::Path(path) if path.path.is_ident("str"));
        if unsized_path || matches!(stored, Type::Slice(_) | Type::TraitObject(_) | Type::ImplTrait(_)) {
            let message =
                "can't be read from the store: take a type that owns its content, as `String` or `Vec<T>`";
            return Err(Error::new_spanned(stored, message));
        }
        Ok(Self { stored: stored.clone(), entry, argument })
    }
}

/// Every name in a key must be one of the arguments that are passed.
fn check_key(entry: &Entry, passed: &[Argument], names: &[Ident]) -> Result<()> {
    for name in key::names(&entry.key)? {
        if passed.iter().any(|argument| argument.name == name) {
            continue;
        }
        return Err(if names.iter().any(|known| *known == name) {
            let message = format!("`{name}` is read from the store itself, so no key can be made of it");
            Error::new(entry.key.span(), message)
        } else {
            no_argument(&Ident::new(&name, entry.key.span()), names)
        });
    }
    Ok(())
}

fn no_argument(name: &Ident, names: &[Ident]) -> Error {
    let known: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::new(name.span(), format!("no argument is called `{name}`; the function has {known}"))
}

const AGAIN: &str = "the body may run again after a conflict";

fn check_receiver(function: &Function) -> Result<()> {
    let Some(FnArg::Receiver(receiver)) = function.item.sig.inputs.first() else { return Ok(()) };
    match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => Ok(()),
        _ => {
            let message = format!("{AGAIN}: take `&self`, or use conflict = \"fail\"");
            Err(Error::new_spanned(receiver, message))
        }
    }
}

fn check_repeatable(argument: &Argument) -> Result<()> {
    match &argument.ty {
        Type::Reference(TypeReference { mutability: Some(_), .. }) => {
            let message = format!(
                "{AGAIN} and find what it changed in `{}` before: keep it in the store with `put`, or use conflict = \"fail\"",
                argument.name
            );
            Err(Error::new_spanned(&argument.ty, message))
        }
        _ => Ok(()),
    }
}

/// All errors of one function, reported together.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
