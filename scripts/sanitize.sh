#!/bin/sh
# The unsafe code, in sgd-lib's kernel, under an address sanitizer: its own tests, and those of the codecs that stand
# on it. Needs nightly Rust.
set -eu
cd "$(dirname "$0")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
# Build scripts and macros run without: so a target is named.
RUSTFLAGS="-Zsanitizer=address" cargo +nightly test --release --locked --target "$target" \
    -p sgd-lib --lib -- kernel:: codec:: network:: optimizer::
RUSTFLAGS="-Zsanitizer=address" cargo +nightly test --release --locked --target "$target" \
    -p sgd-lib --test codec --test gemm --test gradient
