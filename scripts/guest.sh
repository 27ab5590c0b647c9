#!/usr/bin/env bash
# Runs a command as root in an emulated machine whose control groups are of version 2 only: Debian's kernel over this
# machine's own files, which it reads and cannot change (what it writes is in its memory and goes with it). Slow.
# Usage: guest.sh COMMAND [ARGUMENT…]; ends as the command ends, and with 3 when it
# cannot be run here. BATCHYARD_GUEST_OUT: a folder that it may write to.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

for need in qemu-system-x86_64:qemu-system-x86 cpio:cpio depmod:kmod busybox:busybox-static; do
    command -v "${need%:*}" >/dev/null ||
        as_root apt-get install -y -qq --no-install-recommends "${need#*:}" >/dev/null ||
        { warn "the version 2 guest needs ${need#*:}"; exit 3; }
done

# The kernel with its modules, kept between runs beside the build.
kernel=$TARGET/guest-kernel
if [ ! -e "$kernel/done" ]; then
    say "fetching the guest's kernel"
    rm -rf "$kernel" && mkdir -p "$kernel"
    package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -1)
    (cd "$kernel" && apt-get download -qq "$package" >/dev/null && dpkg-deb -x linux-image-*.deb . && rm linux-image-*.deb)
    depmod -b "$kernel" "$(ls "$kernel/lib/modules")"
    touch "$kernel/done"
fi
version=$(ls "$kernel/lib/modules")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,new} "$root/lib/modules/$version"
cp "$(command -v busybox)" "$root/bin/busybox"
cp tests/guest/init "$root/init"
# What reaches the files; the rest of the modules is among them.
list() { modprobe -d "$kernel" -S "$version" --show-depends "$1" | sed -n 's/^insmod \([^ ]*\).*/\1/p'; }
for module in virtio_pci 9pnet_virtio 9p overlay; do
    list $module | while read -r file; do
        name=$(basename "$file")
        [ -e "$root/lib/modules/$name" ] || { cp "$file" "$root/lib/modules/"; echo "$name" >>"$root/lib/modules/order"; }
    done
done
rmdir "$root/lib/modules/$version"
{
    printf 'cd %q\n' "$PWD"
    printf 'export PATH=%q VENV=%q BATCHYARD_BIN=%q CARGO_TARGET_DIR=%q\n' "$PATH" "$VENV" "$BATCHYARD_BIN" "$TARGET"
    printf exec
    printf ' %q' "$@"
    echo
} >"$root/command"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initrd"

out=${BATCHYARD_GUEST_OUT:-$work/out}
mkdir -p "$out"
share=(-virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
    -virtfs "local,path=$out,mount_tag=out,security_model=none" -virtfs "local,path=$kernel,mount_tag=kernel,security_model=none,readonly=on")
timeout "${BATCHYARD_GUEST_SECONDS:-3000}" qemu-system-x86_64 -accel tcg,thread=multi,tb-size=512 -cpu max -smp 2 -m 4096 -nographic -vga none \
    -no-reboot -net none -kernel "$kernel/boot/vmlinuz-$version" -initrd "$work/initrd" "${share[@]}" \
    -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 mitigations=off" \
    </dev/null | tee "$work/said" || true
status=$(sed -n 's/.*guest done: \([0-9]*\).*/\1/p' "$work/said")
[ -n "$status" ] || die "the guest did not get to its end"
exit "$status"
