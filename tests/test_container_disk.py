"""The disk around a job: its own limit, what a full one is told as, room that a start waits for, and nothing that is left.

Never here: a server whose own disk is full (test_faults_disk), images.
"""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from support import leaks
from support.disk import Disk
from support.fault_bench import Bench
from support.wait import until

pytestmark = pytest.mark.drivers("native", "oci")
FILL = "dd if=/dev/zero of={} bs=64k 2>/dev/null"
ENDLESS = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server whose jobs may write 32 MiB."""
    from support.server import Server
    server = Server(tmp_path_factory.mktemp("small"), {"BATCHYARD_JOB_DISK_BYTES": "32MiB"}).start()
    yield server
    server.stop()


def judge_limit(server):
    """What a job may write is limited to 32 MiB, and a job that meets that is told so."""
    full = server.fail(server.shell(FILL.format("/big")))
    assert full["container"]["reason"] == "DiskFullError: the job's disk of 32 MiB is full"
    assert (full["statusReason"], full["container"]["exitCode"]) == ("Essential container in task exited", 1)
    volume = {"volumes": [{"name": "v"}], "mountPoints": [{"containerPath": "/v", "sourceVolume": "v"}]}
    full = server.fail(server.shell(FILL.format("/v/big"), **volume))
    assert full["container"]["reason"].startswith("DiskFullError"), "a volume without a path counts"
    # What it can do and tell for itself is its own affair, as is an end that has to do with something else.
    written = server.run_shell(FILL.format("/big") + "; wc -c </big; rm /big; df /; echo x >/small && cat /small", **volume)
    assert 24 << 20 < int(written[0]) <= 32 << 20, written
    assert written[-1] == "x"
    assert "reason" not in server.fail(server.shell("echo x >/small; exit 3"))["container"]
    until(lambda: not list(server.data_dir.glob("attempts/*")), what="the end of the folders")
    assert leaks.loop_devices(server.data_dir) + leaks.mounts(server.data_dir) == []


def test_a_limit_by_a_file(small):
    judge_limit(small)


def test_two_jobs_have_a_disk_each(small):
    definition = small.register(["sh", "-c", "dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null && sleep 0.3"])
    for job_id in [small.submit(definition) for _ in range(4)]:
        small.succeed(job_id)


def test_a_limit_by_project_quota(make_server, tmp_path):
    """Not run where the kernel lacks the format of ext4's quota files (CONFIG_QFMT_V2)."""
    disk = Disk(tmp_path, 256, features="quota,project", options="prjquota")
    try:
        server = make_server(BATCHYARD_JOB_DISK_BYTES="32MiB", BATCHYARD_DISK_RESERVE_BYTES=0, BATCHYARD_DISK_FLOOR_BYTES=0)
        server.data_dir = disk.path / "data"
        judge_limit(server.start())
        assert not list(server.data_dir.glob("run/disks/*")), "no file systems in files are made"
        server.stop()
        limits = subprocess.run(["repquota", "-P", "-n", disk.path], capture_output=True, text=True) \
            if Path("/usr/sbin/repquota").exists() else None
        assert limits is None or "32768" not in limits.stdout, limits.stdout
        server.stop = lambda: None
    finally:
        disk.unmount()


def test_ephemeral_storage(server):
    """The job has that much, off Fargate, too; less and more is refused as AWS does (test_definitions)."""
    [line] = server.run_shell("df -m / | tail -1", ephemeralStorage={"sizeInGiB": 21})
    size, used = (int(word) for word in re.findall(r"\d+", line.split("overlay", 1)[1])[:2])
    assert 20.4 * 1024 < size <= 21 * 1024 and used < 16, line
    job = server.job(server.shell("true", ephemeralStorage={"sizeInGiB": 200}))
    assert server.succeed(job["jobId"])["container"]["ephemeralStorage"] == {"sizeInGiB": 200}


def test_ephemeral_storage_of_a_task(server):
    size = {"sizeInGiB": 21}
    container = {"image": "busybox", "command": ["df", "-m", "/"], "resourceRequirements": [
        {"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}
    arn = server.batch.register_job_definition(jobDefinitionName="task-disk", type="container", ecsProperties={
        "taskProperties": [{"containers": [container], "ephemeralStorage": size}]})["jobDefinitionArn"]
    job = server.succeed(server.submit(arn))
    assert job["ecsProperties"]["taskProperties"][0]["ephemeralStorage"] == size


@pytest.mark.parametrize("who", ["supervisor", "server"])
def test_a_kill_leaves_no_disk(small, shared_folder, who):
    bench = Bench(small, None, shared_folder)
    job_id = small.shell(ENDLESS)
    small.wait_job(job_id, "RUNNING")
    assert len(leaks.loop_devices(small.data_dir)) == 1
    assert leaks.mounts(small.data_dir) == [], "nobody but the job sees the mount"
    if who == "server":
        small.restart()
        small.batch.terminate_job(jobId=job_id, reason="enough")
    else:
        os.kill(bench.supervisor(), signal.SIGKILL)
    small.fail(job_id)
    until(lambda: not leaks.loop_devices(small.data_dir), what="the end of the loop device")


def test_without_the_program_a_limit_fails_by_name(make_server, tmp_path):
    """Where neither way is there, a job that needs a limit does not run without one."""
    binaries = [path for path in ("/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4") if Path(path).exists()]
    server = make_server(BATCHYARD_JOB_DISK_BYTES="32MiB")
    hide = " && ".join(f"mount --bind /dev/null {path}" for path in {os.path.realpath(p) for p in binaries})
    server.prefix = ["unshare", "-m", "sh", "-c", f'{hide} && exec "$0" "$@"']
    reason = server.start().fail(server.shell("true"))["container"]["reason"]
    assert reason.startswith("CannotCreateContainerError: a limit of the job's disk needs mkfs.ext4 (package e2fsprogs)")


def test_a_start_waits_for_room(make_server, tmp_path):
    disk = Disk(tmp_path, 96)
    try:
        server = make_server(BATCHYARD_DISK_RESERVE_BYTES="40MiB", BATCHYARD_DISK_FLOOR_BYTES=0)
        server.data_dir = disk.path / "data"
        server.start()
        server.succeed(server.shell("true"))
        (disk.path / "filler").write_bytes(b"\1" * (60 << 20))
        waits, ends = server.shell("true"), server.shell("true")
        told = until(lambda: server.job(waits).get("statusReason"), what="a reason")
        assert re.fullmatch(r"waiting for disk: \d+ MiB free, 40 MiB needed", told), told
        assert server.job(waits)["status"] == "STARTING"
        server.batch.terminate_job(jobId=ends, reason="no time")
        assert server.fail(ends)["statusReason"] == "no time"
        server.restart()
        disk.empty()
        server.succeed(waits)
        server.stop()
        server.stop = lambda: None
    finally:
        disk.unmount()


def test_a_job_that_fills_the_disk_of_the_host(make_server, tmp_path):
    """It is told so, and what others wrote is whole."""
    disk = Disk(tmp_path, 96)
    try:
        server = make_server(BATCHYARD_DISK_RESERVE_BYTES=0)
        server.data_dir = disk.path / "data"
        server.start()
        before = server.succeed(server.shell("echo one"))
        full = server.fail(server.shell(FILL.format("/big")))
        assert full["container"]["reason"] == "DiskFullError: the disk of this machine is full"
        assert server.job(before["jobId"])["status"] == "SUCCEEDED"
        # What the job wrote is removed in the background; until then nothing fits.
        until(lambda: (free := os.statvfs(disk.path)).f_bavail * free.f_frsize > 32 << 20, what="room on the disk")
        server.succeed(server.shell("true"))
        server.stop()
        server.stop = lambda: None
    finally:
        disk.unmount()


def test_a_job_that_fills_its_log(make_server):
    """The log stays below its cap and says what is missing; the job goes on."""
    server = make_server(BATCHYARD_LOG_CAP_BYTES="256KiB").start()
    job = server.succeed(server.shell("i=0; while [ $i -lt 40000 ]; do echo a line of some length $i; i=$((i+1)); done"))
    [log] = server.data_dir.glob("logs/*/*")
    assert log.stat().st_size < 300 << 10
    stream = job["container"]["logStreamName"]
    last = server.logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, limit=1)["events"][-1]
    assert re.search(r"\d+ lines were dropped \(log cap of 262144 bytes\)", last["message"]), last
