"""The AWS command line after `eval "$(batchyard env)"`, nothing else set (the calls that the README shows)."""

import json
import os
import shutil
import subprocess

import pytest

from support.server import GROUP
from support.wait import until

CONTAINER = {
    "image": "busybox", "command": ["echo", "hello"],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
}


def register(server, name, command):
    properties = json.dumps(CONTAINER | {"command": command})
    return server.aws("batch", "register-job-definition", "--job-definition-name", name, "--type", "container",
                      "--container-properties", properties)


def submit(server, name):
    return server.aws("batch", "submit-job", "--job-name", name, "--job-queue", "default", "--job-definition", name)["jobId"]


def test_env_redirects_only_what_batchyard_answers(server):
    environment = server.client_environment()
    assert environment["AWS_ENDPOINT_URL_BATCH"] == server.endpoint
    assert environment["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] == server.endpoint
    assert environment["AWS_ENDPOINT_URL_STS"] == server.endpoint
    assert environment["AWS_ACCESS_KEY_ID"] == server.key
    assert environment["AWS_SECRET_ACCESS_KEY"] == server.secret
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == server.region
    assert not {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & set(environment)


def test_from_queues_to_the_end(server):
    queues = server.aws("batch", "describe-job-queues")["jobQueues"]
    assert "default" in {q["jobQueueName"] for q in queues}
    assert register(server, "cli", ["echo", "hello from the AWS command line"])["revision"] == 1
    job_id = submit(server, "cli")
    server.succeed(job_id)
    [job] = server.aws("batch", "describe-jobs", "--jobs", job_id)["jobs"]
    assert job["container"]["exitCode"] == 0
    listed = server.aws("batch", "list-jobs", "--job-queue", "default", "--job-status", "SUCCEEDED")["jobSummaryList"]
    assert job_id in {s["jobId"] for s in listed}
    events = server.aws("logs", "get-log-events", "--log-group-name", GROUP, "--log-stream-name",
                        job["container"]["logStreamName"])["events"]
    assert [e["message"] for e in events] == ["hello from the AWS command line"]
    account = server.aws("sts", "get-caller-identity")["Account"]
    assert job["jobArn"].split(":")[4] == account


def test_terminate(server):
    register(server, "endless", ["sleep", "1000"])
    job_id = submit(server, "endless")
    server.wait_job(job_id, "RUNNING")
    listed = server.aws("batch", "list-jobs", "--job-queue", "default")["jobSummaryList"]
    assert [s["jobId"] for s in listed] == [job_id]
    server.aws("batch", "terminate-job", "--job-id", job_id, "--reason", "by the CLI")
    # The program is the first process of its namespace and has no handler, so SIGTERM passes it by; SIGKILL does not.
    assert server.fail(job_id)["statusReason"] == "by the CLI"


def test_pages_of_the_cli(server):
    register(server, "paged", ["true"])
    ids = {submit(server, "paged") for _ in range(5)}
    for job_id in ids:
        server.succeed(job_id)
    listed = server.aws("batch", "list-jobs", "--job-queue", "default", "--job-status", "SUCCEEDED", "--page-size", "2")
    assert ids <= {s["jobId"] for s in listed["jobSummaryList"]}


def test_errors_read_as_from_aws(server):
    done = server.aws("batch", "submit-job", "--job-name", "x", "--job-queue", "nowhere", "--job-definition", "y", check=False)
    assert done.returncode in (254, 255)  # 255 from version 1 of the CLI
    assert "An error occurred (ClientException) when calling the SubmitJob operation: " in done.stderr
    assert "nowhere" in done.stderr


def aws_v2():
    """`aws logs tail` is version 2's. Debian has that one; it knows no endpoint variables."""
    for program in ["/usr/bin/aws", shutil.which("aws")]:
        if program and os.path.exists(program):
            said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if said.startswith("aws-cli/2"):
                return program
    pytest.fail("no version 2 of the AWS command line: apt-get install awscli")


@pytest.mark.parametrize("when", ["before", "while"])
def test_tail_follow(server, when):
    """`aws logs tail --follow` shows lines while the job prints them, whether it began before the job or after."""
    name = f"followed-{when}"
    register(server, name, ["sh", "-c", "trap 'exit 9' TERM; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done"])
    if when == "while":
        job_id = submit(server, name)
        server.wait_job(job_id, "RUNNING")
    else:
        server.run_shell("echo the group exists")
    tail = subprocess.Popen(
        [aws_v2(), "--endpoint-url", server.endpoint, "logs", "tail", GROUP, "--follow", "--since", "1m",
         "--log-stream-name-prefix", name],
        env=server.client_environment() | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    try:
        if when == "before":
            job_id = submit(server, name)
        seen = [tail.stdout.readline() for _ in range(3)]
        assert ["tick 1", "tick 2", "tick 3"] == [line.strip().rsplit(" ", 2)[-2] + " " + line.split()[-1] for line in seen]
        assert all(f"{name}/default/" in line for line in seen)
        later = seen[-1]
        until(lambda: (later := tail.stdout.readline()) and int(later.split()[-1]) > 20, what="lines that came later")
    finally:
        tail.kill()
        tail.wait()
        server.batch.terminate_job(jobId=job_id, reason="seen")
    server.fail(job_id)
