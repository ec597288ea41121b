//! The attribute macro `#[stateful]` of sgd-lib.
//!
//! | file | what it is for |
//! |---|---|
//! | `args` | the grammar of what stands in the attribute's parentheses |
//! | `key` | key templates |
//! | `parse` | the functions that are accepted |
//! | `plan` | which argument is read, written or passed on, and what can't be |
//! | `expand` | the code that comes out |

use proc_macro::TokenStream;

mod args;
mod expand;
mod key;
mod parse;
mod plan;

/// Reads some arguments of an async function from a store before the call and writes some back after it.
///
/// The arguments named in `get`, `put` and `create` disappear from the signature. Their types are serde
/// types, stored as typed state (`sgd_lib::state`).
///
/// # Options
/// | option | what |
/// |---|---|
/// | `store = EXPR` | the store: an `Arc<dyn Store>` or a reference to one; evaluated once, in the function |
/// | `get(NAME = KEY, …)` | read before the call, passed as `&T` or as `T` |
/// | `put(NAME = KEY, …)` | read before the call, passed as `&mut T`, written back after it |
/// | `create(NAME = KEY, …)` | must not exist yet (else `StateError::Exists`): starts from its default, passed as `&mut T`, written after the call |
/// | `ttl = EXPR` | how long what is written lives (a `Duration`); for ever, if not given |
/// | `conflict = "retry"` | the default: after a conflict read everything again and run the body again |
/// | `conflict = "fail"` | after a conflict return `StateError::Conflict` |
/// | `tries = N` | with `"retry"`: how often the body runs before the conflict is returned; 16 if not given |
///
/// `default` or `default = EXPR` after a key says what to pass when nothing is stored there (`default`:
/// `Default::default()`); without it that is `StateError::Missing`. `create` always starts from a default.
///
/// A KEY is a string literal with the other arguments in it as in `format!`: `{run}`, `{worker:03}`; a brace
/// that belongs to the key is doubled. Keys that one call writes must be in one Redis Cluster slot.
///
/// # What is promised
/// - If the body returns an error, nothing is written.
/// - Otherwise everything that it changed is written together, or, where somebody else has written one of
///   those keys since it was read, nothing is. So no update is lost. A value that encodes to the bytes that
///   it was read from is not written. What is only read is not compared: it may have changed meanwhile.
/// - A call whose future is dropped while it writes may or may not have written.
///
/// # What is asked for
/// - The function returns `Result<T, E>` with `E: From<StateError>`.
/// - With `"retry"` the body must be idempotent but for its `put` and `create` arguments: it may run several
///   times. The other arguments are cloned for each try, so they must be references or `Clone`; `self` can
///   be taken as `&self` only.
/// - The store's calls block, so they run on the threads of the `blocking` crate; any executor will do.
#[proc_macro_attribute]
pub fn stateful(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let plan = args::Args::parse(attribute.into())
        .and_then(|args| plan::Plan::new(args, parse::Function::parse(item.into())?));
    match plan {
        Ok(plan) => expand::expand(plan).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
