//! Invocations with mimalloc, which functions in images have.

use std::process::ExitCode;

use bench::memory::Counting;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting<MiMalloc> = Counting(MiMalloc);

fn main() -> ExitCode {
    bench::invocations::main()
}
