#!/usr/bin/env bash
# The container tests under every driver, one after another, and a table of how each fared. What cannot run here is
# named with its reason. Usage: drivers.sh [DRIVER…]; without one all of: native users runc crun docker process guest.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

TESTS=(tests/test_basic.py tests/test_container*.py tests/test_security*.py tests/test_attacks*.py tests/test_oci_checks.py tests/test_rootless.py)
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# tests ROW [WRAPPER…]: the tests of one row of the table, with what the environment says.
tests() {
    local row=$1
    shift
    say "$row"
    as_root "$@" "$VENV/bin/python" -m pytest "${TESTS[@]}" -q -m '' --durations=0 --durations-min=20 --junit-xml "$results/$row.xml" || true
}

# not_run ROW REASON
not_run() {
    warn "$1 was NOT run: $2"
    echo "$2" >"$results/$1.reason"
}

# missing PROGRAM PACKAGE: whether a program is neither there nor to be had.
missing() {
    command -v "$1" >/dev/null && return 1
    ! as_root apt-get install -y -qq --no-install-recommends "$2" >/dev/null 2>&1
}

native() { tests native; }
users() { BATCHYARD_TEST_USER_NAMESPACES=all tests "native, user namespaces"; }
runc() { BATCHYARD_TEST_DRIVER=oci BATCHYARD_TEST_OCI_RUNTIME=runc tests "oci runc"; }
process() { BATCHYARD_TEST_DRIVER=process tests process; }

crun() {
    if missing crun crun; then not_run "oci crun" "no crun here (apt-get install crun)"; return; fi
    BATCHYARD_TEST_DRIVER=oci BATCHYARD_TEST_OCI_RUNTIME=crun tests "oci crun"
}

docker() {
    if missing dockerd docker.io; then not_run docker "no dockerd here (apt-get install docker.io)"; return; fi
    BATCHYARD_TEST_DRIVER=docker tests docker
}

guest() {
    local row="native, version 2 guest" rc=0
    say "$row"
    mkdir "$results/guest"
    # Floods are a matter of speed, of which an emulator has little.
    local tests=()
    for file in "${TESTS[@]}"; do [ "$file" = tests/test_attacks_floods.py ] || tests+=("$file"); done
    BATCHYARD_GUEST_OUT=$results/guest BATCHYARD_GUEST_SECONDS=${BATCHYARD_GUEST_SECONDS:-5000} scripts/guest.sh \
        "$VENV/bin/python" -m pytest "${tests[@]}" -q --junit-xml /out/junit.xml || rc=$?
    if [ -e "$results/guest/junit.xml" ]; then
        mv "$results/guest/junit.xml" "$results/$row.xml"
    else
        not_run "$row" "the guest ended with $rc"
    fi
}

scripts/setup.sh
[ -x "$BATCHYARD_BIN" ] || scripts/build.sh
[ $# -gt 0 ] || set -- native users runc crun docker process guest
for driver; do
    case $driver in
        native | users | runc | crun | docker | process | guest) "$driver" ;;
        *) die "no driver $driver: native users runc crun docker process guest" ;;
    esac
done
say "container tests by driver"
(cd tests && "$VENV/bin/python" -m support.table "$results")
