"""Jobs with odd values that are taken: each comes to an end, is shown as the model says, and what it wrote can be read."""

import json

import pytest
from botocore.exceptions import ClientError

ODD = ["", " ", "\x01\x1b[31m\x7f", "😀\U0010ffff", "\u202e\ufeff\ufffe", "../../etc/passwd", "${x}%s%n", "x" * 5000, "a:b*c", "a\nb", "a=b",
       "/", "..", "a/b//c/", ":", "0:0:0", "4294967296", "-1", "99999999999999999999"]
NUMBERS = [-(2**31), -1, 0, 1, 2**31 - 1]


def mounted(volume, path="/x"):
    return {"volumes": [volume], "mountPoints": [{"sourceVolume": volume["name"], "containerPath": path}]}


def linux(**parameters):
    return {"linuxParameters": parameters}


def logged(option, value):
    return {"logConfiguration": {"logDriver": "awslogs", "options": {option: value}}}


# What is odd -> from a value to what goes into containerProperties.
TEXTS = {
    "image": lambda value: {"image": value},
    "command": lambda value: {"command": [value]},
    "argument": lambda value: {"command": ["echo", value]},
    "variable": lambda value: {"environment": [{"name": value, "value": "1"}]},
    "variable's value": lambda value: {"environment": [{"name": "A", "value": value}]},
    "user": lambda value: {"user": value},
    "log prefix": lambda value: logged("awslogs-stream-prefix", value),
    "log group": lambda value: logged("awslogs-group", value) if value else {},
    "log option": lambda value: logged(value, "x"),
    "volume": lambda value: mounted({"name": value}),
    "source": lambda value: mounted({"name": "v", "host": {"sourcePath": value}}),
    "mount point": lambda value: mounted({"name": "v"}, value),
    "tmpfs": lambda value: linux(tmpfs=[{"containerPath": value, "size": 1}]),
    "tmpfs option": lambda value: linux(tmpfs=[{"containerPath": "/t", "size": 1, "mountOptions": [value]}]),
    "device": lambda value: linux(devices=[{"hostPath": value}]),
    "device's path": lambda value: linux(devices=[{"hostPath": "/dev/null", "containerPath": value}]),
}
COUNTS = {
    "shared memory": lambda value: linux(sharedMemorySize=value),
    "tmpfs size": lambda value: linux(tmpfs=[{"containerPath": "/t", "size": value}]),
    "files": lambda value: {"ulimits": [{"name": "nofile", "softLimit": value, "hardLimit": value}]},
    "swap": lambda value: linux(maxSwap=value, swappiness=value),
}
ROWS = [(name, make, ODD) for name, make in TEXTS.items()] + [(name, make, NUMBERS) for name, make in COUNTS.items()]


@pytest.mark.parametrize(("make", "values"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_odd_values_come_to_an_end(server, make, values):
    submitted = {}
    for value in values:
        properties = {"image": "busybox", "command": ["echo", "hi"]} | make(value)
        try:
            submitted[value] = server.submit(server.register(name="odd", **properties))
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ClientException", value
    for value, job_id in submitted.items():
        job = server.wait_job(job_id)
        if job["status"] == "FAILED":
            assert job["container"]["reason"], value
        else:
            group = job["container"].get("logConfiguration", {}).get("options", {}).get("awslogs-group", "/aws/batch/job")
            assert server.log(job["container"]["logStreamName"], group), json.dumps(job)
