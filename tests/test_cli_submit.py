"""`batchyard submit`: definitions, job files and scripts through the real program, and what --dry-run says of them."""

import json
import subprocess
import uuid

import pytest

from support.server import BINARY


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def follow(server, *args, code=0):
    """Submits with the log shown; gives the lines."""
    done = server.batchyard("submit", "-f", *args, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout.splitlines()


def dry_run(server, *args):
    """The exit code, and the checks that are not ok as (what, found)."""
    done = server.batchyard("submit", "--dry-run", "-o", "json", *args, check=False)
    document = json.loads(done.stdout)
    assert document["fits"] is (done.returncode == 0)
    return done.returncode, [(c["name"], c["found"]) for c in document["checks"] if c["state"] != "ok"]


def test_a_definition_with_overrides(server):
    name = "defined-" + uuid.uuid4().hex[:8]
    server.register(["sh", "-c", "echo Ref::word $A; exit 5"], name=name, parameters={"word": "default"})
    assert follow(server, name, "-p", "word=given", "-e", "A=1", code=5) == ["given 1"]
    assert follow(server, f"{name}:1", "--", "echo", "other") == ["other"]
    job_id = server.batchyard("submit", name, "--name", "mine", "--tag", "k=v", "--cpus", "2", "--memory", "65m",
                              "--retries", "2", "--timeout", "2m").stdout.strip()
    job = server.wait_job(job_id)
    assert (job["jobName"], job["tags"], job["retryStrategy"]["attempts"]) == ("mine", {"k": "v"}, 3)
    assert job["timeout"] == {"attemptDurationSeconds": 120}
    sizes = {r["type"]: r["value"] for r in job["container"]["resourceRequirements"]}
    assert sizes == {"VCPU": "2", "MEMORY": "65"}


def test_a_script_carries_its_options(server, tmp_path):
    script = write(tmp_path, "greet.sh", """#!/bin/sh
# a comment
#BATCH --image busybox --memory 64
#BATCH --env 'GREETING=hello world' --tag made=script

echo "$GREETING $1 $2"
echo "I am $0"
exit 3
""")
    assert follow(server, script, "--", "a b", "c", code=3) == ["hello world a b c", "I am greet.sh"]
    assert follow(server, script, "-e", "GREETING=bye", code=3)[0].split() == ["bye"]
    job = json.loads(server.batchyard("show", "greet", "-o", "json").stdout)
    assert job["jobName"] == "greet" and job["tags"] == {"made": "script"}


def test_a_script_of_another_interpreter_runs_from_a_file(server, tmp_path):
    script = write(tmp_path, "sum", "#!/usr/bin/awk -f\n#BATCH --image busybox --memory 64\n"
                                    "BEGIN { print ARGV[1] + ARGV[2] }\n")
    assert follow(server, script, "--", "3", "4") == ["7"]


def test_a_script_from_standard_input(server):
    text = "#BATCH --image busybox --memory 64 --name piped\necho from stdin\n"
    done = subprocess.run([BINARY, "submit", "-f", "-"], input=text, env=server.environment(), capture_output=True,
                          text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "from stdin\n"), done.stderr


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_a_job_file_with_its_definition(server, tmp_path, ending):
    """The definition inside is registered, and the same file again uses the same revision."""
    job = {
        "jobName": f"file-{ending}",
        "jobDefinition": {"containerProperties": {
            "image": "busybox", "command": ["sh", "-c", "echo $PORT Ref::n"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}},
        "parameters": {"n": "7"},
        "containerOverrides": {"environment": [{"name": "PORT", "value": "8080"}]},
    }
    text = json.dumps(job)
    if ending == "yaml":
        text = """
jobName: file-yaml
containerProperties:
  image: busybox
  command: [sh, -c, "echo $PORT Ref::n"]
  resourceRequirements: [{type: VCPU, value: 1}, {type: MEMORY, value: 64}]
parameters: {n: 7}
containerOverrides: {environment: [{name: PORT, value: 8080}]}
"""
    path = write(tmp_path, f"job.{ending}", text)
    assert follow(server, path) == ["8080 7"]
    submitted = json.loads(server.batchyard("submit", path, "-o", "json").stdout)["submitted"][0]
    assert submitted["name"] == f"file-{ending}" and submitted["definition"].endswith(":1")


def test_waiting_gives_the_jobs_code(server, tmp_path):
    script = write(tmp_path, "four.sh", "#BATCH --image busybox --memory 64\nexit 4\n")
    done = server.batchyard("submit", "--wait", script, check=False)
    assert done.returncode == 4 and done.stdout.endswith("four FAILED exit 4\n")


def test_what_cannot_be_submitted_is_told_with_its_place(server, tmp_path):
    cases = [
        (write(tmp_path, "flag.sh", "#!/bin/sh\n#BATCH --nope 1\n"), 2, "flag.sh:2: unexpected argument '--nope'"),
        (write(tmp_path, "member.yaml", "jobname: x\n"), 2, "jobname is no member; AWS writes jobName"),
        (write(tmp_path, "image.sh", "echo\n"), 2, "nothing says what runs; give --image"),
        (write(tmp_path, "odd.txt", "hello\n"), 2, "neither a job file"),
        (write(tmp_path, "long.sh", "#BATCH --image busybox\n: " + "x" * 40_000 + "\n"), 2, "AWS Batch takes 30720"),
        ("./missing.sh", 3, "no file ./missing.sh"),
        ("missing-definition", 3, "missing-definition does not exist"),
    ]
    for source, code, text in cases:
        done = server.batchyard("submit", source, check=False)
        assert (done.returncode, done.stdout) == (code, ""), (source, done.stderr)
        assert text in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_dry_run_says_why_a_job_does_not_fit(server, tmp_path):
    script = write(tmp_path, "dry.sh", "#BATCH --image busybox --memory 64\necho Ref::x\n")
    definitions = len(server.batch.describe_job_definitions()["jobDefinitions"])
    assert dry_run(server, script, "-p", "x=1") == (0, [])
    code, found = dry_run(server, script, "--cpus", "100000", "--share", "s")
    assert code == 1
    assert [what for what, _ in found] == ["parameters", "share", "environment default"]
    assert "at most" in found[2][1]
    assert dry_run(server, script, "-p", "x=1", "--queue", "default-fargate")[0] == 1
    code, found = dry_run(server, "nothing-of-this-name", "--queue", "nowhere")
    assert (code, [what for what, _ in found]) == (1, ["definition", "queue"])
    server.batch.create_job_queue(
        jobQueueName="off", priority=1, state="DISABLED",
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "default"}])
    code, found = dry_run(server, script, "-p", "x=1", "--queue", "off")
    assert code == 1 and "off is DISABLED" in found[0][1]
    assert len(server.batch.describe_job_definitions()["jobDefinitions"]) == definitions, "nothing was registered"
    text = server.batchyard("submit", "--dry-run", script, "-p", "x=1")
    assert text.stdout.startswith("STATE  WHAT") and "nothing was submitted" in text.stderr
