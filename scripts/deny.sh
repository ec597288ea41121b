#!/bin/sh
# cargo deny: licences, sources, who may import what, and advisories. What can't be checked here is said.
set -eu
cd "$(dirname "$0")/.."

if ! command -v cargo-deny >/dev/null; then
    echo "NOT RUN: cargo deny (cargo install --locked cargo-deny)" >&2
    exit 0
fi
cargo deny --locked --log-level error check bans licenses sources
# Advisories are in a database on the network.
if why=$(cargo deny --locked --log-level error fetch db 2>&1); then
    cargo deny --locked --offline --log-level error check advisories
else
    echo "NOT RUN: cargo deny check advisories (their database can't be reached: $(echo "$why" | tail -n 1))" >&2
fi
