#!/usr/bin/env bash
# The whole gate, called by `make test` and .ci/run. Every step runs, even after a failed one; the end names what failed.
#   gate.sh test     SQLite, PostgreSQL, MariaDB, browser, licences, formatting, lints
#   gate.sh check    formatting and lints only
#   gate.sh counted COMMAND...   runs tests and fails when none ran: a filter that fits nothing is green otherwise
# A step that takes over KEYWARD_STEP_MINUTES (30) is ended and counts as failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
here=tests/support
minutes=${KEYWARD_STEP_MINUTES:-30}
# What a developer has set for their own server must not reach the tests.
[ "${1:-}" = counted ] || unset KEYWARD_TEST_DATABASE_URL
unset DATABASE_URL DATABASE_POOL_SIZE PORT PUBLIC_URL ENCRYPTION_KEY
work=
child=
failed=()
times=()
began=$SECONDS

clock() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }

# shellcheck disable=SC2329
clean() {
    # A second signal must not cut the cleaning short.
    trap - EXIT
    trap '' INT TERM HUP
    # timeout hands the signal to everything that it started.
    if [ -n "$child" ]; then kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; fi
    if [ -n "$work" ]; then
        "$here/databases.sh" stop "$work/db"
        rm -rf "$work"
    fi
}
trap clean EXIT
trap 'trap "" INT TERM HUP; clean; exit 130' INT TERM HUP

step() {
    local name=$1 start=$SECONDS code
    shift
    printf '\n=== %s\n    %s\n' "$name" "${shown:-$*}"
    # In the background, so that an interrupt is heard at once and not after the step.
    timeout --kill-after=20 "${minutes}m" "$@" </dev/null &
    child=$!
    wait "$child"
    code=$?
    child=
    local took=$((SECONDS - start))
    if [ "$code" = 0 ]; then
        printf '=== %s: done in %s\n' "$name" "$(clock $took)"
        times+=("$(printf 'ok      %-46s %s' "$name" "$(clock $took)")")
    else
        [ "$code" != 124 ] || printf '=== ended: it took over %s minutes\n' "$minutes"
        printf '=== %s: FAILED (exit code %s) after %s\n' "$name" "$code" "$(clock $took)"
        times+=("$(printf 'FAILED  %-46s %s' "$name" "$(clock $took)")")
        failed+=("$name")
    fi
    return "$code"
}

finish() {
    printf '\n=== Summary\n'
    printf '%s\n' "${times[@]}"
    printf '%s in all\n' "$(clock $((SECONDS - began)))"
    if [ ${#failed[@]} -gt 0 ]; then
        printf 'FAILED: %s of %s steps\n' "${#failed[@]}" "${#times[@]}"
        exit 1
    fi
    printf 'All %s steps passed.\n' "${#times[@]}"
}

check() {
    step "Formatting" cargo fmt --all --check
    step "Lints" cargo clippy --workspace --all-targets --locked -- -D warnings
}

counted() {
    local output code
    output=$(mktemp)
    "$@" 2>&1 | tee "$output"
    code=${PIPESTATUS[0]}
    if [ "$code" = 0 ] && ! grep -q '^test result: ok. [1-9]' "$output"; then
        echo "No test ran."
        code=1
    fi
    rm -f "$output"
    return "$code"
}

test_all() {
    step "Packages of the distribution" "$here/packages.sh" test || finish
    # Everything that may come from the network comes now; the licence test reads the crates of all platforms.
    step "Crates" cargo fetch --locked || finish
    step "Build (debug; 4 to 5 minutes on two cores when cold)" cargo test --workspace --locked --no-run --tests || finish
    step "Build of the browser tests" cargo test --locked --no-run --test browser
    step "Licences of all dependencies" "$here/gate.sh" counted cargo test --locked --test it licences
    step "Tests on SQLite" "$here/gate.sh" counted cargo test --workspace --locked --tests

    work=$(mktemp -d /tmp/keyward-gate.XXXXXX)
    chmod 755 "$work"
    if step "PostgreSQL and MariaDB of our own" bash -c "'$here/databases.sh' start '$work/db' >'$work/urls'"; then
        # Passwords and ports of servers that live for minutes, on loopback only.
        postgres=$(sed -n 's/^POSTGRES_URL=//p' "$work/urls")
        mariadb=$(sed -n 's/^MARIADB_URL=//p' "$work/urls")
        shown="cargo test --locked --test it, with KEYWARD_TEST_DATABASE_URL=postgres://..." \
            step "Tests on PostgreSQL" env KEYWARD_TEST_DATABASE_URL="$postgres" "$here/gate.sh" counted cargo test --locked --test it
        shown="cargo test --locked --test it, with KEYWARD_TEST_DATABASE_URL=mysql://..." \
            step "Tests on MariaDB" env KEYWARD_TEST_DATABASE_URL="$mariadb" "$here/gate.sh" counted cargo test --locked --test it
        shown="cargo test --locked --lib, with KEYWARD_TEST_POSTGRES and KEYWARD_TEST_MARIADB" \
            step "Unit tests on PostgreSQL and MariaDB" env KEYWARD_TEST_POSTGRES="${postgres%/*}" KEYWARD_TEST_MARIADB="${mariadb%/*}" \
            "$here/gate.sh" counted cargo test --locked --lib
        "$here/databases.sh" stop "$work/db"
    fi
    step "Browser tests: Chromium, Apache, mod_auth_openidc" "$here/gate.sh" counted cargo test --locked --test browser
    check
}

case "${1:-}" in
    counted)
        trap - EXIT INT TERM HUP
        shift
        counted "$@"
        exit
        ;;
    test) test_all ;;
    check) check ;;
    *) echo "usage: $0 test|check" >&2; exit 2 ;;
esac
finish
