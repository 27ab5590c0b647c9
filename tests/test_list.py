"""ListJobs: selectors, filters, orders, pages (spec jobs §9)."""

import time
import uuid

import pytest

from support.idle import idle_queue
from support.refusal import text_of
from support.wait import until


@pytest.fixture(scope="module")
def jobs(server):
    """Jobs that wait in a queue of their own: queue, definitions and ids by a short key."""
    queue = idle_queue(server)
    arns = {name: server.register(["true"], name=name) for name in ("ls-a", "ls-ab", "ls-b")}
    arns["ls-a2"] = server.register(["true"], name="ls-a")
    plan = [("Test1", "ls-a"), ("test10", "ls-ab"), ("other", "ls-b"), ("test1", "ls-a2"), ("TEST1", "ls-a"), ("test2", "ls-b")]
    ids, created = [], []
    for name, definition in plan:
        job_id = server.submit(arns[definition], queue=queue, name=name)
        ids.append(job_id)
        created.append(server.job(job_id)["createdAt"])
        while int(time.time() * 1000) <= created[-1]:
            pass  # So that no two are created in the same millisecond.
    return {"queue": queue, "arns": arns, "ids": ids, "created": created}


def listed(server, jobs, name=None, value=None, size=2, **more):
    """The numbers of the jobs of all pages, each of `size`."""
    query = {"jobQueue": jobs["queue"]} | more
    if name:
        query["filters"] = [{"name": name, "values": [value]}]
    pages = list(server.batch.get_paginator("list_jobs").paginate(**query, PaginationConfig={"PageSize": size}))
    assert all(len(page["jobSummaryList"]) == size for page in pages[:-1])
    return [jobs["ids"].index(s["jobId"]) for page in pages for s in page["jobSummaryList"]]


def test_names(server, jobs):
    def by(value):
        return listed(server, jobs, "JOB_NAME", value)

    assert by("test1") == by("TEST1") == [4, 3, 0], "any letter case, newest first"
    assert by("test1*") == [4, 3, 0, 1], "by name, then newest first"
    assert by("t*") == [4, 3, 0, 1, 5]
    assert by("*") == [2, 4, 3, 0, 1, 5]
    assert by("test") == by("nobody*") == by("test1**") == []


def test_definitions(server, jobs):
    def by(value):
        return listed(server, jobs, "JOB_DEFINITION", value)

    assert by("ls-a") == [4, 3, 0], "any revision"
    assert by("ls-a*") == [4, 3, 1, 0]
    assert by(jobs["arns"]["ls-a"]) == [4, 0]
    assert by(jobs["arns"]["ls-a2"]) == by("ls-a:2") == [3]
    assert by("LS-A") == by("nothing") == by(jobs["arns"]["ls-a"][:-1] + "7") == []
    assert by(jobs["arns"]["ls-a"].replace(":batch:" + server.region, ":batch:eu-west-9")) == []
    text = text_of(lambda: by(jobs["arns"]["ls-a"] + "*"))
    assert "can't end in *" in text


def test_times(server, jobs):
    created = jobs["created"]
    assert listed(server, jobs, "BEFORE_CREATED_AT", str(created[2])) == [1, 0]
    assert listed(server, jobs, "AFTER_CREATED_AT", str(created[2])) == [5, 4, 3]
    assert listed(server, jobs, "AFTER_CREATED_AT", str(created[5])) == []
    assert listed(server, jobs, "AFTER_CREATED_AT", "0") == [5, 4, 3, 2, 1, 0]


def test_shares_and_states(server, jobs):
    assert listed(server, jobs, "SHARE_IDENTIFIER", "nobody") == []
    assert listed(server, jobs, "SHARE_IDENTIFIER", "nobody", jobStatus="RUNNABLE") == []
    assert listed(server, jobs) == [], "RUNNING unless another state is named"
    assert listed(server, jobs, jobStatus="RUNNABLE") == [5, 4, 3, 2, 1, 0]
    # With another filter the state does not count.
    assert listed(server, jobs, "JOB_NAME", "other", jobStatus="FAILED") == [2]


def test_jobs_of_a_share(server):
    """On a queue that shares: every job names its share, which filters alone or together with a state."""
    batch, name = server.batch, "shares-" + uuid.uuid4().hex[:8]
    policy = batch.create_scheduling_policy(name=name, fairsharePolicy={})["arn"]
    plain = idle_queue(server)
    order = [{"order": 1, "computeEnvironment": plain}]
    batch.create_job_queue(jobQueueName=name, priority=1, schedulingPolicyArn=policy, computeEnvironmentOrder=order)
    until(lambda: batch.describe_job_queues(jobQueues=[name])["jobQueues"][0]["status"] == "VALID", what="VALID")
    definition = server.register(["true"])
    shares = ["red", "blue", "red", "red", "redder"]
    ids = [server.submit(definition, queue=name, shareIdentifier=share, schedulingPriorityOverride=n)
           for n, share in enumerate(shares)]
    job = server.job(ids[3])
    assert (job["shareIdentifier"], job["schedulingPriority"]) == ("red", 3)
    batch.cancel_job(jobId=ids[2], reason="r")
    jobs = {"queue": name, "ids": ids}
    assert listed(server, jobs, "SHARE_IDENTIFIER", "red") == [3, 2, 0], "all states"
    assert listed(server, jobs, "SHARE_IDENTIFIER", "red", jobStatus="RUNNABLE") == [3, 0]
    assert listed(server, jobs, "SHARE_IDENTIFIER", "red", jobStatus="FAILED") == [2]
    assert listed(server, jobs, "SHARE_IDENTIFIER", "RED") == listed(server, jobs, "SHARE_IDENTIFIER", "red*") == []
    found = batch.list_jobs(jobQueue=name, jobStatus="RUNNABLE", maxResults=1)["jobSummaryList"]
    assert [s["shareIdentifier"] for s in found] == ["redder"]
    assert text_of(lambda: server.submit(definition, queue=name)) == "shareIdentifier must be specified."
    words = "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue with fair share scheduling policy."
    assert text_of(lambda: server.submit(definition, queue=plain, shareIdentifier="red")) == words
    assert text_of(lambda: server.submit(definition, queue=plain, schedulingPriorityOverride=1)) == words


def test_what_a_summary_holds(server, jobs):
    """Spec jobs §9: a waiting job tells less, unless a filter asked for it."""
    batch = server.batch
    first = batch.list_jobs(jobQueue=jobs["queue"], jobStatus="RUNNABLE", maxResults=1)["jobSummaryList"][0]
    assert set(first) == {"jobArn", "jobId", "jobName", "createdAt", "status", "statusReason"}
    name = {"filters": [{"name": "JOB_NAME", "values": ["test2"]}]}
    [found] = batch.list_jobs(jobQueue=jobs["queue"], **name)["jobSummaryList"]
    assert found == first | {"jobDefinition": jobs["arns"]["ls-b"]}
    done = server.succeed(server.submit(jobs["arns"]["ls-a"], name="done-" + uuid.uuid4().hex[:8]))
    name = {"filters": [{"name": "JOB_NAME", "values": [done["jobName"]]}]}
    [found] = batch.list_jobs(jobQueue="default", **name)["jobSummaryList"]
    keys = ("jobArn", "jobId", "jobName", "createdAt", "status", "statusReason", "startedAt", "stoppedAt", "jobDefinition")
    assert found == {key: done[key] for key in keys} | {"container": {"exitCode": 0}}


def test_pages_stay_right_while_jobs_come(server):
    """Jobs that are submitted between two pages shift nothing."""
    queue, definition = idle_queue(server), server.register(["true"])
    ids = [server.submit(definition, queue=queue, name="paged") for _ in range(5)]
    filters = [
        {"jobStatus": "RUNNABLE"}, {"filters": [{"name": "JOB_NAME", "values": ["pag*"]}]},
        {"filters": [{"name": "JOB_DEFINITION", "values": [definition.rsplit("/", 1)[1].split(":")[0] + "*"]}]},
        {"filters": [{"name": "AFTER_CREATED_AT", "values": ["0"]}]},
    ]
    known = len(ids)
    for query in filters:
        wanted, seen, token = ids[known - 5:known], [], {}
        while True:
            page = server.batch.list_jobs(jobQueue=queue, maxResults=2, **query, **token)
            seen += [s["jobId"] for s in page["jobSummaryList"]]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
            ids.append(server.submit(definition, queue=queue, name="paged"))
        assert len(seen) == len(set(seen)) and seen[-5:] == ids[:5][::-1], query
        assert set(wanted) <= set(seen)
        assert not set(ids[known:]) & set(seen), "what came after the first page is not in it"
        known = len(ids)


def test_limits_of_a_page(server, jobs):
    def call(**more):
        return server.batch.list_jobs(**{"jobQueue": jobs["queue"]} | more)

    name = [{"name": "JOB_NAME", "values": ["x"]}]
    call(maxResults=1000)
    call(maxResults=100, filters=name)
    for more in ({"maxResults": 1001}, {"maxResults": 0}, {"maxResults": 101, "filters": name}):
        assert "maxResults must be between 1 and" in text_of(lambda m=more: call(**m))
    token = call(jobStatus="RUNNABLE", maxResults=1)["nextToken"]
    assert "nextToken is not valid" in text_of(lambda: call(nextToken="x"))
    assert "nextToken is not valid" in text_of(lambda: call(nextToken=token, filters=name))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "exactly one of"),
        ({"jobQueue": "default", "arrayJobId": str(uuid.uuid4())}, "exactly one of"),
        ({"jobQueue": "nowhere"}, "JobQueue nowhere does not exist"),
        ({"jobQueue": "arn:aws:batch:us-east-1:999999999999:job-queue/default"}, "does not exist"),
        ({"jobQueue": "default", "jobStatus": "DONE"}, "jobStatus"),
        ({"jobQueue": "default", "filters": [{"name": "job_name", "values": ["x"]}]}, "there is no filter"),
        ({"jobQueue": "default", "filters": [{"name": "JOB_NAME", "values": ["x"]}] * 2}, "one can be used at a time"),
        ({"jobQueue": "default", "filters": [{"name": "JOB_NAME", "values": ["x", "y"]}]}, "exactly one value"),
        ({"jobQueue": "default", "filters": [{"name": "AFTER_CREATED_AT", "values": ["today"]}]}, "milliseconds"),
        ({"arrayJobId": "x"}, "is not the id of a job"),
        ({"multiNodeJobId": ""}, "is not the id of a job"),
    ],
)
def test_what_is_refused(server, query, words):
    assert words in text_of(lambda: server.batch.list_jobs(**query))


def test_jobs_without_parts_have_an_empty_listing(server, jobs):
    for selector in ("arrayJobId", "multiNodeJobId"):
        for job_id in (jobs["ids"][0], str(uuid.uuid4())):
            assert server.batch.list_jobs(**{selector: job_id})["jobSummaryList"] == []
