"""What does not work yet is refused with a ClientException that says so, at registration, at submit or at the call."""

import botocore.session
import pytest

from support.refusal import refused
from support.wire import call, code_of, message_of, send, signed

WORKING = {
    "CancelJob", "CancelJobs", "CreateComputeEnvironment", "CreateJobQueue", "CreateSchedulingPolicy",
    "DeleteComputeEnvironment", "DeleteJobQueue", "DeleteSchedulingPolicy", "DeregisterJobDefinition",
    "DescribeComputeEnvironments", "DescribeJobDefinitions", "DescribeJobQueues", "GetJobQueueSnapshot", "DescribeJobs", "DescribeSchedulingPolicies",
    "ListJobs", "ListSchedulingPolicies", "ListTagsForResource", "RegisterJobDefinition", "SubmitJob", "TagResource",
    "TerminateJob", "TerminateJobs", "UntagResource", "UpdateComputeEnvironment", "UpdateJobQueue", "UpdateSchedulingPolicy",
}
MODEL = botocore.session.get_session().get_service_model("batch")


def smallest(shape, seen=()):
    """The smallest valid value of a shape."""
    if shape.type_name == "structure":
        return {m: smallest(shape.members[m], (*seen, shape.name)) for m in shape.required_members if shape.name not in seen}
    if shape.type_name == "list":
        return [smallest(shape.member, seen)] * max(1, shape.metadata.get("min", 1))
    if shape.type_name == "map":
        return {"k": smallest(shape.value, seen)}
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
    return {"boolean": True, "integer": 1, "long": 1, "float": 1.0, "double": 1.0}[shape.type_name]


def test_the_model_has_48_operations():
    assert len(MODEL.operation_names) == 48 and set(MODEL.operation_names) >= WORKING


@pytest.mark.parametrize("name", sorted(set(MODEL.operation_names) - WORKING))
def test_operations_that_do_not_work_yet(server, name):
    operation = MODEL.operation_model(name)
    path, members = operation.http["requestUri"], smallest(operation.input_shape)
    if "{resourceArn}" in path:
        arn = server.register().replace(":", "%3A").replace("/", "%2F")
        query = [("tagKeys", "k")] if name == "UntagResource" else None
        method, body = operation.http["method"], b'{"tags":{"k":"v"}}' if name == "TagResource" else b""
        headers = {"Content-Type": "application/json"}
        answer = send(method, *signed(server, method, f"/v1/tags/{arn}", body, headers, query=query))
    else:
        answer = call(server, path.removeprefix("/v1/"), members)
    assert (answer.status_code, code_of(answer)) == (400, "ClientException"), answer.text
    assert name in message_of(answer), message_of(answer)


@pytest.mark.parametrize("name", sorted(WORKING))
def test_operations_that_work_do_not_claim_otherwise(server, name):
    operation = MODEL.operation_model(name)
    answer = call(server, operation.http["requestUri"].removeprefix("/v1/"), smallest(operation.input_shape))
    assert answer.status_code == 200 or "yet" not in message_of(answer)


CONTAINER = {"image": "busybox", "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"nodeOverrides": {"numNodes": 2}}, "nodeOverrides"),
        ({"ecsPropertiesOverride": {"taskProperties": []}}, "ecsPropertiesOverride"),
        ({"eksPropertiesOverride": {"podProperties": {}}}, "eksPropertiesOverride"),
        ({"shareIdentifier": "a"}, "share"),
        ({"consumableResourcePropertiesOverride": {"consumableResourceList": [{"consumableResource": "l", "quantity": 1}]}},
         "onsumable"),
        ({"containerOverrides": {"resourceRequirements": [{"type": "GPU", "value": "1"}]}}, "GPU"),
    ],
)
def test_submissions_that_cannot_run_here(server, more, word):
    definition = server.register(["true"])
    refused(lambda: server.submit(definition, **more), word)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "multinode", "nodeProperties": {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [
            {"targetNodes": "0:1", "container": CONTAINER}]}},
        {"type": "container", "ecsProperties": {"taskProperties": [
            {"containers": [CONTAINER | {"name": "a"}, CONTAINER | {"name": "b"}]}]}},
        {"type": "container", "eksProperties": {"podProperties": {"containers": [{"image": "x"}]}}},
        {"type": "container", "containerProperties": CONTAINER | {"resourceRequirements": [
            *CONTAINER["resourceRequirements"], {"type": "GPU", "value": "1"}]}},
    ],
    ids=["multinode", "several containers", "eksProperties", "GPU"],
)
def test_definitions_that_cannot_run_here(server, body):
    """Refused at registration or, at the latest, at submit: never accepted and left to wait for ever."""
    def both():
        server.batch.register_job_definition(jobDefinitionName="refused", **body)
        server.submit("refused")

    refused(both)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"image": "busybox"}, []),
        (CONTAINER | {"resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1"}]},
         ["at least 4"]),
        (CONTAINER | {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}, ["AWS_BATCH"]),
        (CONTAINER | {"mountPoints": [{"containerPath": "/x", "sourceVolume": "nowhere"}]}, ["nowhere"]),
    ],
)
def test_definitions_that_aws_refuses_too(server, properties, words):
    refused(lambda: server.batch.register_job_definition(
        jobDefinitionName="bad", type="container", containerProperties=properties), *words)


def test_names_that_do_not_exist(server):
    definition = server.register(["true"])
    refused(lambda: server.submit(definition, queue="nowhere"), "nowhere")
    refused(lambda: server.submit("nothing"), "nothing")
    refused(lambda: server.batch.update_job_queue(jobQueue="nowhere", state="DISABLED"), "does not exist")
    refused(lambda: server.batch.update_compute_environment(computeEnvironment="nowhere", state="DISABLED"), "does not exist")
    refused(lambda: server.batch.list_jobs(jobQueue="nowhere"), "nowhere")


def test_job_rules(server):
    definition = server.register(["true"])
    refused(lambda: server.submit(definition, name="dots.are.not.allowed"), "Job name should match valid pattern")
    refused(lambda: server.submit(definition, containerOverrides={"command": [""]}), "Command field cannot have empty strings")
    refused(lambda: server.submit(definition, timeout={"attemptDurationSeconds": 59}), "attemptDurationSeconds")
    refused(lambda: server.submit(definition, retryStrategy={"attempts": 11}), "attempts")
    many = ["x"] * 101
    refused(lambda: server.batch.describe_jobs(jobs=many), "Maximum number of jobs supported is  100")
