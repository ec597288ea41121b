//! `downpour-bench`.

use std::alloc::System;
use std::process::ExitCode;

use bench::memory::Counting;

#[global_allocator]
static ALLOCATOR: Counting<System> = Counting(System);

fn main() -> ExitCode {
    bench::main()
}
