#!/bin/sh
# The batch experiments: every configuration of tests/emnist<batch><workers>.yml, or those named as arguments,
# ROUNDS times (5), on the OpenFaaS of OPENFAAS_URL or a local platform. Results are in results/output.txt.
#   ./test.sh tests/emnist321.yml tests/emnist326.yml --rounds 3
#   OPENFAAS_URL=http://127.0.0.1:8080 ./test.sh --store-url redis://127.0.0.1:6379
# All options: downpour grid --help. The same command again goes on where it was interrupted.
set -eu
root=$(cd "$(dirname "$0")" && pwd)

if command -v cargo >/dev/null; then
    packages="-p downpour"
    if [ -z "${OPENFAAS_URL-}" ]; then
        data=fashion-mnist
        [ -z "${DATA_DIR-}" ] || data=
        # shellcheck disable=SC2086 # none, or one word
        "$root/scripts/install-deps.sh" compiler redis $data
        packages="$packages -p emnist-setup -p emnist-train"
    fi
    # shellcheck disable=SC2086 # one word per package
    cargo build --quiet --release --locked --manifest-path "$root/Cargo.toml" $packages
    downpour=${CARGO_TARGET_DIR:-$root/target}/release/downpour
elif command -v downpour >/dev/null; then
    downpour=downpour
else
    echo "error: neither cargo nor downpour is on the PATH" >&2
    exit 1
fi
exec "$downpour" grid "$@"
