//! A function for the process tests: echoes, waits, or works on after its reply.
fn main() {}
