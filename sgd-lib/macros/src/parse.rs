//! The functions that are accepted: `async`, with plain names for arguments and a `Result`.

use proc_macro2::TokenStream;
use syn::{Error, FnArg, Ident, ItemFn, Pat, PatIdent, PatType, Result, ReturnType, Token, Type};

/// An accepted function.
pub(crate) struct Function {
    pub(crate) item: ItemFn,
    /// Its arguments, without `self`, in order.
    pub(crate) arguments: Vec<Argument>,
    pub(crate) output: Type,
}

/// One argument.
pub(crate) struct Argument {
    pub(crate) mutable: Option<Token![mut]>,
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

impl Function {
    pub(crate) fn parse(item: TokenStream) -> Result<Self> {
        let item: ItemFn = syn::parse2(item)?;
        let signature = &item.sig;
        if signature.asyncness.is_none() {
            let message = "#[stateful] needs an `async fn`: the store is read and written around the call";
            return Err(Error::new_spanned(signature.fn_token, message));
        }
        let ReturnType::Type(_, output) = &signature.output else {
            let message = "must return a `Result` whose error is `From<sgd_lib::state::StateError>`";
            return Err(Error::new_spanned(&signature.ident, message));
        };
        let output = Type::clone(output);
        let arguments = signature.inputs.iter().filter_map(argument).collect::<Result<_>>()?;
        Ok(Self { arguments, output, item })
    }
}

/// `None` for `self`.
fn argument(input: &FnArg) -> Option<Result<Argument>> {
    let FnArg::Typed(PatType { pat, ty, .. }) = input else { return None };
    Some(match &**pat {
        Pat::Ident(PatIdent { by_ref: None, subpat: None, mutability, ident, .. }) => {
            Ok(Argument { mutable: *mutability, name: ident.clone(), ty: bare(ty).clone() })
        }
        other => {
            Err(Error::new_spanned(other, "#[stateful] needs a plain name here; take it apart in the body"))
        }
    })
}

/// The type without parentheses and without the invisible ones that `macro_rules!` adds.
pub(crate) fn bare(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            _ => return ty,
        };
    }
}
