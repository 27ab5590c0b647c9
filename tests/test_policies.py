"""Scheduling policies to the letter (spec infrastructure §4.1): kept, checked, echoed; the order they give comes later."""

import uuid

import pytest

from support.refusal import refused
from support.wait import until


def name():
    return "p-" + uuid.uuid4().hex[:10]


def policy(server, fair=None, **more):
    """Makes a fair share policy and gives its ARN."""
    return server.batch.create_scheduling_policy(**{"name": name(), "fairsharePolicy": fair or {}} | more)["arn"]


def shown(server, arn):
    found = server.batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"]
    return found[0] if found else None


def queue(server, arn, **more):
    members = {"jobQueueName": "q" + name(), "priority": 1, "schedulingPolicyArn": arn,
               "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "default"}]}
    return server.batch.create_job_queue(**members | more)["jobQueueArn"]


def shown_queue(server, arn):
    found = server.batch.describe_job_queues(jobQueues=[arn])["jobQueues"]
    return found[0] if found else None


def settled(server, arn):
    return until(lambda: (q := shown_queue(server, arn))["status"] == "VALID" and q, what="a VALID queue")


FULL = {"shareDecaySeconds": 604800, "computeReservation": 99, "shareDistribution": [
    {"shareIdentifier": "UserA*", "weightFactor": 0.0001}, {"shareIdentifier": "B1", "weightFactor": 999.9999}]}


def test_a_fair_share_policy_comes_back_as_it_was_sent(server):
    answer = server.batch.create_scheduling_policy(name="fair", fairsharePolicy=FULL, tags={"team": "x"})
    assert (answer["name"], answer["arn"].rsplit(":", 1)[1]) == ("fair", "scheduling-policy/fair")
    assert shown(server, answer["arn"]) == {
        "name": "fair", "arn": answer["arn"], "fairsharePolicy": FULL, "tags": {"team": "x"}}
    server.batch.delete_scheduling_policy(arn=answer["arn"])
    assert shown(server, answer["arn"]) is None


def test_defaults_are_shown(server):
    arn = policy(server, {"shareDistribution": [{"shareIdentifier": "a"}]})
    assert shown(server, arn)["fairsharePolicy"] == {
        "shareDecaySeconds": 0, "computeReservation": 0, "shareDistribution": [{"shareIdentifier": "a", "weightFactor": 1.0}]}
    bare = shown(server, policy(server))
    assert bare["fairsharePolicy"] == {"shareDecaySeconds": 0, "computeReservation": 0, "shareDistribution": []}
    assert bare["tags"] == {} and "quotaSharePolicy" not in bare


def test_a_quota_share_policy_is_kept_but_not_for_queues_of_environments(server):
    arn = server.batch.create_scheduling_policy(
        name=name(), quotaSharePolicy={"idleResourceAssignmentStrategy": "FIFO"})["arn"]
    found = shown(server, arn)
    assert found["quotaSharePolicy"] == {"idleResourceAssignmentStrategy": "FIFO"} and "fairsharePolicy" not in found
    refused(lambda: queue(server, arn), "quotaSharePolicy", "service environment")


def shares(*identifiers, weight=None):
    return {"shareDistribution": [
        {"shareIdentifier": i} | ({} if weight is None else {"weightFactor": weight}) for i in identifiers]}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"fairsharePolicy": None}, ["fairsharePolicy or quotaSharePolicy"]),
        ({"quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}, ["only one of"]),
        ({"fairsharePolicy": None, "quotaSharePolicy": {"idleResourceAssignmentStrategy": "LIFO"}}, ["FIFO"]),
        ({"fairsharePolicy": None, "quotaSharePolicy": {}}, ["idleResourceAssignmentStrategy"]),
        ({"fairsharePolicy": {"shareDecaySeconds": -1}}, ["shareDecaySeconds"]),
        ({"fairsharePolicy": {"shareDecaySeconds": 604801}}, ["shareDecaySeconds"]),
        ({"fairsharePolicy": {"computeReservation": 100}}, ["computeReservation"]),
        ({"fairsharePolicy": {"computeReservation": -1}}, ["computeReservation"]),
        ({"fairsharePolicy": shares("a", weight=0)}, ["weightFactor"]),
        ({"fairsharePolicy": shares("a", weight=1000)}, ["weightFactor"]),
        ({"fairsharePolicy": shares("a-b")}, ["shareIdentifier"]),
        ({"fairsharePolicy": shares("a*b")}, ["shareIdentifier"]),
        ({"fairsharePolicy": shares("x" * 256)}, ["shareIdentifier", "255"]),
        ({"fairsharePolicy": shares("")}, ["shareIdentifier"]),
        ({"fairsharePolicy": {"shareDistribution": [{"weightFactor": 1}]}}, ["shareIdentifier"]),
        ({"fairsharePolicy": shares("UserA*", "UserA1")}, ["overlap"]),
        ({"fairsharePolicy": shares("A", "A")}, ["overlap"]),
        ({"fairsharePolicy": shares(*(f"s{n}" for n in range(501)))}, ["500", "501"]),
        ({"name": "a.b"}, ["name"]), ({"name": ""}, ["name"]), ({"name": "x" * 129}, ["name"]), ({"name": None}, ["name"]),
        ({"tags": {"AWS:x": "y"}}, ["reserved"]),
    ],
)
def test_what_a_policy_cannot_be(server, members, words):
    members = {"name": name(), "fairsharePolicy": {}} | members
    refused(lambda: server.batch.create_scheduling_policy(**{k: v for k, v in members.items() if v is not None}), *words)


def test_five_hundred_shares_are_kept(server):
    many = [{"shareIdentifier": f"s{n}", "weightFactor": 0.5} for n in range(500)]
    assert shown(server, policy(server, {"shareDistribution": many}))["fairsharePolicy"]["shareDistribution"] == many


def test_update_by_arn_replaces_the_policy(server):
    arn = policy(server, FULL, tags={"k": "v"})
    server.batch.update_scheduling_policy(arn=arn, fairsharePolicy={"computeReservation": 1})
    found = shown(server, arn)
    assert found["fairsharePolicy"] == {"shareDecaySeconds": 0, "computeReservation": 1, "shareDistribution": []}
    assert found["tags"] == {"k": "v"}
    server.batch.update_scheduling_policy(arn=arn)
    assert shown(server, arn) == found
    quota = {"idleResourceAssignmentStrategy": "FIFO"}
    refused(lambda: server.batch.update_scheduling_policy(arn=arn, quotaSharePolicy=quota), "cannot change its kind")
    refused(lambda: server.batch.update_scheduling_policy(arn=arn, fairsharePolicy={"computeReservation": 100}), "99")
    refused(lambda: server.batch.update_scheduling_policy(arn=arn.rsplit("/", 1)[1]), "arn")
    for missing in (arn + "x", elsewhere(arn)):
        refused(lambda m=missing: server.batch.update_scheduling_policy(arn=m, fairsharePolicy={}), missing, "does not exist")
    assert shown(server, arn) == found


def elsewhere(arn):
    return ":".join("eu-west-9" if n == 3 else part for n, part in enumerate(arn.split(":")))


def test_names_are_taken(server):
    arn = policy(server, name="only-one")
    refused(lambda: policy(server, name="only-one"), "Object already exists")
    server.batch.delete_scheduling_policy(arn=arn)
    assert policy(server, name="only-one") == arn
    server.batch.delete_scheduling_policy(arn=arn)
    server.batch.delete_scheduling_policy(arn=arn)
    refused(lambda: server.batch.delete_scheduling_policy(arn="only-one"), "arn")


def test_describe_leaves_out_what_is_not_there(server):
    arns = [policy(server) for _ in range(3)]
    asked = [arns[2], arns[0] + "x", "a-name", elsewhere(arns[1]), arns[0], arns[2]]
    found = server.batch.describe_scheduling_policies(arns=asked)["schedulingPolicies"]
    assert [p["arn"] for p in found] == [arns[2], arns[0]]
    assert server.batch.describe_scheduling_policies(arns=[])["schedulingPolicies"] == []
    refused(lambda: server.batch.describe_scheduling_policies(arns=["x"] * 101), "100")
    refused(lambda: server.batch.describe_scheduling_policies(), "arns")


def test_pages_end(server):
    for _ in range(4):
        policy(server)
    everything = [p["arn"] for p in server.batch.list_scheduling_policies()["schedulingPolicies"]]
    for size in (1, 3, 100):
        pages = list(server.batch.get_paginator("list_scheduling_policies").paginate(PaginationConfig={"PageSize": size}))
        assert [p["arn"] for page in pages for p in page["schedulingPolicies"]] == everything
        assert "nextToken" not in pages[-1] and len(pages) == -(-len(everything) // size)
    for wrong in ({"maxResults": 0}, {"maxResults": 101}, {"nextToken": "00"}):
        refused(lambda wrong=wrong: server.batch.list_scheduling_policies(**wrong), next(iter(wrong)))


def test_a_queue_keeps_its_policy(server):
    """Replaced by one of its kind, never removed, never given to a FIFO queue (spec infrastructure §3.1)."""
    first, second = policy(server), policy(server)
    arn = queue(server, first)
    assert settled(server, arn)["schedulingPolicyArn"] == first
    refused(lambda: server.batch.delete_scheduling_policy(arn=first), "Cannot delete", "is used by job queue")
    refused(lambda: server.batch.update_job_queue(jobQueue=arn, schedulingPolicyArn=""), "can't be removed")
    refused(lambda: server.batch.update_job_queue(jobQueue="default", schedulingPolicyArn=first), "can't get one")
    server.batch.update_job_queue(jobQueue="default", schedulingPolicyArn="")
    server.batch.update_job_queue(jobQueue=arn, priority=2)
    assert settled(server, arn)["schedulingPolicyArn"] == first
    server.batch.update_job_queue(jobQueue=arn, schedulingPolicyArn=second)
    assert settled(server, arn)["schedulingPolicyArn"] == second
    server.batch.delete_scheduling_policy(arn=first)
    server.batch.update_job_queue(jobQueue=arn, state="DISABLED")
    server.batch.delete_job_queue(jobQueue=arn)
    until(lambda: shown_queue(server, arn) is None, what="the end of the queue")
    server.batch.delete_scheduling_policy(arn=second)


def test_a_queue_names_its_policy_by_arn(server):
    arn = policy(server)
    for wrong, words in [
        (arn.rsplit("/", 1)[1], ["schedulingPolicyArn"]), (arn + "x", ["does not exist"]), (elsewhere(arn), ["does not exist"]),
        (arn.replace("scheduling-policy", "job-queue"), ["schedulingPolicyArn", "job-queue"]),
    ]:
        refused(lambda wrong=wrong: queue(server, wrong), *words)


def test_everything_is_kept_over_a_restart(own_server):
    server = own_server
    arn = policy(server, FULL, name="kept", tags={"k": "v"})
    in_queue = settled(server, queue(server, arn))
    before = shown(server, arn)
    server.restart()
    assert shown(server, arn) == before
    assert shown_queue(server, in_queue["jobQueueArn"]) == in_queue
    refused(lambda: server.batch.delete_scheduling_policy(arn=arn), "is used by")
