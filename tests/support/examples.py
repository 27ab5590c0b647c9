"""Requests that together send every member of the model: compute environments and job definitions that are accepted.

Never here: what is done with them, or shown.
"""

PROFILE = "arn:aws:iam::123456789012:instance-profile/ecs"
ROLE = "arn:aws:iam::123456789012:role/batch"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"

EC2 = {
    "type": "EC2", "allocationStrategy": "BEST_FIT_PROGRESSIVE", "minvCpus": 1, "desiredvCpus": 2, "maxvCpus": 8,
    "instanceTypes": ["c5", "m5.large"], "imageId": "ami-01", "subnets": ["subnet-1", "subnet-2"],
    "securityGroupIds": ["sg-1"], "ec2KeyPair": "key", "instanceRole": PROFILE, "tags": {"Name": "host"},
    "placementGroup": "group",
    "launchTemplate": {
        "launchTemplateName": "lt", "version": "$Latest",
        "overrides": [
            {"launchTemplateId": "lt-1", "version": "2", "targetInstanceTypes": ["m5.large"]},
            {"launchTemplateName": "lt2", "version": "$Default", "targetInstanceTypes": ["c5.large"]},
        ],
    },
    "ec2Configuration": [{"imageType": "ECS_AL2023", "imageIdOverride": "ami-02"}],
    "scalingPolicy": {"minScaleDownDelayMinutes": 20},
}
SPOT = {
    "type": "SPOT", "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED", "bidPercentage": 60, "maxvCpus": 4, "minvCpus": 0,
    "instanceTypes": ["optimal"], "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "instanceRole": PROFILE,
    "spotIamFleetRole": ROLE, "launchTemplate": {"launchTemplateId": "lt-1"},
}
FARGATE = {"type": "FARGATE", "maxvCpus": 4, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
MANAGED_INSTANCES = {
    "type": "ECS_MANAGED_INSTANCES", "maxvCpus": 16, "capacityTags": {"team": "a"},
    "managedInstancesProvider": {
        "infrastructureRoleArn": ROLE, "propagateTags": "CAPACITY_PROVIDER", "infrastructureOptimization": {"scaleInAfter": 60},
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": PROFILE, "capacityOptionType": "ON_DEMAND", "fipsEnabled": False, "monitoring": "BASIC",
            "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
            "instanceRequirements": {"allowedInstanceTypes": ["m6i.large"]}, "storageConfiguration": {"storageSizeGiB": 80},
            "localStorageConfiguration": {"useLocalStorage": True}, "instanceMetadataTagsPropagation": True,
            "capacityReservations": {
                "reservationPreference": "RESERVATIONS_FIRST",
                "reservationGroupArn": "arn:aws:resource-groups:us-east-1:123456789012:group/g",
            },
        },
    },
}
EKS = EC2 | {
    "imageId": None, "ec2Configuration": [{"imageType": "EKS_AL2023", "imageKubernetesVersion": "1.33"}],
    "launchTemplate": {
        "launchTemplateId": "lt-1", "userdataType": "EKS_BOOTSTRAP_SH",
        "overrides": [{"launchTemplateId": "lt-2", "targetInstanceTypes": ["m5.large"], "userdataType": "EKS_NODEADM"}],
    },
}
ENVIRONMENTS = {
    "ec2": {"type": "MANAGED", "computeResources": EC2, "serviceRole": ROLE, "state": "DISABLED", "tags": {"a": "b"},
            "context": "reserved", "ecsSettings": {"containerInsights": "ENHANCED"}},
    "spot": {"type": "MANAGED", "computeResources": SPOT, "state": "ENABLED"},
    "fargate": {"type": "MANAGED", "computeResources": FARGATE},
    "managed-instances": {"type": "MANAGED", "computeResources": MANAGED_INSTANCES},
    "eks": {"type": "MANAGED", "computeResources": {k: v for k, v in EKS.items() if v is not None}, "eksConfiguration": {
        "eksClusterArn": "arn:aws:eks:us-east-1:123456789012:cluster/c", "kubernetesNamespace": "jobs",
        "accessEntry": {"desiredState": "ENABLED"}}},
    "unmanaged": {"type": "UNMANAGED", "serviceRole": ROLE, "unmanagedvCpus": 64},
}
CONTAINER = {
    "image": "busybox", "command": ["echo", "Ref::word"], "environment": [{"name": "A", "value": "1"}],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
    "jobRoleArn": ROLE, "executionRoleArn": ROLE, "user": "1000:1000", "instanceType": "m5.large", "privileged": False,
    "enableExecuteCommand": False,
    "readonlyRootFilesystem": True, "ulimits": [{"name": "nofile", "softLimit": 64, "hardLimit": 128}],
    "volumes": [{"name": "v", "host": {"sourcePath": "/tmp"}}],
    "mountPoints": [{"containerPath": "/v", "sourceVolume": "v", "readOnly": True}],
    "linuxParameters": {
        "initProcessEnabled": True, "sharedMemorySize": 8,
        "tmpfs": [{"containerPath": "/t", "size": 4, "mountOptions": ["rw", "noexec"]}],
    },
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "mine", "awslogs-stream-prefix": "p"}},
    "runtimePlatform": {"operatingSystemFamily": "LINUX"},
}
FARGATE_CONTAINER = {
    "image": "busybox", "executionRoleArn": ROLE, "networkConfiguration": {"assignPublicIp": "ENABLED"},
    "fargatePlatformConfiguration": {"platformVersion": "1.4.0"},
    "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
}
OLD_CONTAINER = {"image": "busybox", "vcpus": 1, "memory": 64}
# Registered and shown, and refused when a job is submitted.
NOT_RUN_HERE = CONTAINER | {
    "secrets": [{"name": "S", "valueFrom": SECRET}], "repositoryCredentials": {"credentialsParameter": SECRET},
    "enableExecuteCommand": True,
    "volumes": [
        *CONTAINER["volumes"],
        {"name": "e", "efsVolumeConfiguration": {
            "fileSystemId": "fs-1", "rootDirectory": "/", "transitEncryption": "ENABLED", "transitEncryptionPort": 2999,
            "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"}}},
        {"name": "s", "s3filesVolumeConfiguration": {
            "fileSystemArn": "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1", "rootDirectory": "/d",
            "accessPointArn": "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1/access-point/fsap-1",
            "transitEncryptionPort": 2999}},
    ],
    "linuxParameters": CONTAINER["linuxParameters"] | {
        "maxSwap": 16, "swappiness": 10,
        "devices": [{"hostPath": "/dev/fuse", "containerPath": "/dev/f", "permissions": ["READ", "WRITE"]}]},
    "logConfiguration": {"logDriver": "splunk", "options": {"splunk-url": "u"},
                         "secretOptions": [{"name": "splunk-token", "valueFrom": SECRET}]},
    "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "ARM64"},
}
NOT_RUN_HERE_FARGATE = FARGATE_CONTAINER | {"ephemeralStorage": {"sizeInGiB": 30}}
AROUND = {
    "parameters": {"word": "hello"}, "propagateTags": True, "schedulingPriority": 7, "tags": {"team": "a"},
    "timeout": {"attemptDurationSeconds": 90},
    "retryStrategy": {"attempts": 2, "evaluateOnExit": [
        {"action": "RETRY", "onStatusReason": "Host EC2*", "onReason": "Cannot*", "onExitCode": "13*"}]},
}
DEFINITIONS = {
    "ec2": AROUND | {"containerProperties": CONTAINER, "platformCapabilities": ["EC2"]},
    "fargate": {"containerProperties": FARGATE_CONTAINER, "platformCapabilities": ["FARGATE"]},
    "old": {"containerProperties": OLD_CONTAINER},
}
SECCOMP = {"type": "Localhost", "localhostProfile": "p.json"}
POD_CONTAINER = {
    "name": "main", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["a"], "args": ["b"],
    "env": [{"name": "A", "value": "1"}],
    "resources": {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}},
    "volumeMounts": [{"name": "empty", "mountPath": "/e", "subPath": "s", "readOnly": True}],
    "securityContext": {
        "runAsUser": 1000, "runAsGroup": 1000, "privileged": False, "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True, "runAsNonRoot": True, "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]},
        "seccompProfile": SECCOMP},
}
POD = {
    "serviceAccountName": "account", "hostNetwork": False, "dnsPolicy": "ClusterFirst", "shareProcessNamespace": True,
    "imagePullSecrets": [{"name": "registry"}], "containers": [POD_CONTAINER],
    "initContainers": [POD_CONTAINER | {"name": "first"}],
    "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}, "namespace": "jobs"},
    "securityContext": {
        "fsGroup": 1000, "runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": True, "seccompProfile": SECCOMP},
    "volumes": [
        {"name": "host", "hostPath": {"path": "/srv"}}, {"name": "empty", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
        {"name": "secret", "secret": {"secretName": "s", "optional": True}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}],
}
CONSUMABLES = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 2}]}
# A task that runs here, with what each kind of environment takes.
TASK_CONTAINER = {
    "name": "main", "image": "busybox", "command": ["true"], "essential": True, "user": "1000:1000", "privileged": False,
    "readonlyRootFilesystem": True, "startTimeout": 5, "stopTimeout": 30,
    "resourceRequirements": CONTAINER["resourceRequirements"], "environment": CONTAINER["environment"],
    "ulimits": CONTAINER["ulimits"], "linuxParameters": CONTAINER["linuxParameters"],
    "logConfiguration": CONTAINER["logConfiguration"],
}
TASKS = {
    "ec2": {
        "containers": [TASK_CONTAINER], "taskRoleArn": ROLE, "executionRoleArn": ROLE, "ipcMode": "task", "pidMode": "task",
        "enableExecuteCommand": False, "runtimePlatform": {"operatingSystemFamily": "LINUX"}},
    "fargate": {
        "containers": [{"image": "busybox", "resourceRequirements": FARGATE_CONTAINER["resourceRequirements"]}],
        "executionRoleArn": ROLE, "platformVersion": "1.4.0", "networkConfiguration": {"assignPublicIp": "ENABLED"}},
}
NODES = {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": [
    {"targetNodes": "0", "container": CONTAINER, "instanceTypes": ["m5.large"], "consumableResourceProperties": CONSUMABLES},
    {"targetNodes": "1:", "ecsProperties": {"taskProperties": [TASKS["ec2"]]}}]}
PODS = {"numNodes": 2, "mainNode": 1, "nodeRangeProperties": [{"targetNodes": "0:1", "eksProperties": {"podProperties": POD}}]}
# By the member that submission refuses.
KINDS_NOT_RUN_HERE = {
    "eksProperties": {"eksProperties": {"podProperties": POD}},
    "nodeProperties": {"type": "multinode", "nodeProperties": NODES},
    "consumableResourceProperties": {"containerProperties": OLD_CONTAINER, "consumableResourceProperties": CONSUMABLES},
}
KEPT_DEFINITIONS = KINDS_NOT_RUN_HERE | {
    "pods": {"type": "multinode", "nodeProperties": PODS},
    "not-run": {"containerProperties": NOT_RUN_HERE},
    "not-run-fargate": {"containerProperties": NOT_RUN_HERE_FARGATE, "platformCapabilities": ["FARGATE"]},
}
