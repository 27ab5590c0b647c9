#!/usr/bin/env bash
# Builds the supervisor, then the server with the supervisor inside: one file, target/release/batchyard.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
scripts/setup.sh tools

supervisor() {
    local target built
    target=$(uname -m)-unknown-linux-musl
    if [ -d "$(rustc --print target-libdir --target "$target")" ]; then
        cargo build --locked -p batchyard-supervisor --profile supervisor --target "$target"
        built=$TARGET/$target/supervisor/batchyard-supervisor
    else
        warn "no Rust target $target: the supervisor uses this machine's glibc (a little slower to start)"
        cargo build --locked -p batchyard-supervisor --profile supervisor
        built=$TARGET/supervisor/batchyard-supervisor
    fi
    # One place for both, and the same time stamp while the bytes are the same, so that nothing is built again.
    if ! cmp -s "$built" "$BATCHYARD_SUPERVISOR"; then
        mkdir -p "$(dirname "$BATCHYARD_SUPERVISOR")"
        cp "$built" "$BATCHYARD_SUPERVISOR"
    fi
}

began=$SECONDS
supervisor
cargo build --locked --release -p batchyard
printf 'built %s (%s) in %d s\n' "$BATCHYARD_BIN" "$(du -h --apparent-size "$BATCHYARD_BIN" | cut -f1)" $((SECONDS - began))
