//! emnist-setup.
fn main() {}
