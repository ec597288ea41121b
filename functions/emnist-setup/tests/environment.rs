//! What the function says of an environment that can't be.

use std::process::Command;

#[test]
fn a_variable_that_can_not_be_is_named_and_ends_it_at_once() {
    let function = env!("CARGO_BIN_EXE_emnist-setup");
    let output = Command::new(function).env("number_of_workers", "many").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("number_of_workers") && message.contains("many"), "{message}");
}
