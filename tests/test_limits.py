"""What a job may use and what happens when it wants more: memory, time, attempts (spec jobs §1.5, §7)."""

import pytest

OOM = "OutOfMemoryError: Container killed due to memory usage"
# Allocates in steps and touches every page: `tail` keeps what it reads until it sees a newline.
ALLOCATE_200_MIB = "head -c 209715200 /dev/zero | tail"


def test_too_much_memory_kills(server):
    job = server.fail(server.shell(ALLOCATE_200_MIB, memory=64))
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["reason"] == job["attempts"][0]["container"]["reason"] == OOM
    assert job["container"]["exitCode"] == 137


def test_enough_memory_does_not(server):
    server.succeed(server.shell(ALLOCATE_200_MIB + " >/dev/null", memory=300))


def test_the_number_of_processes_is_limited(server):
    """A fork bomb ends itself, not the machine."""
    script = "i=0; while [ $i -lt 100000 ]; do sleep 1000 & i=$((i+1)); done; wait"
    job_id = server.shell(script, memory=512)
    job = server.fail(job_id)
    assert job["container"]["exitCode"] != 0


def test_exit_3_with_three_attempts(server):
    job = server.fail(server.shell("echo attempt $AWS_BATCH_JOB_ATTEMPT; exit 3", retryStrategy={"attempts": 3}))
    assert [a["container"]["exitCode"] for a in job["attempts"]] == [3, 3, 3]
    assert job["container"]["exitCode"] == 3
    streams = [a["container"]["logStreamName"] for a in job["attempts"]]
    assert len(set(streams)) == 3, "every attempt has a log of its own"
    assert [server.log(s) for s in streams] == [["attempt 1"], ["attempt 2"], ["attempt 3"]]
    starts = [a["startedAt"] for a in job["attempts"]]
    assert starts == sorted(starts) and job["startedAt"] == starts[-1]


def test_a_later_attempt_may_succeed(server):
    job = server.succeed(server.shell("[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || exit 1", retryStrategy={"attempts": 5}))
    assert [a["container"]["exitCode"] for a in job["attempts"]] == [1, 0]


@pytest.mark.parametrize(
    ("rules", "code", "attempts"),
    [
        ([{"action": "EXIT", "onExitCode": "4"}], 4, 1),
        ([{"action": "exit", "onExitCode": "4*"}], 42, 1),
        ([{"action": "EXIT", "onExitCode": "4"}], 5, 3),  # No rule matches: retry.
        ([{"action": "RETRY", "onExitCode": "5"}, {"action": "EXIT", "onReason": "*"}], 5, 3),
        ([{"action": "RETRY", "onExitCode": "5"}, {"action": "EXIT", "onReason": "*"}], 6, 1),
        ([{"action": "EXIT", "onStatusReason": "Essential container*"}], 1, 1),
        ([{"action": "EXIT", "onStatusReason": "Essential container"}], 1, 3),  # Without a star the whole text counts.
        ([{"action": "EXIT", "onExitCode": "1", "onStatusReason": "Host EC2*"}], 1, 3),  # All conditions must hold.
    ],
)
def test_rules_of_retry(server, rules, code, attempts):
    job = server.fail(server.shell(f"exit {code}", retryStrategy={"attempts": 3, "evaluateOnExit": rules}))
    assert [a["container"]["exitCode"] for a in job["attempts"]] == [code] * attempts
    assert job["retryStrategy"]["evaluateOnExit"] == rules, "shown as it was sent"


def test_a_terminated_job_is_not_retried(server):
    job_id = server.shell("trap 'exit 1' TERM; while :; do sleep 0.05; done", retryStrategy={"attempts": 5})
    server.wait_job(job_id, "RUNNING")
    server.batch.terminate_job(jobId=job_id, reason="stop")
    assert len(server.fail(job_id)["attempts"]) == 1


@pytest.mark.parametrize(
    ("command", "image", "reason"),
    [
        (["no-such-program"], "busybox", "CannotStartContainerError: "),
        (["true"], "no/such-image:1", "CannotPullContainerError: "),
    ],
)
def test_what_never_starts(server, command, image, reason):
    job = server.fail(server.submit(server.register(command, image=image)))
    assert job["statusReason"] == "Task failed to start"
    assert job["container"]["reason"].startswith(reason)
    assert "startedAt" not in job or job["attempts"][0].get("startedAt") is None
    [attempt] = job["attempts"]
    assert attempt["statusReason"] == "Task failed to start"


def test_capacity_that_nobody_has(server):
    """More than any environment allows: the job waits and says so in AWS's words."""
    job_id = server.submit(server.register(["true"], vcpus=5000))
    job = server.wait_job(job_id, "RUNNABLE")
    assert job["statusReason"].startswith("MISCONFIGURATION:")
    server.batch.cancel_job(jobId=job_id, reason="cannot run")
    server.fail(job_id)


def test_memory_is_shared_by_what_runs(server):
    """Jobs that together want more memory than the machine has run one after the other, never at once."""
    total_mib = int(next(l for l in open("/proc/meminfo") if l.startswith("MemTotal")).split()[1]) // 1024
    definition = server.register(["sh", "-c", "date +%s%N; sleep 0.3; date +%s%N"], memory=total_mib * 6 // 10)
    ids = [server.submit(definition) for _ in range(3)]
    jobs = sorted((server.succeed(i) for i in ids), key=lambda j: j["startedAt"])
    for earlier, later in zip(jobs, jobs[1:], strict=False):
        assert earlier["stoppedAt"] <= later["startedAt"]
