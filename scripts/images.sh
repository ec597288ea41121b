#!/bin/sh
# Builds the images of stack.yml's functions and of the command line, and tries each: size, user, and answers
# while it runs with a read-only root.
#   scripts/images.sh [NAME...]     all of them without a name; `downpour` is the command line's
# ENGINE    docker or podman; the one that is at hand
# REGISTRY  what comes before a name, docker.io/downpour
# TAG       latest
# PLATFORM  such as linux/arm64; this machine's. Another one's image is built, not run
set -eu
cd "$(dirname "$0")/.."

registry=${REGISTRY:-docker.io/downpour}
tag=${TAG:-latest}
# MiB that a function's image may have, and the command line's.
function_limit=12
command_line_limit=24

fail() {
    echo "error: $*" >&2
    exit 1
}

engine() {
    for candidate in ${ENGINE:-docker podman}; do
        if "$candidate" info >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    fail "no container engine answers; wanted is docker or podman (Debian: apt-get install podman)"
}

architecture_here() {
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) uname -m ;;
    esac
}

# The image of the toolchain: at hand, from its registry, or made here.
base() {
    version=$(sed -n 's/^ARG RUST=//p' template/rust-sgd/Dockerfile)
    image=docker.io/library/rust:$version-slim-bookworm
    "$engine" image inspect "$image" >/dev/null 2>&1 && return
    "$engine" pull -q "$image" >/dev/null 2>&1 && return
    echo "$image can't be pulled: making it here" >&2
    scripts/base-image.sh "$engine" "$image"
}

build() {
    name=$1
    set --
    if [ -n "${PLATFORM-}" ]; then
        # Older podmans don't say by themselves where they build.
        set -- --platform "$PLATFORM" --build-arg "BUILDPLATFORM=linux/$(architecture_here)"
    fi
    if [ "$name" = downpour ]; then
        context=.
        set -- "$@" --build-arg HANDLER=cli
    else
        [ -f "functions/$name/Cargo.toml" ] || fail "there is no function $name in functions/"
        context=build/$name
        rm -rf "$context"
        scripts/template.sh context "functions/$name" "$context"
    fi
    "$engine" build "$@" -f template/rust-sgd/Dockerfile -t "$registry/$name:$tag" "$context" >&2
}

# What the image says of itself, by a template of the engine's.
property() {
    "$engine" image inspect --format "$2" "$1"
}

# Size and user; then, where the image is for this machine, that it runs.
try() {
    name=$1
    image=$registry/$name:$tag
    size=$(property "$image" '{{.Size}}')
    limit=$function_limit
    if [ "$name" = downpour ]; then limit=$command_line_limit; fi
    [ "$size" -le $((limit << 20)) ] || fail "$image has $size bytes, wanted are at most $limit MiB"
    user=$(property "$image" '{{.Config.User}}')
    [ "$user" = 12000:12000 ] || fail "$image runs as \"$user\", wanted is 12000:12000"
    architecture=$(property "$image" '{{.Architecture}}')
    if [ "$architecture" != "$(architecture_here)" ]; then
        ran="not run: built for another machine"
    elif [ "$name" = downpour ]; then
        ran=$("$engine" run --rm --read-only "$image" --version)
    else
        ran=$(serve "$name" "$image")
    fi
    if [ "$architecture" = "$(architecture_here)" ] && "$engine" run --rm --entrypoint /bin/sh "$image" -c : 2>/dev/null
    then
        fail "$image has a shell, wanted is none"
    fi
    printf '%-14s %-7s %6.1f MiB  %s\n' "$name" "$architecture" "$(echo "$size" | awk '{ print $1 / 1048576 }')" "$ran"
}

# A function is up when it is healthy, and answers bad input as such.
serve() {
    container=$("$engine" run -d --rm --read-only --tmpfs /tmp -p 127.0.0.1::8080 \
        -e store_url=redis://127.0.0.1:1 -e dataset=fashion-mnist "$2")
    trap '"$engine" kill "$container" >/dev/null 2>&1' EXIT
    address=$("$engine" port "$container" 8080/tcp | head -n 1)
    tries=0
    until health=$(curl -fsS "http://$address/_/health" 2>&1); do
        tries=$((tries + 1))
        [ "$tries" -le 50 ] || fail "$1 does not become healthy: $health"
        sleep 0.2
    done
    status=$(curl -sS -o /dev/null -w '%{http_code}' -d 'what?' "http://$address/")
    [ "$status" = 400 ] || fail "$1 answers bad input with $status, wanted is 400"
    echo "healthy; bad input gives 400"
}

engine=$(engine)
# shellcheck disable=SC2046 # one word per function
if [ $# -eq 0 ]; then set -- downpour $(sed -n 's|^    handler: ./functions/||p' stack.yml); fi
base
for name; do build "$name"; done
for name; do try "$name"; done
