"""Job queues to the letter (spec infrastructure §3.1 to §3.3): members, defaults, checks, names and ARNs, pages, deletion."""

import itertools
import uuid

import pytest

from support.refusal import refused
from support.wait import until

ROLE = "arn:aws:iam::000000000000:role/batch"
LIMIT = {"reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
numbers = itertools.count()


def name(prefix):
    return f"{prefix}-{next(numbers)}-{uuid.uuid4().hex[:6]}"


def environment(server, **more):
    """A VALID unmanaged environment; gives its ARN."""
    arn = server.batch.create_compute_environment(
        computeEnvironmentName=name("ce"), type="UNMANAGED", serviceRole=ROLE, **more)["computeEnvironmentArn"]
    until(lambda: status_of_environment(server, arn) == "VALID", what="a VALID environment")
    return arn


def status_of_environment(server, arn):
    [found] = server.batch.describe_compute_environments(computeEnvironments=[arn])["computeEnvironments"]
    return found["status"]


def order(*environments):
    return [{"order": n, "computeEnvironment": e} for n, e in enumerate(environments, 1)]


def queue(server, *environments, **more):
    """Makes a queue, waits until it is VALID and gives its ARN."""
    members = {"jobQueueName": name("q"), "priority": 1, "computeEnvironmentOrder": order(*environments or ["default"])}
    arn = server.batch.create_job_queue(**members | more)["jobQueueArn"]
    return valid(server, arn)["jobQueueArn"]


def shown(server, arn):
    found = server.batch.describe_job_queues(jobQueues=[arn])["jobQueues"]
    assert len(found) <= 1
    return found[0] if found else None


def valid(server, arn):
    return until(lambda: (q := shown(server, arn)) and q["status"] == "VALID" and q, what=f"{arn} VALID")


def delete(server, arn):
    server.batch.update_job_queue(jobQueue=arn, state="DISABLED")
    server.batch.delete_job_queue(jobQueue=arn)
    until(lambda: shown(server, arn) is None, what=f"the end of {arn}")


def test_every_member_is_shown_as_aws_shows_it(server):
    first, second = environment(server), environment(server)
    arn = queue(
        server, jobQueueName="whole", state="DISABLED", priority=1000, tags={"team": "a"}, jobStateTimeLimitActions=[LIMIT],
        computeEnvironmentOrder=[
            {"order": 9, "computeEnvironment": first.rsplit("/", 1)[1]}, {"order": -3, "computeEnvironment": second}],
    )
    assert shown(server, "whole") == {
        "jobQueueName": "whole", "jobQueueArn": arn, "state": "DISABLED", "status": "VALID", "statusReason": "JobQueue Healthy",
        "priority": 1000, "jobQueueType": "ECS", "serviceEnvironmentOrder": [], "jobStateTimeLimitActions": [LIMIT],
        "tags": {"team": "a"}, "computeEnvironmentOrder": [
            {"order": -3, "computeEnvironment": second}, {"order": 9, "computeEnvironment": first}],
    }
    assert arn.endswith(":job-queue/whole")
    delete(server, arn)


def test_unset_members_are_absent_and_lists_are_there(server):
    arn = queue(server)
    found = shown(server, arn)
    assert "schedulingPolicyArn" not in found
    assert (found["state"], found["jobStateTimeLimitActions"], found["serviceEnvironmentOrder"], found["tags"]) == (
        "ENABLED", [], [], {})
    delete(server, arn)


def test_the_type_follows_from_the_environments_and_stays(server):
    types = {q["jobQueueName"]: q["jobQueueType"] for q in server.batch.describe_job_queues()["jobQueues"]}
    assert (types["default"], types["default-fargate"]) == ("ECS", "ECS_FARGATE")
    arn = queue(server, "default-fargate", jobQueueType="ECS_FARGATE")
    assert shown(server, arn)["jobQueueType"] == "ECS_FARGATE"
    make = lambda **more: server.batch.create_job_queue(  # noqa: E731
        **{"jobQueueName": name("q"), "priority": 1, "computeEnvironmentOrder": order("default")} | more)
    for wrong in ("ECS_FARGATE", "EKS", "ECS_MANAGED_INSTANCES"):
        refused(lambda wrong=wrong: make(jobQueueType=wrong), wrong, "does not fit")
    refused(lambda: make(jobQueueType="NO_SUCH"), "jobQueueType")
    refused(lambda: make(jobQueueType="SAGEMAKER_TRAINING"), "SAGEMAKER_TRAINING does not work")
    refused(lambda: server.batch.update_job_queue(jobQueue=arn, computeEnvironmentOrder=order("default")), "another kind")
    refused(lambda: make(computeEnvironmentOrder=order("default", "default-fargate")), "another kind")
    assert shown(server, arn)["computeEnvironmentOrder"][0]["computeEnvironment"].endswith("/default-fargate")
    delete(server, arn)


def test_managed_instances_on_demand_before_spot(server):
    """Spec infrastructure §3.1. Where such environments can't be made (yet), they are refused by name."""
    made = {}
    for kind in ("ON_DEMAND", "SPOT"):
        resources = {"type": "ECS_MANAGED_INSTANCES", "maxvCpus": 4, "managedInstancesProvider": {
            "infrastructureRoleArn": ROLE, "instanceLaunchTemplate": {
                "ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p", "capacityOptionType": kind,
                "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}}}
        made[kind] = server.batch.create_compute_environment(
            computeEnvironmentName=name("mi"), type="MANAGED", computeResources=resources)["computeEnvironmentArn"]
        until(lambda kind=kind: status_of_environment(server, made[kind]) == "VALID", what="a VALID environment")
    members = {"jobQueueName": name("q"), "priority": 1}
    refused(lambda: server.batch.create_job_queue(
        **members, computeEnvironmentOrder=order(made["SPOT"], made["ON_DEMAND"])), "On-Demand", "before")
    arn = queue(server, made["ON_DEMAND"], made["SPOT"], jobQueueType="ECS_MANAGED_INSTANCES")
    assert shown(server, arn)["jobQueueType"] == "ECS_MANAGED_INSTANCES"
    refused(lambda: server.batch.update_job_queue(
        jobQueue=arn, computeEnvironmentOrder=order(made["SPOT"], made["ON_DEMAND"])), "On-Demand")
    delete(server, arn)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"priority": -1}, ["priority"]), ({"priority": 1001}, ["priority"]), ({"priority": None}, ["priority"]),
        ({"jobQueueName": "has.dots"}, ["jobQueueName"]), ({"jobQueueName": "-x"}, ["jobQueueName"]),
        ({"jobQueueName": "x" * 129}, ["jobQueueName"]), ({"jobQueueName": ""}, ["jobQueueName"]),
        ({"state": "enabled"}, ["state"]),
        ({"computeEnvironmentOrder": []}, ["computeEnvironmentOrder", "1 to 3"]),
        ({"computeEnvironmentOrder": None}, ["computeEnvironmentOrder"]),
        ({"computeEnvironmentOrder": order("default", "b", "c", "d")}, ["1 to 3", "got 4"]),
        ({"computeEnvironmentOrder": order("default", "default")}, ["default twice"]),
        ({"computeEnvironmentOrder": order("nowhere")}, ["ComputeEnvironment nowhere does not exist"]),
        ({"computeEnvironmentOrder": [{"order": 1}]}, ["computeEnvironment"]),
        ({"computeEnvironmentOrder": [{"computeEnvironment": "default"}]}, ["order"]),
        ({"computeEnvironmentOrder": [{"order": 2, "computeEnvironment": e} for e in ("default", "b")]}, ["order 2"]),
        ({"computeEnvironmentOrder": order("not a name")}, ["not a name"]),
        ({"computeEnvironmentOrder": order("arn:aws:batch:eu-west-9:999999999999:compute-environment/default")},
         ["does not exist"]),
        ({"serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]}, ["serviceEnvironmentOrder", "does not work"]),
        ({"tags": {"aws:x": "1"}}, ["reserved"]),
        ({"jobStateTimeLimitActions": [LIMIT | {"reason": "because"}]}, ["Invalid job reason", "CAPACITY:"]),
        ({"jobStateTimeLimitActions": [LIMIT | {"maxTimeSeconds": 599}]}, ["maxTimeSeconds", "86400"]),
        ({"jobStateTimeLimitActions": [LIMIT | {"maxTimeSeconds": 86401}]}, ["maxTimeSeconds"]),
        ({"jobStateTimeLimitActions": [LIMIT | {"action": "TERMINATE"}]}, ["CANCEL"]),
        ({"jobStateTimeLimitActions": [LIMIT | {"state": "RUNNING"}]}, ["state"]),
        ({"jobStateTimeLimitActions": [LIMIT, LIMIT]}, ["two entries"]),
        ({"jobStateTimeLimitActions": [{k: v for k, v in LIMIT.items() if k != "reason"}]}, ["reason"]),
    ],
)
def test_what_a_queue_cannot_be(server, change, words):
    members = {"jobQueueName": name("q"), "priority": 1, "computeEnvironmentOrder": order("default")} | change
    refused(lambda: server.batch.create_job_queue(**{k: v for k, v in members.items() if v is not None}), *words)
    assert shown(server, members["jobQueueName"]) is None if members["jobQueueName"] else True


def test_names_are_taken_until_the_queue_is_gone(server):
    arn = queue(server, jobQueueName="taken")
    again = lambda: queue(server, jobQueueName="taken")  # noqa: E731
    refused(again, "Object already exists")
    delete(server, arn)
    delete(server, again())


def test_update_changes_what_is_given_and_nothing_else(server):
    other = environment(server)
    arn = queue(server, environment(server), priority=5, tags={"a": "1"})
    before = shown(server, arn)
    answer = server.batch.update_job_queue(jobQueue=before["jobQueueName"], priority=0)
    assert (answer["jobQueueArn"], answer["jobQueueName"]) == (arn, before["jobQueueName"])
    assert valid(server, arn) == before | {"priority": 0}
    server.batch.update_job_queue(jobQueue=arn, jobStateTimeLimitActions=[LIMIT | {"action": "cancel"}])
    assert valid(server, arn) == before | {"priority": 0, "jobStateTimeLimitActions": [LIMIT]}
    server.batch.update_job_queue(jobQueue=arn, jobStateTimeLimitActions=[], computeEnvironmentOrder=order(other))
    assert valid(server, arn) == before | {"priority": 0, "computeEnvironmentOrder": order(other)}
    server.batch.update_job_queue(jobQueue=arn)
    server.batch.update_job_queue(jobQueue=arn, state="DISABLED")
    assert valid(server, arn)["state"] == "DISABLED"
    delete(server, arn)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"priority": 1001}, ["priority"]), ({"computeEnvironmentOrder": []}, ["1 to 3"]),
        ({"computeEnvironmentOrder": order("nowhere")}, ["does not exist"]),
        ({"serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]}, ["does not work"]),
        ({"jobStateTimeLimitActions": [LIMIT | {"reason": ""}]}, ["Invalid job reason"]),
        ({"schedulingPolicyArn": "a-name"}, ["schedulingPolicyArn"]), ({"state": "OFF"}, ["state"]),
        ({"jobQueue": "nowhere"}, ["JobQueue nowhere does not exist"]), ({"jobQueue": ""}, ["jobQueue"]),
        ({"jobQueue": "arn:aws:batch:eu-west-9:999999999999:job-queue/default"}, ["does not exist"]),
        ({"jobQueue": "arn:aws:batch:us-east-1:000000000000:compute-environment/default"}, ["expected a job-queue"]),
    ],
)
def test_updates_that_are_refused_change_nothing(server, change, words):
    before = shown(server, "default")
    refused(lambda: server.batch.update_job_queue(**{"jobQueue": "default", "priority": 7} | change), *words)
    assert shown(server, "default") == before


def test_an_environment_that_is_not_valid_is_refused(server):
    cluster = "arn:aws:eks:us-east-1:000000000000:cluster/none"
    arn = server.batch.create_compute_environment(
        computeEnvironmentName=name("eks"), type="UNMANAGED",
        eksConfiguration={"eksClusterArn": cluster, "kubernetesNamespace": "batch"})["computeEnvironmentArn"]
    until(lambda: status_of_environment(server, arn) == "INVALID", what="an INVALID environment")
    refused(lambda: queue(server, arn), arn.rsplit("/", 1)[1], "is not valid")


def test_describe_finds_names_and_arns_in_their_order_once(server):
    arns = [queue(server) for _ in range(3)]
    names = [a.rsplit("/", 1)[1] for a in arns]
    other = ":".join(part if n != 3 else "eu-west-9" for n, part in enumerate(arns[0].split(":")))
    account = ":".join(part if n != 4 else "999999999999" for n, part in enumerate(arns[0].split(":")))
    assert other != arns[0] != account
    asked = [arns[2], names[0], "nowhere", "not a name", other.replace(names[0], names[1]), account, names[2], arns[1], ""]
    found = server.batch.describe_job_queues(jobQueues=asked)
    assert [q["jobQueueArn"] for q in found["jobQueues"]] == [arns[2], arns[0], arns[1]]
    assert "nextToken" not in found
    refused(lambda: server.batch.describe_job_queues(jobQueues=["x"] * 101), "100")
    # Of another Region or account nothing is deleted either.
    for arn in (other, account):
        server.batch.update_job_queue(jobQueue=names[0], state="DISABLED")
        server.batch.delete_job_queue(jobQueue=arn)
    assert valid(server, arns[0])
    for arn in arns:
        delete(server, arn)


def test_pages_end(server):
    arns = [queue(server) for _ in range(5)]
    everything = [q["jobQueueArn"] for q in server.batch.describe_job_queues()["jobQueues"]]
    for size in (1, 2, 3, 7, 100):
        pages = list(server.batch.get_paginator("describe_job_queues").paginate(PaginationConfig={"PageSize": size}))
        assert [q["jobQueueArn"] for page in pages for q in page["jobQueues"]] == everything
        assert len(pages) == -(-len(everything) // size)
        assert "nextToken" not in pages[-1]
    for wrong in ({"maxResults": 0}, {"maxResults": 101}, {"nextToken": "x"}):
        refused(lambda wrong=wrong: server.batch.describe_job_queues(**wrong), next(iter(wrong)))
    for arn in arns:
        delete(server, arn)


def test_a_queue_must_be_disabled_before_it_goes(server):
    arn = queue(server)
    refused(lambda: server.batch.delete_job_queue(jobQueue=arn), "DISABLED")
    delete(server, arn)
    server.batch.delete_job_queue(jobQueue=arn)
    server.batch.delete_job_queue(jobQueue="never-was")
    refused(lambda: server.batch.update_job_queue(jobQueue=arn, priority=1), "does not exist")
    refused(lambda: server.submit(queue=arn), "not found")


def test_an_environment_in_a_queue_cannot_be_deleted(server):
    first, second = environment(server), environment(server)
    arn = queue(server, first, second)
    server.batch.update_compute_environment(computeEnvironment=first, state="DISABLED")
    until(lambda: status_of_environment(server, first) == "VALID", what="the disabled environment")
    gone = lambda: server.batch.delete_compute_environment(computeEnvironment=first)  # noqa: E731
    refused(gone, "Cannot delete, found existing JobQueue relationship")
    server.batch.update_job_queue(jobQueue=arn, computeEnvironmentOrder=order(second))
    gone()
    delete(server, arn)


def test_deleting_a_queue_ends_its_jobs(server):
    """Spec infrastructure §3.2, jobs §1.5."""
    arn = queue(server, environment(server))
    definition = server.register(["true"])
    jobs = [server.submit(definition, queue=arn) for _ in range(3)]
    delete(server, arn)
    for job in jobs:
        assert server.fail(job)["statusReason"] == "JobQueue deleted"
        assert server.job(job)["jobQueue"] == arn


def test_fifty_queues_and_no_more(own_server):
    """Spec infrastructure §10.2."""
    server = own_server
    there = len(server.batch.describe_job_queues()["jobQueues"])
    arns = [server.batch.create_job_queue(jobQueueName=f"q{n}", priority=1, computeEnvironmentOrder=order("default"))
            ["jobQueueArn"] for n in range(50 - there)]
    refused(lambda: queue(server, jobQueueName="one-more"), "50 job queues")
    delete(server, arns[0])
    queue(server, jobQueueName="one-more")


def test_everything_is_kept_over_a_restart(own_server):
    server = own_server
    lab = environment(server)
    queue(server, lab, jobQueueName="kept", jobStateTimeLimitActions=[LIMIT], tags={"k": "v"}, priority=3)
    before = shown(server, "kept")
    server.restart()
    assert shown(server, "kept") == before
    server.batch.update_job_queue(jobQueue="kept", jobStateTimeLimitActions=[LIMIT | {"maxTimeSeconds": 86400}])
    assert valid(server, "kept")["jobStateTimeLimitActions"] == [LIMIT | {"maxTimeSeconds": 86400}]
