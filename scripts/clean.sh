#!/usr/bin/env bash
# Removes what was built and installed inside the repository; system packages stay.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cargo clean
rm -rf "$VENV" "$CLIENTS_VENV" .pytest_cache
find tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
