"""Members of a container that need something of the host: devices, swap, mount options, the time for a stop, shared
volumes (spec jobs §6.2, §6.3). Never here: what needs no more than the process (test_container), log drivers
(test_container_logs)."""

import os
import resource
import subprocess
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.server import USER_NAMESPACES
from test_security import mounted


@pytest.fixture
def disk(tmp_path):
    """A block device of this host that holds a word."""
    image = tmp_path / "image"
    image.write_bytes(b"on the disk\n".ljust(1 << 16, b"\0"))
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no loop device can be had here: {made.stderr.strip()}")
    yield made.stdout.strip()
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


def device(source, target=None, *permissions):
    given = {"hostPath": source} | ({"containerPath": target} if target else {})
    return {"linuxParameters": {"devices": [given | ({"permissions": list(permissions)} if permissions else {})]}}


READ, WRITE = "head -c 11 {0} 2>&1; echo", "echo 'by the job.' | dd of={0} conv=notrunc 2>&1 | grep -o 'not permitted'; true"


@pytest.mark.drivers("native", "oci", "docker")
def test_a_device_is_there_and_may_be_used_as_asked(server, disk):
    assert server.run_shell(READ.format("/dev/own"), **device(disk, "/dev/own", "READ")) == ["on the disk"]
    assert server.run_shell(WRITE.format("/x/own"), **device(disk, "/x/own", "READ")) == ["not permitted"]
    refused = server.run_shell(READ.format(disk), **device(disk, None, "WRITE", "MKNOD"))
    assert "not permitted" in refused[0], refused
    assert server.run_shell(WRITE.format(disk) + f"; sync; {READ.format(disk)}", **device(disk)) == ["by the job."]
    # A device file of the job's own making is no way around what was given.
    number = os.stat(disk).st_rdev
    make = f"mknod /own b {os.major(number)} {os.minor(number)} 2>&1 | grep -o 'not permitted' || "
    assert server.run_shell(make + WRITE.format("/own"), **device(disk, "/dev/own", "READ")) == ["not permitted"]


@pytest.mark.drivers("native", "oci")
def test_a_mounted_device_file_opens_nothing(server, disk):
    """A volume is no way around `allowed_devices`; with the device asked for as well it works."""
    volume = mounted(disk, "/dev/volume")
    [said] = server.run_shell(READ.format("/dev/volume"), **volume)[:1]
    assert "not permitted" in said or "permission denied" in said.lower(), said
    if USER_NAMESPACES == "all":
        return  # The file's owner is nobody there.
    assert server.run_shell(READ.format("/dev/volume"), **volume | device(disk, "/dev/own")) == ["on the disk"]


@pytest.mark.drivers("native", "oci")
def test_a_device_that_cannot_be_had_is_named(server, tmp_path):
    plain = tmp_path / "file"
    plain.write_text("")
    for source, words in (("/dev/not-there", "no such file or directory"), (str(plain), "not a device node")):
        reason = server.fail(server.shell("true", **device(source)))["container"]["reason"]
        assert reason.startswith("CannotStartContainerError") and f'"{source}": {words}' in reason
    reason = server.fail(server.shell("true", **device("/dev/zero", "/dev/null")))["container"]["reason"]
    assert "/dev/null: the container has another file there" in reason
    with pytest.raises(ClientError, match="absolute hostPath"):
        server.register(**device("dev/zero"))
    with pytest.raises(ClientError, match="READ, WRITE, MKNOD"):
        server.register(**device("/dev/zero", None, "EXECUTE"))


def test_a_stop_waits_as_long_as_the_task_says(server):
    """A job that ignores its stop signal is killed after `stopTimeout`, not after the usual 30 s."""
    container = {
        "image": "busybox", "name": "c", "stopTimeout": 2, "command": ["sh", "-c", "trap 'echo asked' TERM; while :; do sleep 0.1; done"],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
    }
    arn = server.batch.register_job_definition(
        jobDefinitionName="stop-" + uuid.uuid4().hex[:8], type="container",
        ecsProperties={"taskProperties": [{"containers": [container]}]})["jobDefinitionArn"]
    job_id = server.submit(arn)
    server.wait_job(job_id, "RUNNING")
    server.batch.terminate_job(jobId=job_id, reason="enough")
    job = server.fail(job_id, timeout=20)
    [task] = job["ecsProperties"]["taskProperties"]
    assert task["containers"][0]["exitCode"] == 137
    assert server.log(task["containers"][0]["logStreamName"]) == ["asked"]


MEMORY = "/sys/fs/cgroup/memory/memory." if os.path.exists("/sys/fs/cgroup/memory/memory.limit_in_bytes") else None
SWAP_FILE = f"{MEMORY}memsw.limit_in_bytes" if MEMORY else "/sys/fs/cgroup/memory.swap.max"


def swap_of(server, **linux):
    """Bytes of swap that a job of 64 MiB has, and its swappiness."""
    script = f"cat {SWAP_FILE}; cat {MEMORY}swappiness" if MEMORY else f"cat {SWAP_FILE}; echo -"
    limit, swappiness = server.run_shell(script, linuxParameters=linux)
    return int(limit) - (64 << 20 if MEMORY else 0), swappiness


@pytest.mark.drivers("native", "oci", "docker")
def test_swap_is_what_the_job_asks_for_and_none_without(server):
    if MEMORY and not os.path.exists(SWAP_FILE):
        pytest.skip("NOT RUN: this host does not count swap (swapaccount=1)")
    usual = swap_of(server)
    assert usual[0] == 0
    assert swap_of(server, maxSwap=16) == (16 << 20, usual[1])
    assert swap_of(server, maxSwap=0, swappiness=7) == (0, usual[1]), "without swap it means nothing"
    assert swap_of(server, swappiness=7) == (0, usual[1])
    if MEMORY:
        assert swap_of(server, maxSwap=16, swappiness=7) == (16 << 20, "7")
    else:
        job = server.fail(server.shell("true", linuxParameters={"maxSwap": 16, "swappiness": 7}))
        assert "set swappiness to 7" in job["container"]["reason"]
    for wrong in ({"maxSwap": -1}, {"maxSwap": 1, "swappiness": 101}):
        with pytest.raises(ClientError, match="must be"):
            server.register(linuxParameters=wrong)


def tmpfs(*options):
    return {"linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 4, "mountOptions": list(options)}]}}


@pytest.mark.drivers("native", "oci", "docker")
def test_mount_options_of_a_tmpfs(server):
    def options(*asked):
        [line] = server.run_shell("grep ' /t ' /proc/mounts", **tmpfs(*asked))
        return set(line.split()[3].split(","))

    assert {"rw", "nosuid", "nodev", "noexec", "size=4096k"} <= options()
    assert not {"nosuid", "noexec"} & options("exec", "suid", "ro", "rw") and "rw" in options("ro", "rw")
    asked = ("noatime", "nr_inodes=32", "mode=750", "rslave", "defaults", "sync", "dirsync")
    assert {"noatime", "nr_inodes=32", "mode=750", "sync", "dirsync"} <= options(*asked)
    assert not {"noatime", "sync"} & options("noatime", "atime", "sync", "async")
    script = r"printf '#!/bin/sh\necho ran\n' >/t/own; chmod +x /t/own; /t/own 2>/dev/null || echo refused; stat -c '%a %u %g' /t"
    assert server.run_shell(script, **tmpfs("exec", "mode=0751", "uid=7", "gid=8")) == ["ran", "751 7 8"]
    assert server.run_shell(script, **tmpfs()) == ["refused", "1777 0 0"]
    for wrong in ("remount", "mode=9", "uid=me", "mode", "size=9m", "sideways"):
        with pytest.raises(ClientError, match="mountOptions") as error:
            server.shell("true", **tmpfs(wrong))
        assert wrong.split("=")[0] in str(error.value) and "does not work" in str(error.value)


@pytest.mark.drivers("native", "oci", "process")
def test_a_limit_above_the_hosts_own_is_named(server):
    status = Path("/proc/self/status").read_text()
    may_raise = int(status.split("CapEff:")[1].split()[0], 16) & 1 << 24
    most = int(Path("/proc/sys/fs/nr_open").read_text()) if may_raise else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most >= 2**31 - 1:
        pytest.skip("NOT RUN: nothing that the API takes is above this host's limit")
    limits = [{"name": "nofile", "softLimit": 64, "hardLimit": 2**31 - 1}]
    reason = server.fail(server.shell("true", ulimits=limits))["container"]["reason"]
    assert reason.startswith("CannotStartContainerError")
    assert f"ulimit nofile to 64:{2**31 - 1}: the host's own hard limit is {most}" in reason


@pytest.mark.drivers("native", "oci", "docker")
def test_volumes_with_names_that_the_administrator_shares(make_server):
    server = make_server(BATCHYARD_SHARED_VOLUMES="cache, models").start()
    mount = {"volumes": [{"name": "cache"}, {"name": "own", "host": {}}], "mountPoints": [
        {"containerPath": "/cache", "sourceVolume": "cache"}, {"containerPath": "/own", "sourceVolume": "own"}]}
    server.run_shell("echo kept >/cache/file; echo gone >/own/file", **mount)
    server.kill9()
    server.start()
    assert server.run_shell("cat /cache/file; ls /own", user="1000:1000", **mount) == ["kept"]
    assert (server.data_dir / "volumes" / "cache" / "file").read_text() == "kept\n"
