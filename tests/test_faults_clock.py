"""The wall clock jumps by an hour, forth and back, under a running server and between two (architecture, invariant 2):
no attempt is ended or spared, and what people read stays readable.

The clock is the hooks'; this machine's own is never touched. Never here: timeouts on an honest clock (test_late).
"""

import datetime

import botocore.auth
import pytest

from support.fault_bench import TELL, Bench, codes
from support.hooks import Hooks
from support.wait import until

HOUR = 3600
WAITS = TELL + "while [ ! -e /shared/end ]; do sleep 0.01; done; echo done"


@pytest.fixture
def bench(make_server, shared_folder, tmp_path, monkeypatch):
    """`set_clock(seconds)` sets server, supervisors and the signatures of boto3 ahead."""
    hooks = Hooks(tmp_path / "hooks")
    bench = Bench(make_server(**hooks.settings).start(), hooks, shared_folder)
    real = botocore.auth.get_current_datetime

    def set_clock(seconds):
        hooks.clock(seconds)
        shift = datetime.timedelta(seconds=seconds)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *args, **kwargs: real(*args, **kwargs) + shift)

    bench.set_clock = set_clock
    yield bench
    set_clock(0)


@pytest.mark.parametrize("restarted", [False, True], ids=["the server stays up", "between two servers"])
@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forth", "back"])
def test_nothing_is_ended_and_everything_is_listed(bench, jump, restarted):
    server = bench.server
    before = server.succeed(server.shell("echo before"))
    job_id = bench.running(bench.define(WAITS, attempts=1, timeout={"attemptDurationSeconds": 60}))
    if restarted:
        server.kill9()
    bench.set_clock(jump)
    if restarted:
        server.start()
    # An hour ahead it is long over its time by the wall clock; it was never told so.
    assert server.job(job_id)["status"] == "RUNNING"
    after = server.succeed(server.shell("echo after"))
    assert server.log_of(after) == ["after"] and server.log_of(before) == ["before"]
    assert abs(after["createdAt"] - before["createdAt"] - jump * 1000) < 60_000
    assert after["createdAt"] <= after["startedAt"] <= after["stoppedAt"]
    (bench.shared / "end").touch()
    assert codes(server.succeed(job_id)) == [0]

    # Pages in the order of submission, whatever the times say; filters go by the times.
    ids = [job_id, before["jobId"], after["jobId"]]
    pages = server.batch.get_paginator("list_jobs").paginate(
        jobQueue="default", jobStatus="SUCCEEDED", PaginationConfig={"PageSize": 1})
    listed = [summary["jobId"] for page in pages for summary in page["jobSummaryList"]]
    assert listed == [after["jobId"], job_id, before["jobId"]]
    middle = str((after["createdAt"] + before["createdAt"]) // 2)
    newer = server.batch.list_jobs(jobQueue="default", filters=[{"name": "AFTER_CREATED_AT", "values": [middle]}])
    late = {after["jobId"]} if jump > 0 else {before["jobId"], job_id}
    assert {summary["jobId"] for summary in newer["jobSummaryList"]} == late
    events = server.logs.filter_log_events(logGroupName="/aws/batch/job")["events"]
    assert {event["message"] for event in events} == {"before", "after", "ran", "done"}
    assert len(ids) == len(bench.jobs())


def test_requests_signed_by_the_old_clock_are_refused_and_say_why(bench):
    bench.hooks.clock(HOUR)
    client = bench.server.client("batch", checked=False)
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.describe_job_queues()
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


@pytest.mark.slow
@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forth", "back"])
def test_a_timeout_is_neither_early_nor_late(bench, jump):
    """Sixty seconds stay sixty seconds, by the honest clock of the job itself."""
    job_id = bench.running(bench.define("trap 'exit 9' TERM; " + TELL + "while :; do sleep 0.05; done", attempts=1,
                                        timeout={"attemptDurationSeconds": 60}))
    began = datetime.datetime.now()
    bench.set_clock(jump)
    job = bench.server.fail(job_id, timeout=90)
    took = (datetime.datetime.now() - began).total_seconds()
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert 55 <= took <= 70, took


def test_many_jumps_while_jobs_come_and_go(bench):
    """Each job once, in the end."""
    definition = bench.define("echo $AWS_BATCH_JOB_ID >>/shared/ran", attempts=1)
    ids = []
    for jump in (0, HOUR, -HOUR, 24 * HOUR, -24 * HOUR, 0):
        bench.set_clock(jump)
        ids += [bench.server.submit(definition) for _ in range(4)]
    for job_id in ids:
        assert codes(bench.server.succeed(job_id)) == [0]
    ran = (bench.shared / "ran").read_text().split()
    assert sorted(ran) == sorted(ids)
    until(lambda: bench.jobs() == set(ids), what="all of them listed")
