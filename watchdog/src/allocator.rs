//! The allocator of functions in images: those are linked with musl, whose own allocator has one lock.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
