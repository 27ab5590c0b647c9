#!/usr/bin/env bash
# Proves the README's two commands on a fresh machine: makes a Debian root that holds only the toolchains (Rust is this
# machine's, mounted read-only), clones the repository into it, and runs `make demo` and `make test` there in mount and
# process namespaces of their own. Registries are reached as this machine reaches them: its apt, pip and cargo
# settings, certificates and proxy variables are copied. Needs root, apt and git.
#
# FRESH_COMMANDS overrides what is run ("demo test"); FRESH_KEEP=1 keeps the root for a look.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" != 0 ]; then
    as_root "$0" "$@"
    exit
fi

commands=${FRESH_COMMANDS:-demo test}

clean_up() {
    # All mounts are made in a namespace of their own and end with it; a mount here would be a bug: never delete into it.
    if grep -qF " $work" /proc/self/mountinfo; then warn "mounts are left under $work"; return 1; fi
    [ "${FRESH_KEEP:-0}" = 1 ] && { echo "kept: $work"; return; }
    rm -rf "$work"
}

make_root() {
    command -v mmdebstrap >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null; }
    local sources=()
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
        [ -s "$f" ] && sources+=("$f")
    done
    mmdebstrap --quiet --mode=root --variant=minbase \
        --include=ca-certificates,gcc,git,libc6-dev,make,python3,python3-venv \
        "$suite_name" "$root" "${sources[@]}"
}

# What decides how registries are reached, generically.
copy_settings() {
    local f
    rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d
    for f in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/trusted.gpg.d /etc/apt/auth.conf.d \
        /etc/pip.conf /etc/resolv.conf /etc/hosts /etc/ssl/certs /usr/local/share/ca-certificates \
        "$HOME/.config/pip" "$HOME/.pip"; do
        [ -e "$f" ] || continue
        # To the same place inside; the home folder's become root's.
        local to=${f/#$HOME//root}
        mkdir -p "$root${to%/*}"
        cp -rL --remove-destination "$f" "$root${to%/*}/"
    done
    mkdir -p "$root/root/.cargo"
    for f in "${CARGO_HOME:-$HOME/.cargo}"/{config,config.toml,credentials.toml}; do
        [ ! -e "$f" ] || cp "$f" "$root/root/.cargo/"
    done
}

# Variables about proxies, certificates and package clients, as NAME=value words.
settings_of_clients() {
    env | grep -E '^([A-Za-z_]*(_proxy|_PROXY)|SSL_CERT_(FILE|DIR)|[A-Z0-9_]*CA_(BUNDLE|INFO|PATH|CERTS)|GIT_SSL_CAINFO|PIP_[A-Z_]+|CARGO_(HTTP|NET|REGISTRIES?|SOURCE)_[A-Z0-9_]+)=' | grep -v '^PIP_FIND_LINKS=' || true
}

# Runs inside the new mount and process namespaces.
inside() {
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mkdir -p "$root/opt/rust" "$root/old"
    mount --bind "$toolchain" "$root/opt/rust"
    mount -o remount,bind,ro "$root/opt/rust"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    cd "$root"
    # The root is a mount of its own, as on a real machine, not a chroot: containers pivot from it.
    pivot_root . old
    cd /
    umount -l /old
    rmdir /old
    local settings=()
    mapfile -t settings < <(settings_of_clients)
    # shellcheck disable=SC2086,SC2016 # a word a target; the inner shell expands
    env -i "${settings[@]}" HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c 'cd /root/batchyard && for target; do make "$target" || exit; done' -- $commands
}

if [ "${1:-}" = --inside ]; then
    root=$2/root toolchain=$3
    inside
    exit
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/batchyard-fresh.XXXXXX")
root=$work/root
trap clean_up EXIT
# shellcheck source=/dev/null
suite_name=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
toolchain=$(rustc --print sysroot)
say "a Debian $suite_name with only the toolchains"
make_root
copy_settings
git clone --quiet --no-local "$REPO" "$root/root/batchyard"
git -C "$root/root/batchyard" checkout --quiet --detach "$(git rev-parse HEAD)"
echo "root of $(du -sh "$root" | cut -f1) after $SECONDS s; commit $(git rev-parse --short HEAD)"
unshare --mount --pid --fork --kill-child --propagation private "$0" --inside "$work" "$toolchain"
say "make test-fresh: $commands passed in $SECONDS s"
