#!/bin/sh
# Searches for bytes that make a decoder panic or take too much memory. Needs nightly Rust and cargo-fuzz.
#   scripts/fuzz.sh SECONDS [TARGET...]   so many seconds each; all targets without a name
# Begins with fuzz/seeds and with what earlier searches found (fuzz/corpus, not kept in Git). Ends at the first
# failure, whose input is then in fuzz/artifacts and can be run again: cargo +nightly fuzz run TARGET FILE
set -eu
cd "$(dirname "$0")/.."

seconds=$1
shift
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "error: wanted are nightly Rust and cargo-fuzz (rustup toolchain install nightly; cargo install --locked cargo-fuzz)" >&2
    exit 1
fi
[ $# -gt 0 ] || set -- $(ls fuzz/seeds)
for target; do
    echo "== $target"
    mkdir -p "fuzz/corpus/$target"
    # The decoders are safe Rust: an address sanitizer would only make them slower (make sanitize has the rest).
    cargo +nightly fuzz run --features libfuzzer --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" \
        -- -max_total_time="$seconds" -max_len=4096 -timeout=10 -verbosity=0 -print_final_stats=1
done
