"""Dependencies between jobs, as boto3 and the containers see them (spec jobs §3, §8). Never here: arrays."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

DEPENDENT_FAILED = "Dependent Job failed"


def after(*jobs, kind=None):
    return {"dependsOn": [{"jobId": job} | ({"type": kind} if kind else {}) for job in jobs]}


def waiting(folder):
    """A script that ends when the folder holds `go`, and its mount."""
    mount = {"volumes": [{"name": "s", "host": {"sourcePath": str(folder)}}],
             "mountPoints": [{"containerPath": "/shared", "sourceVolume": "s"}]}
    return "while [ ! -e /shared/go ]; do sleep 0.02; done", mount


def dependent(server, *jobs, script="true", kind=None, **more):
    return server.submit(server.register(["sh", "-c", script]), **after(*jobs, kind=kind), **more)


def test_a_job_waits_for_others_and_sees_what_they_left(server, shared_folder):
    script, mount = waiting(shared_folder)
    first = server.shell(f"{script}; echo one >/shared/first", **mount)
    second = server.shell(f"{script}; echo two >/shared/second", **mount)
    definition = server.register(["sh", "-c", "cat /shared/first /shared/second"], **mount)
    last = server.submit(definition, **after(first, second))
    job = server.wait_job(last, "PENDING")
    assert job["dependsOn"] == [{"jobId": first}, {"jobId": second}]
    assert job["attempts"] == [] and "startedAt" not in job
    pending = server.batch.list_jobs(jobQueue="default", jobStatus="PENDING")["jobSummaryList"]
    assert [row["jobId"] for row in pending] == [last]
    (shared_folder / "go").touch()
    assert server.log_of(server.succeed(last)) == ["one", "two"]
    ends = [server.job(job)["stoppedAt"] for job in (first, second)]
    assert server.job(last)["startedAt"] >= max(ends)


def test_a_failure_fails_all_that_wait_for_it(server):
    """§1.5, §3: the text, no attempts, and on through the chain; what has failed already decides at once."""
    failed = server.shell("exit 3")
    second = dependent(server, failed)
    third = dependent(server, second)
    for job_id in (second, third):
        job = server.fail(job_id)
        assert job["statusReason"] == DEPENDENT_FAILED and job["attempts"] == [] and "startedAt" not in job
        assert job["stoppedAt"] >= job["createdAt"]
    assert server.fail(dependent(server, failed))["statusReason"] == DEPENDENT_FAILED


def test_what_has_succeeded_is_waited_for_no_more(server):
    first = server.succeed(server.shell("true"))["jobId"]
    assert server.succeed(dependent(server, first))["status"] == "SUCCEEDED"


def test_a_retry_decides_nothing(server, shared_folder):
    mount = waiting(shared_folder)[1]
    script = "[ -e /shared/tried ] && exit 0; touch /shared/tried; exit 1"
    first = server.shell(script, retryStrategy={"attempts": 2}, **mount)
    server.succeed(dependent(server, first))
    assert len(server.job(first)["attempts"]) == 2


@pytest.mark.parametrize("how", ["cancel_job", "terminate_job"])
def test_a_pending_job_ends_at_once_and_those_behind_it(server, shared_folder, how):
    script, mount = waiting(shared_folder)
    first = server.shell(script, **mount)
    second = dependent(server, first)
    third = dependent(server, second)
    server.wait_job(second, "PENDING")
    getattr(server.batch, how)(jobId=second, reason="not needed")
    job = server.fail(second)
    flag = "isCancelled" if how == "cancel_job" else "isTerminated"
    assert job["statusReason"] == "not needed" and job[flag] is True
    assert server.fail(third)["statusReason"] == DEPENDENT_FAILED
    (shared_folder / "go").touch()
    server.succeed(first)


@pytest.mark.parametrize("kind", ["N_TO_N", "SEQUENTIAL"])
def test_types_that_name_a_job_that_is_no_array_are_plain(server, kind):
    first = server.shell("true")
    job = server.succeed(dependent(server, first, kind=kind))
    assert job["dependsOn"] == [{"jobId": first, "type": kind}]


def test_an_arn_and_the_same_job_twice(server):
    first = server.shell("true")
    arn = server.job(first)["jobArn"]
    server.succeed(dependent(server, first, arn, first))


@pytest.mark.parametrize(("entry", "text"), [
    ({"jobId": str(uuid.UUID(int=7))}, f"Job {uuid.UUID(int=7)} not found."),
    ({"jobId": "nonsense"}, "Job nonsense not found."),
    ({"jobId": f"{uuid.UUID(int=7)}:3"}, f"Job {uuid.UUID(int=7)}:3 not found."),
    ({"jobId": ""}, "jobId is missing"),
    ({"type": "SEQUENTIAL"}, "for array jobs"),
    ({}, "jobId is missing"),
])
def test_what_is_no_job_is_refused(server, entry, text):
    definition = server.register()
    with pytest.raises(ClientError) as error:
        server.submit(definition, dependsOn=[entry])
    assert error.value.response["Error"]["Code"] == "ClientException" and text in error.value.response["Error"]["Message"]


def test_twenty_and_no_more(server):
    jobs = [server.shell("true") for _ in range(20)]
    server.succeed(dependent(server, *jobs))
    with pytest.raises(ClientError, match="Job cannot have more than 20 dependencies"):
        dependent(server, *jobs, jobs[0])


def test_across_queues_and_a_server_that_is_killed(own_server, shared_folder):
    """Who waits for whom is in the rows: jobs that end while no server runs release those that wait."""
    server = own_server
    server.batch.create_job_queue(jobQueueName="other", priority=1, computeEnvironmentOrder=[
        {"order": 1, "computeEnvironment": "default"}])
    script, mount = waiting(shared_folder)
    good, bad = server.shell(script, **mount), server.shell(f"{script}; exit 1", **mount)
    chain = [dependent(server, good, queue="other")]
    chain.append(dependent(server, chain[0]))
    doomed = dependent(server, good, bad)
    behind = dependent(server, doomed)
    server.wait_job(good, "RUNNING")
    server.wait_job(bad, "RUNNING")
    server.kill9()
    (shared_folder / "go").touch()
    server.start()
    for job_id in chain:
        server.succeed(job_id)
    for job_id in (doomed, behind):
        assert server.fail(job_id)["statusReason"] == DEPENDENT_FAILED


def test_at_the_terminal(server, shared_folder, tmp_path):
    """`--after` takes jobs as other commands name them; a job file's own are kept."""
    script, mount = waiting(shared_folder)
    first = server.shell(script, **mount)
    server.wait_job(first, "RUNNING")
    second = server.batchyard("run", "-d", "--name", "second", "--after", first[:12], "busybox", "--", "true").stdout.strip()
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"jobName": "third", "jobDefinition": server.register(), "jobQueue": "default", **after(first)}))
    third = server.batchyard("submit", "--after", "second", file).stdout.strip()
    assert server.job(second)["dependsOn"] == [{"jobId": first}]
    assert server.job(third)["dependsOn"] == [{"jobId": first}, {"jobId": second}]
    shown = server.batchyard("show", third).stdout
    assert "PENDING" in shown and "waits for the jobs that it depends on" in shown
    wrong = server.batchyard("run", "-d", "--after", "nobody", "busybox", check=False)
    assert wrong.returncode != 0 and "nobody" in wrong.stderr
    (shared_folder / "go").touch()
    for job_id in (second, third):
        server.succeed(job_id)
