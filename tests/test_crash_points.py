"""The server is killed at chosen instants around the start of an attempt: each job still runs exactly once.

BATCHYARD_TEST_CRASH_AT makes the server abort when it reaches a point, the first time: before the attempt folder is made,
after it, after its lock is taken, after the supervisor is spawned, after the commit that says STARTING.
"""

import signal

import pytest

POINTS = ["after_commit", "before_folder", "after_folder", "after_lock", "after_spawn"]


@pytest.mark.parametrize("point", POINTS)
def test_one_run_per_attempt(make_server, shared_folder, point):
    server = make_server().start(BATCHYARD_TEST_CRASH_AT=point)
    definition = server.register(
        ["sh", "-c", "echo $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT >>/shared/ran; echo ran"],
        volumes=[{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
        mountPoints=[{"containerPath": "/shared", "sourceVolume": "s"}],
        retryStrategy={"attempts": 1},
    )
    try:
        server.submit(definition)
    except Exception:  # noqa: BLE001 - the answer may be lost with the server; whether the job is there is asked below.
        pass
    assert server.wait_aborted() == -signal.SIGABRT, "the crash point was reached"
    server.start()
    listed = []
    for status in ("SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"):
        listed += server.batch.list_jobs(jobQueue="default", jobStatus=status)["jobSummaryList"]
    [job_id] = {summary["jobId"] for summary in listed}
    job = server.succeed(job_id)
    assert len(job["attempts"]) == 1
    assert server.log_of(job) == ["ran"]
    assert (shared_folder / "ran").read_text() == f"{job_id} 1\n"


@pytest.mark.parametrize("point", POINTS)
def test_twice_in_a_row(make_server, shared_folder, point):
    """Killed again at the same point while it makes up for the first time."""
    server = make_server().start(BATCHYARD_TEST_CRASH_AT=point)
    definition = server.register(
        ["sh", "-c", "echo $AWS_BATCH_JOB_ATTEMPT >>/shared/ran"],
        volumes=[{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
        mountPoints=[{"containerPath": "/shared", "sourceVolume": "s"}],
    )
    try:
        server.submit(definition)
    except Exception:  # noqa: BLE001 - see above.
        pass
    server.wait_aborted()
    server.start(wait=False, BATCHYARD_TEST_CRASH_AT=point)
    # Where the first run got past the point there is nothing left to crash at; then this server lives.
    try:
        server.wait_aborted(timeout=2)
    except Exception:  # noqa: BLE001
        server.kill9()
    server.start()
    listed = []
    for status in ("RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"):
        listed += server.batch.list_jobs(jobQueue="default", jobStatus=status)["jobSummaryList"]
    [job_id] = {summary["jobId"] for summary in listed}
    assert len(server.succeed(job_id)["attempts"]) == 1
    assert (shared_folder / "ran").read_text() == "1\n"
