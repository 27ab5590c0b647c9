"""What becomes of layers: hostile and odd ones, and whole images when the server dies, rules remove them, or the disk is full."""

import json
import os
import platform
import re
import stat

import pytest

from support.disk import Disk
from support.pulls import PULL, base, nothing_half_made, proxy, reason, registry, run, through  # noqa: F401: fixtures
from support.registry import BUSYBOX, digest, layer
from support.server import Server
from support.terminal import Terminal
from support.wait import until

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="NOT RUN: the images are made for amd64")


def link(target):
    return {"type": b"2", "linkname": target}


def hard(target):
    return {"type": b"1", "linkname": target}


def test_layers_that_reach_out_are_refused(registry, base, make_server, tmp_path):
    server = make_server(**PULL).start()
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "secret").write_text("untouched")
    hostile = {
        "dots": {"a/../../../../../../../../tmp/x": b"x"},
        "through": {"out": link(str(victim)), "out/x": b"x"},
        "climb": {"out": link("../" * 30 + str(victim).lstrip("/")), "out/deeper/x": b"x"},
        "hard": {"name": hard(str(victim / "secret"))},
        "hardup": {"name": hard("../" * 30 + str(victim / "secret").lstrip("/"))},
        "hardthrough": {"out": link(str(victim)), "name": hard("out/secret")},
        "folder": {"out": link(str(victim)), "out/": {"type": b"5", "mode": 0o777}},
    }
    for name, files in hostile.items():
        below = [base] if name == "folder" else []
        image, _ = registry.push(f"hostile/{name}", "1", [*below, layer(files)], {"Cmd": ["/bin/sh", "-c", "echo ran"]})
        job = server.wait_job(server.submit(server.register([], image=image)))
        if name == "folder":
            assert job["status"] == "SUCCEEDED", "the folder takes the link's place"
        else:
            assert job["status"] == "FAILED" and "is refused" in job["container"]["reason"], name
        assert [p.name for p in victim.iterdir()] == ["secret"] and (victim / "secret").read_text() == "untouched"
        assert (victim / "secret").stat().st_nlink == 1 and stat.S_IMODE(victim.stat().st_mode) != 0o777
    nothing_half_made(server)


def test_names_with_a_slash_in_front_lie_inside(registry, base, make_server, tmp_path):
    """As ko writes them, and as Docker reads them."""
    server = make_server(**PULL).start()
    image, _ = registry.push("odd/absolute", "1", [base, layer({f"{tmp_path}/x": b"inside\n", "/app/y": b"too\n"})],
                             {"Cmd": ["/bin/cat", f"{tmp_path}/x", "/app/y"]})
    assert run(server, image) == ["inside", "too"]
    assert not (tmp_path / "x").exists()


def test_devices_in_layers_are_left_out_and_links_stay_inside(registry, base, make_server):
    server = make_server(**PULL).start()
    image, _ = registry.push("odd/devices", "1", [base, layer({
        "disk": {"type": b"4", "devmajor": 8, "devminor": 0}, "mem": {"type": b"3", "devmajor": 1, "devminor": 1},
        "zero": {"type": b"3", "devmajor": 0, "devminor": 0}, "escape": link("/etc/hostname"), "etc/hostname": b"inside\n",
        "pipe": {"type": b"6"}})], {"Cmd": ["/bin/ls", "/"]})
    names = run(server, image)
    assert not {"disk", "mem", "zero"} & set(names) and {"escape", "pipe"} <= set(names)


CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


def test_whiteouts_hard_links_and_attributes_in_the_running_container(registry, base, make_server):
    server = make_server(**PULL).start()
    lower = layer({"d/gone": b"1", "d/stays": b"1", "whole/a": b"1", "whole/b": b"1", "tree/x/y": b"1", "again": b"old"})
    upper = layer({
        "d/.wh.gone": b"", "whole/.wh..wh..opq": b"", "whole/new": b"2", ".wh.tree": b"", "again": b"new",
        "one": b"same\n", "two": hard("one"), "prog": {
            "data": BUSYBOX.read_bytes(), "pax_headers": {"SCHILY.xattr.security.capability": CAPABILITY.decode(),
                                                          "SCHILY.xattr.user.note": "kept", "SCHILY.xattr.trusted.overlay.opaque": "y"}},
        "owned": {"data": b"x", "uid": 1234, "gid": 4321, "mode": 0o4750, "mtime": 1000000000},
    })
    script = ("echo $(/bin/ls /d) = $(/bin/ls /whole) = $(/bin/ls / | /bin/busybox grep -c tree) = $(/bin/cat /again); "
              "/bin/busybox stat -c '%h' /one; /bin/cat /two; "
              "/bin/busybox stat -c '%u:%g %a %Y' /owned; trap 'exit 0' TERM; while :; do /bin/busybox sleep 0.05; done")
    image, _ = registry.push("odd/layers", "1", [base, lower, upper], {"Cmd": ["/bin/sh", "-c", script]})
    job = server.submit(server.register([], image=image))
    server.wait_job(job, "RUNNING")
    lines = until(lambda: len(lines := server.log_of(server.job(job))) == 4 and lines, what="its lines")
    assert lines == ["stays = new = 0 = new", "2", "same", "1234:4321 4750 1000000000"]
    [record] = server.data_dir.glob("attempts/*/started")
    [pid] = [line.split()[1] for line in record.read_text().splitlines() if line.startswith("pid ")]
    prog = f"/proc/{pid}/root/prog"
    assert os.getxattr(prog, "security.capability") == CAPABILITY and os.getxattr(prog, "user.note") == b"kept"
    assert "trusted.overlay.opaque" not in os.listxattr(prog)
    server.batch.terminate_job(jobId=job, reason="enough")
    server.wait_job(job)


def test_the_terminal_shows_how_far_a_pull_is(proxy, registry, base, make_server):
    server = make_server(**PULL).start()
    top = layer({"big": bytes(4_000_000)})
    image, _ = registry.push("shown/tool", "1", [base, top], {"Cmd": ["/bin/sh", "-c", "echo ran"]}, pack=lambda tar: tar, kind="tar")
    proxy.order(digest(top), "gate", 1)
    with Terminal(server, "run", through(proxy, registry, image)) as terminal:
        terminal.see(rb"pulling \d+ of \d+ MB", "how far it is")
        proxy.open()
        terminal.see(rb"ran\r\n", "the job's line")
        assert terminal.wait() == 0


# -- crashes ----------------------------------------------------------------------------------------------------------


def test_the_server_is_killed_in_the_middle_of_a_pull(proxy, registry, base, make_server):
    server = make_server(**PULL).start()
    top = layer({"big": bytes(range(256)) * 8000})
    image, _ = registry.push("killed/tool", "1", [base, top], {"Cmd": ["/bin/busybox", "wc", "-c", "/big"]},
                             pack=lambda tar: tar, kind="tar")
    proxy.order(digest(top), "gate", 1)
    job = server.submit(server.register([], image=through(proxy, registry, image), retryStrategy={"attempts": 2}))
    until(proxy.reached.is_set, what="half of a layer")
    told = until(lambda: (why := server.job(job).get("statusReason")) and "of" in why and why, what="its progress")
    assert re.fullmatch(r"pulling \d+ of \d+ MB", told) and server.job(job)["status"] == "STARTING"
    server.kill9()
    [half] = (server.data_dir / "images/tmp").iterdir()
    assert list(half.iterdir()), "half a layer is there"
    proxy.open()
    server.start()
    done = server.succeed(job)
    assert server.log_of(done) == ["2048000 /big"] and len(done["attempts"]) == 1
    nothing_half_made(server)
    assert len(list((server.data_dir / "images/layers").iterdir())) == 3, "built-in, base, top"


def test_a_layer_that_is_removed_while_others_come_is_fetched_too(proxy, registry, base, make_server):
    server = make_server(**PULL).start()
    first, _ = registry.push("vanishes/first", "1", [base], {"Cmd": ["/bin/sh", "-c", "echo first"]})
    top = layer({"big": bytes(range(256)) * 1000})
    image, _ = registry.push("vanishes/tool", "1", [base, top], {"Cmd": ["/bin/busybox", "wc", "-c", "/big"]}, pack=lambda tar: tar, kind="tar")
    server.batchyard("image", "pull", first)
    proxy.order(digest(top), "gate", 1)
    job = server.submit(server.register([], image=through(proxy, registry, image)))
    until(lambda: proxy.held, what="half of the layer that is missing")
    assert json.loads(server.batchyard("image", "prune", "-o", "json").stdout)["removed"] == [first]
    proxy.open()
    done = server.succeed(job)
    assert server.log_of(done) == ["256000 /big"] and len(done["attempts"]) == 1
    nothing_half_made(server)


def test_no_rule_takes_the_image_of_a_job_not_even_after_a_crash(registry, base, make_server):
    """Everything is over the limit; what a job has stays, and goes when it has ended."""
    greedy = {"BATCHYARD_IMAGES_MAX_BYTES": 1, **PULL}
    server = make_server(**greedy).start()
    script = "trap 'exit 0' TERM; while [ -e /bin/cat ]; do /bin/busybox sleep 0.05; done; exit 7"
    kept, _ = registry.push("gc/kept", "1", [base, layer({"a": b"a"})], {"Cmd": ["/bin/sh", "-c", script]})
    other, _ = registry.push("gc/other", "1", [base, layer({"b": b"b"})], {"Cmd": ["/bin/sh", "-c", "echo done"]})
    job = server.submit(server.register([], image=kept))
    server.wait_job(job, "RUNNING")
    assert run(server, other) == ["done"]

    def names():
        return {row["name"] for row in json.loads(server.batchyard("image", "ls", "-o", "json").stdout)["images"]}
    assert {kept, other} <= names()
    until(lambda: len(list((server.data_dir / "attempts").iterdir())) == 1, what="the other job's folder to go")
    server.restart()  # Its first look at the rules comes with the start.
    until(lambda: other not in names(), what="the unused image to go")
    assert kept in names() and server.job(job)["status"] == "RUNNING"
    server.batch.terminate_job(jobId=job, reason="enough")
    assert server.fail(job)["container"]["exitCode"] == 0, "its image was there to the end"
    until(lambda: not list((server.data_dir / "attempts").iterdir()), what="its folder to go")
    server.restart()
    until(lambda: kept not in names(), what="its image to go")


# -- a disk that is too small -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_room_is_made_for_an_image_and_what_never_fits_leaves_the_disk_free(registry, base, tmp_path, request):
    """On a disk of 96 MiB: images of 40 MB one after the other, then one that unpacks to more than there is."""
    disk = Disk(tmp_path)
    request.addfinalizer(disk.unmount)
    server = Server(disk.path, {"BATCHYARD_DISK_RESERVE_BYTES": "8MiB", "BATCHYARD_DISK_FLOOR_BYTES": 0, **PULL}).start()
    request.addfinalizer(server.stop)
    for number in range(3):
        image, _ = registry.push(f"room/{number}", "1", [base, layer({f"{number}": bytes([number]) * 40_000_000})],
                                 {"Cmd": ["/bin/sh", "-c", f"echo {number}"]})
        assert run(server, image) == [str(number)]
        until(lambda: not list((server.data_dir / "attempts").iterdir()), what="the job's folder to go")
    left = {row["name"].rsplit("/", 1)[-1] for row in json.loads(server.batchyard("image", "ls", "-o", "json").stdout)["images"]}
    assert "2:1" in left and "0:1" not in left, "the one that was not used for longest went"
    image, _ = registry.push("room/bomb", "1", [base, layer({"bomb": bytes(200_000_000)})])
    job = server.submit(server.register(["/bin/true"], image=image, retryStrategy={"attempts": 1}))
    until(lambda: list(server.data_dir.glob("images/tmp/*/*")), what="the first of it")
    lowest = [os.statvfs(disk.path).f_bavail * os.statvfs(disk.path).f_frsize]
    until(lambda: lowest.append(os.statvfs(disk.path).f_bavail * os.statvfs(disk.path).f_frsize) or server.job(job)["status"] == "FAILED",
          60, "its end")
    assert "no space left on device" in server.job(job)["container"]["reason"]
    assert min(lowest) > 1 << 20, "never full"
    nothing_half_made(server)
    assert server.run_shell("echo fine") == ["fine"]
