"""Airflow's own operators and sensors, unchanged, executed as a worker executes them. Prints what each gave."""

import json
import sys
from datetime import timedelta
from unittest.mock import MagicMock

from airflow.providers.amazon.aws.hooks.batch_client import BatchClientHook
from airflow.providers.amazon.aws.operators.batch import (
    BatchCreateComputeEnvironmentOperator,
    BatchOperator,
)
from airflow.providers.amazon.aws.sensors.batch import (
    BatchComputeEnvironmentSensor,
    BatchJobQueueSensor,
    BatchSensor,
)

definition, fails = sys.argv[1:]
AWS = {"aws_conn_id": None}
context = {"ti": MagicMock(), "task_instance": MagicMock()}
told = {}

environment = BatchCreateComputeEnvironmentOperator(
    task_id="environment", compute_environment_name="airflow", environment_type="MANAGED", state="ENABLED",
    compute_resources={
        "type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["subnet-1"],
        "securityGroupIds": ["sg-1"], "instanceRole": "ecsInstanceRole",
    }, **AWS,
)
environment.execute(context)
sensor = BatchComputeEnvironmentSensor(task_id="valid", compute_environment="airflow", poke_interval=1, **AWS)
while not sensor.poke(context):
    pass
told["environment"] = "VALID"
told["queue"] = BatchJobQueueSensor(task_id="queue", job_queue="default", **AWS).poke(context)

job = BatchOperator(
    task_id="job", job_name="airflow-job", job_queue="default", job_definition=definition,
    container_overrides={"environment": [{"name": "WORD", "value": "hello"}]}, tags={"dag": "d"},
    retry_strategy={"attempts": 2}, parameters={}, poll_interval=1, max_retries=60, awslogs_enabled=True,
    awslogs_fetch_interval=timedelta(milliseconds=200), **AWS,
)
told["job"] = job.execute(context)
told["sensed"] = BatchSensor(task_id="sensed", job_id=told["job"], **AWS).poke(context)
told["logs"] = BatchClientHook(**AWS).get_job_all_awslogs_info(told["job"])

bad = BatchOperator(
    task_id="bad", job_name="airflow-bad", job_queue="default", job_definition=fails, poll_interval=1, max_retries=60, **AWS
)
try:
    bad.execute(context)
except Exception as error:  # Airflow's own exception class moves between its versions.
    told["bad"] = str(error)
running = BatchOperator(
    task_id="kill", job_name="airflow-kill", job_queue="default", job_definition=definition,
    container_overrides={"command": ["sleep", "600"]}, wait_for_completion=False, **AWS,
)
told["killed"] = running.execute(context) or running.job_id
running.on_kill()
health = BatchClientHook(**AWS).client.describe_jobs(jobs=["a" * 32])
told["health"] = health["jobs"]
print(json.dumps(told))
