"""A queue whose jobs wait: its compute environment has no hosts. Never here: expectations."""

import uuid

from .wait import until


def idle_queue(server, name=None):
    """Makes such a queue and gives its name."""
    name = name or "idle-" + uuid.uuid4().hex[:8]
    batch = server.batch
    batch.create_compute_environment(
        computeEnvironmentName=name, type="UNMANAGED", state="ENABLED", serviceRole="arn:aws:iam::000000000000:role/batch"
    )
    found = {"computeEnvironments": [name]}
    until(lambda: batch.describe_compute_environments(**found)["computeEnvironments"][0]["status"] == "VALID", what="VALID")
    batch.create_job_queue(
        jobQueueName=name, priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": name}]
    )
    until(lambda: batch.describe_job_queues(jobQueues=[name])["jobQueues"][0]["status"] == "VALID", what="VALID")
    return name
