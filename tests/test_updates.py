"""UpdateComputeEnvironment: each member of the resources that can be updated is changed once and shown (spec infrastructure
§1.7). Never here: what AWS forbids to change (test_environments).
"""

import pytest

from support.examples import EC2, MANAGED_INSTANCES, PROFILE, ROLE
from test_echo import MODEL, members, sent_members, settled, unlike

TO_SPOT = {
    "type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED", "bidPercentage": 40, "minvCpus": 2, "desiredvCpus": 3,
    "maxvCpus": 9, "instanceTypes": ["m6i.large"], "imageId": "ami-9", "subnets": ["subnet-9"], "securityGroupIds": ["sg-9"],
    "ec2KeyPair": "other", "instanceRole": PROFILE + "9", "tags": {"Name": "other"}, "placementGroup": "other",
    "launchTemplate": {
        "launchTemplateId": "lt-9", "version": "9",
        "overrides": [{"launchTemplateId": "lt-8", "version": "8", "targetInstanceTypes": ["m6i.large"]}],
    },
    "ec2Configuration": [{"imageType": "ECS_AL2"}], "scalingPolicy": {"minScaleDownDelayMinutes": 30}, "updateToLatestImageVersion": True,
}
PROVIDER = {
    "maxvCpus": 17, "capacityTags": {"team": "b"},
    "managedInstancesProvider": {
        "infrastructureRoleArn": ROLE + "9", "propagateTags": "NONE", "infrastructureOptimization": {"scaleInAfter": 90},
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": PROFILE + "9", "monitoring": "DETAILED", "instanceMetadataTagsPropagation": False,
            "networkConfiguration": {"subnets": ["subnet-9"], "securityGroups": ["sg-9"]},
            "instanceRequirements": {"allowedInstanceTypes": ["c6i.large"]}, "storageConfiguration": {"storageSizeGiB": 90},
            "localStorageConfiguration": {"useLocalStorage": False},
            "capacityReservations": {
                "reservationPreference": "RESERVATIONS_ONLY",
                "reservationGroupArn": "arn:aws:resource-groups:us-east-1:123456789012:group/other",
            },
        },
    },
}
# Asked for, not shown.
UNSHOWN = {"updateToLatestImageVersion"}
CASES = {"ec2": (EC2, TO_SPOT), "managed-instances": (MANAGED_INSTANCES, PROVIDER)}


@pytest.mark.parametrize("case", CASES)
def test_all_of_an_update_is_shown(server, case):
    made, changed = CASES[case]
    name = f"changed-{case}"
    server.batch.create_compute_environment(computeEnvironmentName=name, type="MANAGED", computeResources=made)
    settled(server, name)
    server.batch.update_compute_environment(computeEnvironment=name, computeResources=changed)
    shown = settled(server, name)["computeResources"]
    assert unlike(shown, {k: v for k, v in changed.items() if k not in UNSHOWN}) == []
    assert unlike(made, changed) and not UNSHOWN & set(shown)


def test_all_members_of_updates_were_changed():
    """Those that lie deeper in members that creation takes too are test_echo's."""
    shape = MODEL.shape_for("ComputeResourceUpdate")
    sent = set().union(*(sent_members(shape, changed) for _, changed in CASES.values()))
    own = ("ComputeResourceUpdate", "UpdateManagedInstancesProviderConfiguration", "InstanceLaunchTemplateUpdate")
    assert {member for member in members(shape) if member[0] in own} <= sent
