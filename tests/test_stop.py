"""CancelJob, TerminateJob and their bulk forms, per state of the job (spec jobs §8)."""

import uuid

import pytest

from support.idle import idle_queue
from support.refusal import text_of

LOOP = "trap 'exit 9' TERM; while :; do sleep 0.05; done"


@pytest.fixture(scope="module")
def idle(server):
    """A queue whose jobs stay RUNNABLE."""
    return idle_queue(server)


@pytest.fixture(scope="module")
def definition(server):
    return server.register(["true"])


@pytest.mark.parametrize(("operation", "flag", "other"), [
    ("cancel_job", "isCancelled", "isTerminated"), ("terminate_job", "isTerminated", "isCancelled")])
def test_a_waiting_job_fails_with_the_callers_words(server, idle, definition, operation, flag, other):
    job_id = server.submit(definition, queue=idle)
    waiting = server.job(job_id)
    assert waiting["statusReason"] and flag not in waiting and other not in waiting
    words = "ü words, " + "x" * 1015
    getattr(server.batch, operation)(jobId=job_id, reason=words)
    job = server.fail(job_id)
    assert (job["statusReason"], job["attempts"], job[flag]) == (words, [], True)
    assert other not in job and "startedAt" not in job and job["stoppedAt"] >= job["createdAt"]
    assert not {"exitCode", "logStreamName", "taskArn"} & set(job["container"])
    summary = server.batch.list_jobs(jobQueue=idle, jobStatus="FAILED", maxResults=1)["jobSummaryList"][0]
    assert (summary["jobId"], summary[flag], summary["statusReason"]) == (job_id, True, words)
    # Nothing changes an ended job (clients §0, 8).
    server.batch.terminate_job(jobId=job["jobArn"], reason="again")
    assert server.job(job_id) == job


@pytest.mark.parametrize("operation", ["cancel_job", "terminate_job"])
def test_jobs_that_are_not_there_are_no_error(server, operation):
    call = getattr(server.batch, operation)
    unknown = str(uuid.uuid4())
    for job_id in (unknown, f"{unknown}:3", f"{unknown}#0", "x", f"arn:aws:batch:{server.region}:999999999999:job/{unknown}"):
        call(jobId=job_id, reason="gone")


@pytest.mark.parametrize(("operation", "article"), [("cancel_job", "an"), ("terminate_job", "a")])
def test_empty_and_long_words(server, operation, article):
    call, job_id = getattr(server.batch, operation), str(uuid.uuid4())
    assert text_of(lambda: call(jobId="", reason="r")) == f"'jobId' is a required field (cannot be {article} empty string)"
    assert text_of(lambda: call(jobId=job_id, reason="")) == f"'reason' is a required field (cannot be {article} empty string)"
    assert "reason must have 1 to 1024 characters, got 1025" in text_of(lambda: call(jobId=job_id, reason="x" * 1025))


def test_cancel_leaves_a_running_job_alone(server):
    job_id = server.shell(LOOP)
    before = server.wait_job(job_id, "RUNNING")
    server.batch.cancel_job(jobId=job_id, reason="too late")
    answer = server.batch.cancel_jobs(jobs=[job_id], reason="too late")
    assert answer["successful"] == [job_id]
    assert server.job(job_id) == before
    server.batch.terminate_job(jobId=job_id, reason="first")
    server.batch.terminate_job(jobId=job_id, reason="second")
    job = server.fail(job_id)
    assert (job["statusReason"], job["container"]["exitCode"], job["isTerminated"]) == ("first", 9, True)


def test_many_at_once(server, idle, definition):
    ids = [server.submit(definition, queue=idle) for _ in range(3)]
    arn = server.job(ids[2])["jobArn"]
    unknown = str(uuid.uuid4())
    foreign = f"arn:aws:batch:{server.region}:999999999999:job/{unknown}"
    answer = server.batch.cancel_jobs(jobs=[ids[0], "x", arn, unknown, f"{unknown}:1", foreign], reason="several")
    assert answer["successful"] == [ids[0], arn, unknown, f"{unknown}:1"]
    assert [(e["job"], e["code"]) for e in answer["errors"]] == [("x", "ValidationException"), (foreign, "AccessDenied")]
    assert all(e["message"] for e in answer["errors"])
    assert [server.job(i)["status"] for i in ids] == ["FAILED", "RUNNABLE", "FAILED"]
    running = server.shell(LOOP)
    server.wait_job(running, "RUNNING")
    answer = server.batch.terminate_jobs(jobs=[running, *ids], reason="all of them")
    assert (answer["successful"], answer["errors"]) == ([running, *ids], [])
    assert server.fail(running)["statusReason"] == server.fail(ids[1])["statusReason"] == "all of them"
    assert server.job(ids[0])["statusReason"] == "several"


def test_errors_of_terminate_jobs(server):
    [error] = server.batch.terminate_jobs(jobs=["x"], reason="none")["errors"]
    assert (error["job"], error["code"]) == ("x", "ValidationException") and "x" in error["message"]


@pytest.mark.parametrize("operation", ["cancel_jobs", "terminate_jobs"])
def test_limits_of_the_bulk_forms(server, operation):
    call, unknown = getattr(server.batch, operation), str(uuid.uuid4())
    answer = call(jobs=[unknown] * 50, reason="r")
    assert (len(answer["successful"]), answer["errors"]) == (50, [])
    answer = call(jobs=[], reason="r")
    assert (answer["successful"], answer["errors"]) == ([], [])
    assert "at most 50" in text_of(lambda: call(jobs=[unknown] * 51, reason="r"))
    assert "reason" in text_of(lambda: call(jobs=[unknown], reason=""))
    assert "reason" in text_of(lambda: call(jobs=[unknown], reason="x" * 1025))
