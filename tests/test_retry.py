"""evaluateOnExit against what attempts really say, and what is never retried (spec jobs §7)."""

import pytest

OOM = "OutOfMemoryError: Container killed due to memory usage"


def run(server, script, rules, attempts=3, **more):
    strategy = {"attempts": attempts, "evaluateOnExit": rules}
    job = server.fail(server.shell(script, retryStrategy=strategy, **more))
    assert job["retryStrategy"] == strategy, "shown as it was sent, letter case and all"
    return job


@pytest.mark.parametrize(
    ("rules", "attempts"),
    [
        ([{"action": "Exit", "onReason": "OutOfMemoryError*"}], 1),
        ([{"action": "EXIT", "onReason": OOM}], 1),
        ([{"action": "EXIT", "onReason": "OutOfMemoryError"}], 2),  # Without a star the whole text counts.
        ([{"action": "rEtRy", "onReason": "OutOfMemoryError*"}, {"action": "EXIT", "onReason": "*"}], 2),
    ],
)
def test_a_reason_decides(server, rules, attempts):
    job = run(server, "head -c 209715200 /dev/zero | tail", rules, attempts=2, memory=32)
    assert [a["container"]["reason"] for a in job["attempts"]] == [OOM] * attempts


@pytest.mark.parametrize(
    ("rules", "attempts"),
    [
        # The first entry that matches decides, however well a later one does.
        ([{"action": "EXIT", "onExitCode": "1*"}, {"action": "RETRY", "onExitCode": "12"}], 1),
        ([{"action": "RETRY", "onExitCode": "12"}, {"action": "EXIT", "onExitCode": "1*"}], 3),
        # No match: another attempt.
        ([{"action": "EXIT", "onExitCode": "2"}, {"action": "EXIT", "onStatusReason": "Host EC2*"}], 3),
        # All conditions of an entry.
        ([{"action": "EXIT", "onExitCode": "12", "onStatusReason": "Essential*"}], 1),
        ([{"action": "EXIT", "onExitCode": "12", "onStatusReason": "Essential"}], 3),
        # An absent reason is taken by a lone star, by nothing else.
        ([{"action": "EXIT", "onReason": "*"}], 1),
        ([{"action": "EXIT", "onReason": "O*"}], 3),
        ([], 3),
    ],
)
def test_the_first_match_decides(server, rules, attempts):
    job = run(server, "exit 12", rules)
    assert [a["container"]["exitCode"] for a in job["attempts"]] == [12] * attempts
    assert job["statusReason"] == "Essential container in task exited"


def test_a_start_failure_is_an_attempt_with_its_reason(server):
    strategy = {"attempts": 3, "evaluateOnExit": [
        {"action": "EXIT", "onReason": "CannotPullContainerError*"}, {"action": "RETRY", "onReason": "*"}]}
    job = server.fail(server.submit(server.register(["true"], image="no/such-image:1"), retryStrategy=strategy))
    [attempt] = job["attempts"]
    assert attempt["statusReason"] == "Task failed to start" and "startedAt" not in attempt
    assert not {"exitCode", "logStreamName"} & set(attempt["container"])
    never = server.submit(server.register(["no-such-program"]), retryStrategy={"attempts": 2})
    assert len(server.fail(never)["attempts"]) == 2


def test_the_submissions_strategy_replaces_the_definitions(server):
    arn = server.register(["sh", "-c", "exit 1"], retryStrategy={
        "attempts": 3, "evaluateOnExit": [{"action": "EXIT", "onExitCode": "1"}]})
    assert len(server.fail(server.submit(arn))["attempts"]) == 1
    assert len(server.fail(server.submit(arn, retryStrategy={"attempts": 2}))["attempts"]) == 2


def test_the_job_shows_its_latest_attempt(server):
    """The job shows its latest attempt; what ended before is only in `attempts` (spec jobs §1.2)."""
    definition = server.register(["sh", "-c", "exit 1"])
    job = server.fail(server.submit(definition, retryStrategy={"attempts": 2}))
    assert job["container"]["taskArn"] == job["attempts"][1]["container"]["taskArn"] != job["attempts"][0]["container"]["taskArn"]
    assert job["startedAt"] == job["attempts"][1]["startedAt"] and job["stoppedAt"] == job["attempts"][1]["stoppedAt"]
