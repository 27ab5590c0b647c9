"""Describe and List by name, by ARN and page by page: tokens end, nothing comes twice, nothing is left out.

Never here: what a resource shows (test_echo).
"""

import pytest

from support.examples import EC2
from test_echo import settled


def environment(batch, name):
    return batch.create_compute_environment(
        computeEnvironmentName=name, type="MANAGED", computeResources=EC2)["computeEnvironmentArn"]


def queue(batch, name):
    order = [{"order": 1, "computeEnvironment": "default"}]
    return batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)["jobQueueArn"]


def definition(batch, name):
    return batch.register_job_definition(
        jobDefinitionName=name, type="container", containerProperties={"image": "busybox", "vcpus": 1, "memory": 64},
    )["jobDefinitionArn"]


# By operation: the list that is both answer and selection, name and ARN of an entry, how one is made.
KINDS = {
    "describe_compute_environments": ("computeEnvironments", "computeEnvironmentName", "computeEnvironmentArn", environment),
    "describe_job_queues": ("jobQueues", "jobQueueName", "jobQueueArn", queue),
    "describe_job_definitions": ("jobDefinitions", "jobDefinitionName", "jobDefinitionArn", definition),
}


@pytest.mark.parametrize("operation", KINDS)
def test_pages_and_selections_of_resources(server, operation):
    members, name, arn, make = KINDS[operation]
    describe = getattr(server.batch, operation)
    arns = {f"list-{i}": make(server.batch, f"list-{i}") for i in range(5)}
    seen, token = [], {}
    while True:
        page = describe(maxResults=2, **token)
        assert len(page[members]) <= 2
        seen += page[members]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
        assert len(seen) < 50
    names = [found[name] for found in seen]
    assert len(names) == len(set(names)) and set(arns) <= set(names)
    chosen = describe(**{members: ["list-3", arns["list-1"], "list-nowhere"]})[members]
    assert {found[arn] for found in chosen} == {arns["list-3"], arns["list-1"]}
    for found in seen:
        if found[name] in arns and operation == "describe_compute_environments":
            settled(server, found[name])


def test_definitions_by_name_and_status(server):
    first, second = definition(server.batch, "named"), definition(server.batch, "named")
    definition(server.batch, "other")
    server.batch.deregister_job_definition(jobDefinition="named:1")

    def shown(**selection):
        return [d["jobDefinitionArn"] for d in server.batch.describe_job_definitions(**selection)["jobDefinitions"]]

    assert set(shown(jobDefinitionName="named")) == {first, second}
    assert shown(jobDefinitionName="named", status="ACTIVE") == [second]
    assert shown(jobDefinitionName="named", status="INACTIVE") == [first]
    assert shown(jobDefinitions=["named:1"]) == [first]
    assert server.succeed(server.submit("named:2"))["jobDefinition"] == second


def test_jobs_by_id_and_arn(server):
    first, second = server.submit(), server.submit()
    arn = server.succeed(second)["jobArn"]
    server.succeed(first)
    found = server.batch.describe_jobs(jobs=[first, arn])["jobs"]
    assert {job["jobId"] for job in found} == {first, second}


def test_what_is_not_there_is_no_error(server):
    """Deleting and stopping are done then (spec infrastructure §1.8, jobs §8)."""
    batch, nobody = server.batch, "00000000-0000-4000-8000-000000000000"
    batch.delete_compute_environment(computeEnvironment="nowhere")
    batch.delete_job_queue(jobQueue="nowhere")
    batch.cancel_job(jobId=nobody, reason="none")
    batch.terminate_job(jobId=nobody, reason="none")
