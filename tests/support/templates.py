"""A good request for every operation, by hand where the model's smallest input is not one.

A fault is put into one of these, so that it is the fault that is judged. `@fresh@` becomes a name that is not used yet.
Never here: what an answer must be.
"""

from .places import example

NOWHERE = "00000000-0000-4000-8000-000000000000"
ARN = "arn:aws:batch:{region}:{account}:"
CONTAINER = {
    "image": "busybox", "command": ["true"], "environment": [{"name": "A", "value": "1"}], "user": "0",
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
    "ulimits": [{"name": "nofile", "softLimit": 64, "hardLimit": 64}], "privileged": False, "readonlyRootFilesystem": False,
    "volumes": [{"name": "v", "host": {"sourcePath": "/tmp"}}],
    "mountPoints": [{"sourceVolume": "v", "containerPath": "/v", "readOnly": True}],
    "linuxParameters": {"initProcessEnabled": True, "sharedMemorySize": 16,
                        "tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": ["rw"]}]},
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-stream-prefix": "p"}},
}
RETRY = {"attempts": 2, "evaluateOnExit": [{"action": "RETRY", "onExitCode": "1*", "onReason": "*", "onStatusReason": "*"}]}
LIMIT = {"reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
MANAGED = {"type": "EC2", "maxvCpus": 4, "minvCpus": 0, "desiredvCpus": 0, "instanceTypes": ["optimal"], "subnets": ["subnet-1"],
           "securityGroupIds": ["sg-1"], "instanceRole": "ecsInstanceRole", "allocationStrategy": "BEST_FIT_PROGRESSIVE",
           "tags": {"a": "b"}, "ec2Configuration": [{"imageType": "ECS_AL2023"}]}
SHARES = {"shareDecaySeconds": 60, "computeReservation": 1, "shareDistribution": [{"shareIdentifier": "a", "weightFactor": 0.5}]}
TAGS = {"tags": {"owner": "me"}}


def batch(names):
    """Operation -> good inputs, the plainest first. `names`: queue, environment, definition, policy."""
    queue, environment, definition = names["queue"], names["environment"], names["definition"]
    order = [{"order": 1, "computeEnvironment": environment}]
    define = {"jobDefinitionName": definition, "type": "container"}
    submit = {"jobName": "bad-input", "jobQueue": queue, "jobDefinition": definition}
    page = {"maxResults": 5}
    return {
        "CancelJob": [{"jobId": NOWHERE, "reason": "r"}],
        "CancelJobs": [{"jobs": [NOWHERE], "reason": "r"}],
        "CreateComputeEnvironment": [
            {"computeEnvironmentName": "@fresh@", "type": "UNMANAGED", "state": "DISABLED"} | TAGS,
            {"computeEnvironmentName": "@fresh@", "type": "MANAGED", "state": "DISABLED", "computeResources": MANAGED},
        ],
        "CreateConsumableResource": [{"consumableResourceName": "@fresh@", "totalQuantity": 1, "resourceType": "REPLENISHABLE"}],
        "CreateJobQueue": [{"jobQueueName": "@fresh@", "priority": 1, "state": "DISABLED", "computeEnvironmentOrder": order,
                            "jobStateTimeLimitActions": [LIMIT]} | TAGS],
        "CreateQuotaShare": [{
            "quotaShareName": "@fresh@", "jobQueue": queue, "capacityLimits": [{"maxCapacity": 1, "capacityUnit": "vCPU"}],
            "resourceSharingConfiguration": {"strategy": "RESERVE"}, "preemptionConfiguration": {"inSharePreemption": "DISABLED"}}],
        "CreateSchedulingPolicy": [{"name": "@fresh@", "fairsharePolicy": SHARES} | TAGS],
        "CreateServiceEnvironment": [{"serviceEnvironmentName": "@fresh@", "serviceEnvironmentType": "SAGEMAKER_TRAINING",
                                      "capacityLimits": [{"maxCapacity": 1, "capacityUnit": "NUM_INSTANCES"}]}],
        "DeleteComputeEnvironment": [{"computeEnvironment": "@fresh@"}],
        "DeleteConsumableResource": [{"consumableResource": "@fresh@"}],
        "DeleteJobQueue": [{"jobQueue": "@fresh@"}],
        "DeleteQuotaShare": [{"quotaShareArn": ARN.format(**names) + "job-queue/q/quota-share/@fresh@"}],
        "DeleteSchedulingPolicy": [{"arn": ARN.format(**names) + "scheduling-policy/@fresh@"}],
        "DeleteServiceEnvironment": [{"serviceEnvironment": "@fresh@"}],
        "DeregisterJobDefinition": [{"jobDefinition": "@fresh@:1"}],
        "DescribeComputeEnvironments": [{"computeEnvironments": [environment]} | page],
        "DescribeConsumableResource": [{"consumableResource": "@fresh@"}],
        "DescribeJobDefinitions": [{"jobDefinitionName": definition, "status": "ACTIVE"} | page,
                                   {"jobDefinitions": [definition + ":1"]}],
        "DescribeJobQueues": [{"jobQueues": [queue]} | page],
        "DescribeJobs": [{"jobs": [NOWHERE, names["job"]]}],
        "DescribeQuotaShare": [{"quotaShareArn": ARN.format(**names) + "job-queue/q/quota-share/s"}],
        "DescribeSchedulingPolicies": [{"arns": [names["policy"], ARN.format(**names) + "scheduling-policy/none"]}],
        "DescribeServiceEnvironments": [{"serviceEnvironments": ["none"]} | page],
        "DescribeServiceJob": [{"jobId": NOWHERE}],
        "GetJobQueueSnapshot": [{"jobQueue": queue}],
        "ListConsumableResources": [{"filters": [{"name": "CONSUMABLE_RESOURCE_NAME", "values": ["x*"]}]} | page],
        "ListJobs": [{"jobQueue": queue, "jobStatus": "RUNNABLE"} | page,
                     {"jobQueue": queue, "filters": [{"name": "JOB_NAME", "values": ["bad*"]}]} | page],
        "ListJobsByConsumableResource": [{"consumableResource": "@fresh@", "filters": [{"name": "CONSUMABLE_RESOURCE_NAME",
                                                                                       "values": ["x"]}]} | page],
        "ListQuotaShares": [{"jobQueue": queue} | page],
        "ListSchedulingPolicies": [page],
        "ListServiceJobs": [{"jobQueue": queue, "jobStatus": "RUNNABLE"} | page],
        "ListTagsForResource": [{}],
        "RegisterJobDefinition": [
            define | {"containerProperties": CONTAINER, "retryStrategy": RETRY, "timeout": {"attemptDurationSeconds": 60},
                      "parameters": {"a": "b"}, "propagateTags": True, "schedulingPriority": 1,
                      "platformCapabilities": ["EC2"]} | TAGS,
            define | {"ecsProperties": {"taskProperties": [{"containers": [
                {k: v for k, v in CONTAINER.items() if k != "volumes"} | {"name": "main", "essential": True}],
                "volumes": CONTAINER["volumes"]}]}},
            define | {"type": "multinode", "nodeProperties": {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [
                {"targetNodes": "0:1", "container": CONTAINER}]}},
            define | {"eksProperties": {"podProperties": {"containers": [{"image": "x", "resources": {
                "limits": {"cpu": "1", "memory": "64Mi"}}}], "metadata": {"labels": {"a": "b"}}}}},
        ],
        "SubmitJob": [
            submit | {"parameters": {"a": "b"}, "propagateTags": True, "retryStrategy": RETRY,
                      "timeout": {"attemptDurationSeconds": 60}, "containerOverrides": {
                          "command": ["true"], "environment": [{"name": "A", "value": "2"}],
                          "resourceRequirements": [{"type": "MEMORY", "value": "64"}]}} | TAGS,
            submit | {"arrayProperties": {"size": 2}},
            submit | {"dependsOn": [{"jobId": names["job"], "type": "N_TO_N"}]},
        ],
        "SubmitServiceJob": [{"jobName": "bad-input", "jobQueue": queue, "serviceRequestPayload": "{}",
                              "serviceJobType": "SAGEMAKER_TRAINING"}],
        "TagResource": [TAGS],
        "TerminateJob": [{"jobId": NOWHERE, "reason": "r"}],
        "TerminateJobs": [{"jobs": [NOWHERE], "reason": "r"}],
        "TerminateServiceJob": [{"jobId": NOWHERE, "reason": "r"}],
        "TerminateServiceJobs": [{"jobs": [NOWHERE], "reason": "r"}],
        "UntagResource": [{}],
        "UpdateComputeEnvironment": [{"computeEnvironment": environment, "state": "DISABLED"}],
        "UpdateConsumableResource": [{"consumableResource": "@fresh@", "quantity": 1, "operation": "SET"}],
        "UpdateJobQueue": [{"jobQueue": queue, "priority": 1, "computeEnvironmentOrder": order,
                            "jobStateTimeLimitActions": [LIMIT]}],
        "UpdateQuotaShare": [{"quotaShareArn": ARN.format(**names) + "job-queue/q/quota-share/s", "state": "ENABLED"}],
        "UpdateSchedulingPolicy": [{"arn": names["policy"], "fairsharePolicy": SHARES}],
        "UpdateServiceEnvironment": [{"serviceEnvironment": "@fresh@", "state": "ENABLED"}],
        "UpdateServiceJob": [{"jobId": NOWHERE, "schedulingPriority": 1}],
    }


def logs(names):
    """The same of CloudWatch Logs. `names`: group, stream."""
    stream = {"logGroupName": names["group"], "logStreamName": names["stream"]}
    tagged = {"resourceArn": "arn:aws:logs:{region}:{account}:log-group:{group}".format(**names)}
    times = {"startTime": 0, "endTime": 2_000_000_000_000, "limit": 5}
    return {
        "CreateLogGroup": [{"logGroupName": "/bad/@fresh@"} | TAGS],
        "CreateLogStream": [{"logGroupName": names["group"], "logStreamName": "@fresh@"}],
        "DeleteLogGroup": [{"logGroupName": "/bad/@fresh@"}],
        "DeleteLogStream": [{"logGroupName": names["group"], "logStreamName": "@fresh@"}],
        "DescribeLogGroups": [{"logGroupNamePrefix": "/aws", "limit": 5}],
        "DescribeLogStreams": [{"logGroupName": names["group"], "orderBy": "LastEventTime", "descending": True, "limit": 5},
                               {"logGroupIdentifier": names["group"], "logStreamNamePrefix": "x"}],
        "FilterLogEvents": [{"logGroupName": names["group"], "logStreamNames": [names["stream"]], "filterPattern": "x"} | times,
                            {"logGroupIdentifier": names["group"], "logStreamNamePrefix": "bad"}],
        "GetLogEvents": [stream | times | {"startFromHead": True},
                         {"logGroupIdentifier": names["group"], "logStreamName": names["stream"]}],
        "DeleteRetentionPolicy": [{"logGroupName": names["group"]}],
        "StartLiveTail": [{"logGroupIdentifiers": [names["group"]], "logStreamNames": ["x"], "logEventFilterPattern": "x"}],
        "PutLogEvents": [{"logGroupName": names["group"], "logStreamName": "bad-input"} | {"logEvents": [{"timestamp": names["now"], "message": "m"}]}],
        "PutLogGroupDeletionProtection": [{"logGroupIdentifier": names["group"], "deletionProtectionEnabled": False}],
        "PutRetentionPolicy": [{"logGroupName": names["group"], "retentionInDays": 7}],
        "ListTagsForResource": [tagged],
        "TagResource": [tagged | TAGS],
        "UntagResource": [tagged | {"tagKeys": ["k"]}],
    }


def of(operation, known):
    """The good inputs of an operation; of one that no template names, the model's smallest."""
    return known.get(operation.name) or [example(operation.input_shape)]
