//! The attribute macro `#[stateful]` of sgd-lib.

use proc_macro::TokenStream;

/// Reads some arguments of an async function from a store and writes some back.
#[proc_macro_attribute]
pub fn stateful(_attributes: TokenStream, item: TokenStream) -> TokenStream {
    item
}
