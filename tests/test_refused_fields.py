"""What docs/compatibility calls refused is refused, by name: a row that is out of date fails here.

Each such member of a request is added to one that is accepted. Never here: operations that are refused as a whole
(test_refused).
"""

import uuid

import botocore
import botocore.session
import pytest
from botocore.exceptions import ClientError

from support import compatibility
from support.examples import CONTAINER, KINDS_NOT_RUN_HERE, NOT_RUN_HERE, OLD_CONTAINER, SECRET
from support.wait import until

MODELS = [botocore.session.get_session().get_service_model(name) for name in ("batch", "logs")]
REQUESTS = {
    model.operation_model(name).input_shape.name: (model, name) for model in MODELS for name in model.operation_names
}
SHAPES = {name: model.shape_for(name) for model in MODELS for name in model.shape_names}


def below(shape):
    """The structures that lie in a shape, and itself."""
    if shape.type_name in ("list", "map"):
        return below(shape.member if shape.type_name == "list" else shape.value)
    if shape.type_name != "structure":
        return set()
    return {shape.name}.union(*map(below, shape.members.values()))


REFUSED = sorted({
    (shape, row.name) for text in compatibility.pages() for row in compatibility.rows(text) for shape in row.shapes or ()
    if row.state == "refused" and row.name in SHAPES[shape].members
})
# What is tried as part of a definition, and what lies below a member that is refused itself.
PARTS = {
    "ContainerProperties", "EcsTaskProperties", "LogConfiguration", "TaskContainerProperties", "Volume",
    "RegisterJobDefinitionRequest",
}
BELOW = {
    "EFSAuthorizationConfig", "EFSVolumeConfiguration", "FirelensConfiguration",
    "S3FilesVolumeConfiguration", "Secret", "TaskContainerDependency",
    "ConsumableResourceProperties", "ConsumableResourceRequirement", "NodeProperties", "NodeRangeProperty",
} | below(SHAPES["EksProperties"])


def refused(*shapes):
    """The refused members of these."""
    return [member for shape, member in REFUSED if shape in shapes]


def filled(shape, depth=3):
    """A value of a shape with all its members."""
    if shape.type_name == "structure":
        return {m: filled(inner, depth - 1) for m, inner in shape.members.items() if depth} if depth else {}
    if shape.type_name == "list":
        return [filled(shape.member, depth)]
    if shape.type_name == "map":
        return {"k": filled(shape.value, depth)}
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "x"
    return {"boolean": True, "integer": 2, "long": 2, "float": 1.0, "double": 1.0}[shape.type_name]


def base_of(server, request):
    """What is accepted without the member."""
    name = "base-" + uuid.uuid4().hex
    order = [{"order": 1, "computeEnvironment": "default"}]
    queue = {"jobQueueName": name, "priority": 1, "computeEnvironmentOrder": order}
    if request == "UpdateJobQueueRequest":
        server.batch.create_job_queue(**queue)
        until(lambda: server.batch.describe_job_queues(jobQueues=[name])["jobQueues"][0]["status"] == "VALID", what="VALID")
        return {"jobQueue": name}
    return {
        "CreateJobQueueRequest": queue, "CreateLogGroupRequest": {"logGroupName": name},
        "SubmitJobRequest": {"jobName": "j", "jobQueue": "default", "jobDefinition": "base"},
    }[request]


@pytest.fixture(scope="module", autouse=True)
def base(server):
    """A definition `base` that can be submitted."""
    server.succeed(server.submit(server.register(name="base")))


@pytest.mark.parametrize(("shape", "member"), [pair for pair in REFUSED if pair[0] in REQUESTS.keys() - PARTS])
def test_a_refused_member_of_a_request(server, shape, member):
    model, operation = REQUESTS[shape]
    value = filled(SHAPES[shape].members[member])
    call = getattr(server.client(model.service_name), botocore.xform_name(operation))
    with pytest.raises(ClientError) as caught:
        call(**base_of(server, shape) | {member: value})
    error = caught.value.response["Error"]
    assert error["Code"] in ("ClientException", "InvalidParameterException")
    assert member.removesuffix("Override") in error["Message"] or "does not work" in error["Message"], error["Message"]


@pytest.mark.parametrize("member", refused("ContainerProperties"))
def test_a_refused_member_of_a_container(server, member):
    """Registered, and refused at submit."""
    refused_at_submit(server, OLD_CONTAINER | {member: NOT_RUN_HERE[member]}, member)


@pytest.mark.parametrize("member", refused("LogConfiguration"))
def test_a_refused_log_option(server, member):
    value = {"logDriver": "awslogs", member: NOT_RUN_HERE["logConfiguration"][member]}
    refused_at_submit(server, OLD_CONTAINER | {"logConfiguration": value}, member)


@pytest.mark.parametrize("member", refused("Volume"))
def test_a_refused_volume(server, member):
    volumes = [volume for volume in NOT_RUN_HERE["volumes"] if member in volume]
    refused_at_submit(server, OLD_CONTAINER | {"volumes": volumes}, member)


@pytest.mark.parametrize("member", refused("RegisterJobDefinitionRequest"))
def test_a_refused_kind_of_work(server, member):
    refused_definition(server, member, **KINDS_NOT_RUN_HERE[member])


CONTAINERS = {
    "firelensConfiguration": {"type": "fluentd"}, "secrets": [{"name": "S", "valueFrom": SECRET}],
}
TASK = {member: CONTAINER[member] for member in ("image", "resourceRequirements")}


@pytest.mark.parametrize("member", refused("TaskContainerProperties"))
def test_a_refused_member_of_a_task_container(server, member):
    if member == "dependsOn":
        other = TASK | {"name": "other", "dependsOn": [{"containerName": "one", "condition": "START"}]}
        containers, word = [TASK | {"name": "one"}, other], "several containers"
    else:
        containers, word = [TASK | {member: CONTAINERS[member]}], member
    refused_definition(server, word, ecsProperties={"taskProperties": [{"containers": containers}]})


@pytest.mark.parametrize("member", refused("EcsTaskProperties"))
def test_a_refused_member_of_a_task(server, member):
    value = {"enableExecuteCommand": True, "networkMode": "host"}[member]
    task = {"containers": [TASK], member: value}
    if member == "networkMode":
        # Only these take it, and they are refused before it is looked at.
        refused_definition(
            server, "MANAGED_INSTANCES", platformCapabilities=["MANAGED_INSTANCES"], ecsProperties={"taskProperties": [task]})
    else:
        refused_definition(server, member, ecsProperties={"taskProperties": [task]})


def refused_definition(server, word, **body):
    """Registered, and refused at submit."""
    arn = server.batch.register_job_definition(
        jobDefinitionName="refused", **{"type": "container"} | body)["jobDefinitionArn"]
    with pytest.raises(ClientError, match=f"{word}.* does not work"):
        server.submit(arn)


def refused_at_submit(server, container, member):
    definition = server.batch.register_job_definition(
        jobDefinitionName="refused", type="container", containerProperties=container,
        platformCapabilities=["EC2"])["jobDefinitionArn"]
    with pytest.raises(ClientError, match=f"{member} does not work"):
        server.submit(definition)


def test_no_other_refused_member_lacks_a_test():
    assert {shape for shape, _ in REFUSED} <= REQUESTS.keys() | PARTS | BELOW
