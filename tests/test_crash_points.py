"""The server is killed at chosen instants around the start of an attempt: each job still runs exactly once.

BATCHYARD_TEST_CRASH_AT names an instant; the server ends itself with SIGKILL when it first comes there.
"""

import signal
import subprocess

import pytest
from botocore.exceptions import BotoCoreError

# In the order in which one job passes them. At the first the submission is not yet durable, at all others it is.
POINTS = [
    "before_commit", "after_commit", "before_folder", "after_folder", "after_lock", "before_spawn", "after_spawn",
    "before_report", "before_forget",
]
STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")


def prepare(make_server, folder):
    """A server that was up once, so that it has nothing of its own to commit, with a definition that tells each run."""
    server = make_server().start()
    definition = server.register(
        ["sh", "-c", "echo $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT >>/shared/ran; echo ran"],
        volumes=[{"name": "s", "host": {"sourcePath": str(folder)}}],
        mountPoints=[{"containerPath": "/shared", "sourceVolume": "s"}],
    )
    server.kill9()
    return server, definition


def submit_and_crash(server, definition, point):
    """Submits to a server that dies at `point`; gives the job's id, or nothing when the answer was lost with it."""
    server.start(BATCHYARD_TEST_CRASH_AT=point)
    try:
        answered = server.submit(definition)
    except BotoCoreError:
        answered = None
    assert server.wait_aborted() == -signal.SIGKILL, f"{point} was never reached"
    return answered


def jobs(server):
    found = set()
    for status in STATUSES:
        page = server.batch.list_jobs(jobQueue="default", jobStatus=status)
        found |= {summary["jobId"] for summary in page["jobSummaryList"]}
    return found


def judge(server, folder, answered, point):
    """Exactly one run; only a submission that was never answered may be gone."""
    found = jobs(server)
    if point == "before_commit" and not found:
        assert answered is None
        assert not (folder / "ran").exists()
        return
    [job_id] = found
    assert answered in (None, job_id)
    job = server.succeed(job_id)
    assert len(job["attempts"]) == 1
    assert server.log_of(job) == ["ran"]
    assert (folder / "ran").read_text() == f"{job_id} 1\n"


@pytest.mark.parametrize("point", POINTS)
def test_one_run_per_attempt(make_server, shared_folder, point):
    server, definition = prepare(make_server, shared_folder)
    answered = submit_and_crash(server, definition, point)
    server.start()
    judge(server, shared_folder, answered, point)


@pytest.mark.parametrize("point", POINTS)
def test_killed_again_while_it_makes_up_for_it(make_server, shared_folder, point):
    server, definition = prepare(make_server, shared_folder)
    answered = submit_and_crash(server, definition, point)
    server.start(wait=False, BATCHYARD_TEST_CRASH_AT=point)
    try:
        server.wait_aborted(timeout=1)
    except subprocess.TimeoutExpired:
        server.kill9()  # The first run was past the point already.
    server.start()
    judge(server, shared_folder, answered, point)
