#!/usr/bin/env bash
# Prints what a container may and may not, in a native container and under runc with Docker's defaults, side by side, and
# why they differ where they do. As root.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

"$VENV/bin/python" -m pytest tests/test_security_probe.py -q -s "$@"
