#!/bin/sh
# Makes the image that functions are built in, docker.io/library/rust:VERSION-slim-bookworm, from this machine's
# Rust toolchain and Debian's packages, for a machine that reaches no registry. Needs root and debootstrap.
#   scripts/base-image.sh ENGINE IMAGE     ENGINE is podman or docker
set -eu
engine=$1
image=$2

if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "error: making $image here needs root and debootstrap (apt-get install debootstrap)" >&2
    exit 1
fi
if ! rustup --version >/dev/null 2>&1; then
    echo "error: making $image here needs a toolchain of rustup's, which can add a target" >&2
    exit 1
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# As in the official image: a compiler for build scripts, certificates for crates.
debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev bookworm "$root" >&2
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
# Whatever authorities this machine trusts.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

sysroot=$(rustc --print sysroot)
toolchain=$(basename "$(readlink -f "$sysroot")")
mkdir -p "$root/usr/local/cargo/bin" "$root/usr/local/rustup/toolchains"
cp -L "$(command -v rustup)" "$root/usr/local/cargo/bin/rustup"
for proxy in cargo rustc; do ln "$root/usr/local/cargo/bin/rustup" "$root/usr/local/cargo/bin/$proxy"; done
tar -C "$(dirname "$(readlink -f "$sysroot")")" --exclude=share -cf - "$toolchain" |
    tar -C "$root/usr/local/rustup/toolchains" -xf -
printf 'default_toolchain = "%s"\nprofile = "minimal"\nversion = "12"\n' "$toolchain" \
    >"$root/usr/local/rustup/settings.toml"

tar -C "$root" -cf - . | "$engine" import \
    --change 'ENV RUSTUP_HOME=/usr/local/rustup' \
    --change 'ENV CARGO_HOME=/usr/local/cargo' \
    --change 'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    - "$image" >&2
