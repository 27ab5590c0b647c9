#!/usr/bin/env bash
# All tests: Rust's, generated code against the models, house rules, then real clients against the real binary.
# `--full` adds what is slow.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
full=${1:-}

clients() {
    as_root "$VENV/bin/python" -m pytest tests "$@"
}

# The supervisor's tests once more under control groups of version 2 alone, in an emulated machine.
guest() {
    local programs rc=0
    programs=$(cargo test --locked --release --no-run -p batchyard-supervisor --test ends --test inside --test output 2>&1 |
        sed -n 's/.*Executable .*(\(.*\)).*/\1/p')
    # shellcheck disable=SC2086,SC2016 # one word a program; the guest's shell counts the failures
    scripts/guest.sh sh -c 'failed=0; for program; do "$program" --test-threads 2 || failed=1; done; exit $failed' - $programs || rc=$?
    [ $rc = 3 ] || return $rc
    warn "the version 2 guest was NOT run"
}

suite setup scripts/setup.sh ${full:+full}
suite build scripts/build.sh
suite rust cargo test --locked --release --workspace
suite codegen cargo xtask codegen --check
suite tidy cargo xtask tidy
if [ "$full" = --full ]; then
    suite lint scripts/lint.sh --full
    suite slow-rust cargo test --locked --release -p batchyard-engine -- --ignored
    suite cgroup-v2 guest
    suite clients clients -m ''
else
    suite clients clients
    warn "slow tests were NOT run: make test-full"
fi
warn "container tests under the other drivers and in the version 2 guest were NOT run: make test-drivers"
finish_suites "make test${full:+-full}"
