"""Compute environments through boto3: what comes back, what is refused, the kinds of update, deletion (spec
infrastructure §1, clients §2). Never here: every cell of the field matrix; unit tests have those."""

import re
import uuid

import pytest
from botocore.exceptions import ClientError

from support.wait import until

LINKED = "arn:aws:iam::{}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
EC2 = {
    "type": "EC2", "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"],
    "instanceRole": "ecsInstanceRole", "allocationStrategy": "BEST_FIT_PROGRESSIVE",
}
FARGATE = {"type": "FARGATE", "maxvCpus": 4, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
MANAGED_INSTANCES = {
    "type": "ECS_MANAGED_INSTANCES", "maxvCpus": 4, "capacityTags": {"team": "a"},
    "managedInstancesProvider": {
        "infrastructureRoleArn": "arn:aws:iam::111122223333:role/infra", "propagateTags": "NONE",
        "infrastructureOptimization": {"scaleInAfter": -1},
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": "arn:aws:iam::111122223333:instance-profile/p", "capacityOptionType": "SPOT",
            "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
            "instanceRequirements": {"allowedInstanceTypes": ["m*"]}, "fipsEnabled": False, "monitoring": "BASIC",
            "storageConfiguration": {"storageSizeGiB": 40}, "instanceMetadataTagsPropagation": True,
            "localStorageConfiguration": {"useLocalStorage": True},
            "capacityReservations": {"reservationGroupArn": "arn:aws:x", "reservationPreference": "RESERVATIONS_ONLY"},
        },
    },
}
EKS = {"eksClusterArn": "arn:aws:eks:us-east-1:111122223333:cluster/c", "kubernetesNamespace": "batch"}


def describe(server, name):
    """The one environment of that name or ARN, or None."""
    found = server.batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    assert len(found) <= 1
    return found[0] if found else None


def settled(server, name):
    """The environment once it is neither CREATING nor UPDATING."""
    def seen():
        found = describe(server, name)
        return found if found["status"] not in ("CREATING", "UPDATING") else None

    return until(seen, what=f"{name} to settle")


def create(server, resources=None, name=None, **more):
    """A new environment, MANAGED when it has resources, as Describe shows it once it is settled."""
    name = name or "e-" + uuid.uuid4().hex[:12]
    if resources is not None:
        more["computeResources"] = resources
    more.setdefault("type", "UNMANAGED" if resources is None else "MANAGED")
    made = server.batch.create_compute_environment(computeEnvironmentName=name, **more)
    assert made["computeEnvironmentName"] == name
    shown = settled(server, name)
    assert shown["computeEnvironmentArn"] == made["computeEnvironmentArn"]
    return shown


def change(server, name, resources=None, **more):
    """An update, and the environment once it is settled."""
    if resources is not None:
        more["computeResources"] = resources
    server.batch.update_compute_environment(computeEnvironment=name, **more)
    return settled(server, name)


def remove(server, *names):
    """Disabled, deleted, and waited for."""
    for name in names:
        change(server, name, state="DISABLED")
        server.batch.delete_compute_environment(computeEnvironment=name)
        until(lambda name=name: describe(server, name) is None, what=f"the end of {name}")


def refused(text, call, *args, **more):
    """The call is a ClientException whose message has the text."""
    with pytest.raises(ClientError) as caught:
        call(*args, **more)
    error = caught.value.response["Error"]
    assert error["Code"] == "ClientException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert text in error["Message"], error["Message"]


def account(server):
    return server.sts.get_caller_identity()["Account"]


def test_an_ec2_environment_as_aws_shows_it(server):
    """All members that are there and no other: empty lists and maps, no unset scalar, ARNs, defaults."""
    shown = create(server, {k: v for k, v in EC2.items() if k != "allocationStrategy"}, name="plain")
    cluster = shown.pop("ecsClusterArn")
    assert re.fullmatch(rf"arn:aws:ecs:{server.region}:{account(server)}:cluster/AWSBatch-plain-{shown['uuid']}", cluster)
    assert str(uuid.UUID(shown.pop("uuid")))
    assert shown == {
        "computeEnvironmentName": "plain",
        "computeEnvironmentArn": f"arn:aws:batch:{server.region}:{account(server)}:compute-environment/plain",
        "type": "MANAGED", "state": "ENABLED", "status": "VALID", "statusReason": "ComputeEnvironment Healthy",
        "containerOrchestrationType": "ECS", "tags": {}, "serviceRole": LINKED.format(account(server)),
        "updatePolicy": {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 30},
        "computeResources": {
            "type": "EC2", "minvCpus": 0, "maxvCpus": 4, "desiredvCpus": 0, "instanceTypes": ["optimal"],
            "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "instanceRole": "ecsInstanceRole", "tags": {},
        },
    }


def test_every_member_comes_back(server):
    spot = EC2 | {
        "type": "SPOT", "minvCpus": 1, "desiredvCpus": 2, "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "instanceTypes": ["m5", "c5.large"], "bidPercentage": 60, "spotIamFleetRole": "arn:aws:iam::1:role/fleet",
        "imageId": "ami-1", "ec2KeyPair": "key", "placementGroup": "pg", "tags": {"Name": "batch"},
        "ec2Configuration": [{"imageType": "ECS_AL2023", "imageIdOverride": "ami-2", "imageKubernetesVersion": "1.30"}],
        "scalingPolicy": {"minScaleDownDelayMinutes": 30},
        "launchTemplate": {
            "launchTemplateId": "lt-1", "version": "$Latest", "userdataType": "EKS_NODEADM",
            "overrides": [{"launchTemplateName": "o", "version": "2", "userdataType": "EKS_BOOTSTRAP_SH",
                           "targetInstanceTypes": ["m5.large"]}],
        },
    }
    top = {"tags": {"a": "b"}, "context": "reserved", "ecsSettings": {"containerInsights": "ENHANCED"},
           "serviceRole": "arn:aws:iam::111122223333:role/service-role/Batch", "state": "DISABLED"}
    shown = create(server, spot, name="all", **top)
    assert shown["computeResources"] == spot
    assert {k: shown[k] for k in top} == top
    fargate = create(server, FARGATE, name="all-fargate")
    assert fargate["computeResources"] == FARGATE
    managed = create(server, MANAGED_INSTANCES, name="all-managed")
    assert managed["computeResources"] == MANAGED_INSTANCES
    assert managed["status"] == "VALID"
    remove(server, "all", "all-fargate", "all-managed")


def test_words_in_any_case_and_empty_values(server):
    """What Terraform, Airflow and CloudFormation leave unset may come as "", [] or {}; words in small letters."""
    sent = {
        "type": "spot", "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["s"], "securityGroupIds": ["g"],
        "instanceRole": "r", "allocationStrategy": "spot_capacity_optimized", "imageId": "", "ec2KeyPair": "",
        "placementGroup": "", "spotIamFleetRole": "", "ec2Configuration": [], "launchTemplate": {}, "tags": {},
        "scalingPolicy": {"minScaleDownDelayMinutes": 0},
    }
    shown = create(server, sent, type="managed", state="enabled", serviceRole="", context="", tags={},
                   ecsSettings={"containerInsights": "enabled"})
    assert (shown["type"], shown["state"], shown["ecsSettings"]) == ("MANAGED", "ENABLED", {"containerInsights": "ENABLED"})
    assert shown["computeResources"] == {
        "type": "SPOT", "minvCpus": 0, "desiredvCpus": 0, "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["s"],
        "securityGroupIds": ["g"], "instanceRole": "r", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED", "tags": {},
    }
    assert "context" not in shown
    empty = {"instanceTypes": [], "imageId": "", "instanceRole": "", "tags": {}, "launchTemplate": {"launchTemplateId": ""}}
    fargate = create(server, FARGATE | empty)
    assert fargate["computeResources"] == FARGATE
    role = create(server, EC2, serviceRole="service-role/Mine")
    assert role["serviceRole"] == f"arn:aws:iam::{account(server)}:role/service-role/Mine"
    remove(server, *(e["computeEnvironmentName"] for e in (shown, fargate, role)))


def test_unmanaged_environments_are_valid_without_hosts(server):
    shown = create(server, serviceRole="batch", unmanagedvCpus=16)
    assert (shown["status"], shown["unmanagedvCpus"]) == ("VALID", 16)
    assert shown["ecsClusterArn"] and "computeResources" not in shown and "updatePolicy" not in shown
    assert change(server, shown["computeEnvironmentName"], unmanagedvCpus=32)["unmanagedvCpus"] == 32
    name = shown["computeEnvironmentName"]
    refused("unmanagedvCpus must be at least 0", change, server, name, unmanagedvCpus=-1)
    refused("updatePolicy is not applicable for an UNMANAGED", change, server, name, updatePolicy={})
    refused("must not be provided for an UNMANAGED", change, server, name, {"maxvCpus": 1})
    refused("must not be provided for an UNMANAGED", create, server, EC2, type="UNMANAGED")
    assert "serviceRole" not in create(server, name="no-role")
    remove(server, name, "no-role")


def test_eks_environments_are_invalid_without_a_cluster(server):
    configuration = EKS | {"accessEntry": {"desiredState": "inherit_from_cluster"}}
    shown = create(server, EC2, name="k8s", eksConfiguration=configuration)
    text = "CLIENT_ERROR - Unable to validate Kubernetes Namespace"
    assert (shown["status"], shown["statusReason"], shown["containerOrchestrationType"]) == ("INVALID", text, "EKS")
    assert "ecsClusterArn" not in shown
    assert shown["eksConfiguration"] == EKS | {"accessEntry": {"desiredState": "INHERIT_FROM_CLUSTER"}}
    refused("is not valid", server.batch.create_job_queue, jobQueueName="k8s", priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "k8s"}])
    entry = {"accessEntry": {"desiredState": "DISABLED"}}
    assert change(server, "k8s", eksConfiguration=entry)["eksConfiguration"] == EKS | entry
    refused("ecsSettings is not applicable for EKS", change, server, "k8s", ecsSettings={"containerInsights": "ENABLED"})
    refused("serviceRole is not applicable for EKS", create, server, EC2, eksConfiguration=EKS, serviceRole="mine")
    refused("must be EC2 or SPOT with eksConfiguration", create, server, FARGATE, eksConfiguration=EKS)
    refused("kubernetesNamespace", create, server, EC2, eksConfiguration=EKS | {"kubernetesNamespace": "kube-system"})
    best = {k: v for k, v in EC2.items() if k != "allocationStrategy"}
    refused("allocationStrategy is required for EKS", create, server, best, eksConfiguration=EKS)
    refused("BEST_FIT does not apply", create, server, EC2 | {"allocationStrategy": "BEST_FIT"}, eksConfiguration=EKS)
    # Disabled it is VALID, so that every client can delete it.
    assert change(server, "k8s", state="DISABLED")["status"] == "VALID"
    remove(server, "k8s")


@pytest.mark.parametrize("text, resources, more", [
    ("tags is not applicable for Fargate.", FARGATE | {"tags": {"a": "b"}}, {}),
    ("minvCpus is not applicable for Fargate.", FARGATE | {"minvCpus": 0}, {}),
    ("Instance role is required.", EC2 | {"instanceRole": ""}, {}),
    ("computeResources.subnets is required for Fargate", FARGATE | {"subnets": []}, {}),
    ("computeResources.spotIamFleetRole is required for SPOT", EC2 | {"type": "SPOT", "allocationStrategy": "BEST_FIT"}, {}),
    ("SPOT_CAPACITY_OPTIMIZED does not apply to EC2", EC2 | {"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}, {}),
    ("desiredvCpus must be between", EC2 | {"desiredvCpus": 5}, {}),
    ("maxvCpus", {k: v for k, v in EC2.items() if k != "maxvCpus"}, {}),
    ("must be provided for a MANAGED", None, {"type": "MANAGED"}),
    ("unmanagedvCpus is not applicable", EC2, {"unmanagedvCpus": 1}),
    ("computeEnvironmentName must be", EC2, {"name": "-first"}),
    ("computeEnvironmentName must be", EC2, {"name": "n" * 129}),
    ("Object already exists", EC2, {"name": "default"}),
    ("reserved prefix", EC2, {"tags": {"AWS:x": "y"}}),
])
def test_what_is_refused(server, text, resources, more):
    refused(text, create, server, resources, **more)


def test_the_kinds_of_update(server):
    """Scaling updates always; infrastructure updates only with the service-linked role and not with BEST_FIT."""
    name = create(server, EC2)["computeEnvironmentName"]
    shown = change(server, name, {
        "minvCpus": 1, "maxvCpus": 8, "desiredvCpus": 3, "scalingPolicy": {"minScaleDownDelayMinutes": 20},
    })["computeResources"]
    assert (shown["minvCpus"], shown["desiredvCpus"], shown["maxvCpus"]) == (1, 3, 8)
    refused("Manually scaling down compute environment is not supported. Disconnecting job queues from compute "
            "environment will cause it to scale-down to minvCpus.", change, server, name, {"desiredvCpus": 2})
    shown = change(server, name, {
        "type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED", "bidPercentage": 70, "instanceTypes": ["m6i"],
        "launchTemplate": {"launchTemplateName": "n"}, "imageId": "ami-1", "tags": {"a": "b"}, "maxvCpus": 16,
        "updateToLatestImageVersion": True,
    })["computeResources"]
    assert (shown["type"], shown["allocationStrategy"], shown["bidPercentage"]) == ("SPOT", "SPOT_CAPACITY_OPTIMIZED", 70)
    assert (shown["launchTemplate"], shown["imageId"], shown["tags"]) == ({"launchTemplateName": "n"}, "ami-1", {"a": "b"})
    shown = change(server, name, {"launchTemplate": {"launchTemplateId": ""}, "imageId": "", "subnets": []})
    assert not {"launchTemplate", "imageId"} & set(shown["computeResources"])
    assert shown["computeResources"]["subnets"] == []
    refused("cannot change from SPOT to FARGATE", change, server, name, {"type": "FARGATE"})
    refused("allocationStrategy", change, server, name, {"allocationStrategy": "BEST_FIT"})
    refused("eksConfiguration is applicable only for EKS", change, server, name, eksConfiguration={})
    policy = {"terminateJobsOnUpdate": True, "jobExecutionTimeoutMinutes": 60}
    shown = change(server, name, updatePolicy=policy, context="c", ecsSettings={"containerInsights": "DISABLED"})
    assert (shown["updatePolicy"], shown["context"], shown["ecsSettings"]) == (policy, "c", {"containerInsights": "DISABLED"})
    refused("jobExecutionTimeoutMinutes", change, server, name, updatePolicy={"jobExecutionTimeoutMinutes": 7201})
    refused("cannot change between AWSServiceRoleForBatch and another role", change, server, name, serviceRole="mine")
    role = create(server, EC2, serviceRole="mine")["computeEnvironmentName"]
    refused("computeResources.imageId cannot be updated, its service role", change, server, role, {"imageId": "ami-2"})
    assert change(server, role, {"maxvCpus": 5}, serviceRole="")["serviceRole"].endswith(":role/mine")
    remove(server, name, role)


def test_the_provider_of_managed_instances_is_updated(server):
    name = create(server, MANAGED_INSTANCES)["computeEnvironmentName"]
    update = {"propagateTags": "CAPACITY_PROVIDER", "instanceLaunchTemplate": {"monitoring": "DETAILED"}}
    shown = change(server, name, {"managedInstancesProvider": update})["computeResources"]["managedInstancesProvider"]
    template = MANAGED_INSTANCES["managedInstancesProvider"]["instanceLaunchTemplate"] | {"monitoring": "DETAILED"}
    assert shown == MANAGED_INSTANCES["managedInstancesProvider"] | update | {"instanceLaunchTemplate": template}
    refused("cannot change from ECS_MANAGED_INSTANCES to EC2", change, server, name, {"type": "EC2"})
    remove(server, name)


def queue_over(server, name, environment):
    """A queue over one environment, VALID."""
    server.batch.create_job_queue(
        jobQueueName=name, priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}]
    )
    wait_queue(server, name)


def wait_queue(server, name):
    def valid():
        [queue] = server.batch.describe_job_queues(jobQueues=[name])["jobQueues"]
        return queue["status"] == "VALID"

    until(valid, what=f"queue {name} VALID")


def test_an_infrastructure_update_ends_jobs_where_the_policy_says_so(server):
    """Without terminateJobsOnUpdate jobs go on; with it they end as when their host goes, and are tried again."""
    name = create(server, EC2)["computeEnvironmentName"]
    queue_over(server, name, name)
    definition = server.register(["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.02; done"], vcpus=1)
    job_id = server.submit(definition, queue=name, retryStrategy={"attempts": 2})
    server.wait_job(job_id, "RUNNING")
    change(server, name, {"imageId": "ami-1"})
    change(server, name, {"maxvCpus": 3}, updatePolicy={"terminateJobsOnUpdate": True})
    assert server.job(job_id)["status"] == "RUNNING" and server.job(job_id)["attempts"] == []
    change(server, name, {"imageId": "ami-2"})
    [first] = until(lambda: server.job(job_id)["attempts"], what="the end of the first attempt")
    assert re.fullmatch(r"Host EC2 \(instance i-[0-9a-f]+\) terminated\.", first["statusReason"])
    server.wait_job(job_id, "RUNNING")
    server.batch.terminate_job(jobId=job_id, reason="done")
    server.fail(job_id)


def test_names_and_arns(server):
    """Both name an environment; an ARN of another Region, account or partition names none."""
    shown = create(server, FARGATE)
    name, arn = shown["computeEnvironmentName"], shown["computeEnvironmentArn"]
    found = server.batch.describe_compute_environments(computeEnvironments=[arn, name, "no-such", arn])
    assert [e["computeEnvironmentArn"] for e in found["computeEnvironments"]] == [arn]
    assert change(server, arn, {"maxvCpus": 7})["computeResources"]["maxvCpus"] == 7
    elsewhere = [
        arn.replace(server.region, "xx-east-9"), arn.replace(f":{account(server)}:", ":999999999999:"),
        arn.replace("arn:aws:", "arn:aws-cn:"), arn.replace("compute-environment", "job-queue"),
    ]
    assert server.batch.describe_compute_environments(computeEnvironments=elsewhere)["computeEnvironments"] == []
    for other in elsewhere[:2]:
        refused("does not exist", change, server, other, state="DISABLED")
        refused("does not exist", server.batch.delete_compute_environment, computeEnvironment=other)
    refused("does not exist", server.batch.update_compute_environment, computeEnvironment="no-such", state="DISABLED")
    refused("at most 100", server.batch.describe_compute_environments, computeEnvironments=["n"] * 101)
    remove(server, arn)


def test_deletion(server):
    shown = create(server, FARGATE)
    name = shown["computeEnvironmentName"]
    queue_over(server, name, name)
    delete = server.batch.delete_compute_environment
    refused("Cannot delete, compute environment must be in DISABLED state", delete, computeEnvironment=name)
    change(server, name, state="DISABLED")
    refused("Cannot delete, found existing JobQueue relationship", delete, computeEnvironment=name)
    server.batch.update_job_queue(jobQueue=name, state="DISABLED")
    server.batch.delete_job_queue(jobQueue=name)
    until(lambda: not server.batch.describe_job_queues(jobQueues=[name])["jobQueues"], what="the queue's end")
    delete(computeEnvironment=shown["computeEnvironmentArn"])
    until(lambda: describe(server, name) is None, what="its end")
    delete(computeEnvironment=name)
    listed = server.batch.describe_compute_environments()["computeEnvironments"]
    assert not [e for e in listed if e["status"] == "DELETED" or e["computeEnvironmentName"] == name]
    # The name is free again, for another environment.
    assert create(server, FARGATE, name=name)["uuid"] != shown["uuid"]
    remove(server, name)


def test_an_environment_is_deleting_until_its_last_job_ends(server, shared_folder):
    name, other = (create(server, EC2)["computeEnvironmentName"] for _ in range(2))
    queue_over(server, name, name)
    definition = server.register(
        ["sh", "-c", "while [ ! -e /shared/end ]; do sleep 0.02; done"],
        volumes=[{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
        mountPoints=[{"sourceVolume": "s", "containerPath": "/shared"}],
    )
    job_id = server.submit(definition, queue=name)
    server.wait_job(job_id, "RUNNING")
    server.batch.update_job_queue(
        jobQueue=name, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": other}]
    )
    change(server, name, state="DISABLED")
    server.batch.delete_compute_environment(computeEnvironment=name)
    assert describe(server, name)["status"] == "DELETING"
    refused("Cannot update, resource is being modified.", change, server, name, state="ENABLED")
    server.batch.delete_compute_environment(computeEnvironment=name)
    (shared_folder / "end").touch()
    server.succeed(job_id)
    until(lambda: describe(server, name) is None, what="its end")


def test_create_before_destroy_ten_times(server, shared_folder):
    """As Terraform replaces an environment under two queues, while jobs of both go through it; none is lost."""
    queues = ["cbd-a", "cbd-b"]
    old = create(server, EC2 | {"maxvCpus": 16}, name="cbd-0", state="ENABLED")["computeEnvironmentArn"]
    for queue in queues:
        queue_over(server, queue, old)
    definition = server.register(
        ["sh", "-c", "sleep 0.1; echo $AWS_BATCH_JOB_ID >>/shared/ran"],
        volumes=[{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
        mountPoints=[{"sourceVolume": "s", "containerPath": "/shared"}],
    )
    jobs = []
    for turn in range(1, 11):
        jobs += [server.submit(definition, queue=queue) for queue in queues]
        new = create(server, EC2 | {"maxvCpus": 16}, name=f"cbd-{turn}", state="ENABLED")
        assert new["status"] == "VALID"
        for queue in queues:
            server.batch.update_job_queue(jobQueue=queue, computeEnvironmentOrder=[
                {"order": 1, "computeEnvironment": new["computeEnvironmentArn"]},
            ])
            wait_queue(server, queue)
        jobs += [server.submit(definition, queue=queue) for queue in queues]
        remove(server, old)
        old = new["computeEnvironmentArn"]
    for job_id in jobs:
        assert len(server.succeed(job_id)["attempts"]) == 1
    assert sorted((shared_folder / "ran").read_text().split()) == sorted(jobs)


def test_pages_and_the_quota(own_server):
    """50 environments at once, the default ones among them; pages of them that end."""
    server = own_server
    names = [f"n-{n}" for n in range(48)]
    for name in names:
        server.batch.create_compute_environment(computeEnvironmentName=name, type="UNMANAGED", serviceRole="r")
    refused("at most 50 compute environments", server.batch.create_compute_environment,
            computeEnvironmentName="more", type="UNMANAGED", serviceRole="r")
    pages = list(server.batch.get_paginator("describe_compute_environments").paginate(PaginationConfig={"PageSize": 20}))
    assert [len(page["computeEnvironments"]) for page in pages] == [20, 20, 10]
    listed = [e["computeEnvironmentName"] for page in pages for e in page["computeEnvironments"]]
    assert sorted(listed) == sorted([*names, "default", "default-fargate"])
    refused("maxResults must be between 1 and 100", server.batch.describe_compute_environments, maxResults=101)
    refused("nextToken is not valid", server.batch.describe_compute_environments, nextToken="x")
    settled(server, "n-0")
    remove(server, "n-0")
    assert create(server, FARGATE, name="more")["status"] == "VALID"
