#!/usr/bin/env bash
# Measures the server beside what this machine can do at most, in the same run, and prints a Markdown table.
# Arguments go to bench/bench.py: names of sections (submit idle job) and --rounds N, --runs N.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
scripts/setup.sh demo
scripts/build.sh
cargo build --locked --release --manifest-path bench/limits/Cargo.toml
if ! command -v runc >/dev/null && command -v apt-get >/dev/null; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends runc >/dev/null
fi
as_root env PATH="$PATH:/usr/sbin:/sbin" "$VENV/bin/python" bench/bench.py "$@"
