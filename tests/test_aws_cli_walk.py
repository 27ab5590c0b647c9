"""Every operation that works, through the `aws` command line itself: version 1 from PyPI and Debian's version 2.

One walk in the order of a user's day: environments, policy, queues, definition, tags, jobs, logs, and all of it away
again. Slow, since each call starts Python. Never here: limits and errors, which boto3 tries faster.
"""

import json
import subprocess
import time

import pytest

from support.server import VENV_BIN
from support.wait import until

AWS = {"v1": VENV_BIN / "aws", "v2": "/usr/bin/aws"}
CONTAINER = {
    "image": "busybox", "command": ["echo", "Ref::word"],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
}
RESOURCES = {
    "type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"], "instanceRole": "ecsInstanceRole",
}


class Walk:
    """One version of the program, and how it is asked."""

    def __init__(self, server, program):
        self.server, self.program, self.calls = server, program, 0

    def __call__(self, service, operation, **members):
        """One call; members in the API's own names."""
        self.calls += 1
        command = [self.program, "--endpoint-url", self.server.endpoint, "--output", "json", service, operation]
        if members:
            command += ["--cli-input-json", json.dumps(members)]
        done = subprocess.run(
            command, env=self.server.client_environment(), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{operation}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def knows(self, operation):
        """Whether this version's model has the operation."""
        command = [self.program, "batch", operation, "--generate-cli-skeleton"]
        return subprocess.run(command, env=self.server.client_environment(), capture_output=True).returncode == 0

    def one(self, operation, member, name):
        """The only item of a Describe by name."""
        [item] = self("batch", operation, **{member: [name]})[member]
        return item

    def valid(self, operation, member, name):
        until(lambda: self.one(operation, member, name)["status"] == "VALID", what=f"{name} VALID")


@pytest.fixture(params=["v1", "v2"])
def aws(request, own_server):
    return Walk(own_server, AWS[request.param])


@pytest.mark.slow
def test_every_operation(aws):
    make_resources(aws)
    definition = register(aws)
    tags(aws, definition)
    jobs(aws.server, aws, definition)
    logs(aws)
    unmake_resources(aws, definition)
    assert aws.calls > 45


def make_resources(aws):
    made = aws("batch", "create-compute-environment", computeEnvironmentName="walk", type="MANAGED", computeResources=RESOURCES)
    assert made["computeEnvironmentArn"].endswith(":compute-environment/walk")
    aws.valid("describe-compute-environments", "computeEnvironments", "walk")
    aws("batch", "update-compute-environment", computeEnvironment="walk", computeResources={"maxvCpus": 8})
    assert aws.one("describe-compute-environments", "computeEnvironments", "walk")["computeResources"]["maxvCpus"] == 8

    share = {"shareDecaySeconds": 600, "shareDistribution": [{"shareIdentifier": "a*", "weightFactor": 0.5}]}
    policy = aws("batch", "create-scheduling-policy", name="walk", fairsharePolicy=share)["arn"]
    assert policy in [p["arn"] for p in aws("batch", "list-scheduling-policies")["schedulingPolicies"]]
    aws("batch", "update-scheduling-policy", arn=policy, fairsharePolicy=share | {"computeReservation": 5})
    [described] = aws("batch", "describe-scheduling-policies", arns=[policy])["schedulingPolicies"]
    assert described["fairsharePolicy"]["computeReservation"] == 5

    order = [{"order": 1, "computeEnvironment": "walk"}]
    aws("batch", "create-job-queue", jobQueueName="walk", priority=1, computeEnvironmentOrder=order)
    aws("batch", "create-job-queue", jobQueueName="walk-shared", priority=1, computeEnvironmentOrder=order,
        schedulingPolicyArn=policy)
    aws.valid("describe-job-queues", "jobQueues", "walk")
    aws("batch", "update-job-queue", jobQueue="walk", priority=7)
    assert aws.one("describe-job-queues", "jobQueues", "walk")["priority"] == 7


def register(aws):
    arn = aws("batch", "register-job-definition", jobDefinitionName="walk", type="container", parameters={"word": "one"},
              containerProperties=CONTAINER)["jobDefinitionArn"]
    [described] = aws("batch", "describe-job-definitions", jobDefinitions=[arn])["jobDefinitions"]
    assert described["containerProperties"]["command"] == CONTAINER["command"]
    return arn


def tags(aws, arn):
    aws("batch", "tag-resource", resourceArn=arn, tags={"team": "blue", "cost": "7"})
    aws("batch", "untag-resource", resourceArn=arn, tagKeys=["cost"])
    assert aws("batch", "list-tags-for-resource", resourceArn=arn)["tags"] == {"team": "blue"}


def jobs(server, aws, definition):
    submit = dict(jobQueue="walk", jobDefinition=definition)
    good = aws("batch", "submit-job", jobName="walk", parameters={"word": "two"}, **submit)["jobId"]
    shared = aws("batch", "submit-job", jobName="walk-shared", jobQueue="walk-shared", jobDefinition=definition,
                 shareIdentifier="a1", schedulingPriorityOverride=3)["jobId"]
    assert server.log_of(server.succeed(good)) == ["two"]
    assert server.log_of(server.succeed(shared)) == ["one"]
    [job] = aws("batch", "describe-jobs", jobs=[good])["jobs"]
    assert (job["status"], job["container"]["exitCode"]) == ("SUCCEEDED", 0)
    listed = aws("batch", "list-jobs", jobQueue="walk", jobStatus="SUCCEEDED")["jobSummaryList"]
    assert [summary["jobId"] for summary in listed] == [good]
    listed = aws("batch", "list-jobs", jobQueue="walk", filters=[{"name": "JOB_NAME", "values": ["WAL*"]}])
    assert [summary["jobId"] for summary in listed["jobSummaryList"]] == [good]

    sleep = {"command": ["sleep", "600"]}
    running = [aws("batch", "submit-job", jobName="walk-on", containerOverrides=sleep, **submit)["jobId"] for _ in range(2)]
    for job_id in running:
        server.wait_job(job_id, "RUNNING")
    aws("batch", "cancel-job", jobId=running[0], reason="nothing happens")
    aws("batch", "terminate-job", jobId=running[0], reason="enough")
    if aws.knows("terminate-jobs"):
        aws("batch", "cancel-jobs", jobs=running, reason="nothing happens")
        told = aws("batch", "terminate-jobs", jobs=running[1:], reason="enough")
        assert told["successful"] == running[1:]
    else:
        aws("batch", "terminate-job", jobId=running[1], reason="enough")
    assert [server.fail(job_id)["statusReason"] for job_id in running] == ["enough", "enough"]


def logs(aws):
    group = {"logGroupName": "walk"}
    stream = group | {"logStreamName": "s"}
    aws("logs", "create-log-group", **group)
    aws("logs", "put-retention-policy", retentionInDays=7, **group)
    [found] = aws("logs", "describe-log-groups", logGroupNamePrefix="walk")["logGroups"]
    assert found["retentionInDays"] == 7
    aws("logs", "delete-retention-policy", **group)
    aws("logs", "create-log-stream", **stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": "first"}, {"timestamp": now + 1, "message": "second ERROR"}]
    aws("logs", "put-log-events", logEvents=events, **stream)
    [found] = aws("logs", "describe-log-streams", **group)["logStreams"]
    assert found["lastEventTimestamp"] == now + 1
    read = aws("logs", "get-log-events", startFromHead=True, **stream)["events"]
    assert [event["message"] for event in read] == ["first", "second ERROR"]
    read = aws("logs", "filter-log-events", filterPattern="ERROR", **group)["events"]
    assert [event["message"] for event in read] == ["second ERROR"]
    aws("logs", "delete-log-stream", **stream)
    aws("logs", "delete-log-group", **group)


def unmake_resources(aws, definition):
    aws("batch", "deregister-job-definition", jobDefinition=definition)
    for queue in ("walk", "walk-shared"):
        aws("batch", "update-job-queue", jobQueue=queue, state="DISABLED")
        aws.valid("describe-job-queues", "jobQueues", queue)
        aws("batch", "delete-job-queue", jobQueue=queue)
        until(lambda: not aws("batch", "describe-job-queues", jobQueues=[queue])["jobQueues"], what="the queue's end")
    [policy] = aws("batch", "list-scheduling-policies")["schedulingPolicies"]
    aws("batch", "delete-scheduling-policy", arn=policy["arn"])
    aws("batch", "update-compute-environment", computeEnvironment="walk", state="DISABLED")
    aws.valid("describe-compute-environments", "computeEnvironments", "walk")
    aws("batch", "delete-compute-environment", computeEnvironment="walk")
    until(lambda: not aws("batch", "describe-compute-environments", computeEnvironments=["walk"])["computeEnvironments"],
          what="the environment's end")
