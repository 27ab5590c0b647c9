#!/bin/sh
# The container tests on a kernel that has control groups of version 2 only: an emulated machine with Debian's cloud
# kernel, whose whole user land is a static busybox and the test programs. Part of the slow tests.
# Needs: apt (to fetch the kernel), qemu-system-x86_64, busybox-static, cpio, the musl target of the toolchain.
# Usage: v2_guest.sh [NAME_FILTER]
set -eu

repository=$(cd "$(dirname "$0")/../../.." && pwd)
target=x86_64-unknown-linux-musl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for need in qemu-system-x86_64 cpio busybox dpkg-deb apt-get; do
    command -v "$need" >/dev/null || { echo "==== SKIPPED: the version 2 guest needs $need ===="; exit 0; }
done

# The kernel, kept between runs beside the build.
cache=${CARGO_TARGET_DIR:-$repository/target}/v2-guest
if [ ! -f "$cache/vmlinuz" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -1)
    (cd "$work" && apt-get download "$package" >/dev/null)
    dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
    mkdir -p "$cache"
    find "$work/kernel" -name 'overlay.ko*' -exec cp {} "$cache/" \;
    cp "$work"/kernel/boot/vmlinuz-* "$cache/vmlinuz"
fi

cd "$repository"
cargo build --quiet -p batchyard-supervisor --target $target
root=$work/root
mkdir -p "$root/bin" "$root/tests" "$root/new" "$root/dev" "$root/proc" "$root/sys" "$root/etc" "$root/tmp"
programs=$(cargo test --no-run -p batchyard-supervisor --target $target --test ends --test inside --test output 2>&1 |
    sed -n 's/.*Executable .*(\(.*\)).*/\1/p')
for program in $programs; do
    name=$(basename "$program")
    cp "$program" "$root/tests/${name%-*}"
done
cp "${CARGO_TARGET_DIR:-target}/$target/debug/batchyard-supervisor" "$root/bin/"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$cache"/overlay.ko* "$root/"
echo 127.0.0.1 localhost >"$root/etc/hosts"

# The first root of a machine cannot be pivoted away from: move into a file system of its own first.
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
if [ "$$" = 1 ] && [ ! -e /moved ]; then
    mount -t proc proc /proc
    insmod /overlay.ko* || echo no overlay
    mount -t tmpfs -o size=1g tmpfs /new
    cp -a /bin /tests /etc /init /new/
    mkdir /new/dev /new/proc /new/sys /new/tmp
    : >/new/moved
    umount /proc
    exec switch_root /new /init
fi
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
hostname guest
export PATH=/bin SUPERVISOR=/bin/batchyard-supervisor RUST_BACKTRACE=0
filter=$(sed -n 's/.*byfilter=\([^ ]*\).*/\1/p' /proc/cmdline)
/bin/batchyard-supervisor --probe
failed=0
for program in /tests/*; do
    echo "---- $program"
    $program --test-threads 2 $filter || failed=1
done
find /sys/fs/cgroup -name 'batchyard*'
echo "guest done: $failed"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initrd"

timeout 1500 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -nographic -no-reboot -net none \
    -kernel "$cache/vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all byfilter=${1:-}" | tee "$work/said"
grep -q "guest done: 0" "$work/said"
