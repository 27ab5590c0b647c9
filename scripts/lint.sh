#!/usr/bin/env bash
# Format, clippy with warnings denied, the house rules, shell scripts, licences. `--full` also fetches what is missing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

deny() {
    if ! command -v cargo-deny >/dev/null && [ "${1:-}" = --full ]; then
        env -u CARGO_TARGET_DIR cargo install --quiet --locked cargo-deny || true
    fi
    if command -v cargo-deny >/dev/null; then
        cargo deny --all-features check --hide-inclusion-graph bans licenses sources
    else
        warn "cargo-deny is not installed: licences and sources were NOT checked (cargo install cargo-deny)"
    fi
}

shell() {
    if command -v shellcheck >/dev/null; then
        shellcheck --external-sources --source-path=SCRIPTDIR scripts/*.sh .ci/run
    else
        warn "shellcheck is not installed: shell scripts were NOT checked (apt-get install shellcheck)"
    fi
}

[ -x "$BATCHYARD_SUPERVISOR" ] || scripts/build.sh
suite format cargo fmt --all --check
suite clippy cargo clippy --locked --release --workspace --all-targets -- -D warnings
suite tidy cargo xtask tidy
suite shell shell
suite licences deny "${1:-}"
finish_suites "make lint"
