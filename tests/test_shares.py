"""Fair-share queues (spec infrastructure §4.1) as boto3 and the containers see them. Never here: every rule of whose turn it
is (engine tests)."""

import pytest

from support.wait import until


@pytest.fixture
def fair(server, shared_folder, request):
    """A fair-share queue over one vCPU, and jobs of its shares that note their start; they end once `go` is there."""
    batch, name = server.batch, request.node.name[:60]
    batch.create_compute_environment(
        computeEnvironmentName=name, type="MANAGED", serviceRole="r", computeResources={
            "type": "EC2", "minvCpus": 0, "maxvCpus": 1, "instanceTypes": ["optimal"], "subnets": ["s"],
            "securityGroupIds": ["g"], "instanceRole": "i"})
    until(lambda: batch.describe_compute_environments(
        computeEnvironments=[name])["computeEnvironments"][0]["status"] == "VALID", what="the environment")
    policy = batch.create_scheduling_policy(name=name, fairsharePolicy={
        "shareDecaySeconds": 3600, "shareDistribution": [{"shareIdentifier": "big", "weightFactor": 0.5}]})["arn"]
    batch.create_job_queue(jobQueueName=name, priority=1, schedulingPolicyArn=policy,
                           computeEnvironmentOrder=[{"order": 1, "computeEnvironment": name}])
    mount = {"volumes": [{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
             "mountPoints": [{"containerPath": "/shared", "sourceVolume": "s"}]}
    script = "echo $NAME >> /shared/order; while [ ! -e /shared/go ]; do sleep 0.02; done"
    definition = server.register(["sh", "-c", script], vcpus=1, memory=16, **mount)

    def submit(share, called=None, **more):
        environment = {"environment": [{"name": "NAME", "value": called or share}]}
        return server.submit(definition, queue=submit.queue, shareIdentifier=share, containerOverrides=environment, **more)

    submit.queue, submit.policy, submit.go = name, policy, shared_folder / "go"
    submit.order = lambda: (shared_folder / "order").read_text().split()
    return submit


def test_shares_take_turns_by_weight_and_priority_counts_inside(server, fair):
    first = fair("small", "s0")
    server.wait_job(first, "RUNNING")
    jobs = [fair("small", f"s{n}") for n in (1, 2)] + [fair("big", f"b{n}") for n in (1, 2, 3)]
    jobs.append(fair("big", "urgent", schedulingPriorityOverride=9))
    snapshot = server.batch.get_job_queue_snapshot(jobQueue=fair.queue)
    waiting = [job["jobArn"].rsplit("/", 1)[1] for job in snapshot["frontOfQueue"]["jobs"]]
    assert waiting[0] == jobs[-1] and sorted(waiting) == sorted(jobs)
    assert snapshot["queueUtilization"]["fairshareUtilization"]["activeShareCount"] == 2
    fair.go.touch()
    for job in jobs:
        assert server.wait_job(job)["status"] == "SUCCEEDED"
    order = fair.order()
    assert order[:2] == ["s0", "urgent"], "big has used nothing yet; its own most urgent job goes first"
    assert [name for name in order if name[0] == "s"] == ["s0", "s1", "s2"]
    assert [name for name in order if name[0] == "b"] == ["b1", "b2", "b3"]


def test_usage_outlives_a_killed_server(server, fair):
    """The share that ran before the crash waits for the one that has not, although its job is older."""
    before = fair("old")
    server.wait_job(before, "RUNNING")
    waits, newcomer = fair("old", "again"), fair("new")
    server.restart()
    fair.go.touch()
    for job in (before, waits, newcomer):
        assert server.wait_job(job)["status"] == "SUCCEEDED"
    assert fair.order() == ["old", "new", "again"]


def test_a_share_that_runs_nothing_is_not_held_back(server, fair):
    """computeReservation keeps the vCPU from a share that runs something, not from one that runs nothing."""
    server.batch.update_scheduling_policy(arn=fair.policy, fairsharePolicy={"computeReservation": 90})
    first, second = fair("a"), fair("b")
    server.wait_job(first, "RUNNING")
    fair.go.touch()
    assert server.wait_job(second)["status"] == "SUCCEEDED", "nothing runs, so nothing is kept back"
