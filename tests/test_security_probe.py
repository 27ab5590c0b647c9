"""The isolation that people know from Docker: one probe in a native container and under runc with Docker's defaults,
compared line by line. `pytest -s` shows both side by side (scripts/probe.sh).
"""

import shutil

import pytest

from support import probe
from support.server import USER_NAMESPACES

ANY = ".*"
# Name, our result, runc's result, and why that is right.
EXPLAINED = [
    ("call (45[3-9]|46[0-6])", ANY, "ENOSYS", "newer than Debian's libseccomp; as the kernel answers, by Docker's newest profile"),
    ("call 335", "(signal 4|ENOSYS)", "EPERM", "uretprobe: newer than Debian's libseccomp; allowed by Docker's newest profile"),
    ("call of a 32-bit program", "signal 31", "ok", "stricter: programs of another architecture do not run"),
    ("socket family 17 .*", "EPERM", ANY, "stricter: whole frames would get past blocked_addresses"),
    ("socket family 40 with a bit above 32", "EPERM", "ok", "stricter: libseccomp compares 64 bits, the kernel reads 32"),
    ("(prctl no_new_privs|status NoNewPrivs)", "1", "0", "stricter: set-user-id programs gain nothing"),
    ("call 446", "E(BADF|INVAL)", "EPERM", "landlock's last step is open to those who cannot gain privileges"),
    ("status SigIgn", "0+", ANY, "runc passes on what its caller ignores"),
    ("prctl death signal", "9", "0", "a job ends with its supervisor"),
    ("mknod .* c 10:200", "made, read E(PERM|ACCES), write E(PERM|ACCES)", "made, read ok, write ok",
     "stricter: runc lets /dev/net/tun be opened, which needs CAP_NET_ADMIN to be of use"),
    ("environment (AWS_.*|MANAGED_.*)", ANY, "-", "the job's variables"),
    ("device /dev/core.*", "-", ANY, "a link to /proc/kcore, which is masked"),
    ("descriptor 0", "/dev/null", ANY, "runc passes its own standard input on"),
    ("mount at /", "rw,relatime private, overlay rw,.*volatile.*", "rw,relatime private, overlay .*",
     "the writable layer is thrown away, so it needs no syncing"),
    ("mount at (/dev|/proc/.*)", "rw,nosuid,relatime private, tmpfs .*", "rw,nosuid private, tmpfs .*",
     "access times in /dev tell nothing"),
    ("mount at /(proc|sys)/.*", "ro,nosuid,nodev,noexec,relatime private, tmpfs .*", "ro,relatime private, tmpfs ro.*",
     "a mask with more options"),
    ("path /(proc|sys)/.*", "folder, mode 755, empty, mkdir (EROFS|EACCES)", "folder, mode 1777, empty, mkdir EROFS", "a mask with another mode"),
    ("mount at /etc/(hosts|hostname|resolv.conf)", "ro,.*", "rw,.*", "stricter: the host's own files, which Docker copies"),
    ("path /etc/(hosts|hostname|resolv.conf)", ".*write E(ROFS|ACCES)", ".*write (ok|EACCES)", "stricter: the host's own files"),
    ("mount at /sys/fs/cgroup/.*", "-", "ro,nosuid,nodev,noexec,relatime private, cgroup rw,.*",
     "a controller that jobs do not join"),
    ("mount at /sys/fs/cgroup", "ro,.*", "rw,.*", "stricter: nothing can be made beside the controllers' folders"),
    ("path /sys/fs/cgroup", "folder, mode 755, filled, mkdir (EROFS|EACCES)", "folder, mode 555, filled, mkdir (0|EACCES)", "stricter: the same"),
    ("folder that can be written: /sys/fs/cgroup.*", "-", "yes", "stricter: the same"),
    ("all of /sys", "many, 0 can be written", "many, 2 can be written", "stricter: the same"),
]


@pytest.mark.drivers("native")
@pytest.mark.skipif(USER_NAMESPACES == "all", reason="the runtime's containers have no user namespace")
@pytest.mark.parametrize("user", [(0, 0), (1234, 5678)], ids=["root", "user"])
def test_a_container_is_as_runc_s_with_docker_s_defaults(server, tmp_path, user):
    if not shutil.which("runc"):
        pytest.skip("NOT RUN: runc is not installed, so nothing was compared (scripts/setup.sh installs it)")
    program = probe.build(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    more = {"user": f"{user[0]}:{user[1]}"} if user[0] else {}
    ours = probe.read(probe.under_batchyard(server, program, data, **more))
    theirs = probe.read(probe.under_runc(tmp_path, program, data, user))
    assert len(ours) > 900, "the probe tried everything"
    unexplained, known = probe.compare(ours, theirs, EXPLAINED)
    print(probe.table(ours, theirs))
    print(f"{len(ours)} lines, {len(known)} differences with a reason, {len(unexplained)} without")
    for name, a, b, why in known:
        print(f"{name}: {a} (runc: {b}): {why}")
    assert not unexplained, "\n".join(f"{name}: {a}, runc: {b}" for name, a, b, _ in unexplained)
