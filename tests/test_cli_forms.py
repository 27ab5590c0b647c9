"""The forms of the output, `--query` and `--columns`; completion and manual pages."""

import csv
import io
import json
import subprocess
import time

import pytest

from support.server import BINARY


@pytest.fixture(scope="module")
def job_id(server):
    job_id = server.submit(server.register(["sh", "-c", "exit 7"]), name="formed", tags={"a": "b"})
    server.wait_job(job_id)
    return job_id


def out(server, *args):
    return server.batchyard(*args).stdout


def test_every_form_of_a_listing(server, job_id):
    document = json.loads(out(server, "ps", job_id, "-o", "json"))
    [row] = document["jobs"]
    assert (document["schemaVersion"], row["id"], row["exitCode"]) == (1, job_id, 7)
    assert json.loads(out(server, "ps", job_id, "-o", "jsonl")) == row
    assert out(server, "ps", job_id, "-o", "id") == job_id + "\n"
    [of_csv] = csv.DictReader(io.StringIO(out(server, "ps", job_id, "-o", "csv")))
    assert {k: v for k, v in of_csv.items() if k in ("id", "name", "exitCode", "arraySize")} == {
        "id": job_id, "name": "formed", "exitCode": "7", "arraySize": ""}
    yaml = out(server, "ps", job_id, "-o", "yaml")
    assert "schemaVersion: 1\n" in yaml and f"id: {job_id}\n" in yaml and "exitCode: 7\n" in yaml
    assert job_id[:8] in out(server, "ps", job_id) and job_id in out(server, "ps", job_id, "-o", "wide")
    for command in (["queues"], ["image", "ls"], ["show", job_id], ["wait", job_id], ["terminate", job_id], ["doctor"]):
        for form in ("table", "wide", "json", "jsonl", "csv", "yaml", "id"):
            assert server.batchyard(*command, "-o", form, check=False).stdout, (command, form)


def test_queries_and_columns(server, job_id):
    assert json.loads(out(server, "ps", job_id, "--query", "jobs[].{n: name, c: exitCode}")) == [{"n": "formed", "c": 7}]
    assert out(server, "ps", job_id, "--query", "jobs[].[name, state]", "-o", "id") == "formed\tFAILED\n"
    assert out(server, "show", job_id, "--query", "tags.a", "-o", "id") == "b\n"
    assert out(server, "ps", job_id, "--columns", "name,EXIT", "-o", "csv") == "name,exitCode\nformed,7\n"
    assert out(server, "ps", job_id, "--columns", "exit,name").split() == ["EXIT", "NAME", "7", "formed"]
    assert json.loads(out(server, "ps", job_id, "--columns", "state", "-o", "jsonl")) == {"state": "FAILED"}
    assert out(server, "queues", "default", "--columns", "NAME,RUNNABLE", "-o", "csv") == "name,RUNNABLE\ndefault,0\n"


def test_wrong_queries_and_columns_change_nothing(server):
    job_id = server.submit(server.register(vcpus=1000))
    for flags in (["--columns", "nothing"], ["--query", "results["], ["--query", "a", "--columns", "id"]):
        done = server.batchyard("terminate", job_id, *flags, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert server.job(job_id)["status"] == "RUNNABLE"
    server.batchyard("terminate", job_id)


SHELLS = ["bash", "zsh", "fish", "elvish", "powershell"]


def complete(server, *words, **environment):
    """What a shell is offered for the last word."""
    done = subprocess.run(
        [BINARY, "--", "batchyard", *words], capture_output=True, text=True, timeout=30,
        env=server.environment(BATCHYARD_COMPLETE="fish", **environment))
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def test_completion_has_live_names(server, job_id):
    assert complete(server, "wait", "form") == ["formed"]
    assert complete(server, "logs", job_id[:6]) == [job_id]
    assert complete(server, "run", "--queue", "def") == ["default", "default-fargate"]
    assert complete(server, "ter") == ["terminate"]
    server.register(name="completed")
    assert complete(server, "submit", "comple") == ["completed"]


def test_completion_is_quick_and_silent(server, job_id, tmp_path):
    times = []
    for _ in range(10):
        began = time.monotonic()
        complete(server, "wait", "form")
        times.append(time.monotonic() - began)
    assert min(times) < 0.05, times
    assert "formed" not in complete(server, "wait", "form", BATCHYARD_DATA_DIR=tmp_path)
    assert complete(server, "--endpoint-url", "http://127.0.0.1:9", "wait", "form") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts(server, shell):
    script = out(server, "completion", shell)
    assert "BATCHYARD_COMPLETE" in script and "batchyard" in script


def test_bash_takes_the_script(server, job_id):
    script = f"""source <("{BINARY}" completion bash)
COMP_WORDS=(batchyard wait form) COMP_CWORD=2 COMP_TYPE=9
_clap_complete_batchyard batchyard form wait
printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script], env=server.environment(), capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["formed"], done.stderr


def test_wait_prints_what_was_asked_for(server, job_id):
    def wait(*args):
        done = server.batchyard("wait", job_id, *args, check=False)
        assert done.returncode == 7
        return done.stdout

    assert wait("--query", "jobs[0].exitCode").strip() == "7"
    assert wait("--columns", "name,exit").split() == ["NAME", "EXIT", "formed", "7"]


def test_manual_pages(server, tmp_path):
    server.batchyard("man", tmp_path / "man1")
    names = {p.name for p in (tmp_path / "man1").iterdir()}
    assert {"batchyard.1", "batchyard-submit.1", "batchyard-image-ls.1", "batchyard-completion.1"} <= names
    for path in (tmp_path / "man1").iterdir():
        assert "Examples:" in path.read_text(), path
    assert ".TH batchyard 1" in out(server, "man")
    assert "wait\\-timeout" in out(server, "man", "--of", "wait")
