"""A thousand jobs while supervisors, containers and the server are killed at random: each ends as its retry strategy says,
with a reason that is true, none is lost, none runs twice at the same time, and the host is as it was before.

Never here: chosen instants (test_faults_points), what exactly becomes of one kill (test_faults_host).
"""

import collections
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from support import leaks
from support.killer import Killer
from support.registry import Registry, busybox_layer, layer
from support.server import ENDED
from support.wait import until

SEED = int(os.environ.get("BATCHYARD_TEST_SOAK_SEED", "20261125"))
CLIENTS = 4
ATTEMPTS = 4
# Each attempt says when it begins, that it lives, and when it is about to end.
TELL = """
    me="$AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT"
    echo begin $me >>/shared/ran
    (while :; do echo lives $me >>/shared/ran; sleep 0.05; done) &
"""
DONE = "; code=$?; echo end $me >>/shared/ran; exit $code"
DISK = {"ephemeralStorage": {"sizeInGiB": 21}}
# Script, how it ends when nobody kills, and more of the definition.
KINDS = {
    "true": ("true", 0, {}),
    "fails": ("(exit 3)", 3, {}),
    "writes": ("dd if=/dev/zero of=/file bs=64k count=32 2>/dev/null; seq 200", 0, {}),
    "takes": ("sleep 0.4 & other=$!; sleep 0.5; wait $other", 0, {}),
    "sleeps": ("sleep 0.7", 0, {}),
    "disk": ("dd if=/dev/zero of=/file bs=64k count=32 2>/dev/null && sleep 0.1", 0, DISK),
    "volume": ("echo x >/v/f; sleep 0.2", 0, {"volumes": [{"name": "v"}], "mountPoints": [{"containerPath": "/v", "sourceVolume": "v"}],
                                              "readonlyRootFilesystem": True}),
    # Images that are pulled, removed behind their jobs' backs as soon as none has them, and pulled again.
    "pulled": ("sleep 0.1; [ $(cat /content) = 0 ]", 0, {"image": "0"}),
    "another": ("sleep 0.1; [ $(cat /content) = 1 ]", 0, {"image": "1"}),
    "init": ("sleep 0.2; (sleep 9 &)", 0, {"linuxParameters": {"initProcessEnabled": True}}),
}
RULES = [{"action": "RETRY", "onStatusReason": "Host EC2*"}, {"action": "RETRY", "onExitCode": "137"}, {"action": "EXIT", "onReason": "*"}]


def push(registry):
    """Two images that share their lowest layer. Gives their names."""
    programs = {f"bin/{name}": f'#!/bin/busybox sh\nexec /bin/busybox {name} "$@"\n'.encode() for name in ("sleep",)}
    base = [busybox_layer(), layer(programs)]
    return [registry.push(f"soak/{n}", "1", [*base, layer({"content": f"{n}\n".encode()})], {"Env": ["PATH=/bin"]})[0] for n in (0, 1)]


def prune_often(server, over):
    """Removes images that no job has, again and again; gives how often and how many went."""
    looks = gone = 0
    while not over.wait(0.3):
        gone += len(json.loads(server.batchyard("image", "prune", "-o", "json").stdout)["removed"])
        looks += 1
    return looks, gone


def host(data_dir):
    """What of this host a server may have changed, and what it keeps per attempt."""
    kinds = (leaks.processes, leaks.mounts, leaks.cgroups, leaks.loop_devices)
    folders = ("attempts", "images/tmp", "images/fetching", "images/layers", "trash", "networks")
    return {kind.__name__: kind(data_dir) for kind in kinds} | {
        "network namespaces": leaks.network_namespaces(),
        "interfaces": set(os.listdir("/sys/class/net")),
        "folders": {str(path.relative_to(data_dir)) for name in folders for path in (data_dir / name).glob("*")},
    }


def namespaces_in_use():
    """Network namespaces that some process is in."""
    found = set()
    for proc in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(proc))
        except OSError:
            continue
    return found


def submit(client, name, definition):
    """Submits one, asking again while the server is away: a wish may become two jobs, an answer never none."""
    while True:
        try:
            return client.submit_job(jobName=name, jobQueue="default", jobDefinition=definition)["jobId"]
        except (BotoCoreError, ClientError) as error:
            assert not isinstance(error, ClientError) or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error
            time.sleep(0.02)  # As clients do; the server is on its way.


def all_ids(server):
    """Ids of all jobs of the queue."""
    found = set()
    for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", *ENDED):
        for page in server.batch.get_paginator("list_jobs").paginate(jobQueue="default", jobStatus=status):
            found |= {summary["jobId"] for summary in page["jobSummaryList"]}
    return found


def described(server, ids):
    """The jobs as they are now."""
    return [job for i in range(0, len(ids), 100) for job in server.batch.describe_jobs(jobs=ids[i:i + 100])["jobs"]]


def open_jobs(server, ids):
    """How many have not ended; one while nobody answers."""
    try:
        return sum(job["status"] not in ENDED for job in described(server, ids)) + abs(len(ids) - len(described(server, ids)))
    except BotoCoreError:
        return 1


class Judge:
    """What is wrong with a job, against what its attempts told and whom was killed."""

    def __init__(self, shared, hit):
        lines = (shared / "ran").read_text().splitlines()
        self.hit, self.told, self.overlaps, newest = hit, collections.Counter(lines), set(), {}
        for word, job_id, number in map(str.split, lines):
            # Lines stand in the order in which they were written.
            if int(number) < newest.get(job_id, 0):
                self.overlaps.add(f"{job_id}: attempt {number} {word} after attempt {newest[job_id]} did")
            newest[job_id] = max(newest.get(job_id, 0), int(number))

    def attempt(self, job, number, attempt, natural):
        code, task = attempt["container"].get("exitCode"), attempt["container"]["taskArn"].rsplit("/", 1)[-1]
        why = attempt.get("statusReason", "")
        lost = why.startswith("Host EC2") and code is None
        begun, ended = (self.told[f"{word} {job['jobId']} {number}"] for word in ("begin", "end"))
        if begun > 1 or ended > 1:
            yield f"attempt {number} ran {begun} times"
        if task not in self.hit and code != natural:
            yield f"attempt {number} was not hit and ended with {code} ({why}, {attempt['container'].get('reason')})"
        if code == natural and not ended:
            yield f"attempt {number} ended with {code} and did not come to its end"
        if not (why or attempt["container"].get("reason")):
            yield f"attempt {number} has no reason"
        again = lost or code == 137
        if again != (number < len(job["attempts"])) and not (again and number == ATTEMPTS):
            yield f"attempt {number} of {len(job['attempts'])} ended with {code} ({why}): not as the rules say"

    def job(self, job):
        natural = KINDS[job["jobName"].split("-")[0]][1]
        if not job["attempts"]:
            yield "it has no attempt"
            return
        for number, attempt in enumerate(job["attempts"], 1):
            yield from self.attempt(job, number, attempt, natural)
        succeeded = job["attempts"][-1]["container"].get("exitCode") == 0
        if succeeded != (job["status"] == "SUCCEEDED"):
            yield f"{job['status']} after {job['attempts'][-1]}"
        if job["status"] == "FAILED" and job.get("statusReason") != job["attempts"][-1].get("statusReason"):
            yield f"its reason {job.get('statusReason')!r} is not its last attempt's"
        most = max((int(line.split()[2]) for line in self.told if line.split()[1] == job["jobId"]), default=0)
        if most > len(job["attempts"]):
            yield f"{most} attempts ran, {len(job['attempts'])} are known"


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [int(os.environ.get("BATCHYARD_TEST_SOAK_JOBS", "1000"))])
def test_kills_of_all_kinds(make_server, shared_folder, tmp_path, request, jobs, record_property):
    (tmp_path / "registry").mkdir()
    registry = Registry(tmp_path / "registry")
    request.addfinalizer(registry.stop)
    images = push(registry)
    server = make_server(BATCHYARD_VCPUS=12, BATCHYARD_MEMORY_MIB=8192, BATCHYARD_PULL_POLICY="missing").start()
    server.listen = server.endpoint.removeprefix("http://")
    first = server.succeed(server.shell("true"))["jobId"]
    until(lambda: not list((server.data_dir / "attempts").iterdir()), what="the first job's folder to go")
    server.stop()
    before, namespaces = host(server.data_dir), namespaces_in_use()
    server.start()
    definitions = {kind: define(server, shared_folder, images, *more) for kind, more in KINDS.items()}
    kinds, began = sorted(KINDS), time.monotonic()
    killer = Killer(server, SEED, longest=0.12)
    killer.start()

    def client_of(index):
        client = server.client("batch")
        return [submit(client, f"{kinds[n % len(kinds)]}-{n}", definitions[kinds[n % len(kinds)]]) for n in range(index, jobs, CLIENTS)]

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        pruned = pool.submit(prune_often, server, killer.over)
        accepted = [job_id for part in pool.map(client_of, range(CLIENTS)) for job_id in part]
        try:
            until(lambda: killer.error or not open_jobs(server, accepted), 900, "the end of all jobs", every=0.5)
        finally:
            killer.end()
        looks, gone = pruned.result()
    found = sorted(set(all_ids(server)) - {first})
    assert set(accepted) <= set(found), "lost"
    until(lambda: not open_jobs(server, found), 120, "the end of jobs that no answer told of")
    seconds = time.monotonic() - began

    judge = Judge(shared_folder, killer.tasks)
    ended = described(server, found)
    wrong = [f"{job['jobName']} {job['jobId']}: {text}" for job in ended for text in judge.job(job)]
    pulls = sum("/soak/" in line and "/manifests/" in line for line in registry.requests())
    text = told(ended, killer, seconds) + f"; images pulled {pulls} times, {gone} removed by {looks} prunes"
    record_property("soak", text)
    print(text)
    assert not wrong, "\n".join(wrong[:20])
    assert not judge.overlaps, "a job ran twice at the same time"
    server.restart()
    until(lambda: not list((server.data_dir / "attempts").iterdir()), what="the folders to go")
    server.batchyard("image", "prune")
    server.stop()
    assert host(server.data_dir) == before
    assert namespaces_in_use() <= namespaces, "network namespaces are left"


def define(server, shared, images, script, _, more):
    """A definition whose attempts tell of themselves."""
    more = more | ({"image": images[int(more["image"])]} if "image" in more else {})
    more = {"volumes": [], "mountPoints": []} | more
    more["volumes"] = [{"name": "shared", "host": {"sourcePath": str(shared)}}, *more["volumes"]]
    more["mountPoints"] = [{"containerPath": "/shared", "sourceVolume": "shared"}, *more["mountPoints"]]
    return server.register(["sh", "-c", TELL + script + DONE], retryStrategy={"attempts": ATTEMPTS, "evaluateOnExit": RULES}, **more)


def told(jobs, killer, seconds):
    """The run in figures."""
    ends = collections.Counter(job["status"] for job in jobs)
    attempts = collections.Counter(len(job["attempts"]) for job in jobs)
    reasons = collections.Counter(attempt["container"].get("reason") or attempt["statusReason"].split("(")[0]
                                  for job in jobs for attempt in job["attempts"])
    return (f"{len(jobs)} jobs, {dict(killer.counts)} kills that hit {len(killer.tasks)} attempts, in {seconds:.0f} s: {dict(ends)}; attempts "
            f"per job {dict(sorted(attempts.items()))}; reasons {dict(reasons.most_common())}")
