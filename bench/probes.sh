#!/bin/sh
# How long the probes of a train function take while training uses every core.
#
#   bench/probes.sh [WORKERS] [PROBES]        (6 and 400 unless given)
#
# Trains on a local platform of its own, and asks each replica, on its own port and over a new connection
# each time, as the kubelet does. Prints milliseconds for each of /_/health and /_/ready.
set -eu

workers=${1:-6}
probes=${2:-400}
downpour=${DOWNPOUR:-$(dirname "$0")/../target/release/downpour}
data=${DATA_DIR:+--data-dir $DATA_DIR}

state=$(mktemp -d)
export DOWNPOUR_STATE="$state"
end() {
    "$downpour" down >/dev/null 2>&1 || true
    wait
    rm -rf "$state"
}
trap end EXIT
trap 'exit 1' INT TERM

"$downpour" up --port 0 --json >"$state/up.json" 2>"$state/up.err" &
until grep -q '"ready"' "$state/up.json"; do
    kill -0 $! 2>/dev/null || { cat "$state/up.err" >&2; exit 1; }
    sleep 0.1
done
# Far more epochs than there is time for.
: >"$state/train.json"
# shellcheck disable=SC2086
"$downpour" train $data --workers "$workers" --epochs 100000 --learning-rate 0.01 --json \
    >"$state/train.json" 2>"$state/train.err" &
until grep -q '"progress"' "$state/train.json"; do
    kill -0 $! 2>/dev/null || { cat "$state/train.err" >&2; exit 1; }
    sleep 0.1
done

# The ports of the replicas, which only their environment tells.
ports() {
    for folder in /proc/[0-9]*; do
        case $(readlink "$folder/exe" 2>/dev/null) in */emnist-train) ;; *) continue ;; esac
        variables=$(tr '\0' '\n' <"$folder/environ" 2>/dev/null) || continue
        case $variables in *"$state"*) printf '%s\n' "$variables" | sed -n 's/^port=//p' ;; esac
    done
}

# From seconds, one a line, to the row of a table in milliseconds.
row() {
    sort -g | awk -v name="$1" '
        { all[NR] = 1000 * $1 }
        function at(share) { i = int(share * NR); return all[i < 1 ? 1 : i] }
        END { printf "%-12s %6d %8.1f %8.1f %8.1f\n", name, NR, at(0.5), at(0.99), all[NR] }'
}

echo "$workers workers, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
printf '%-12s %6s %8s %8s %8s\n' probe count 'p50 ms' 'p99 ms' 'max ms'
found=$(ports)
each=$((probes / $(printf '%s\n' "$found" | wc -l)))
for path in health ready; do
    for port in $found; do
        curl --silent --output /dev/null --header 'Connection: close' --rate 40/s --max-time 10 \
            --write-out '%{time_total}\n' "http://127.0.0.1:$port/_/$path?[1-$each]"
    done | row "/_/$path"
done
