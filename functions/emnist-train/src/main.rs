//! emnist-train.
fn main() {}
