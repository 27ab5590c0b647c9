"""One job through boto3, from registration to its log, in AWS's shapes (spec jobs §1.3, §1.4)."""

import re
import time

import pytest
from botocore.exceptions import ClientError

from support.wait import until

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def test_who_am_i(server):
    me = server.sts.get_caller_identity()
    assert re.fullmatch(r"\d{12}", me["Account"])
    assert me["Arn"] == f"arn:aws:iam::{me['Account']}:root"
    assert me["UserId"]


def test_a_fresh_server_has_queues_and_environments(server):
    queues = {q["jobQueueName"]: q for q in server.batch.describe_job_queues()["jobQueues"]}
    assert {"default", "default-fargate"} <= set(queues)
    for queue in queues.values():
        assert (queue["state"], queue["status"], queue["statusReason"]) == ("ENABLED", "VALID", "JobQueue Healthy")
    environments = server.batch.describe_compute_environments()["computeEnvironments"]
    types = {e["computeEnvironmentName"]: e["computeResources"]["type"] for e in environments}
    assert types == {"default": "EC2", "default-fargate": "FARGATE"}
    order = queues["default"]["computeEnvironmentOrder"]
    assert [o["computeEnvironment"] for o in order] == [
        e["computeEnvironmentArn"] for e in environments if e["computeEnvironmentName"] == "default"
    ]


def test_revisions_count_up_and_are_never_reused(server):
    first = server.register(name="counted")
    second = server.register(name="counted")
    assert (first[-2:], second[-2:]) == (":1", ":2")
    server.batch.deregister_job_definition(jobDefinition=second)
    shown = server.batch.describe_job_definitions(jobDefinitionName="counted")["jobDefinitions"]
    assert {(d["revision"], d["status"]) for d in shown} == {(1, "ACTIVE"), (2, "INACTIVE")}
    # By name the latest ACTIVE revision is used.
    assert server.job(server.submit("counted"))["jobDefinition"] == first
    assert server.register(name="counted").endswith(":3")
    with pytest.raises(ClientError, match="is not in ACTIVE status"):
        server.submit(second)


def test_a_job_that_waits_has_the_shape_of_aws(server):
    """Exactly the keys that AWS shows for a RUNNABLE job; empty lists are there, unset members are not."""
    definition = server.register(["echo", "hi"], vcpus=1, memory=64, environment=[{"name": "A", "value": "1"}])
    blocker = server.batch.create_job_queue(
        jobQueueName="no-capacity", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": unmanaged(server)}]
    )
    job_id = server.submit(definition, queue=blocker["jobQueueArn"], name="waits")
    job = server.wait_job(job_id, "RUNNABLE")
    expected = {
        "jobArn", "jobName", "jobId", "jobQueue", "status", "attempts", "statusReason", "createdAt", "dependsOn",
        "jobDefinition", "parameters", "container", "tags", "platformCapabilities", "eksAttempts",
    }
    # Both flags may be shown as false; AWS's own output was seen without them.
    assert set(job) - {"isCancelled", "isTerminated"} == expected
    assert set(job["container"]) == {
        "image", "command", "volumes", "environment", "mountPoints", "ulimits", "networkInterfaces",
        "resourceRequirements", "secrets",
    }
    assert job["jobName"] == "waits"
    assert job["jobArn"].endswith(f":job/{job_id}")
    assert job["jobQueue"] == blocker["jobQueueArn"]
    assert job["jobDefinition"] == definition
    assert job["attempts"] == job["dependsOn"] == job["eksAttempts"] == job["platformCapabilities"] == []
    assert job["container"]["environment"] == [{"name": "A", "value": "1"}]
    assert {(r["type"], r["value"]) for r in job["container"]["resourceRequirements"]} == {("VCPU", "1"), ("MEMORY", "64")}
    assert job["statusReason"], "a job that waits says why"
    server.batch.cancel_job(jobId=job_id, reason="seen enough")
    job = server.fail(job_id)
    assert job["statusReason"] == "seen enough"
    assert job["attempts"] == [] and "startedAt" not in job and job["stoppedAt"] >= job["createdAt"]
    assert job["isCancelled"] is True


def unmanaged(server):
    """A compute environment that has no hosts, so that its jobs stay RUNNABLE."""
    answer = server.batch.create_compute_environment(
        computeEnvironmentName="nobody", type="UNMANAGED", state="ENABLED",
        serviceRole="arn:aws:iam::000000000000:role/batch",
    )
    return answer["computeEnvironmentArn"]


def test_a_job_that_succeeds(server):
    before = int(time.time() * 1000)
    definition = server.register(["sh", "-c", "echo out; echo err >&2"], name="succeeds")
    job_id = server.submit(definition)
    assert re.fullmatch(UUID, job_id)
    job = server.succeed(job_id)
    assert job["statusReason"] == "Essential container in task exited"
    assert before <= job["createdAt"] <= job["startedAt"] <= job["stoppedAt"] <= int(time.time() * 1000) + 1
    container = job["container"]
    assert container["exitCode"] == 0 and "reason" not in container
    task = container["taskArn"].rsplit("/", 1)[1]
    assert re.fullmatch(r"arn:aws:ecs:[a-z0-9-]+:\d{12}:task/[^/]+/[0-9a-f]{32}", container["taskArn"])
    assert container["logStreamName"] == f"succeeds/default/{task}"
    [attempt] = job["attempts"]
    assert attempt["statusReason"] == "Essential container in task exited"
    assert (attempt["startedAt"], attempt["stoppedAt"]) == (job["startedAt"], job["stoppedAt"])
    assert attempt["container"]["exitCode"] == 0
    assert attempt["container"]["logStreamName"] == container["logStreamName"]
    assert sorted(server.log_of(job)) == ["err", "out"]


def test_the_log_can_be_read_while_the_job_runs(server, shared_folder):
    """The stream's name is there as soon as the job is RUNNING, and lines come as they are printed (clients §0, 3)."""
    job_id = server.shell(
        f"echo first; while [ ! -e {shared_folder}/go ]; do sleep 0.05; done; echo second",
        volumes=[{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
        mountPoints=[{"containerPath": str(shared_folder), "sourceVolume": "s"}],
    )
    job = server.wait_job(job_id, "RUNNING")
    stream = job["container"]["logStreamName"]
    until(lambda: server.log(stream) == ["first"], what="the first line")
    (shared_folder / "go").touch()
    server.succeed(job_id)
    assert server.log(stream) == ["first", "second"]


def test_overrides_and_parameters(server):
    definition = server.register(
        ["echo", "Ref::what", "Ref::whom"], parameters={"what": "hello", "whom": "nobody"},
        environment=[{"name": "KEPT", "value": "k"}, {"name": "CHANGED", "value": "old"}],
    )
    job = server.succeed(server.submit(definition, parameters={"whom": "world"}))
    assert server.log_of(job) == ["hello world"]
    assert job["parameters"] == {"what": "hello", "whom": "world"}
    job = server.succeed(server.submit(definition, containerOverrides={
        "command": ["sh", "-c", "echo $KEPT $CHANGED $NEW"],
        "environment": [{"name": "CHANGED", "value": "new"}, {"name": "NEW", "value": "n"}],
        "resourceRequirements": [{"type": "MEMORY", "value": "80"}],
    }))
    assert server.log_of(job) == ["k new n"]
    needs = {r["type"]: r["value"] for r in job["container"]["resourceRequirements"]}
    assert needs == {"VCPU": "1", "MEMORY": "80"}
    with pytest.raises(ClientError, match="No parameter found for reference who"):
        server.submit(server.register(["echo", "Ref::who"]))


def test_what_batch_tells_the_job(server):
    lines = server.run_shell("env | grep ^AWS_ | sort")
    told = dict(line.split("=", 1) for line in lines)
    assert re.fullmatch(UUID, told["AWS_BATCH_JOB_ID"])
    assert told["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert told["AWS_BATCH_JQ_NAME"] == "default"
    assert told["AWS_BATCH_CE_NAME"] == "default"
    assert told["AWS_EXECUTION_ENV"] == "AWS_ECS_EC2"


def test_list_jobs_pages_newest_first(server):
    definition = server.register(["true"])
    ids = [server.submit(definition) for _ in range(7)]
    for job_id in ids:
        server.succeed(job_id)
    wanted, seen, token = set(ids), [], {}
    while True:
        page = server.batch.list_jobs(jobQueue="default", jobStatus="SUCCEEDED", maxResults=3, **token)
        assert len(page["jobSummaryList"]) <= 3
        seen += page["jobSummaryList"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    listed = [s["jobId"] for s in seen]
    assert len(listed) == len(set(listed))
    assert [i for i in listed if i in wanted] == ids[::-1]
    created = [s["createdAt"] for s in seen]
    assert created == sorted(created, reverse=True)
    summary = seen[0]
    assert summary["status"] == "SUCCEEDED" and summary["container"]["exitCode"] == 0
    # Without a status it is RUNNING that is listed.
    assert not wanted & {s["jobId"] for s in server.batch.list_jobs(jobQueue="default")["jobSummaryList"]}


def test_terminate_a_running_job(server):
    job_id = server.shell("trap 'exit 9' TERM; while :; do sleep 0.05; done")
    server.wait_job(job_id, "RUNNING")
    server.batch.cancel_job(jobId=job_id, reason="a cancel does nothing to a running job")
    server.batch.terminate_job(jobId=job_id, reason="no longer wanted")
    job = server.fail(job_id)
    assert job["statusReason"] == "no longer wanted"
    assert job["container"]["exitCode"] == 9, "the job's own handler of SIGTERM decides the code"
    assert job["isTerminated"] is True
    assert [a["statusReason"] for a in job["attempts"]] == ["no longer wanted"]
    # Snakemake terminates every job after its end: 200, and nothing changes (clients §0, 8).
    server.batch.terminate_job(jobId=job_id, reason="again")
    assert server.job(job_id)["statusReason"] == "no longer wanted"


def test_unknown_jobs_are_left_out(server):
    assert server.batch.describe_jobs(jobs=["a" * 32, "00000000-0000-4000-8000-000000000000"])["jobs"] == []


def test_environments_and_queues_live_and_die(server):
    """The order in which Terraform makes and unmakes them (clients §0, 11)."""
    batch = server.batch
    environment = batch.create_compute_environment(
        computeEnvironmentName="made", type="MANAGED", state="ENABLED",
        computeResources={"type": "EC2", "maxvCpus": 1, "minvCpus": 0, "instanceTypes": ["optimal"],
                          "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "instanceRole": "ecs"},
    )["computeEnvironmentArn"]
    until(lambda: status_of(batch, "made") == "VALID", what="VALID")
    queue = batch.create_job_queue(
        jobQueueName="made", priority=5, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "made"}]
    )["jobQueueArn"]
    server.succeed(server.submit(server.register(["true"]), queue=queue))
    with pytest.raises(ClientError):
        batch.delete_job_queue(jobQueue="made")
    with pytest.raises(ClientError):
        batch.delete_compute_environment(computeEnvironment="made")
    batch.update_job_queue(jobQueue=queue, state="DISABLED")
    with pytest.raises(ClientError):
        server.submit(server.register(["true"]), queue="made")
    batch.delete_job_queue(jobQueue=queue)
    until(lambda: gone(batch.describe_job_queues(jobQueues=["made"])["jobQueues"]), what="the queue's end")
    batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    batch.delete_compute_environment(computeEnvironment=environment)
    until(lambda: gone(batch.describe_compute_environments(computeEnvironments=["made"])["computeEnvironments"]),
          what="the environment's end")


def status_of(batch, name):
    [found] = batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    return found["status"]


def gone(found):
    return all(item["status"] == "DELETED" for item in found)


def test_priority_decides_between_queues(server):
    """Of two queues over one environment with room for one job, the higher one goes first."""
    batch = server.batch
    batch.create_compute_environment(
        computeEnvironmentName="narrow", type="MANAGED", state="ENABLED",
        computeResources={"type": "EC2", "maxvCpus": 1, "minvCpus": 0, "instanceTypes": ["optimal"],
                          "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "instanceRole": "ecs"},
    )
    for name, priority in (("low", 1), ("high", 9)):
        batch.create_job_queue(jobQueueName=name, priority=priority, state="ENABLED",
                               computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "narrow"}])
    blocker = server.submit(server.register(["sh", "-c", "trap 'exit 1' TERM; while :; do sleep 0.05; done"]), queue="low")
    server.wait_job(blocker, "RUNNING")
    definition = server.register(["true"])
    low = server.submit(definition, queue="low")
    high = server.submit(definition, queue="high")
    assert server.wait_job(high, "RUNNABLE")["statusReason"]
    batch.terminate_job(jobId=blocker, reason="make room")
    assert server.succeed(high)["startedAt"] <= server.succeed(low)["startedAt"]
