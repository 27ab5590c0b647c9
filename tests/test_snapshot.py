"""GetJobQueueSnapshot (spec infrastructure §4.2), as boto3 sees it. Never here: why the order is what it is (engine tests)."""

import time

import pytest
from botocore.exceptions import ClientError

from support.wait import until

PARK = "while [ ! -e /shared/go ]; do sleep 0.02; done"


def snapshot(server, queue):
    return server.batch.get_job_queue_snapshot(jobQueue=queue)


@pytest.fixture
def parked(server, shared_folder):
    """Submits jobs of so many vCPUs that end when the folder holds `go`."""
    mount = {"volumes": [{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
             "mountPoints": [{"containerPath": "/shared", "sourceVolume": "s"}]}

    def submit(queue, vcpus=1, **more):
        definition = server.register(["sh", "-c", PARK], vcpus=vcpus, memory=16, **mount)
        return server.submit(definition, queue=queue, **more)

    submit.go = shared_folder / "go"
    return submit


@pytest.fixture
def queue(server, request):
    """A queue over an environment of two vCPUs, with a fair-share policy where the test's parameter says so."""
    name = request.node.name.translate(str.maketrans("[]", "--"))[:60].strip("-")
    server.batch.create_compute_environment(
        computeEnvironmentName=name, type="MANAGED", serviceRole="r", computeResources={
            "type": "EC2", "minvCpus": 0, "maxvCpus": 2, "instanceTypes": ["optimal"], "subnets": ["s"],
            "securityGroupIds": ["g"], "instanceRole": "i"})
    until(lambda: server.batch.describe_compute_environments(
        computeEnvironments=[name])["computeEnvironments"][0]["status"] == "VALID", what="the environment")
    more = {}
    if getattr(request, "param", None):
        policy = server.batch.create_scheduling_policy(name=name, fairsharePolicy={"shareDecaySeconds": 60})
        more = {"schedulingPolicyArn": policy["arn"]}
    server.batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=[
        {"order": 1, "computeEnvironment": name}], **more)
    return name


def test_an_empty_queue(server, queue):
    shown = snapshot(server, queue)
    assert shown["frontOfQueue"]["jobs"] == []
    assert abs(shown["frontOfQueue"]["lastUpdatedAt"] / 1000 - time.time()) < 60
    assert shown["queueUtilization"]["totalCapacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 0.0}]
    assert "fairshareUtilization" not in shown["queueUtilization"]


def test_who_waits_in_order_and_since_when(server, queue, parked):
    running = [parked(queue) for _ in range(2)]
    for job_id in running:
        server.wait_job(job_id, "RUNNING")
    waiting = [parked(queue) for _ in range(3)]
    shown = snapshot(server, f"arn:aws:batch:{server.region}:123456789012:job-queue/{queue}")
    jobs = shown["frontOfQueue"]["jobs"]
    assert [job["jobArn"].split("/")[-1] for job in jobs] == waiting
    created = [server.job(job)["createdAt"] for job in waiting]
    assert [job["earliestTimeAtPosition"] for job in jobs] == created
    assert shown["queueUtilization"]["totalCapacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 2.0}]
    server.batch.cancel_job(jobId=waiting[1], reason="not needed")
    jobs = snapshot(server, queue)["frontOfQueue"]["jobs"]
    assert [job["jobArn"].split("/")[-1] for job in jobs] == [waiting[0], waiting[2]]
    assert jobs[0]["earliestTimeAtPosition"] == created[0] and jobs[1]["earliestTimeAtPosition"] > created[1]
    parked.go.touch()
    for job_id in (*running, waiting[0], waiting[2]):
        server.succeed(job_id)


@pytest.mark.parametrize("queue", [True], indirect=True)
def test_shares_and_what_they_use(server, queue, parked):
    first = parked(queue, vcpus=2, shareIdentifier="red")
    server.wait_job(first, "RUNNING")
    others = [parked(queue, shareIdentifier=share) for share in ("red", "blue")]
    shown = snapshot(server, queue)["queueUtilization"]["fairshareUtilization"]
    assert shown == {"activeShareCount": 2, "topCapacityUtilization": [
        {"shareIdentifier": "red", "capacityUsage": [{"capacityUnit": "VCPU", "quantity": 2.0}]}]}
    parked.go.touch()
    for job_id in (first, *others):
        server.succeed(job_id)


@pytest.mark.parametrize("name", ["nobody", "", "arn:aws:batch:us-east-1:123456789012:job-queue/nobody", "bad/name"])
def test_a_queue_that_is_not_there(server, name):
    with pytest.raises(ClientError) as error:
        snapshot(server, name)
    assert error.value.response["Error"]["Code"] == "ClientException"
    assert f"JobQueue {name} not found." in error.value.response["Error"]["Message"] or not name
