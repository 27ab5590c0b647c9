#!/usr/bin/env bash
# All tests: Rust's, generated code against the models, house rules, then real clients against the real binary.
# `--full` adds what is slow.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
full=${1:-}

clients() {
    as_root "$VENV/bin/python" -m pytest tests "$@"
}

# The container tests once more under control groups of version 2 alone, in an emulated machine.
guest() {
    for need in qemu-system-x86_64:qemu-system-x86 cpio:cpio; do
        command -v "${need%:*}" >/dev/null ||
            as_root apt-get install -y -qq --no-install-recommends "${need#*:}" >/dev/null ||
            { warn "the version 2 guest was NOT run: no ${need#*:}"; return 0; }
    done
    crates/supervisor/tests/v2_guest.sh
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
finish_suites "make test${full:+-full}"
