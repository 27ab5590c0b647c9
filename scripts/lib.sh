# shellcheck shell=bash
# Shared by the scripts beside it: where things are, how root is reached, how time is printed. Sourced, never run.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$REPO/target}
case $TARGET in /*) ;; *) TARGET=$REPO/$TARGET ;; esac
export CARGO_TARGET_DIR=$TARGET
# The server's build embeds this program, so every cargo call must agree on where it lies.
export BATCHYARD_SUPERVISOR=$TARGET/supervisor/batchyard-supervisor
BATCHYARD_BIN=${BATCHYARD_BIN:-$TARGET/release/batchyard}
export BATCHYARD_BIN
export VENV=$REPO/.venv
export CLIENTS_VENV=$REPO/.venv-clients
cd "$REPO" || exit 1

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
warn() { printf '\033[1m!! %s\033[0m\n' "$*" >&2; }
die() { warn "$*"; exit 1; }

# Runs a command as root: jobs get namespaces and cgroups, which need it.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo --preserve-env env PATH="$PATH" "$@"
    else
        die "needs root or sudo: $*"
    fi
}

# suite NAME COMMAND…: runs it, prints how long it took, remembers a failure instead of ending.
FAILED_SUITES=()
PASSED_SUITES=()
suite() {
    local name=$1 began=$SECONDS rc=0
    shift
    say "$name"
    "$@" || rc=$?
    printf 'suite %s: %d s%s\n' "$name" $((SECONDS - began)) "$([ $rc = 0 ] || echo ", FAILED ($rc)")"
    if [ $rc = 0 ]; then PASSED_SUITES+=("$name"); else FAILED_SUITES+=("$name"); fi
}

# Prints the sum and fails when a suite did.
finish_suites() {
    printf '\nsuites of %s: %d s in all\n' "$1" "$SECONDS"
    [ ${#FAILED_SUITES[@]} = 0 ] || warn "failed: ${FAILED_SUITES[*]}"
    printf '%d passed, %d failed\n' ${#PASSED_SUITES[@]} ${#FAILED_SUITES[@]}
    [ ${#FAILED_SUITES[@]} = 0 ]
}
