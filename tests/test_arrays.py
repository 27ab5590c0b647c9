"""Array jobs (spec jobs §4) through boto3. Never here: every rule of who waits for whom (engine tests)."""

import pytest
from botocore.exceptions import ClientError

from support.wait import until

STATES = {"SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"}


def array(server, definition, size, **more):
    return server.submit(definition, arrayProperties={"size": size}, **more)


def describe(server, *job_ids):
    return server.batch.describe_jobs(jobs=list(job_ids))["jobs"]


def children(server, job_id, status, **more):
    pages = server.batch.get_paginator("list_jobs").paginate(arrayJobId=job_id, jobStatus=status, **more)
    return [job for page in pages for job in page["jobSummaryList"]]


def test_children_know_who_they_are(server):
    """§4: index and size in the environment, ids, names; the parent's summary counts all of them."""
    definition = server.register(["sh", "-c", "env | grep ^AWS_BATCH_ | sort; [ $AWS_BATCH_JOB_ARRAY_INDEX != 1 ]"])
    job_id = array(server, definition, 3, tags={"a": "b"})
    parent = server.wait_job(job_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "Array Child Job failed")
    shown = parent["arrayProperties"]
    assert shown["size"] == 3 and "index" not in shown and shown["statusSummaryLastUpdatedAt"] >= parent["createdAt"]
    assert shown["statusSummary"] == dict.fromkeys(STATES, 0) | {"SUCCEEDED": 2, "FAILED": 1}
    for index, child in enumerate(describe(server, *[f"{job_id}:{index}" for index in range(3)])):
        assert child["jobId"] == f"{job_id}:{index}" and child["jobArn"].endswith(f":job/{job_id}:{index}")
        assert child["arrayProperties"] == {"statusSummary": {}, "index": index}
        assert (child["tags"], child["dependsOn"], child["jobName"]) == ({}, [], parent["jobName"])
        assert child["container"]["exitCode"] == (1 if index == 1 else 0)
        lines = server.log_of(child)
        assert f"AWS_BATCH_JOB_ARRAY_INDEX={index}" in lines and "AWS_BATCH_JOB_ARRAY_SIZE=3" in lines
        assert f"AWS_BATCH_JOB_ID={job_id}:{index}" in lines
    with pytest.raises(ClientError):
        server.batch.tag_resource(resourceArn=child["jobArn"], tags={"x": "y"})


def test_listing_of_children_and_of_the_queue(server):
    """§9: children only under arrayJobId, one state at a time; the parent only in its queue."""
    blocker = server.register(["true"], vcpus=4096)
    job_id = array(server, blocker, 700)
    runnable = children(server, job_id, "RUNNABLE", PaginationConfig={"PageSize": 256})
    assert [job["arrayProperties"]["index"] for job in runnable] == list(range(700))
    assert runnable[5]["jobId"] == f"{job_id}:5" and runnable[5]["status"] == "RUNNABLE"
    assert server.batch.list_jobs(arrayJobId=job_id)["jobSummaryList"] == [], "the default is RUNNING"
    queued = server.batch.list_jobs(jobQueue="default", jobStatus="RUNNABLE")["jobSummaryList"]
    pending = server.batch.list_jobs(jobQueue="default", jobStatus="PENDING")["jobSummaryList"]
    assert job_id not in [job["jobId"].split(":")[0] for job in queued]
    (listed,) = [job["arrayProperties"] for job in pending if job["jobId"] == job_id]
    assert listed["size"] == 700 and listed["statusSummary"]["RUNNABLE"] == 700 and listed["statusSummaryLastUpdatedAt"]
    server.batch.cancel_job(jobId=f"{job_id}:300", reason="that one")
    assert [job["jobId"] for job in children(server, job_id, "FAILED")] == [f"{job_id}:300"]
    server.batch.terminate_job(jobId=job_id, reason="enough")
    parent, child, own = describe(server, job_id, f"{job_id}:699", f"{job_id}:0")
    assert [job["statusReason"] for job in (parent, child, own)] == ["enough"] * 3
    assert parent["arrayProperties"]["statusSummary"]["FAILED"] == 700 and child["isTerminated"] is True
    assert len(children(server, job_id, "FAILED", PaginationConfig={"PageSize": 1000})) == 700


def test_what_is_refused(server):
    """§2.1, §3."""
    definition = server.register(["true"])
    for size in (1, 0, -1, 10_001):
        with pytest.raises(ClientError, match=f"between 2 and 10000, got {size}"):
            array(server, definition, size)
    other = array(server, definition, 2)
    with pytest.raises(ClientError, match="N_TO_N needs arrays of one size"):
        array(server, definition, 3, dependsOn=[{"jobId": other, "type": "N_TO_N"}])
    for unknown in (f"{other}:7", f"{server.wait_job(other)['jobId'][:-1]}x"):
        with pytest.raises(ClientError, match="not found"):
            server.submit(definition, dependsOn=[{"jobId": unknown}])
    with pytest.raises(ClientError, match="SEQUENTIAL without a jobId is for array jobs"):
        server.submit(definition, dependsOn=[{"type": "SEQUENTIAL"}])


def test_dependencies_between_children(server, shared_folder):
    """§3: SEQUENTIAL and N_TO_N in one array, and a job after one child; in the order that the jobs saw."""
    mount = {"volumes": [{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
             "mountPoints": [{"containerPath": "/shared", "sourceVolume": "s"}]}
    definition = server.register(
        ["sh", "-c", "echo $NAME$AWS_BATCH_JOB_ARRAY_INDEX >> /shared/order"], memory=16, **mount)

    def named(name):
        return {"containerOverrides": {"environment": [{"name": "NAME", "value": name}]}}

    first = array(server, definition, 3, **named("a"))
    second = array(server, definition, 3, dependsOn=[{"jobId": first, "type": "N_TO_N"}, {"type": "SEQUENTIAL"}],
                   **named("b"))
    third = server.submit(definition, dependsOn=[{"jobId": f"{second}:1"}], **named("c"))
    last = server.submit(definition, dependsOn=[{"jobId": second}, {"jobId": third}], **named("d"))
    assert server.wait_job(last)["status"] == "SUCCEEDED"
    order = (shared_folder / "order").read_text().split()
    place = order.index
    assert sorted(order) == ["a0", "a1", "a2", "b0", "b1", "b2", "c", "d"]
    assert place("b0") < place("b1") < place("b2") and all(place(f"a{i}") < place(f"b{i}") for i in range(3))
    assert place("b1") < place("c") and order[-1] == "d"


def test_a_killed_server_loses_no_child(server):
    """Children that run, wait and have ended, right through two deaths of the server; retries by themselves."""
    definition = server.register(["sh", "-c", "[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || [ $AWS_BATCH_JOB_ARRAY_INDEX -lt 30 ]"],
                                 memory=8)
    job_id = array(server, definition, 60, retryStrategy={"attempts": 2})
    for _ in range(2):
        until(lambda: describe(server, job_id)[0]["arrayProperties"]["statusSummary"]["SUCCEEDED"] > 0, what="a child")
        server.restart()
    assert server.wait_job(job_id, timeout=120)["status"] == "SUCCEEDED"
    retried = describe(server, *[f"{job_id}:{index}" for index in range(60)])
    assert [len(job["attempts"]) for job in retried] == [1] * 30 + [2] * 30


def test_an_administrator_may_allow_more(make_server):
    server = make_server(BATCHYARD_MAX_ARRAY_SIZE="20000").start()
    job_id = array(server, server.register(["true"], vcpus=4096), 20_000)
    assert describe(server, job_id)[0]["arrayProperties"]["statusSummary"]["RUNNABLE"] == 20_000
    assert describe(server, f"{job_id}:19999")[0]["status"] == "RUNNABLE"
    with pytest.raises(ClientError, match="between 2 and 20000, got 20001"):
        array(server, server.register(["true"]), 20_001)
    server.batch.terminate_job(jobId=job_id, reason="enough")
