#!/bin/sh
# What a Redis on each node (database=local) costs and spares against one for all (global): runs to a target by
# three workers, on three virtual nodes, that take turns on one local platform, so that both see the same machine.
#
#   bench/databases.sh [--json] [flags of `downpour train`]
#
# ROUNDS (7) says how much, TARGET (0.8) how far, DOWNPOUR which program: target/release/downpour unless given.
set -eu
cd "$(dirname "$0")/.."
downpour=${DOWNPOUR:-target/release/downpour}
rounds=${ROUNDS:-7} target=${TARGET:-0.8}
json=no
if [ "${1:-}" = --json ]; then json=yes; shift; fi
state=$(mktemp -d)
figures=$state/figures
stop() { DOWNPOUR_STATE=$state/state "$downpour" down >/dev/null 2>&1 || true; rm -rf "$state"; }
trap stop EXIT
trap 'exit 1' INT TERM

export DOWNPOUR_STATE="$state/state"
"$downpour" up --port 0 --nodes 3 >"$state/up.log" 2>&1 &
up=$!
until "$downpour" runs >/dev/null 2>&1 && [ -s "$DOWNPOUR_STATE/running.json" ]; do
    kill -0 "$up" 2>/dev/null || { cat "$state/up.log" >&2; exit 1; }
    sleep 0.05
done

# The run's own figure: a worker's of the same name comes later.
figure() { printf '%s\n' "$last" | sed "s/\"workers\":\[.*//; s/.*\"$1\":\([0-9.]*\).*/\1/"; }

# The first round warms up, and does not count.
round=0
while [ "$round" -le "$rounds" ]; do
    for database in global local; do
        all=$("$downpour" train --json --database "$database" --workers 3 --target-accuracy "$target" "$@") || exit 1
        last=$(printf '%s\n' "$all" | tail -n 1)
        if [ "$round" -gt 0 ]; then
            echo "$database $(figure train_s) $(figure bytes_to_global) $(figure test_accuracy) $(figure samples)"
        fi
    done
    round=$((round + 1))
done >"$figures"

median() { awk -v database="$1" -v column="$2" '$1 == database { print $column }' "$figures" | sort -n |
    awk '{ all[NR] = $1 } END { print NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'; }

echo "$(median global 2) $(median local 2) $(median global 3) $(median local 3) $(median global 4) $(median local 4) \
$(median global 5) $(median local 5)" | awk -v json="$json" -v rounds="$rounds" '
    {
        form = json == "yes" \
            ? "{\"rounds\":%d,\"global_s\":%.3f,\"local_s\":%.3f,\"time_ratio\":%.3f,\"global_bytes\":%d,\"local_bytes\":%d,\"bytes_ratio\":%.3f,\"global_accuracy\":%.4f,\"local_accuracy\":%.4f,\"global_samples\":%d,\"local_samples\":%d}\n" \
            : "medians of %d: %.3f s global, %.3f s local (%.2f of it); %d bytes to the global store, %d with local ones (%.2f of it); accuracy %.4f and %.4f; samples %d and %d\n"
        printf form, rounds, $1, $2, $2 / $1, $3, $4, $4 / $3, $5, $6, $7, $8
    }'
