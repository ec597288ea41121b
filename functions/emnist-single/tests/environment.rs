//! What the function says of an environment that can't be.

use std::process::Command;

#[test]
fn an_address_that_is_none_is_named_and_ends_it_at_once() {
    let function = env!("CARGO_BIN_EXE_emnist-single");
    let output = Command::new(function).env("store_url", "http://redis").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("store_url") && message.contains("http://redis"), "{message}");
}
