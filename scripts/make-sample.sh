#!/usr/bin/env bash
# Makes tests/samples/vN of the version that is built: a data folder as a crash leaves it. Run it once whenever a format on
# disk changes, with the next number, and commit the result; old samples are never made again.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# = 1 ] || die "usage: scripts/make-sample.sh vN"
[ ! -e "tests/samples/$1" ] || die "tests/samples/$1 exists; samples are never made again"
as_root "$VENV/bin/python" tests/make_sample.py "$1"
