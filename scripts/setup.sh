#!/usr/bin/env bash
# Installs what is missing on a Debian machine that has only the toolchains: packages through apt, clients of the tests
# through pip into .venv. `setup.sh tools` is enough to build, `setup.sh demo` for the demo, `setup.sh full` also
# has what only the slow tests need, and without a word it is all but that.
# Does nothing when all is there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

apt_missing() {
    local static_busybox=no
    for b in /bin/busybox /usr/bin/busybox; do
        # A static program is the one that the dynamic loader does not know.
        if [ -x $b ] && ! ldd $b >/dev/null 2>&1; then static_busybox=yes; fi
    done
    [ $static_busybox = yes ] || echo busybox-static
    command -v cc >/dev/null || echo gcc libc6-dev
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then echo python3 python3-venv; fi
}

# `aws logs tail` is in version 2 of the AWS command line only, which pip does not have.
aws_version_2() {
    [ -x /usr/bin/aws ] && /usr/bin/aws --version 2>&1 | grep -q '^aws-cli/2'
}

install_packages() {
    local missing
    missing=$(apt_missing)
    if [[ $1 = all || $1 = full ]]; then
        aws_version_2 || missing="$missing awscli"
        # What native containers are compared with.
        command -v runc >/dev/null || missing="$missing runc"
        command -v docker-registry >/dev/null || missing="$missing docker-registry"
        # For jobs with a network of their own, and for the tests' look at it.
        PATH=$PATH:/usr/sbin:/sbin command -v nft >/dev/null || missing="$missing nftables"
        PATH=$PATH:/usr/sbin:/sbin command -v ip >/dev/null || missing="$missing iproute2"
        # For the servers of ordinary users.
        command -v newuidmap >/dev/null || missing="$missing uidmap"
        # Images and certificates of the tests' registries.
        command -v zstd >/dev/null || missing="$missing zstd"
        command -v openssl >/dev/null || missing="$missing openssl"
    fi
    missing=$(xargs <<<"$missing")
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || die "please install: $missing"
    say "installing $missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # one word a package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# The supervisor is smallest and quickest as a static musl program; the target may have to be fetched once.
musl_target() {
    local target
    target=$(uname -m)-unknown-linux-musl
    [ -d "$(rustc --print target-libdir --target "$target")" ] && return 0
    command -v rustup >/dev/null || return 0
    say "adding the Rust target $target"
    timeout 300 rustup target add "$target" || warn "no $target; the supervisor will use this machine's glibc"
}

# python_env FOLDER REQUIREMENTS: an environment that holds exactly these, made anew when they change.
python_env() {
    local folder=$1 list=$2 want
    want=$(sha256sum "$list" | cut -d' ' -f1)
    [ "$(cat "$folder/.installed" 2>/dev/null || true)" != "$want" ] || return 0
    say "installing $list into $(basename "$folder")"
    [ -x "$folder/bin/python" ] || python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$list"
    echo "$want" >"$folder/.installed"
}

part=${1:-all}
command -v cargo >/dev/null || die "needs Rust (cargo): see https://rustup.rs"
install_packages "$part"
musl_target
[ "$part" = tools ] || python_env "$VENV" tests/requirements.txt
[ "$part" != full ] || python_env "$CLIENTS_VENV" tests/clients/requirements.txt
