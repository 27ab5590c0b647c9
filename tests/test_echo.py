"""Whatever a resource is made with is shown again: each member of the model is sent once and looked for in Describe.

Never here: what a member does; a member may be kept without effect on this machine.
"""

import uuid

import botocore.session
import pytest

from support.examples import AROUND, CONTAINER, DEFINITIONS, EC2, ENVIRONMENTS, KEPT_DEFINITIONS, NODES, OLD_CONTAINER, PODS, ROLE
from support.wait import until

MODEL = botocore.session.get_session().get_service_model("batch")
# What AWS only gives and nobody sends.
OUTPUT_ONLY = {("Ec2Configuration", "batchImageStatus"), ("EksAccessEntry", "status")}


def unlike(shown, sent, path=""):
    """Where `shown` lacks something of `sent`."""
    if isinstance(sent, dict) and isinstance(shown, dict):
        return [found for key, value in sent.items() for found in unlike(shown.get(key), value, f"{path}.{key}")]
    if isinstance(sent, list) and isinstance(shown, list) and len(sent) == len(shown):
        return [found for i, value in enumerate(sent) for found in unlike(shown[i], value, f"{path}[{i}]")]
    return [] if shown == sent else [f"{path}: sent {sent!r}, shown {shown!r}"]


def members(shape, seen=None):
    """All (structure, member) that lie in a shape."""
    seen = set() if seen is None else seen
    if shape.type_name == "list":
        members(shape.member, seen)
    elif shape.type_name == "map":
        members(shape.value, seen)
    elif shape.type_name == "structure":
        for name, member in shape.members.items():
            if (shape.name, name) not in seen:
                seen.add((shape.name, name))
                members(member, seen)
    return seen


def sent_members(shape, value):
    """Those that a value has."""
    if shape.type_name == "list":
        return {found for item in value for found in sent_members(shape.member, item)}
    if shape.type_name != "structure":
        return set()
    inner = [sent_members(shape.members[name], item) for name, item in value.items()]
    return {(shape.name, name) for name in value}.union(*inner)


@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_all_of_a_compute_environment_is_shown(server, case):
    sent = {"computeEnvironmentName": f"echo-{case}"} | ENVIRONMENTS[case]
    arn = server.batch.create_compute_environment(**sent)["computeEnvironmentArn"]
    [shown] = server.batch.describe_compute_environments(computeEnvironments=[arn])["computeEnvironments"]
    assert unlike(shown, {"state": "ENABLED", "tags": {}} | sent) == []
    assert shown["computeEnvironmentArn"] == arn and uuid.UUID(shown["uuid"])
    assert shown["containerOrchestrationType"] == ("EKS" if case == "eks" else "ECS")
    cluster = f":cluster/AWSBatch-echo-{case}-{shown['uuid']}"
    assert shown.get("ecsClusterArn", "").endswith(cluster) if case != "eks" else "ecsClusterArn" not in shown


def test_all_of_the_model_was_sent_to_environments():
    shape = MODEL.shape_for("CreateComputeEnvironmentRequest")
    sent = set().union(*(sent_members(shape, value) for value in ENVIRONMENTS.values()))
    assert members(shape) - sent == OUTPUT_ONLY | {("CreateComputeEnvironmentRequest", "computeEnvironmentName")}


def test_an_updated_compute_environment_is_shown(server):
    batch = server.batch
    for case in ("ec2", "unmanaged"):
        batch.create_compute_environment(computeEnvironmentName=f"update-{case}", **ENVIRONMENTS[case] | {"state": "ENABLED"})
    other = ROLE + "2"
    sent = {"serviceRole": other, "context": "other", "computeResources": {"minvCpus": 2, "desiredvCpus": 3, "maxvCpus": 9}}
    settled(server, "update-ec2")
    answer = batch.update_compute_environment(computeEnvironment="update-ec2", **sent)
    assert answer["computeEnvironmentName"] == "update-ec2"
    assert unlike(settled(server, answer["computeEnvironmentArn"]), sent | {"state": "ENABLED"}) == []
    batch.update_compute_environment(computeEnvironment="update-ec2", state="DISABLED")
    sent["computeResources"]["desiredvCpus"] = 2
    assert unlike(settled(server, "update-ec2"), sent | {"state": "DISABLED"}) == []
    settled(server, "update-unmanaged")
    batch.update_compute_environment(computeEnvironment="update-unmanaged", unmanagedvCpus=32)
    assert settled(server, "update-unmanaged")["unmanagedvCpus"] == 32


@pytest.mark.parametrize(
    ("case", "status", "reason"),
    [
        ("ec2", "VALID", "ComputeEnvironment Healthy"),
        ("unmanaged", "VALID", "ComputeEnvironment Healthy"),
        ("eks", "INVALID", "CLIENT_ERROR - Unable to validate Kubernetes Namespace"),
    ],
)
def test_a_compute_environment_settles(server, case, status, reason):
    server.batch.create_compute_environment(computeEnvironmentName=f"settles-{case}", **ENVIRONMENTS[case] | {"state": "ENABLED"})
    shown = settled(server, f"settles-{case}")
    assert (shown["status"], shown["statusReason"]) == (status, reason)


def settled(server, environment):
    """The environment once it has left CREATING and UPDATING."""
    def look():
        [shown] = server.batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"]
        return shown if shown["status"] in ("VALID", "INVALID") else None

    return until(look, what=f"{environment} settled")


def settled_queue(server, queue):
    """The queue once it has left CREATING and UPDATING."""
    def look():
        [shown] = server.batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
        return shown if shown["status"] in ("VALID", "INVALID") else None

    return until(look, what=f"{queue} settled")


def test_all_of_a_job_queue_is_shown(server):
    """In ascending `order`, with ARNs for names."""
    arns = []
    for name in ("echo-a", "echo-b"):
        answer = server.batch.create_compute_environment(computeEnvironmentName=name, type="MANAGED", computeResources=EC2)
        arns.append(answer["computeEnvironmentArn"])
        settled(server, name)
    order = [{"order": 2, "computeEnvironment": "echo-b"}, {"order": 1, "computeEnvironment": arns[0]}]
    sent = {"jobQueueName": "echo", "state": "DISABLED", "priority": 3, "tags": {"a": "b"}, "jobQueueType": "ECS"}
    arn = server.batch.create_job_queue(computeEnvironmentOrder=order, **sent)["jobQueueArn"]
    shown = settled_queue(server, "echo")
    expected = [{"order": 1, "computeEnvironment": arns[0]}, {"order": 2, "computeEnvironment": arns[1]}]
    assert unlike(shown, sent | {"jobQueueArn": arn, "computeEnvironmentOrder": expected, "status": "VALID"}) == []
    changed = {"state": "ENABLED", "priority": 4, "computeEnvironmentOrder": expected[1:]}
    answer = server.batch.update_job_queue(jobQueue="echo", **changed)
    assert (answer["jobQueueName"], answer["jobQueueArn"]) == ("echo", arn)
    assert unlike(settled_queue(server, arn), changed) == []


@pytest.mark.parametrize("case", [*DEFINITIONS, *KEPT_DEFINITIONS])
def test_all_of_a_job_definition_is_shown(server, case):
    sent = {"jobDefinitionName": f"echo-{case}", "type": "container"} | (DEFINITIONS | KEPT_DEFINITIONS)[case]
    answer = server.batch.register_job_definition(**sent)
    [shown] = server.batch.describe_job_definitions(jobDefinitions=[answer["jobDefinitionArn"]])["jobDefinitions"]
    expected = sent | {k: answer[k] for k in ("jobDefinitionArn", "revision")} | {"status": "ACTIVE"}
    assert unlike(shown, expected) == []
    assert shown["containerOrchestrationType"] == ("EKS" if case in ("eksProperties", "pods") else "ECS")


@pytest.mark.parametrize("member", ["containerProperties", "eksProperties"])
def test_all_of_the_model_was_sent_to_definitions(member):
    shape = MODEL.shape_for("RegisterJobDefinitionRequest").members[member]
    cases = [case[member] for case in (DEFINITIONS | KEPT_DEFINITIONS).values() if member in case]
    assert members(shape) == set().union(*(sent_members(shape, case) for case in cases))


def test_all_of_the_model_was_sent_to_nodes():
    shape = MODEL.shape_for("NodeRangeProperty")
    assert set(shape.members) == set().union(*NODES["nodeRangeProperties"], *PODS["nodeRangeProperties"])


@pytest.mark.parametrize("case", DEFINITIONS)
def test_all_of_a_job_is_shown(server, case):
    """What a job takes from its definition stands in DescribeJobs."""
    queue = arn_of_queue(server, "default-fargate") if case == "fargate" else waiting_queue(server)
    definition = server.batch.register_job_definition(
        jobDefinitionName=f"job-{case}", type="container", **DEFINITIONS[case])["jobDefinitionArn"]
    more = {"tags": {"own": "tag"}, "propagateTags": False, "parameters": {"other": "x"}}
    answer = server.batch.submit_job(jobName="echo", jobQueue=queue, jobDefinition=definition, **more)
    job = server.job(answer["jobId"])
    sent = {k: v for k, v in DEFINITIONS[case].items() if k not in ("containerProperties", "tags")}
    container = DEFINITIONS[case]["containerProperties"] | ({"command": ["echo", "hello"]} if case == "ec2" else {})
    expected = sent | {
        "jobName": "echo", "jobQueue": queue, "jobDefinition": definition, "container": container, "propagateTags": False,
        "jobId": answer["jobId"], "jobArn": answer["jobArn"], "parameters": sent.get("parameters", {}) | {"other": "x"},
    }
    assert unlike(job, expected) == []
    assert answer["jobName"] == "echo" and job["tags"].items() >= {"own": "tag"}.items()


def arn_of_queue(server, name):
    [queue] = server.batch.describe_job_queues(jobQueues=[name])["jobQueues"]
    return queue["jobQueueArn"]


def test_overrides_are_shown(server):
    """What a submission gives stands in place of what the definition has."""
    queue = waiting_queue(server)
    definition = server.batch.register_job_definition(
        jobDefinitionName="overridden", type="container", **AROUND, containerProperties=CONTAINER)["jobDefinitionArn"]
    over = {"command": ["ls"], "instanceType": "c5.large", "resourceRequirements": [
        {"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "128"}], "environment": [{"name": "A", "value": "2"}]}
    sent = {"retryStrategy": {"attempts": 3, "evaluateOnExit": []}, "timeout": {"attemptDurationSeconds": 61}}
    job = server.job(server.submit(definition, queue=queue, containerOverrides=over, **sent))
    assert unlike(job, sent | {"container": CONTAINER | over}) == []
    old = server.batch.register_job_definition(
        jobDefinitionName="overridden-old", type="container", containerProperties=OLD_CONTAINER)["jobDefinitionArn"]
    job = server.job(server.submit(old, queue=queue, containerOverrides={"vcpus": 2, "memory": 128}))
    assert unlike(job["container"], {"vcpus": 2, "memory": 128}) == []


def waiting_queue(server):
    """A queue whose jobs wait: its environment has no hosts."""
    name = "waits-" + uuid.uuid4().hex[:8]
    server.batch.create_compute_environment(computeEnvironmentName=name, type="UNMANAGED", serviceRole=ROLE)
    settled(server, name)
    order = [{"order": 1, "computeEnvironment": name}]
    return server.batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)["jobQueueArn"]


def test_what_an_ended_job_shows(server):
    """The attempt, the job's container and the summary tell the same."""
    queue = arn_of_queue(server, "default")
    definition = server.register(["no-such-program"])
    job_id = server.submit(definition, name="ends")
    job = server.fail(job_id)
    [attempt] = job["attempts"]
    told = {k: attempt["container"][k] for k in ("reason", "taskArn")}
    assert unlike(job["container"], told) == [] and attempt["container"]["networkInterfaces"] == []
    [summary] = [s for s in server.batch.list_jobs(jobQueue=queue, jobStatus="FAILED")["jobSummaryList"] if s["jobId"] == job_id]
    same = {k: job[k] for k in ("jobArn", "jobId", "jobName", "jobDefinition", "createdAt", "stoppedAt", "status", "statusReason")}
    assert unlike(summary, same | {"container": {"reason": told["reason"]}}) == []
    job = server.fail(server.shell("exit 3"))
    [summary] = [s for s in server.batch.list_jobs(jobQueue=queue, jobStatus="FAILED")["jobSummaryList"] if s["jobId"] == job["jobId"]]
    assert unlike(summary, {"startedAt": job["startedAt"], "container": {"exitCode": 3}}) == []
    assert job["attempts"][0]["container"]["taskArn"] == job["container"]["taskArn"]


def test_what_was_asked_to_stop_says_so(server):
    """`isCancelled` and `isTerminated` are there only when true, in both views."""
    queue = waiting_queue(server)
    cancelled, terminated = (server.submit(queue=queue) for _ in range(2))
    server.batch.cancel_job(jobId=cancelled, reason="cancelled")
    server.batch.terminate_job(jobId=server.job(terminated)["jobArn"], reason="terminated")
    for job_id, flag, other in ((cancelled, "isCancelled", "isTerminated"), (terminated, "isTerminated", "isCancelled")):
        assert server.fail(job_id)[flag] is True
        found = server.batch.list_jobs(jobQueue=queue, jobStatus="FAILED")["jobSummaryList"]
        [summary] = [s for s in found if s["jobId"] == job_id]
        assert summary[flag] is True and other not in summary
