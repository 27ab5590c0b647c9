"""Job definitions: what is sent comes back, what AWS forbids is refused in its words (spec jobs §6)."""

import uuid

import pytest

from support.refusal import text_of

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
ROLE = "arn:aws:iam::123456789012:role/r"


def register(server, **body):
    """Registers under a fresh name and gives the definition as Describe shows it."""
    name = body.pop("jobDefinitionName", None) or "d-" + uuid.uuid4().hex[:10]
    answer = server.batch.register_job_definition(jobDefinitionName=name, **{"type": "container"} | body)
    return describe(server, answer["jobDefinitionArn"])


def describe(server, arn):
    [shown] = server.batch.describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"]
    return shown


def assert_comes_back(sent, shown, path="definition"):
    """Everything that was sent is shown as it was; there may be more (redun compares so, clients §2)."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            assert key in shown, f"{path}.{key} is not shown"
            assert_comes_back(value, shown[key], f"{path}.{key}")
    elif isinstance(sent, list):
        assert len(sent) == len(shown), f"{path}: {sent} became {shown}"
        for index, value in enumerate(sent):
            assert_comes_back(value, shown[index], f"{path}[{index}]")
    else:
        assert sent == shown, f"{path}: {sent!r} became {shown!r}"


EVERY_MEMBER = {
    "image": "busybox:1.0", "command": ["a", "b"], "jobRoleArn": ROLE, "executionRoleArn": ROLE, "user": "1000:1000",
    "resourceRequirements": [*NEEDS, {"type": "GPU", "value": "1"}], "privileged": False, "readonlyRootFilesystem": True,
    "instanceType": "m5.large", "enableExecuteCommand": False,
    "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": ""}],
    "volumes": [
        {"name": "h", "host": {"sourcePath": "/srv"}}, {"name": "n", "host": {}},
        {"name": "e", "efsVolumeConfiguration": {
            "fileSystemId": "fs-1", "rootDirectory": "/", "transitEncryption": "ENABLED", "transitEncryptionPort": 2999,
            "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"}}},
        {"name": "s", "s3filesVolumeConfiguration": {
            "fileSystemArn": "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1", "rootDirectory": "/",
            "transitEncryptionPort": 1, "accessPointArn": "arn:aws:s3files:us-east-1:123456789012:access-point/a"}},
    ],
    "mountPoints": [{"containerPath": "/srv", "sourceVolume": "h", "readOnly": True}, {"containerPath": "/n", "sourceVolume": "n"}],
    "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}],
    "linuxParameters": {
        "devices": [{"hostPath": "/dev/fuse", "containerPath": "/dev/fuse", "permissions": ["READ", "WRITE"]}],
        "initProcessEnabled": True, "sharedMemorySize": 64, "maxSwap": 0, "swappiness": 60,
        "tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": ["rw"]}],
    },
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}, "secretOptions": []},
    "secrets": [{"name": "S", "valueFrom": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"}],
    "ephemeralStorage": {"sizeInGiB": 21}, "repositoryCredentials": {"credentialsParameter": "arn:aws:secretsmanager:x"},
    "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"},
}


def test_every_member_comes_back(server):
    body = {
        "type": "container", "parameters": {"p": "1"}, "schedulingPriority": 7, "propagateTags": True, "tags": {"t": "v"},
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"action": "retry", "onReason": "a*"}, {"action": "EXIT", "onExitCode": "1*"}]},
        "timeout": {"attemptDurationSeconds": 60}, "platformCapabilities": ["EC2"], "containerProperties": EVERY_MEMBER,
        "consumableResourceProperties": {"consumableResourceList": [{"consumableResource": "licence", "quantity": 2}]},
    }
    shown = register(server, **body)
    assert_comes_back(body, shown)
    assert set(shown["containerProperties"]) == set(EVERY_MEMBER), "nothing is added to what was given in full"
    assert (shown["revision"], shown["status"], shown["containerOrchestrationType"]) == (1, "ACTIVE", "ECS")


def test_what_aws_adds_to_the_smallest_definition(server):
    shown = register(server, containerProperties={"image": "i", "vcpus": 1, "memory": 4})
    lists = ("command", "environment", "mountPoints", "resourceRequirements", "secrets", "ulimits", "volumes")
    assert shown["containerProperties"] == {"image": "i", "vcpus": 1, "memory": 4} | {name: [] for name in lists}
    assert set(shown) == {
        "jobDefinitionName", "jobDefinitionArn", "revision", "status", "type", "parameters", "containerProperties", "tags",
        "platformCapabilities", "containerOrchestrationType",
    }
    assert shown["parameters"] == shown["tags"] == {} and shown["platformCapabilities"] == []
    shown = register(server, retryStrategy={"attempts": 2}, containerProperties={
        "image": "i", "vcpus": 1, "memory": 4, "linuxParameters": {}, "logConfiguration": {"logDriver": "awslogs"}})
    assert shown["retryStrategy"] == {"attempts": 2, "evaluateOnExit": []}
    assert shown["containerProperties"]["linuxParameters"] == {"devices": [], "tmpfs": []}
    assert shown["containerProperties"]["logConfiguration"] == {"logDriver": "awslogs", "options": {}, "secretOptions": []}


ECS_CONTAINER = {
    "name": "main", "image": "busybox", "command": ["a"], "essential": True, "environment": [{"name": "A", "value": "1"}],
    "dependsOn": [{"containerName": "side", "condition": "START"}], "resourceRequirements": NEEDS,
    "linuxParameters": {"initProcessEnabled": True, "devices": [], "tmpfs": []},
    "logConfiguration": {"logDriver": "awslogs", "options": {}, "secretOptions": []},
    "mountPoints": [{"containerPath": "/v", "sourceVolume": "v", "readOnly": False}], "privileged": False,
    "readonlyRootFilesystem": False, "repositoryCredentials": {"credentialsParameter": "c"}, "startTimeout": 2,
    "stopTimeout": 30, "secrets": [{"name": "S", "valueFrom": "v"}], "ulimits": [{"name": "core", "softLimit": 0, "hardLimit": 0}],
    "user": "nobody",
}


def test_every_member_of_ecs_properties_comes_back(server):
    task = {
        "containers": [ECS_CONTAINER, {
            "name": "side", "image": "busybox", "essential": False, "resourceRequirements": NEEDS,
            "firelensConfiguration": {"type": "fluentbit", "options": {"a": "b"}}}],
        "ephemeralStorage": {"sizeInGiB": 30}, "executionRoleArn": ROLE, "taskRoleArn": ROLE, "ipcMode": "task",
        "pidMode": "task", "runtimePlatform": {"cpuArchitecture": "X86_64"}, "enableExecuteCommand": False,
        "volumes": [{"name": "v"}],
    }
    shown = register(server, ecsProperties={"taskProperties": [task]})
    assert_comes_back(task, shown["ecsProperties"]["taskProperties"][0])
    assert "containerProperties" not in shown
    side = shown["ecsProperties"]["taskProperties"][0]["containers"][1]
    assert side["command"] == side["dependsOn"] == side["secrets"] == []


FARGATE = {"image": "i", "executionRoleArn": ROLE, "resourceRequirements": NEEDS}


def test_a_fargate_definition(server):
    shown = register(server, platformCapabilities=["FARGATE"], containerProperties=FARGATE | {
        "networkConfiguration": {"assignPublicIp": "ENABLED"}, "ephemeralStorage": {"sizeInGiB": 200}})
    assert shown["containerProperties"]["fargatePlatformConfiguration"] == {"platformVersion": "LATEST"}
    assert shown["containerProperties"]["networkConfiguration"] == {"assignPublicIp": "ENABLED"}
    assert shown["platformCapabilities"] == ["FARGATE"]
    task = {"executionRoleArn": ROLE, "platformVersion": "1.4.0", "networkConfiguration": {"assignPublicIp": "DISABLED"},
            "containers": [{"image": "i", "resourceRequirements": NEEDS}]}
    shown = register(server, platformCapabilities=["FARGATE"], ecsProperties={"taskProperties": [task]})
    assert_comes_back(task, shown["ecsProperties"]["taskProperties"][0])


def fargate(**more):
    return {"platformCapabilities": ["FARGATE"], "containerProperties": FARGATE | more}


def ec2(**more):
    return {"containerProperties": {"image": "i", "resourceRequirements": NEEDS} | more}


def sized(vcpus, memory):
    return [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": memory}]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (ec2(resourceRequirements=sized("1", "1")), "Memory must be at least 4 Mib, got 1 Mib."),
        (ec2(resourceRequirements=[]), "vCPU is not provided."),
        (fargate(resourceRequirements=sized("0.5", "1")), "Fargate resource requirements (0.50 vCPU, 1 MiB) not valid."),
        (fargate(resourceRequirements=sized("0.50", "512")), "Fargate resource requirements (0.50 vCPU, 512 MiB) not valid."),
        (ec2(networkConfiguration={"assignPublicIp": "ENABLED"}), "networkConfiguration not applicable for EC2."),
        (ec2() | {"retryStrategy": {}}, "RetryAttempts must be provided with retry strategy"),
        (ec2() | {"retryStrategy": {"evaluateOnExit": [{"action": "EXIT", "onReason": "*"}]}},
         "RetryAttempts must be provided with retry strategy"),
        (ec2(user="A b"), "User 'A b' does not match regex"),
        (fargate(volumes=[{"name": "e", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}],
                 fargatePlatformConfiguration={"platformVersion": "1.3.0"}),
         "EFS is supported for Fargate platform version 1.4.0."),
        (ec2(command=["a", ""]), "Command field cannot have empty strings"),
    ],
)
def test_the_texts_of_aws(server, body, text):
    """Spec jobs §6.2, framed as AWS frames them."""
    got = text_of(lambda: register(server, **body))
    assert got.startswith(f"Error executing request, Exception : {text}, RequestId: "), got


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (fargate(executionRoleArn=""), "executionRoleArn"),
        (fargate(privileged=True), "privileged"),
        (fargate(vcpus=1), "vcpus"),
        (fargate(memory=2048), "memory"),
        (fargate(ulimits=[{"name": "core", "softLimit": 0, "hardLimit": 0}]), "ulimits"),
        (fargate(volumes=[{"name": "v", "host": {"sourcePath": "/x"}}]), "volumes.host"),
        (fargate(resourceRequirements=[*NEEDS, {"type": "GPU", "value": "1"}]), "GPU"),
        (fargate(linuxParameters={"swappiness": 1}), "linuxParameters"),
        (fargate(logConfiguration={"logDriver": "syslog"}), "syslog"),
        (fargate(fargatePlatformConfiguration={"platformVersion": "9"}), "platformVersion"),
        (ec2() | {"platformCapabilities": ["EC2", "FARGATE"]}, "one capability"),
        (ec2() | {"schedulingPriority": 10000}, "schedulingPriority"),
        (ec2() | {"timeout": {"attemptDurationSeconds": 59}}, "attemptDurationSeconds"),
        (ec2() | {"retryStrategy": {"attempts": 11}}, "attempts"),
        (ec2() | {"retryStrategy": {"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onReason": "a"}] * 6}}, "at most 5"),
        (ec2(environment=[{"name": "AWS_BATCH_X", "value": "1"}]), "AWS_BATCH_X is reserved"),
        (ec2(ulimits=[{"name": "core", "softLimit": 0, "hardLimit": 0}] * 2), "core is given twice"),
        (ec2(image="a b"), "image"),
        (ec2(ephemeralStorage={"sizeInGiB": 20}), "sizeInGiB"),
        (ec2(runtimePlatform={"operatingSystemFamily": "BEOS"}), "operatingSystemFamily"),
        (ec2() | {"tags": {"aws:x": "1"}}, "aws:"),
        ({"type": "multinode"}, "nodeProperties"),
        ({}, "Container properties must be provided"),
        (ec2() | {"ecsProperties": {"taskProperties": []}}, "containerProperties and ecsProperties"),
        ({"ecsProperties": {"taskProperties": [{"containers": [{"image": "i", "essential": False, "resourceRequirements": NEEDS}]}]}},
         "essential"),
        ({"ecsProperties": {"taskProperties": [{"containers": [
            {"image": "i", "name": "a", "dependsOn": [{"containerName": "a"}], "resourceRequirements": NEEDS}]}]}}, "dependsOn"),
        ({"ecsProperties": {"taskProperties": []}}, "exactly one"),
    ],
)
def test_what_else_is_refused(server, body, words):
    assert words in text_of(lambda: register(server, **body))


def test_a_definition_of_24_kib_is_too_large(server):
    text = text_of(lambda: register(server, **ec2(command=["x" * 25000])))
    assert "Job definition size must be less than 24 KiB, got 25 KiB" in text


POD = {"podProperties": {"containers": [{
    "name": "c", "image": "i", "command": ["a"], "args": ["b"], "env": [{"name": "A", "value": "1"}], "imagePullPolicy": "Always",
    "resources": {"limits": {"cpu": "1", "memory": "64Mi"}}}], "hostNetwork": True}}
NODES = {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": [
    {"targetNodes": "0:0", "container": {"image": "i", "resourceRequirements": NEEDS}},
    {"targetNodes": "1:", "container": {"image": "i", "vcpus": 1, "memory": 64}}]}


@pytest.mark.parametrize(
    ("body", "orchestration", "word"),
    [
        ({"eksProperties": POD}, "EKS", "eksProperties"),
        ({"type": "multinode", "nodeProperties": NODES}, "ECS", "nodeProperties"),
        (ec2() | {"consumableResourceProperties": {"consumableResourceList": [{"consumableResource": "l", "quantity": 1}]}},
         "ECS", "consumableResourceProperties"),
        (ec2(resourceRequirements=[*NEEDS, {"type": "GPU", "value": "1"}]), "ECS", "GPU"),
        ({"platformCapabilities": ["MANAGED_INSTANCES"], "ecsProperties": {"taskProperties": [
            {"networkMode": "host", "containers": [{"image": "i", "resourceRequirements": NEEDS}]}]}}, "ECS", "MANAGED_INSTANCES"),
    ],
    ids=["eks", "multinode", "consumables", "gpu", "managed-instances"],
)
def test_kept_and_shown_but_not_submitted(server, body, orchestration, word):
    """What this version can't run can be registered and described; submitting it says what is missing."""
    shown = register(server, **body)
    assert_comes_back(body, shown)
    assert shown["containerOrchestrationType"] == orchestration
    assert word in text_of(lambda: server.submit(shown["jobDefinitionArn"]))


def test_revisions_and_their_names(server):
    name = "r-" + uuid.uuid4().hex[:10]
    arns = [register(server, jobDefinitionName=name, **ec2())["jobDefinitionArn"] for _ in range(3)]
    batch = server.batch
    foreign = arns[0].replace(arns[0].split(":")[4], "999999999999")
    named = [f"{name}:2", arns[0], arns[0], f"{name}:9", name, foreign, "nothing:1", "no name"]
    shown = batch.describe_job_definitions(jobDefinitions=named)["jobDefinitions"]
    assert [d["revision"] for d in shown] == [2, 1, 3], "each once, unknown ones absent, a name alone is its latest"
    batch.deregister_job_definition(jobDefinition=arns[2])
    batch.deregister_job_definition(jobDefinition=f"{name}:2")
    batch.deregister_job_definition(jobDefinition=f"{name}:2")

    def listed(**query):
        return {d["revision"]: d["status"] for d in batch.describe_job_definitions(**query)["jobDefinitions"]}

    assert listed(jobDefinitionName=name) == {1: "ACTIVE", 2: "INACTIVE", 3: "INACTIVE"}
    assert listed(jobDefinitionName=name, status="ACTIVE") == {1: "ACTIVE"}
    assert listed(jobDefinitionName=name, status="INACTIVE") == {2: "INACTIVE", 3: "INACTIVE"}
    assert listed(jobDefinitions=[arns[1]]) == {2: "INACTIVE"}
    pages = batch.get_paginator("describe_job_definitions").paginate(
        jobDefinitionName=name, PaginationConfig={"PageSize": 2})
    assert [[d["revision"] for d in page["jobDefinitions"]] for page in pages] == [[1, 2], [3]]
    assert "ACTIVE or INACTIVE" in text_of(lambda: listed(status="DELETED"))
    assert "can't be used with" in text_of(lambda: listed(jobDefinitions=[name], status="ACTIVE"))
    assert "at most 100" in text_of(lambda: listed(jobDefinitions=["x:1"] * 101))
    assert "does not exist" in text_of(lambda: batch.deregister_job_definition(jobDefinition=f"{name}:9"))
    assert "does not exist" in text_of(lambda: batch.deregister_job_definition(jobDefinition=foreign))
    assert "must name a revision" in text_of(lambda: batch.deregister_job_definition(jobDefinition=name))
