#!/usr/bin/env bash
# All tests: Rust's, generated code against the models, house rules, then real clients against the real binary.
# `--full` adds what is slow.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
full=${1:-}

clients() {
    as_root "$VENV/bin/python" -m pytest tests "$@"
}

suite setup scripts/setup.sh
suite build scripts/build.sh
suite rust cargo test --locked --release --workspace
suite codegen cargo xtask codegen --check
suite tidy cargo xtask tidy
if [ "$full" = --full ]; then
    suite lint scripts/lint.sh --full
    suite clients clients -m ''
else
    suite clients clients
    warn "slow tests were NOT run: make test-full"
fi
finish_suites "make test${full:+-full}"
