//! What the function says of an environment that can't be.

use std::process::Command;

#[test]
fn a_secret_that_is_missing_is_named_and_ends_it_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_emnist-train"))
        .env("store_password_secret", "redis-password")
        .env("secret_mount_path", "/no/such/folder")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("store_password_secret"), "{message}");
    assert!(message.contains("/no/such/folder/redis-password"), "{message}");
}
