"""A minute is over: what the session's first jobs came to. They ran while the other tests did."""

import time

import pytest

from support.wait import until

pytestmark = pytest.mark.late
TIMEOUT = "Job attempt duration exceeded timeout"


def judge(server, job_id):
    job = server.fail(job_id, timeout=120)
    assert job["statusReason"] == TIMEOUT
    assert [a["statusReason"] for a in job["attempts"]] == [TIMEOUT], "a timeout is never retried"
    assert 60_000 <= job["stoppedAt"] - job["startedAt"] < 75_000
    assert job["container"]["exitCode"] == 5, "SIGTERM comes first, and its handler decides the code"
    assert server.log_of(job) == ["began", "asked to stop"]
    return job


def test_timeout_with_the_server_down(minute_jobs):
    """The supervisor ends the job on time by itself; the server learns of it when it is back."""
    server, job_id, started = minute_jobs["down"]
    [attempt] = until(lambda: list(server.data_dir.glob("attempts/*/exit")), 120, "the exit record")
    written = attempt.stat().st_mtime * 1000
    assert server.process.poll() is not None, "the server is down"
    server.start()
    job = judge(server, job_id)
    assert job["startedAt"] == started
    assert job["stoppedAt"] <= written + 1000 <= time.time() * 1000 + 1000


def test_timeout_with_the_server_up(minute_jobs):
    server, job_id, started = minute_jobs["up"]
    assert judge(server, job_id)["startedAt"] == started
