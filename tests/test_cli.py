"""The AWS command line after `eval "$(batchyard env)"`, nothing else set (the calls that the README shows)."""

import json
import subprocess

import pytest

from support.server import GROUP

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
    register(server, "endless", ["sh", "-c", "trap 'exit 1' TERM; while :; do sleep 0.05; done"])
    job_id = submit(server, "endless")
    server.wait_job(job_id, "RUNNING")
    listed = server.aws("batch", "list-jobs", "--job-queue", "default")["jobSummaryList"]
    assert [s["jobId"] for s in listed] == [job_id]
    server.aws("batch", "terminate-job", "--job-id", job_id, "--reason", "by the CLI")
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


# Version 2 has `logs tail`; Debian's is too old for the endpoint variables, so it gets the option (README).
AWS_2 = "/usr/bin/aws"


@pytest.mark.parametrize("when", ["before", "while"])
def test_tail_follow(server, when):
    """`aws logs tail --follow` shows lines while the job prints them, whether it began before the job or after."""
    name = f"followed-{when}"
    register(server, name, ["sh", "-c", "trap 'exit 1' TERM; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done"])
    if when == "while":
        job_id = submit(server, name)
        server.wait_job(job_id, "RUNNING")
    else:
        server.run_shell("echo the group exists")
    tail = subprocess.Popen(
        [AWS_2, "--endpoint-url", server.endpoint, "logs", "tail", GROUP, "--follow", "--since", "1m", "--format", "short",
         "--log-stream-name-prefix", name],
        env=server.client_environment() | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    try:
        if when == "before":
            job_id = submit(server, name)
        # It polls every few seconds: far more lines than one poll can bring.
        lines = [tail.stdout.readline().split() for _ in range(80)]
    finally:
        tail.kill()
        tail.wait()
        server.batch.terminate_job(jobId=job_id, reason="seen")
    server.fail(job_id)
    assert [line[-2:] for line in lines] == [["tick", str(i + 1)] for i in range(80)]


def test_tail_shows_what_is_over(server):
    register(server, "over", ["sh", "-c", "echo one; echo two"])
    server.succeed(submit(server, "over"))
    done = subprocess.run(
        [AWS_2, "--endpoint-url", server.endpoint, "logs", "tail", GROUP, "--log-stream-name-prefix", "over/"],
        env=server.client_environment(), capture_output=True, text=True, timeout=60,
    )
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["one", "two"], done.stderr
