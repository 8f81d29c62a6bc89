#!/usr/bin/env bash
# Installs from the distribution what is missing, and nothing else.
#   packages.sh build   what a build needs
#   packages.sh test    the same, and what `make test` needs
# Services that a package brings are not started: the tests start their own (databases.sh, tests/browser).
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

need_cargo() {
    if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        say "cargo is in ${CARGO_HOME:-$HOME/.cargo}/bin, which is not in PATH; run: . \"${CARGO_HOME:-$HOME/.cargo}/env\""
        exit 1
    fi
    if ! command -v cargo >/dev/null; then
        say "Rust is missing. Install it with rustup (https://rustup.rs), then run this again; the distribution's Rust is too old."
        exit 1
    fi
    local want have
    want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml" | head -n 1)
    have=$(rustc --version | cut -d ' ' -f 2)
    if [ "$(printf '%s\n%s\n' "$want" "${have%%-*}" | sort -V | head -n 1)" != "$want" ]; then
        say "Rust $have is too old, $want or newer is needed; run: rustup update stable"
        exit 1
    fi
    if [ "$1" = test ]; then
        for tool in rustfmt clippy; do
            cargo "${tool/rustfmt/fmt}" --version >/dev/null 2>&1 && continue
            say "cargo ${tool/rustfmt/fmt} is missing; asking rustup for it"
            rustup component add "$tool"
        done
    fi
}

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

missing() {
    # Not a Debian-like system: the commands themselves are what counts.
    if ! command -v dpkg-query >/dev/null; then
        say "This is not a Debian-like system: cannot look for $*."
        say "If the build fails, install a C compiler, pkg-config and the headers of OpenSSL."
        return
    fi
    local package
    for package in "$@"; do installed "$package" || printf '%s ' "$package"; done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else
        say "This needs root: $*"
        say "There is no sudo here; run it as root, then run this again."
        exit 1
    fi
}

# Keeps the services of new packages from starting, only as long as the installation takes.
POLICY=/usr/sbin/policy-rc.d
policy_put() {
    [ -e "$POLICY" ] && return
    # Armed first: an interrupt between the two lines must not leave the file.
    trap 'as_root rm -f "$POLICY"' EXIT INT TERM
    as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $POLICY && chmod 755 $POLICY"
}

install() {
    say "Installing from the distribution: $*"
    policy_put
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -q -y)
    # Another run may hold the lock of the lists, which has no time-out of its own.
    local try
    for try in 1 2 3 4 5 6; do
        as_root "${apt[@]}" update >&2 && break
        [ "$try" = 6 ] && { say "apt-get update failed"; exit 1; }
        sleep 10
    done
    as_root "${apt[@]}" install --no-install-recommends "$@" >&2
}

BUILD=(build-essential pkg-config libssl-dev ca-certificates)
TEST=(chromium chromium-driver libnss3-tools fonts-dejavu-core fonts-liberation openssl
    apache2 libapache2-mod-auth-openidc postgresql mariadb-server util-linux)

case "${1:-}" in
    build) wanted=("${BUILD[@]}") ;;
    test) wanted=("${BUILD[@]}" "${TEST[@]}") ;;
    *) say "usage: $0 build|test"; exit 2 ;;
esac
need_cargo "$1"
read -r -a lacking <<<"$(missing "${wanted[@]}")"
if [ ${#lacking[@]} -gt 0 ]; then install "${lacking[@]}"; fi
