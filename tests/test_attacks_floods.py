"""Jobs that fill what they can reach: memory by way of file systems, inodes, the log. They are held to their own limits,
and others go on. Never here: bytes on a disk (test_container_disk), what a log keeps of odd bytes (test_logs_jobs)."""

import re
import time
from pathlib import Path

import pytest

from support import leaks
from support.proc import read
from support.server import GROUP, Server
from support.wait import until
from test_limits import OOM

pytestmark = pytest.mark.drivers("native", "oci")
CAP = 1 << 20
WRITE_300_MIB = "exec dd if=/dev/zero of={}/x bs=1M count=300"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server whose jobs may write 32 MiB to disk and 1 MiB to their log."""
    server = Server(tmp_path_factory.mktemp("small"), {
        "BATCHYARD_JOB_DISK_BYTES": "32MiB", "BATCHYARD_LOG_CAP_BYTES": "1MiB", "BATCHYARD_VCPUS": "16"}).start()
    yield server
    server.stop()


@pytest.mark.parametrize(("place", "linux"), [
    ("/dev/shm", {"sharedMemorySize": 512}), ("/t", {"tmpfs": [{"containerPath": "/t", "size": 512}]}), ("/dev", {})])
def test_files_in_memory_count_as_the_jobs_memory(server, place, linux):
    """What is larger than its memory ends it, whatever size the file system was given."""
    free = memory_available()
    job = server.wait_job(server.shell(WRITE_300_MIB.format(place), memory=64, linuxParameters=linux))
    if linux:
        assert job["container"]["reason"] == OOM and job["container"]["exitCode"] == 137
    else:
        assert job["container"]["exitCode"] == 1 or job["container"]["reason"] == OOM, "/dev is small of itself"
    # They are gone with the job; a gigabyte is what others may have taken meanwhile.
    until(lambda: memory_available() > free - (1 << 20), what="the memory")


def memory_available():
    """KiB."""
    return int(re.search(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)[1])


def test_queues_and_files_in_memory_without_content(server):
    """Names cost memory, too, which counts; message queues have a number of their own."""
    server.run_shell("i=0; while [ $i -lt 3000 ] && true >/dev/mqueue/q$i; do i=$((i+1)); done 2>/dev/null; [ $i -lt 3000 ]")
    job = server.wait_job(server.shell("cd /dev/shm; i=0; while true >f$i; do i=$((i+1)); done 2>/dev/null; echo $i", memory=16), timeout=90)
    assert job["status"] == "SUCCEEDED" or job["container"]["reason"] == OOM, job
    assert server.run_shell("ls /dev/shm /dev/mqueue | wc -l") == ["3"], "the next job has its own"


def test_files_without_content_fill_the_jobs_own_disk(small):
    script = "mkdir /many; cd /many; i=0; while true >f$i; do i=$((i+1)); done; exit 1"
    job = small.fail(small.shell(script, memory=256), timeout=90)
    assert job["container"]["reason"] == "DiskFullError: the job's disk of 32 MiB is full"
    until(lambda: not leaks.loop_devices(small.data_dir), what="the end of the disk")
    small.run_shell("echo x >/file")


# Name -> what is written without an end.
FLOODS = {
    "one line": "tr '\\0' x </dev/zero",
    "empty lines": "yes ''",
    "any bytes": "while :; do cat /dev/urandom; done",
    "zeros": "cat /dev/zero",
    "escapes": r"yes $'\033]0;title\007\033[2J\033[?1049h\r\b\b\xff\xfe'",
    "both streams": "yes out & yes err >&2",
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_log_without_an_end(small, flood):
    """It is cut at its cap, and costs the supervisor no memory; another job's log comes meanwhile, line by line."""
    script = f"trap 'exit 7' TERM; ({FLOODS[flood]}) & while :; do wait; sleep 0.01; done"
    job_id = small.shell(script)
    stream = small.wait_job(job_id, "RUNNING")["container"]["logStreamName"]
    until(lambda: sum(f.stat().st_size for f in small.data_dir.glob("logs/*/*")) > CAP * 0.9, what="a full log")
    began = time.monotonic()
    assert small.run_shell("echo one; echo two") == ["one", "two"]
    assert time.monotonic() - began < 10
    peaks = [int(re.search(r"VmHWM:\s+(\d+)", text)[1]) for text in supervisors(small)]
    assert peaks and max(peaks) < 32 << 10, f"{peaks} KiB"
    small.batch.terminate_job(jobId=job_id, reason="enough")
    assert small.fail(job_id)["container"]["exitCode"] == 7
    for log in small.data_dir.glob("logs/*/*"):
        assert log.stat().st_size < CAP * 1.5, log
    last = small.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, limit=1)["events"][-1]["message"]
    assert re.fullmatch(r"batchyard: \d+ lines were dropped \(log cap of 1048576 bytes\)", last), last
    for log in small.data_dir.glob("logs/*/*"):
        log.unlink()


def supervisors(server):
    """What the kernel tells of each, and of what stands for a runtime's container."""
    attempts = f"{server.data_dir}/attempts/".encode()
    return [read(p / "status").decode() for p in Path("/proc").glob("[0-9]*") if attempts in read(p / "cmdline")]


def test_two_hundred_megabytes_of_log_take_no_longer_for_the_cap(small):
    """A job is never held up by what is dropped."""
    began = time.monotonic()
    small.succeed(small.shell("yes 'a line of a log that nobody will read' | head -c 209715200"))
    assert time.monotonic() - began < 60
