"""Data folders and attempt folders of earlier versions, committed under samples/, still open.

`scripts/make-sample.sh` makes one of the running version: a folder that was left by a crash, with a job that ended, one that
ran and one that waited. expected.json beside it says what a server must show once it has opened a copy.
"""

import contextlib
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from support.server import Server

SAMPLES = sorted((Path(__file__).parent / "samples").glob("v*"))


def unpack(sample, server):
    """By tar itself: Python's versions differ in what they let through, and a FIFO is among the files."""
    server.data_dir.mkdir()
    subprocess.run(["tar", "-C", server.data_dir, "-xzf", sample / "data.tar.gz"], check=True)


def test_there_is_a_sample_of_every_format():
    assert [s.name for s in SAMPLES] == [f"v{n}" for n in range(1, len(SAMPLES) + 1)] and SAMPLES


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_sample_opens(sample, tmp_path):
    server = Server(tmp_path)
    unpack(sample, server)
    expected = json.loads((sample / "expected.json").read_text())
    server.key, server.secret = expected["key"], expected["secret"]
    server.start()
    try:
        for job_id, wanted in expected["jobs"].items():
            job = server.wait_job(job_id) if wanted["status"] in ("SUCCEEDED", "FAILED") else server.job(job_id)
            shown = {k: job.get(k) for k in wanted if k != "log"}
            assert shown == {k: v for k, v in wanted.items() if k != "log"}
            if "log" in wanted:
                assert server.log_of(job) == wanted["log"]
        names = {q["jobQueueName"] for q in server.batch.describe_job_queues()["jobQueues"]}
        assert names == set(expected["queues"])
        for arn, tags in expected.get("tags", {}).items():
            assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == tags
        policies = server.batch.list_scheduling_policies()["schedulingPolicies"]
        assert [p["arn"] for p in policies] == expected.get("policies", [])
        if "events" in expected:
            assert server.log("s", group="sample") == expected["events"]
        server.succeed(server.submit(expected["definition"]))
    finally:
        server.stop()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_damaged_sample_is_refused(sample, tmp_path):
    """Cut off in the middle, the store is refused with a message, never served (architecture, the store)."""
    server = Server(tmp_path)
    unpack(sample, server)
    stores = [server.data_dir / "batchyard.db"]
    with contextlib.closing(sqlite3.connect(stores[0])) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = stores[0].stat().st_size
    assert size > 32 * 1024, "the rows are in the file itself"
    with stores[0].open("r+b") as file:
        file.truncate(size // 2 // 4096 * 4096)
    done = server.batchyard("server", "--listen", "127.0.0.1:0", check=False, timeout=30)
    assert done.returncode not in (0, 101), "it must not start"
    assert stores[0].name in done.stdout + done.stderr
    shutil.rmtree(server.data_dir)
