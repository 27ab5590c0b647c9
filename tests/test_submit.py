"""SubmitJob: merging, sizes, texts; jobs of ecsProperties in AWS's shape (spec jobs §1.3, §2)."""

import uuid

import pytest

from support.idle import idle_queue
from support.refusal import text_of

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
EXITED = "Essential container in task exited"


@pytest.fixture(scope="module")
def idle(server):
    """A queue whose jobs stay RUNNABLE."""
    return idle_queue(server)


@pytest.fixture(scope="module")
def definition(server):
    return server.register(["true"])


def register_ecs(server, container, **task):
    name = "e-" + uuid.uuid4().hex[:10]
    properties = {"taskProperties": [{"containers": [{"image": "busybox", "resourceRequirements": NEEDS} | container]} | task]}
    answer = server.batch.register_job_definition(jobDefinitionName=name, type="container", ecsProperties=properties)
    return answer["jobDefinitionArn"]


def test_a_job_of_one_named_container(server, shared_folder):
    arn = register_ecs(
        server,
        {"name": "main", "command": ["sh", "-c", "echo Ref::word $A $B; cat /in/f; exit 3"],
         "environment": [{"name": "A", "value": "a"}, {"name": "B", "value": "b"}],
         "mountPoints": [{"containerPath": "/in", "sourceVolume": "v", "readOnly": True}]},
        volumes=[{"name": "v", "host": {"sourcePath": str(shared_folder)}}], taskRoleArn="arn:aws:iam::123456789012:role/r",
    )
    (shared_folder / "f").write_text("from the volume\n")
    override = {"taskProperties": [{"containers": [{"name": "main", "environment": [{"name": "B", "value": "c"}]}]}]}
    job = server.fail(server.submit(arn, parameters={"word": "hello"}, ecsPropertiesOverride=override))
    assert "container" not in job and job["statusReason"] == EXITED
    [task] = job["ecsProperties"]["taskProperties"]
    [container] = task["containers"]
    assert (container["name"], container["exitCode"], container["networkInterfaces"]) == ("main", 3, [])
    assert container["environment"] == [{"name": "A", "value": "a"}, {"name": "B", "value": "c"}]
    assert container["command"][2].startswith("echo hello $A") and container["dependsOn"] == []
    task_id = task["taskArn"].rsplit("/", 1)[1]
    assert container["logStreamName"] == f"{arn.rsplit('/', 1)[1].split(':')[0]}/main/{task_id}"
    assert server.log(container["logStreamName"]) == ["hello a c", "from the volume"]
    [attempt] = job["attempts"]
    assert "container" not in attempt and attempt["statusReason"] == EXITED
    [shown] = attempt["taskProperties"]
    assert shown == {"taskArn": task["taskArn"], "containers": [
        {"name": "main", "exitCode": 3, "logStreamName": container["logStreamName"], "networkInterfaces": []}]}


def test_an_unnamed_container_is_called_default(server):
    arn = register_ecs(server, {"command": ["no-such-program"], "logConfiguration": {
        "logDriver": "awslogs", "options": {"awslogs-stream-prefix": "p"}}})
    job = server.fail(server.submit(arn))
    [container] = job["ecsProperties"]["taskProperties"][0]["containers"]
    assert container["name"] == "default" and "exitCode" not in container
    assert container["reason"].startswith("CannotStartContainerError")
    assert job["statusReason"] == "Task failed to start"
    override = {"taskProperties": [{"containers": [{"command": ["true"]}]}]}
    job = server.succeed(server.submit(arn, ecsPropertiesOverride=override))
    task = job["ecsProperties"]["taskProperties"][0]
    assert task["containers"][0]["logStreamName"] == f"p/default/{task['taskArn'].rsplit('/', 1)[1]}"


def test_a_waiting_job_of_ecs_properties_has_awss_shape(server, idle):
    job = server.job(server.submit(register_ecs(server, {"name": "c"}), queue=idle))
    assert set(job) == {
        "jobArn", "jobName", "jobId", "jobQueue", "status", "attempts", "statusReason", "createdAt", "dependsOn",
        "jobDefinition", "parameters", "ecsProperties", "tags", "platformCapabilities", "eksAttempts",
    }
    assert job["ecsProperties"]["taskProperties"] == [{"volumes": [], "containers": [{
        "name": "c", "image": "busybox", "resourceRequirements": NEEDS, "command": [], "dependsOn": [], "environment": [],
        "mountPoints": [], "networkInterfaces": [], "secrets": [], "ulimits": []}]}]


@pytest.mark.parametrize(
    ("container", "task", "words"),
    [
        ({"firelensConfiguration": {"type": "fluentd"}}, {}, "firelensConfiguration"),
        ({}, {"pidMode": "host"}, "pidMode"),
        ({"secrets": [{"name": "S", "valueFrom": "v"}]}, {}, "secrets"),
    ],
)
def test_tasks_that_cannot_run_here(server, container, task, words):
    arn = register_ecs(server, container, **task)
    assert f"{words}" in text_of(lambda: server.submit(arn))


def test_several_containers_cannot_run_here(server):
    containers = [{"image": "busybox", "name": name, "resourceRequirements": NEEDS} for name in "ab"]
    server.batch.register_job_definition(
        jobDefinitionName="several", type="container", ecsProperties={"taskProperties": [{"containers": containers}]})
    assert "several containers" in text_of(lambda: server.submit("several"))


def test_overrides_of_the_other_kind(server, definition):
    ecs = register_ecs(server, {"name": "c"})
    assert "use ecsPropertiesOverride" in text_of(lambda: server.submit(ecs, containerOverrides={"command": ["x"]}))
    override = {"taskProperties": [{"containers": [{"name": "c"}]}]}
    assert "use containerOverrides" in text_of(lambda: server.submit(definition, ecsPropertiesOverride=override))
    override = {"taskProperties": [{"containers": [{"name": "nobody"}]}]}
    assert "nobody is no container" in text_of(lambda: server.submit(ecs, ecsPropertiesOverride=override))


def test_everything_that_a_job_takes_and_shows(server, idle):
    arn = server.register(
        ["echo", "Ref::a"], parameters={"a": "1"}, retryStrategy={"attempts": 2}, timeout={"attemptDurationSeconds": 60},
        propagateTags=True, tags={"d": "d"},
        linuxParameters={"sharedMemorySize": 1}, logConfiguration={"logDriver": "awslogs"},
    )
    job = server.job(server.submit(arn, queue=idle, tags={"t": "v"}, parameters={"b": "2"}))
    assert job["retryStrategy"] == {"attempts": 2, "evaluateOnExit": []}
    assert job["timeout"] == {"attemptDurationSeconds": 60}
    assert (job["propagateTags"], job["tags"], job["parameters"]) == (True, {"t": "v"}, {"a": "1", "b": "2"})
    assert job["container"]["linuxParameters"] == {"sharedMemorySize": 1, "devices": [], "tmpfs": []}
    assert job["container"]["logConfiguration"] == {"logDriver": "awslogs", "options": {}, "secretOptions": []}
    job = server.job(server.submit(
        arn, queue=idle, retryStrategy={"attempts": 1}, timeout={"attemptDurationSeconds": 90}, propagateTags=False))
    assert job["retryStrategy"] == {"attempts": 1, "evaluateOnExit": []}
    assert (job["timeout"], job["propagateTags"]) == ({"attemptDurationSeconds": 90}, False)


def test_the_definitions_priority_is_kept(server, idle):
    server.batch.register_job_definition(
        jobDefinitionName="prioritised", type="container", schedulingPriority=42,
        containerProperties={"image": "busybox", "vcpus": 1, "memory": 64})
    job = server.job(server.submit("prioritised", queue=idle, containerOverrides={"vcpus": 2, "memory": 128}))
    assert job["schedulingPriority"] == 42
    assert (job["container"]["vcpus"], job["container"]["memory"]) == (2, 128)
    assert job["container"]["resourceRequirements"] == []


def test_too_many_propagated_tags_fail_the_job(server):
    tags = {f"d{i}": "x" for i in range(30)}
    arn = server.register(["true"], tags=tags, propagateTags=True)
    own = {f"j{i}": "x" for i in range(21)}
    job = server.fail(server.submit(arn, tags=own))
    assert job["attempts"] == [] and "51 tags" in job["statusReason"] and job["stoppedAt"] >= job["createdAt"]
    assert "startedAt" not in job and "exitCode" not in job["container"]
    server.succeed(server.submit(arn, tags=own, propagateTags=False))
    server.succeed(server.submit(arn, tags={"d0": "mine"} | dict(list(own.items())[:20])))


def test_tags_as_they_are_now_are_propagated(server):
    """A definition's tags may change after its registration; those at the time of the submission count."""
    arn = server.register(["true"], tags={f"d{i}": "x" for i in range(30)}, propagateTags=True)
    own = {f"j{i}": "x" for i in range(21)}
    server.batch.untag_resource(resourceArn=arn, tagKeys=["d0"])
    job = server.succeed(server.submit(arn, tags=own))
    server.batch.tag_resource(resourceArn=job["jobArn"], tags={"more": "1"})
    assert server.job(job["jobId"])["tags"] == own | {"more": "1"}
    server.batch.tag_resource(resourceArn=arn, tags={"d0": "back"})
    assert "51 tags" in server.fail(server.submit(arn, tags=own))["statusReason"]


def test_queues_and_definitions_by_every_name(server, idle):
    name = "n-" + uuid.uuid4().hex[:10]
    first = server.register(name=name)
    second = server.register(name=name)
    [queue] = server.batch.describe_job_queues(jobQueues=[idle])["jobQueues"]
    for reference, expected in [(name, second), (f"{name}:1", first), (first, first), (second[:-2], second)]:
        job = server.job(server.submit(reference, queue=queue["jobQueueArn"]))
        assert (job["jobDefinition"], job["jobQueue"]) == (expected, queue["jobQueueArn"])
    server.batch.deregister_job_definition(jobDefinition=second)
    assert server.job(server.submit(name, queue=idle))["jobDefinition"] == first
    assert text_of(lambda: server.submit(second)) == f"JobDefinition {second} is not in ACTIVE status"
    assert text_of(lambda: server.submit(f"{name}:2")) == f"JobDefinition name {name}:2 does not exist or is not in ACTIVE status"
    missing = second[:-1] + "9"
    assert text_of(lambda: server.submit(missing)) == f"JobDefinition {missing} not found."
    assert text_of(lambda: server.submit(first, queue="nowhere")) == "JobQueue nowhere not found."
    foreign = queue["jobQueueArn"].replace(":" + queue["jobQueueArn"].split(":")[4] + ":", ":999999999999:")
    assert text_of(lambda: server.submit(first, queue=foreign)) == f"JobQueue {foreign} not found."
    for wrong in ("a b", queue["jobQueueArn"]):
        assert text_of(lambda w=wrong: server.submit(w)) == f"Provided name {wrong} is not supported pattern[a-zA-Z_0-9-]{{1,128}}"


def test_a_queue_that_takes_no_jobs(server, definition):
    name = idle_queue(server)
    job_id = server.submit(definition, queue=name)
    server.batch.update_job_queue(jobQueue=name, state="DISABLED")
    text = text_of(lambda: server.submit(definition, queue=name))
    assert name in text and "DISABLED" in text
    server.batch.delete_job_queue(jobQueue=name)
    job = server.fail(job_id)
    assert (job["statusReason"], job["attempts"]) == ("JobQueue deleted", [])
    assert "not found" in text_of(lambda: server.submit(definition, queue=name)) or "deleted" in text


def test_a_deleted_queue_ends_what_runs(server):
    environment = server.batch.describe_compute_environments(computeEnvironments=["default"])["computeEnvironments"][0]
    order = [{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}]
    server.batch.create_job_queue(jobQueueName="doomed", priority=1, computeEnvironmentOrder=order)
    loop = server.register(["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"], retryStrategy={"attempts": 3})
    job_id = server.submit(loop, queue="doomed")
    server.wait_job(job_id, "RUNNING")
    server.batch.update_job_queue(jobQueue="doomed", state="DISABLED")
    server.batch.delete_job_queue(jobQueue="doomed")
    job = server.fail(job_id)
    assert (job["statusReason"], len(job["attempts"]), job["container"]["exitCode"]) == ("JobQueue deleted", 1, 9)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"containerOverrides": {"command": ["x" * 40000]}}, "Job size must be less than 30 KiB, got 40 KiB"),
        ({"dependsOn": [{"jobId": str(uuid.uuid4())}] * 21}, "Job cannot have more than 20 dependencies"),
        ({"arrayProperties": {"size": 1}}, "arrayProperties.size must be between 2 and 10000, got 1"),
        ({"shareIdentifier": "a_b"}, "shareIdentifier must be"),
        ({"schedulingPriorityOverride": -1}, "schedulingPriorityOverride must be between 0 and 9999, got -1"),
        ({"containerOverrides": {"environment": [{"name": "AWS_BATCH_A", "value": "1"}]}}, "environment: AWS_BATCH_A is reserved"),
        ({"retryStrategy": {"evaluateOnExit": []}}, "RetryAttempts must be provided with retry strategy"),
        ({"tags": {f"k{i}": "" for i in range(51)}}, "tags"),
    ],
)
def test_shape_and_range_are_framed(server, definition, more, text):
    got = text_of(lambda: server.submit(definition, **more))
    assert got.startswith(f"Error executing request, Exception : {text}") and ", RequestId: " in got, got


def test_a_platform_that_the_queue_lacks(server):
    server.batch.register_job_definition(
        jobDefinitionName="fargate", type="container", platformCapabilities=["FARGATE"],
        containerProperties={"image": "busybox", "command": ["true"], "executionRoleArn": "arn:aws:iam::123456789012:role/e",
                             "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]})
    assert text_of(lambda: server.submit("fargate")) == (
        "Job Queue is attached to Compute Environment that can not run Jobs with capability FARGATE")
    job = server.succeed(server.submit("fargate", queue="default-fargate"))
    assert job["platformCapabilities"] == ["FARGATE"]
    assert job["container"]["fargatePlatformConfiguration"] == {"platformVersion": "LATEST"}


def test_a_task_on_fargate(server):
    """The size of the task counts, and the override of its container is part of it."""
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", "echo $AWS_EXECUTION_ENV"],
                 "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]}
    task = {"executionRoleArn": "arn:aws:iam::123456789012:role/e", "platformVersion": "LATEST", "containers": [container]}
    server.batch.register_job_definition(
        jobDefinitionName="fargate-task", type="container", platformCapabilities=["FARGATE"],
        ecsProperties={"taskProperties": [task]})

    def with_memory(value):
        change = [{"name": "main", "resourceRequirements": [{"type": "MEMORY", "value": value}]}]
        return {"ecsPropertiesOverride": {"taskProperties": [{"containers": change}]}}

    job = server.succeed(server.submit("fargate-task", queue="default-fargate", **with_memory("1024")))
    [shown] = job["ecsProperties"]["taskProperties"]
    assert shown["containers"][0]["resourceRequirements"][1] == {"type": "MEMORY", "value": "1024"}
    assert server.log(shown["containers"][0]["logStreamName"]) == ["AWS_ECS_FARGATE"]
    text = text_of(lambda: server.submit("fargate-task", queue="default-fargate", **with_memory("600")))
    assert "Fargate resource requirements (0.25 vCPU, 600 MiB) not valid." in text


def test_what_describe_jobs_is_asked_with(server, definition):
    job_id = server.submit(definition)
    arn = server.succeed(job_id)["jobArn"]
    account = arn.split(":")[4]
    region = arn.split(":")[3]
    strangers = [
        arn.replace(f":{account}:", ":999999999999:"), arn.replace(f":{region}:", ":eu-west-9:"), f"{job_id}:0", f"{job_id}#0",
        job_id.upper(), arn.replace(":job/", ":job-queue/"), "", "x", str(uuid.uuid4()),
    ]
    described = server.batch.describe_jobs(jobs=[arn, *strangers, job_id])["jobs"]
    assert [j["jobId"] for j in described] == [job_id]
    assert server.batch.describe_jobs(jobs=strangers)["jobs"] == []
    text = text_of(lambda: server.batch.describe_jobs(jobs=["x"] * 101))
    assert text.startswith("Error executing request, Exception : Maximum number of jobs supported is  100, RequestId: ")
