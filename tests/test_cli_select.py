"""Selectors of the commands, `cancel` and `terminate` over many jobs, and the question before more than ten."""

import json
import subprocess

import pytest

from support.terminal import Terminal
from support.wait import until

WAITS = "1000"  # vCPUs that no machine of a test has, so that the job stays RUNNABLE


@pytest.fixture(scope="module")
def stuck(server):
    """Submits a job that waits, in a queue of its own, since nothing overtakes it there; gives its id."""
    server.batch.create_job_queue(jobQueueName="stuck", priority=1,
                                  computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "default"}])
    until(lambda: server.batch.describe_job_queues(jobQueues=["stuck"])["jobQueues"][0]["status"] == "VALID")
    big = server.register(vcpus=int(WAITS))
    return lambda name, **more: server.submit(big, queue="stuck", name=name, **more)


@pytest.fixture(scope="module")
def jobs(server, stuck):
    """Ended jobs sel-0 to sel-2 with the codes 0 to 2, and the waiting wait-a and wait-b; ids by name."""
    ids = {}
    for i in range(3):
        name = f"sel-{i}"
        ids[name] = server.submit(server.register(["sh", "-c", f"echo I am {name}; exit {i}"]), name=name,
                                  tags={"odd": str(i % 2), "of": "select"})
    for job_id in ids.values():
        server.wait_job(job_id)
    for name in ("wait-a", "wait-b"):
        ids[name] = stuck(name, tags={"odd": "x", "of": "select"})
    return ids


def listed(server, *args):
    """Names that `ps -a` finds, in its order."""
    done = server.batchyard("ps", "-o", "csv", "--columns", "name", *args)
    return done.stdout.split()[1:]


def test_each_kind_of_selector(server, jobs):
    assert listed(server, "-a", "sel-*") == ["sel-2", "sel-1", "sel-0"]
    assert listed(server, "-a", "sel-?", "@odd=0") == ["sel-2", "sel-0"]
    assert listed(server, "-a", "-l", "of=sel*,odd=1") == ["sel-1"]
    assert listed(server, "-l", "of=select") == ["wait-b", "wait-a"], "what has not ended"
    assert listed(server, "@of=select", "--status", "FAILED") == ["sel-2", "sel-1"]
    assert listed(server, "@of", "--since", "1h", "--queue", "default") == ["sel-2", "sel-1", "sel-0"]
    assert listed(server, "last:2") == ["wait-b", "wait-a"]
    assert listed(server, "last", "@odd=1") == ["sel-1"]
    assert listed(server, "sel-1") == ["sel-1"], "one job, in any state"
    assert listed(server, jobs["sel-0"], jobs["sel-1"][:13]) == ["sel-0", "sel-1"]
    assert listed(server, server.job(jobs["sel-0"])["jobArn"]) == ["sel-0"]
    assert listed(server, "@odd=nothing") == []
    assert listed(server, "sel-*", "--queue", "default-fargate", "-a") == []


def test_wait_and_logs_of_sets(server, jobs):
    done = server.batchyard("wait", "sel-*", "--since", "1h", check=False)
    assert done.returncode == 2, "the newest comes first"
    assert server.batchyard("wait", "sel-*", check=False).returncode == 3, "none of them goes on"
    done = server.batchyard("wait", "@of=select", "--wait-timeout", "0", check=False)
    assert done.returncode == 124
    text = server.batchyard("logs", "sel-*", "--status", "FAILED").stdout
    assert text == "sel-2 | I am sel-2\nsel-1 | I am sel-1\n"
    assert server.batchyard("logs", "-f", "sel-0", "sel-1").stdout == "sel-0 | I am sel-0\nsel-1 | I am sel-1\n"
    lines = [json.loads(line) for line in server.batchyard("logs", "sel-*", "-o", "jsonl").stdout.splitlines()]
    assert {line["jobId"] for line in lines} == {jobs[f"sel-{i}"] for i in range(3)}
    done = server.batchyard("logs", "sel-0", "wait-a")
    assert (done.stdout, done.stderr.count("has no log yet")) == ("sel-0  | I am sel-0\n", 1)
    shown = json.loads(server.batchyard("show", "sel-*", "-o", "json").stdout)
    assert [job["container"]["exitCode"] for job in shown] == [2, 1, 0]


def test_what_fits_nothing_or_too_much(server, jobs):
    for args, code in [(["nobody-*"], 3), (["@odd=9"], 3), ([], 2), (["last:0"], 2), (["--since", "1x"], 2),
                       (["sel-*", "--queue", "nowhere"], 3), (["--status", "DONE"], 2)]:
        for command in ("wait", "terminate", "cancel", "logs", "show"):
            done = server.batchyard(command, *args, check=False)
            assert done.returncode == code, (command, args, done.stderr)
            assert done.stdout == ""


def outcomes(done):
    return {row["name"]: row["outcome"] for row in json.loads(done.stdout)["results"]}


def test_cancel_leaves_what_runs(server, stuck):
    running = server.shell("trap 'exit 1' TERM; while :; do sleep 0.02; done")
    server.wait_job(running, "RUNNING")
    waiting = stuck("to-cancel")
    ended = server.submit(name="over")
    server.wait_job(ended)
    done = server.batchyard("cancel", running, waiting, ended, "--reason", "not needed", "-o", "json", check=False)
    name = server.job(running)["jobName"]
    assert outcomes(done) == {name: "running", "to-cancel": "cancelled", "over": "ended"}
    assert done.returncode == 1, "one that was named goes on"
    assert server.fail(waiting)["statusReason"] == "not needed"
    done = server.batchyard("cancel", name, check=False)
    assert done.returncode == 1 and "it runs" in done.stdout
    assert outcomes(server.batchyard("terminate", running, "-o", "json")) == {name: "terminated"}
    server.fail(running)


def answer_on_a_terminal(server, answer, *args):
    """Runs a command whose standard input and error are a terminal, where the answer is typed once it asks."""
    with Terminal(server, *args, stdout=subprocess.PIPE) as terminal:
        terminal.see(rb"\[y/N\]", "the question")
        terminal.type(answer.encode())
        output = terminal.running.communicate(timeout=60)[0].decode()
    return terminal.running.returncode, output, terminal.seen.decode()


def test_more_than_ten_jobs_need_a_yes(server, stuck):
    ids = [stuck(f"many-{i}") for i in range(12)]
    refused = server.batchyard("terminate", "many-*", check=False)
    assert refused.returncode == 2 and "12 jobs (12 RUNNABLE)" in refused.stderr and "-y" in refused.stderr
    code, output, seen = answer_on_a_terminal(server, "no\n", "cancel", "many-*")
    assert (code, output) == (1, "") and "cancel 12 jobs (12 RUNNABLE)? [y/N]" in seen
    assert {server.job(i)["status"] for i in ids} == {"RUNNABLE"}, "nothing was changed"
    ten = server.batchyard("cancel", *ids[:10], "-o", "json")
    assert set(outcomes(ten).values()) == {"cancelled"}, "ten need no question"
    more = [stuck(f"many-{i}") for i in range(12, 22)]
    code, output, _ = answer_on_a_terminal(server, "y\n", "terminate", "many-*", "-o", "id")
    assert code == 0 and set(output.split()) == {*ids[10:], *more}
    for job_id in ids + more:
        server.fail(job_id)


def test_sixty_at_once(server, stuck):
    """More than one bulk request holds; each job has its outcome."""
    ids = [stuck(f"sixty-{i}") for i in range(60)]
    done = server.batchyard("terminate", "-y", "sixty-*", "--reason", "all of them", "-o", "json")
    rows = json.loads(done.stdout)["results"]
    assert {row["id"] for row in rows} == set(ids) and {row["outcome"] for row in rows} == {"terminated"}
    assert {server.fail(i)["statusReason"] for i in ids} == {"all of them"}
