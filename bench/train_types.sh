#!/bin/sh
# What an invocation for each epoch (train_type 2) costs against one that runs to the end (3): the difference of
# `train_s`, in milliseconds an epoch, of runs that take turns on one local platform, so that both see the same
# machine.
#
#   bench/train_types.sh [--json] [flags of `downpour train`]
#
# ROUNDS (7) and EPOCHS (20) say how much, DOWNPOUR which program: target/release/downpour unless given.
set -eu
cd "$(dirname "$0")/.."
downpour=${DOWNPOUR:-target/release/downpour}
rounds=${ROUNDS:-7} epochs=${EPOCHS:-20}
json=no
if [ "${1:-}" = --json ]; then json=yes; shift; fi
state=$(mktemp -d)
figures=$state/figures
stop() { DOWNPOUR_STATE=$state/state "$downpour" down >/dev/null 2>&1 || true; rm -rf "$state"; }
trap stop EXIT
trap 'exit 1' INT TERM

export DOWNPOUR_STATE="$state/state"
"$downpour" up --port 0 >"$state/up.log" 2>&1 &
up=$!
until "$downpour" runs >/dev/null 2>&1 && [ -s "$DOWNPOUR_STATE/running.json" ]; do
    kill -0 "$up" 2>/dev/null || { cat "$state/up.log" >&2; exit 1; }
    sleep 0.05
done

# The first round warms up, and does not count.
round=0
while [ "$round" -le "$rounds" ]; do
    for type in 3 2; do
        all=$("$downpour" train --json --train-type "$type" --epochs "$epochs" "$@") || exit 1
        last=$(printf '%s\n' "$all" | tail -n 1)
        if [ "$round" -gt 0 ]; then
            printf '%s\n' "$last" | sed 's/.*"train_type":\([0-9]*\).*"train_s":\([0-9.]*\).*/\1 \2/' >>"$figures"
        fi
    done
    round=$((round + 1))
done

# Each pair's difference, then the median of them.
awk '$1 == 3 { three = $2 } $1 == 2 { print ($2 - three) * 1000 / '"$epochs"', three, $2 }' "$figures" | sort -n |
    awk -v json="$json" -v epochs="$epochs" '
        { extra[NR] = $1; three += $2; two += $3 }
        END {
            median = NR % 2 ? extra[(NR + 1) / 2] : (extra[NR / 2] + extra[NR / 2 + 1]) / 2
            form = json == "yes" \
                ? "{\"epochs\":%d,\"rounds\":%d,\"type_3_s\":%.3f,\"type_2_s\":%.3f,\"extra_ms_per_epoch\":%.2f,\"least\":%.2f,\"most\":%.2f}\n" \
                : "%d epochs, %d rounds: type 3 %.3f s, type 2 %.3f s; %.2f ms more an epoch (%.2f to %.2f)\n"
            printf form, epochs, NR, three / NR, two / NR, median, extra[1], extra[NR]
        }'
