//! emnist-single.
fn main() {}
