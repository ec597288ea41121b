#!/bin/sh
# Installs what is missing of: compiler, redis, fashion-mnist, kubernetes-validate, pytorch (named as arguments).
# Debian and Ubuntu: with apt-get. Elsewhere: says what to install, and fails.
# kubernetes-validate is Python's: it goes from PyPI into a folder of the user's cache.
# Does nothing, quickly, where all is there.
set -eu

# Knows Kubernetes up to the version that it has itself.
validate_version=1.37.0
validate_dir=${XDG_CACHE_HOME:-${HOME:-}/.cache}/downpour/kubernetes-validate
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
        kubernetes-validate) [ "$("$validate_dir/bin/$1" --version 2>/dev/null)" = "$validate_version" ] ;;
        venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        # As bench/ looks for it: Debian's own Python may not be the first on the path.
        pytorch) python3 -c 'import torch' 2>/dev/null || /usr/bin/python3 -c 'import torch' 2>/dev/null ;;
        *)
            echo "error: $0: \"$1\" is none of compiler, redis, fashion-mnist, kubernetes-validate, pytorch" >&2
            exit 2
            ;;
    esac
}

package() {
    case $1 in
        compiler) echo "gcc libc6-dev" ;;
        redis) echo redis-server ;;
        fashion-mnist) echo dataset-fashion-mnist ;;
        venv) echo python3-venv ;;
        # For processors alone; and a library for linear algebra that is quick.
        pytorch) echo python3-torch python3-numpy libopenblas0-pthread ;;
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
        venv) echo "  Python 3 with its modules venv and ensurepip" ;;
        pytorch) echo "  PyTorch for Python 3, called python3 (a build for processors is enough)" ;;
        fashion-mnist)
            echo "  the data set Fashion-MNIST: cargo run --release -p downpour -- data get fashion-mnist"
            ;;
    esac
}

install_validate() {
    echo "installing kubernetes-validate $validate_version in $validate_dir" >&2
    mkdir -p "${validate_dir%/*}"
    rm -rf "$validate_dir"
    python3 -m venv "$validate_dir"
    "$validate_dir/bin/pip" --quiet --disable-pip-version-check install \
        "kubernetes-validate==$validate_version" >&2 || {
        rm -rf "$validate_dir"
        echo "error: kubernetes-validate $validate_version can't be installed from PyPI (pip's reason is above)" >&2
        exit 1
    }
}

missing=
validate=
for need in "$@"; do
    present "$need" && continue
    if [ "$need" = kubernetes-validate ]; then
        validate=missing
        present venv && continue
        need=venv
    fi
    missing="$missing $need"
done
if [ -z "$missing" ]; then
    [ -z "$validate" ] || install_validate
    exit 0
fi

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
[ -z "$validate" ] || install_validate
