"""A disk that is full or takes no writes: writes are refused, reads go on, nothing is damaged, and when there is room
again the same server goes on (architecture, invariant 1).

Never here: other faults.
"""

import subprocess

import pytest
from botocore.exceptions import ClientError

from support.disk import Disk
from support.fault_bench import TELL, Bench, codes
from support.hooks import Hooks
from support.server import BINARY
from support.wait import until

UNAVAILABLE = {"ServerException", "ServiceUnavailableException"}


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    yield disk
    disk.unmount()


@pytest.fixture
def bench(disk, make_server, shared_folder, tmp_path):
    """A server whose data folder is on the disk. It ends before the disk goes."""
    server = make_server(BATCHYARD_DISK_RESERVE_BYTES=0)
    server.data_dir = disk.path / "data"
    bench = Bench(server.start(), Hooks(tmp_path / "hooks"), shared_folder)
    yield bench
    server.stop()
    server.stop = lambda: None


def refused(call):
    """Whether the call is refused as the server's own fault; an answer is kept in `accepted`."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in UNAVAILABLE, error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
        assert error.response["Error"]["Message"]
        return True
    return False


def unchecked(bench):
    """A client whose answers may be a 5xx."""
    return bench.server.client("batch", checked=False)


def trouble(bench, begin, end):
    """A disk that takes no writes from `begin` to `end`: two jobs run, one of which ends meanwhile."""
    ends = bench.running(bench.define(TELL + "echo to the log; while [ ! -e /shared/end ]; do sleep 0.01; done; exit 6",
                                      attempts=1))
    goes_on = bench.running(bench.define(TELL + "while [ ! -e /shared/end2 ]; do sleep 0.01; done", attempts=1))
    definition = bench.define("echo >>/shared/later; true", attempts=1)
    client, accepted = unchecked(bench), []

    def submit():
        accepted.append(client.submit_job(jobName="j", jobQueue="default", jobDefinition=definition)["jobId"])

    begin()
    until(lambda: refused(submit), what="a refused submission")
    # Reads go on, also of what was accepted last.
    known = [ends, goes_on, *accepted]
    assert len(client.describe_jobs(jobs=known[:100])["jobs"]) == len(known[:100])
    assert {"default"} <= {q["jobQueueName"] for q in client.describe_job_queues()["jobQueues"]}
    assert refused(lambda: client.tag_resource(resourceArn=definition, tags={"k": "v"}))
    assert refused(lambda: client.update_job_queue(jobQueue="default", priority=3))
    assert bench.server.job(ends)["status"] == "RUNNING"
    (bench.shared / "end").touch()
    until(lambda: len(bench.supervisors()) == 1, what="the end of one job while nothing can be written")

    end()
    until(lambda: not refused(submit), what="an accepted submission")
    assert codes(bench.server.fail(ends)) == [6], "the exit record was kept"
    (bench.shared / "end2").touch()
    assert codes(bench.server.succeed(goes_on)) == [0]
    for job_id in accepted:
        bench.server.succeed(job_id)
    later = (bench.shared / "later").read_text().splitlines()
    assert len(later) == len(accepted) == len(bench.jobs()) - 2, "each once, and what was refused never"
    assert "k" not in client.list_tags_for_resource(resourceArn=definition)["tags"]
    bench.server.restart()
    assert len(bench.jobs()) == len(accepted) + 2
    bench.server.succeed(bench.server.shell("true"))


def test_a_full_disk(bench, disk):
    trouble(bench, disk.fill, disk.empty)


def test_files_that_take_no_writes(bench):
    """All but the index of the log, which SQLite maps: what that is on a file system that turns read-only is a limit that
    docs/compatibility.md tells."""
    data = bench.server.data_dir
    files = Disk.immutable(data / "batchyard.db", data / "batchyard.db-wal", data / "attempts")
    trouble(bench, files.__enter__, lambda: files.__exit__(None, None, None))


@pytest.fixture
def stopped(disk, make_server):
    """A server that ran one job and was stopped, its data folder on the disk."""
    server = make_server(BATCHYARD_DISK_RESERVE_BYTES=0)
    server.data_dir = disk.path / "data"
    server.job_id = server.start().succeed(server.shell("true"))["jobId"]
    server.stop()
    yield server
    server.stop()
    server.stop = lambda: None


def test_a_start_on_a_full_disk(stopped, disk):
    """It answers reads, refuses writes, and goes on when there is room."""
    disk.fill()
    server = stopped.start()
    assert server.job(server.job_id)["status"] == "SUCCEEDED"
    client = server.client("batch", checked=False)

    def register():
        client.register_job_definition(jobDefinitionName="d" * 100, type="container", containerProperties={
            "image": "busybox", "command": ["x" * 9000],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
        })

    until(lambda: refused(register), what="a refused registration")
    disk.empty()
    until(lambda: not refused(register), what="an accepted registration")
    server.succeed(server.shell("true"))


def test_a_start_on_a_read_only_disk(stopped, disk):
    """It says so and ends; once it can be written to, it starts on what was there."""
    disk.unmount()
    disk.mount("ro")
    done = subprocess.run([BINARY, "server", "--listen", "127.0.0.1:0", "--data-dir", stopped.data_dir],
                          env=stopped.environment(), capture_output=True, text=True, timeout=30)
    text = done.stdout + done.stderr
    assert done.returncode == 1 and "panicked" not in text and "ead-only" in text, text
    disk.unmount()
    disk.mount()
    assert stopped.start().job(stopped.job_id)["status"] == "SUCCEEDED"
