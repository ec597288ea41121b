//! The project's `stack.yml`, changed a little.

const STACK: &str = include_str!("../../stack.yml");

/// `stack.yml` with each first text replaced by the second, wherever it stands.
///
/// # Panics
/// It does not say one of the first texts.
pub fn stack_with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(STACK.to_owned(), |stack, (from, to)| {
        assert!(stack.contains(from), "stack.yml does not say {from:?}");
        stack.replace(from, to)
    })
}
