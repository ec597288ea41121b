#!/bin/sh
# The OpenFaaS template, derived from this repository:
#   scripts/template.sh manifest     prints template/rust-sgd/Cargo.toml, derived from Cargo.toml
#   scripts/template.sh dist FOLDER  writes FOLDER/template/rust-sgd for other repositories: every new
#                                    function gets the crates and the lock file with it
#   scripts/template.sh context HANDLER FOLDER
#                                    writes the build context of a function in this repository, as
#                                    `faas-cli build --shrinkwrap` does
set -eu
cd "$(dirname "$0")/.."

# What stack.yml's configuration.copy puts beside the handler.
crates=$(sed -n '/^  copy:$/,/^$/s/^    - //p' stack.yml)

manifest() {
    cat <<'END'
# Written by `make template` from Cargo.toml. The root of a build context: the handler is in function/, and
# the crates that stack.yml's configuration.copy names are beside it.
END
    sed -e '/^members = \[$/,/^\]$/c members = ["function"]\ndefault-members = ["function"]' \
        -e '/^exclude = /d' \
        -e '/path = "\(figures\|gateway\)"/d' \
        -e 's|path = "|path = "function/|' Cargo.toml
}

# A function that needs no workspace around it: the crates are in a folder of its own.
dist() {
    out=$1/template/rust-sgd
    if [ -e "$out" ]; then
        echo "error: $out exists already" >&2
        exit 1
    fi
    mkdir -p "$out/function/crates"
    template=template/rust-sgd
    cp "$template/Dockerfile" "$template/.dockerignore" "$template/template.yml" "$out/"
    out=$out/function
    cp -R "$template/function/src" Cargo.lock "$out/"
    # shellcheck disable=SC2086 # one word per crate
    tar -cf - --exclude=target --exclude=fuzz $crates | tar -xf - -C "$out/crates"
    {
        cat "$template/function/Cargo.toml"
        echo
        # All crates are members, so that the lock file has what any of them needs.
        # shellcheck disable=SC2086 # one word per crate
        members=$(printf '"crates/%s", ' $crates)
        sed -e '1,2d' -e "s|^members = .*|members = [${members%, }]|" -e '/^default-members = /d' \
            -e 's|path = "function/|path = "crates/|' "$template/Cargo.toml"
    } >"$out/Cargo.toml"
    # Out of the function's folder, which is a build context; faas-cli keeps build/ out of Git.
    mkdir "$out/.cargo"
    printf '[build]\ntarget-dir = "../build/target"\n' >"$out/.cargo/config.toml"
    # Drops from the lock file what the crates don't need; looks only at this machine's dependencies, which
    # are at hand.
    host=$(rustc -vV | sed -n 's/^host: //p')
    (cd "$out" && cargo metadata --format-version 1 --filter-platform "$host" >/dev/null)
}

# The template, the handler over its handler folder, then the crates beside the handler.
context() {
    if [ ! -f "$1/Cargo.toml" ]; then
        echo "error: $1 has no Cargo.toml; wanted is a function's folder" >&2
        exit 1
    fi
    mkdir -p "$2"
    # Links are followed: the lock file is one.
    cp -RL template/rust-sgd/. "$2"
    cp -RL "$1/." "$2/function"
    # shellcheck disable=SC2086 # one word per crate
    tar -cf - $crates | tar -xf - -C "$2/function"
}

case "${1-} ${2-} ${3-}" in
    "manifest  ") manifest ;;
    "dist "?*" ") dist "$2" ;;
    "context "?*" "?*) context "$2" "$3" ;;
    *)
        echo "usage: $0 manifest | dist FOLDER | context HANDLER FOLDER" >&2
        exit 2
        ;;
esac
