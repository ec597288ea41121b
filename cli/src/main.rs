//! The command line: a local platform, training runs, their reports.
fn main() {}
