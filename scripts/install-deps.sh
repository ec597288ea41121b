#!/bin/sh
# Installs what is missing of: compiler, redis, fashion-mnist (named as arguments).
# Debian and Ubuntu: with apt-get. Elsewhere: says what to install, and fails.
# Does nothing, quickly, where all is there.
set -eu

state=${DOWNPOUR_STATE:-${XDG_STATE_HOME:-${HOME:-}/.local/state}/downpour}

present() {
    case $1 in
        compiler) command -v cc >/dev/null ;;
        redis) command -v redis-server >/dev/null || command -v valkey-server >/dev/null ;;
        fashion-mnist)
            for dir in /usr/share/datasets/fashion-mnist "$state/data/fashion-mnist"; do
                [ -e "$dir/train-images-idx3-ubyte.gz" ] && return
            done
            return 1
            ;;
        *)
            echo "error: $0: \"$1\" is none of compiler, redis, fashion-mnist" >&2
            exit 2
            ;;
    esac
}

package() {
    case $1 in
        compiler) echo "gcc libc6-dev" ;;
        redis) echo redis-server ;;
        fashion-mnist) echo dataset-fashion-mnist ;;
    esac
}

# How to get something where apt-get is not.
advice() {
    case $1 in
        compiler) echo "  a C compiler, called cc (macOS: xcode-select --install)" ;;
        redis)
            echo "  redis-server 7.0 or newer, or valkey-server"
            echo "    (macOS: brew install redis; Fedora: dnf install redis; Arch: pacman -S valkey; Alpine: apk add redis)"
            ;;
        fashion-mnist)
            echo "  the data set Fashion-MNIST: cargo run --release -p downpour -- data get fashion-mnist"
            ;;
    esac
}

missing=
for need in "$@"; do
    present "$need" || missing="$missing $need"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "error: please install:" >&2
    for need in $missing; do advice "$need"; done >&2
    exit 1
fi

packages=
for need in $missing; do packages="$packages $(package "$need")"; done
by_hand="apt-get update && apt-get install$packages"

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "error: missing:$missing; please run as root: $by_hand" >&2
        exit 1
    fi
    # Without a terminal nobody can type a password.
    if [ ! -t 0 ] && ! sudo -n true 2>/dev/null; then
        echo "error: missing:$missing; please run: sudo sh -c '$by_hand'" >&2
        exit 1
    fi
    as_root=sudo
fi

apt() {
    # shellcheck disable=SC2086 # one word per package
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@"
}

echo "installing$packages" >&2
# A fresh machine has no package lists yet; one in use may have stale ones.
# shellcheck disable=SC2086 # one word per package
apt install -y --no-install-recommends $packages >/dev/null 2>&1 || {
    apt update
    apt install -y --no-install-recommends $packages >&2
}
