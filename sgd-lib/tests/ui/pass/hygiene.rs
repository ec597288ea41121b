//! The generated code uses absolute paths and names of its own only.

#![deny(warnings)]
#![allow(dead_code, unused_macros)]

/// Everything that the generated code could trip over.
mod shadowed {
    use ::sgd_lib::state::StateError;
    use ::sgd_lib::stateful;
    use ::sgd_lib::store::Store as TheStore;
    use ::std::prelude::rust_2021::{Err as No, Ok as Yes, Result as Outcome};

    mod sgd_lib {}
    mod core {}
    mod std {}
    struct Arc;
    struct Option;
    struct Result;
    struct Some;
    struct None;
    struct Ok;
    struct Err;
    trait Clone {}
    trait Default {}
    trait Store {}
    macro_rules! format {
        ($($any:tt)*) => {
            compile_error!("not this one")
        };
    }
    macro_rules! vec {
        ($($any:tt)*) => {
            compile_error!("not this one")
        };
    }

    #[stateful(store = call, put(value = "{value_1}:{answer}", default, found = "{answer}", default = 3))]
    pub async fn odd_names(
        call: &::std::sync::Arc<dyn TheStore>,
        value_1: u8,
        mut answer: u8,
        error: bool,
        value: &mut u8,
        found: &mut u8,
    ) -> Outcome<u8, StateError> {
        if error {
            return No(StateError::Missing { key: ::std::string::String::new() });
        }
        answer += 1;
        *value += answer;
        *found += value_1;
        Yes(*value + *found)
    }
}

fn main() {
    let store: ::std::sync::Arc<dyn ::sgd_lib::store::Store> =
        ::std::sync::Arc::new(::sgd_lib::store::MemoryStore::new());
    let call = shadowed::odd_names(&store, 1, 2, false);
    assert_eq!(futures_lite::future::block_on(call).unwrap(), 7);
}
