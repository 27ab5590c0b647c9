"""Programs that drive AWS Batch, unchanged: what they call and what they read (spec clients §2).

They live in an environment of their own (tests/clients/requirements.txt). Never here: boto3 and the aws command line,
which every other test uses.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from support.server import REPO

PYTHON = Path(os.environ.get("CLIENTS_VENV") or REPO / ".venv-clients") / "bin" / "python"
FLOWS = Path(__file__).with_name("clients")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="the clients are not installed: make test-full installs them"),
]


def run(server, tmp_path, flow, *args):
    """Runs a flow in the environment that `batchyard env` makes; gives what it printed last."""
    environment = server.client_environment() | {
        "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AWS_DEFAULT_REGION": server.region,
    }
    done = subprocess.run(
        [PYTHON, FLOWS / flow, *args], env=environment, capture_output=True, text=True, timeout=180, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


def test_luigi(server, tmp_path):
    good = server.register(["echo", "good"])
    bad = server.register(["sh", "-c", "echo first; echo the last words; exit 3"])
    container = {
        "image": "busybox", "command": ["echo", "Ref::word"],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
    }
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(
        {"jobDefinitionName": "luigi", "type": "container", "containerProperties": container}
    ))
    told, _ = run(server, tmp_path, "luigi_flow.py", good, bad, path)
    assert told["queue"] == "default"
    assert told["definition"].endswith(":job-definition/luigi:1")
    assert (told["good"], told["registered"], told["by_name"]) == (True, True, None)
    assert "failed: first\nthe last words" in told["bad"]


def test_airflow(server, tmp_path):
    definition = server.register(["sh", "-c", "echo $WORD from airflow; sleep 2"])
    fails = server.register(["sh", "-c", "exit 4"])
    told, printed = run(server, tmp_path, "airflow_flow.py", definition, fails)
    assert (told["environment"], told["queue"], told["sensed"]) == ("VALID", True, True)
    job = server.job(told["job"])
    assert job["status"] == "SUCCEEDED" and job["tags"]["dag"] == "d"
    assert "hello from airflow" in printed, "Airflow forwards the log while the job runs"
    assert [info["awslogs_stream_name"] for info in told["logs"]] == [job["container"]["logStreamName"]]
    assert "FAILED" in told["bad"] or "failed" in told["bad"]
    killed = server.fail(told["killed"])
    assert killed["statusReason"] == "Task killed by the user"
    assert told["health"] == []
