//! The code that comes out: a thin call into `sgd_lib::__private::Call`.
//!
//! The generated names have the macro's own hygiene, so neither the body nor an expression in the
//! attribute can see them; all paths are absolute.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Pat, Type, parse_quote};

use crate::args::{Fallback, Kind};
use crate::parse::Argument;
use crate::plan::{Plan, State};

pub(crate) fn expand(plan: Plan) -> TokenStream {
    let open = open(&plan);
    let attempt = attempt(&plan);
    let (call, answer) = (hidden("call"), hidden("answer"));
    let question = question(&plan.function.output);
    let run = if plan.tries == 1 {
        quote! {
            #attempt
            #call.commit().await #question;
            ::core::result::Result::Ok(#answer)
        }
    } else {
        quote! {
            loop {
                #attempt
                if #call.commit().await #question {
                    return ::core::result::Result::Ok(#answer);
                }
            }
        }
    };
    let mut item = plan.function.item;
    item.sig.inputs = std::mem::take(&mut item.sig.inputs)
        .into_iter()
        .filter_map(|input| outer_argument(input, &plan.passed, plan.tries > 1))
        .collect();
    *item.block = parse_quote!({ #open #run });
    quote!(#item)
}

/// The argument of the generated function, if it stays one.
fn outer_argument(mut input: FnArg, passed: &[Argument], repeated: bool) -> Option<FnArg> {
    if let FnArg::Typed(typed) = &mut input
        && let Pat::Ident(pattern) = &mut *typed.pat
    {
        if !passed.iter().any(|argument| argument.name == pattern.ident) {
            return None;
        }
        if repeated {
            // The copy that each try gets is the mutable one.
            pattern.mutability = None;
        }
    }
    Some(input)
}

/// Everything before the first try: store, keys, time to live.
fn open(plan: &Plan) -> TokenStream {
    let call = hidden("call");
    let store = &plan.store;
    let store = quote_spanned! {store.span()=>
        <::std::sync::Arc<dyn ::sgd_lib::store::Store> as ::core::clone::Clone>::clone(&#store)
    };
    let keys = plan.states.iter().map(|state| &state.entry.key);
    let ttl = match &plan.ttl {
        Some(ttl) => quote!(::core::option::Option::Some(#ttl)),
        None => quote!(::core::option::Option::None),
    };
    let tries = plan.tries;
    quote! {
        let mut #call = ::sgd_lib::__private::Call::new(
            #store,
            ::std::vec![#(::std::format!(#keys)),*],
            #ttl,
            #tries,
        );
    }
}

/// One try up to the commit, which is left to the caller; ends with the body's answer in `answer`.
fn attempt(plan: &Plan) -> TokenStream {
    let (call, answer) = (hidden("call"), hidden("answer"));
    let output = &plan.function.output;
    let question = question(output);
    let loads = plan.states.iter().enumerate().map(|(index, state)| load(index, state, &question));
    let lends = plan.states.iter().enumerate().map(|(index, state)| lend(index, state));
    let repeats = plan.passed.iter().filter(|_| plan.tries > 1).filter_map(repeat);
    let writes = plan.states.iter().enumerate().filter(|(_, state)| state.entry.kind != Kind::Get).map(
        |(index, _)| {
            let value = hidden_value(index);
            quote!(#call.put(#index, &#value) #question;)
        },
    );
    let body = &plan.function.item.block.stmts;
    quote! {
        #call.read().await #question;
        #(#loads)*
        let #answer: #output = {
            #(#lends)*
            #(#repeats)*
            async move {
                // Tells the compiler the block's type, which it can't see from outside.
                if let ::core::option::Option::Some(#answer) = ::core::option::Option::None::<#output> {
                    return #answer;
                }
                #(#body)*
            }
            .await
        };
        let #answer = match #answer {
            ::core::result::Result::Ok(#answer) => #answer,
            ::core::result::Result::Err(error) => return ::core::result::Result::Err(error),
        };
        #(#writes)*
    }
}

/// The value as it is stored, or its default.
fn load(index: usize, state: &State, question: &TokenStream) -> TokenStream {
    let (call, value, stored) = (hidden("call"), hidden_value(index), &state.stored);
    let default = match &state.entry.default {
        Some(Fallback::Value(default)) => Some(quote!(#default)),
        Some(Fallback::Trait) => Some(default_of(stored)),
        None if state.entry.kind == Kind::Create => Some(default_of(stored)),
        None => None,
    };
    let loaded = match (state.entry.kind, default) {
        (Kind::Create, default) => quote!({ #call.vacant(#index) #question; #default }),
        (_, None) => quote!(#call.required(#index) #question),
        (_, Some(default)) => quote! {
            match #call.get(#index) #question {
                ::core::option::Option::Some(found) => found,
                ::core::option::Option::None => #default,
            }
        },
    };
    let mutable = (state.entry.kind != Kind::Get).then(|| quote!(mut));
    quote!(let #mutable #value: #stored = #loaded;)
}

fn default_of(stored: &Type) -> TokenStream {
    quote_spanned!(stored.span()=> <#stored as ::core::default::Default>::default())
}

/// The argument as the body asks for it.
fn lend(index: usize, state: &State) -> TokenStream {
    let value = hidden_value(index);
    let Argument { mutable, name, ty } = &state.argument;
    let value = match ty {
        Type::Reference(reference) if reference.mutability.is_some() => quote!(&mut #value),
        Type::Reference(_) => quote!(&#value),
        _ => quote!(#value),
    };
    quote!(let #mutable #name = #value;)
}

/// A copy of the argument for one try, which only a key may use; nothing for a plain reference.
fn repeat(argument: &Argument) -> Option<TokenStream> {
    let Argument { mutable, name, ty } = argument;
    let copy = match (ty, mutable) {
        (Type::Reference(_), None) => return None,
        (Type::Reference(_), Some(_)) => quote!(#name),
        _ => quote_spanned!(ty.span()=> ::core::clone::Clone::clone(&#name)),
    };
    Some(quote! {
        #[allow(unused_variables)]
        let #mutable #name: #ty = #copy;
    })
}

/// A `?` that, where the function's error is no `From<StateError>`, is reported at the return type.
fn question(output: &Type) -> TokenStream {
    quote_spanned!(output.span()=> ?)
}

fn hidden(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

fn hidden_value(index: usize) -> Ident {
    format_ident!("value_{index}", span = Span::mixed_site())
}
