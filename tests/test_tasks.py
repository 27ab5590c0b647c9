"""Jobs of `ecsProperties`: what DescribeJobs shows of their task, and what its container gets (spec jobs §1.3, §6.3).

Never here: overrides, and what cannot run (test_submit).
"""

import uuid

import pytest

from support.examples import TASK_CONTAINER, TASKS
from support.idle import idle_queue
from test_echo import unlike


def submit(server, task, queue="default", **definition):
    """The id of a job of that task."""
    name = "task-" + uuid.uuid4().hex[:8]
    arn = server.batch.register_job_definition(
        jobDefinitionName=name, type="container", ecsProperties={"taskProperties": [task]}, **definition)["jobDefinitionArn"]
    return server.submit(arn, queue=queue)


def test_all_of_a_task_is_shown(server):
    [task] = server.job(submit(server, TASKS["ec2"], idle_queue(server)))["ecsProperties"]["taskProperties"]
    assert unlike(task, TASKS["ec2"]) == []
    job = server.job(submit(server, TASKS["fargate"], "default-fargate", platformCapabilities=["FARGATE"]))
    assert unlike(job["ecsProperties"]["taskProperties"][0], TASKS["fargate"]) == []


@pytest.mark.parametrize(
    ("more", "script", "lines"),
    [
        ({"ulimits": [{"name": "nofile", "softLimit": 64, "hardLimit": 128}]}, "ulimit -Sn; ulimit -Hn", ["64", "128"]),
        ({"user": "1000:1001"}, "id -u; id -g", ["1000", "1001"]),
        ({"readonlyRootFilesystem": True}, "touch /file 2>/dev/null || echo refused", ["refused"]),
        ({"privileged": True}, "grep CapPrm /proc/self/status | tr -d 0 | wc -c", None),
        ({"linuxParameters": {"sharedMemorySize": 8}}, "df -m /dev/shm | tail -1 | awk '{print $2}'", ["8"]),
    ],
)
def test_a_task_gets_what_it_asks_for(server, more, script, lines):
    """The same as a job of containerProperties gets."""
    container = {k: TASK_CONTAINER[k] for k in ("name", "image", "resourceRequirements")}
    container |= {"command": ["sh", "-c", script]} | more
    [task] = server.succeed(submit(server, {"containers": [container]}))["ecsProperties"]["taskProperties"]
    got = server.log(task["containers"][0]["logStreamName"])
    assert got == (lines or server.run_shell(script, **more))
    assert got != server.run_shell(script), "without it the job sees something else"


def test_what_an_ended_task_shows(server):
    """Its attempt tells the reason that the container tells."""
    container = {k: TASK_CONTAINER[k] for k in ("name", "image", "resourceRequirements")} | {"command": ["no-such-program"]}
    job = server.fail(submit(server, {"containers": [container]}))
    [task] = job["ecsProperties"]["taskProperties"]
    [attempt] = job["attempts"]
    assert attempt["taskProperties"][0]["taskArn"] == task["taskArn"]
    reason = attempt["taskProperties"][0]["containers"][0]["reason"]
    assert reason == task["containers"][0]["reason"] and reason.startswith("CannotStartContainerError")
