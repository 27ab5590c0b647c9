"""The server is killed with SIGKILL again and again while several clients submit: every accepted job is there, has the
outcome that it must have, and each of its attempts had its side effect once.

Never here: chosen instants (test_faults_points).
"""

import collections
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import BotoCoreError

from support.fault_bench import Bench, codes
from support.hooks import Hooks
from support.server import ENDED
from support.wait import until

CLIENTS = 8
# Each attempt appends one line, in one write. What an attempt makes of it is in its script.
EFFECT = "echo $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT >>/shared/ran; echo out;"
KINDS = {
    # script, attempts, exit codes of the attempts
    "succeeds": (f"{EFFECT} exit 0", 1, [0]),
    "fails": (f"{EFFECT} exit 7", 1, [7]),
    "second": (f"{EFFECT} [ $AWS_BATCH_JOB_ATTEMPT = 2 ]", 3, [1, 0]),
    "never": (f"{EFFECT} exit 3", 3, [3, 3, 3]),
    "takes": (f"sleep 0.3; {EFFECT}", 1, [0]),
}


class Submitter:
    """One client. It asks again when no answer comes, so one wish may become several jobs."""

    def __init__(self, server, definitions, stop):
        self.server, self.definitions, self.stop = server, definitions, stop
        self.accepted, self.unanswered = {}, 0
        self.client = server.client("batch")

    def submit(self, number):
        kind = sorted(KINDS)[number % len(KINDS)]
        while True:
            try:
                answer = self.client.submit_job(jobName=f"{kind}-{number}", jobQueue="default",
                                                jobDefinition=self.definitions[kind])
            except BotoCoreError:
                self.unanswered += 1
                time.sleep(0.02)  # As clients do; the server is on its way.
                continue
            self.accepted[answer["jobId"]] = kind
            return


def kill_often(server, kills, done, total, accepted):
    """Kills spread over the whole time in which jobs are submitted and run; the instants are random."""
    dice = random.Random(20261125)
    for number in range(kills):
        # Half of them while submissions come in, the others while what is left runs.
        until(lambda n=number: accepted() >= total * min(1, 2 * n / kills) or done.is_set(), 120, "submissions")
        time.sleep(dice.uniform(0, 0.3))  # Not to wait for anything: to choose the instant.
        server.kill9()
        time.sleep(dice.uniform(0, 0.1))
        server.start()


def every_job(bench):
    """All jobs of the queue, by id."""
    ids = sorted(bench.jobs())
    found = {}
    for i in range(0, len(ids), 100):
        found |= {job["jobId"]: job for job in bench.server.batch.describe_jobs(jobs=ids[i:i + 100])["jobs"]}
    assert len(found) == len(ids)
    return found


def storm(bench, jobs, kills):
    """Gives all jobs at the end, what each client was answered, and how often none was."""
    server = bench.server
    server.listen = server.endpoint.removeprefix("http://")
    definitions = {kind: bench.define(script, attempts) for kind, (script, attempts, _) in KINDS.items()}
    done = threading.Event()
    clients = [Submitter(server, definitions, done) for _ in range(CLIENTS)]

    def run(index):
        for number in range(index, jobs, CLIENTS):
            clients[index].submit(number)

    def accepted():
        return sum(len(client.accepted) for client in clients)

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        work = [pool.submit(run, index) for index in range(CLIENTS)]
        kill_often(server, kills, done, jobs, accepted)
        for future in work:
            future.result()
    until(lambda: all(job["status"] in ENDED for job in every_job(bench).values()), 180, "the end of all jobs", every=0.2)
    return every_job(bench), clients


def check(bench, found, clients, jobs, record):
    """Every accepted id is there; every job that is there, asked for once or again, went as its kind does."""
    accepted = {job_id: kind for client in clients for job_id, kind in client.accepted.items()}
    assert len(accepted) == jobs
    assert accepted.keys() <= found.keys()
    lines = (bench.shared / "ran").read_text().splitlines()
    wrong, effects = [], collections.Counter(lines)
    for job_id, job in found.items():
        kind = job["jobName"].split("-")[0]
        assert accepted.get(job_id, kind) == kind
        ends = KINDS[kind][2]
        status = "SUCCEEDED" if ends[-1] == 0 else "FAILED"
        told = [effects.pop(f"{job_id} {attempt + 1}", 0) for attempt in range(len(ends))]
        if (job["status"], codes(job), told) != (status, ends, [1] * len(ends)):
            wrong.append((job, told))
    extra = len(found) - jobs
    record(f"{jobs} jobs accepted, {extra} more that were accepted without an answer to the client; "
           f"{sum(c.unanswered for c in clients)} requests unanswered; {len(lines)} side effects, "
           f"{sum(n - 1 for n in collections.Counter(lines).values())} doubled; {len(wrong)} wrong outcomes")
    assert wrong == []
    assert not effects, "side effects of attempts that no row has"
    for job_id in random.Random(1).sample(sorted(found), 10):
        assert bench.server.log_of(found[job_id]) == ["out"]


@pytest.mark.parametrize(("jobs", "kills"), [(60, 4), pytest.param(500, 20, marks=pytest.mark.slow)])
def test_kills_under_load(make_server, tmp_path, shared_folder, jobs, kills, record_property):
    hooks = Hooks(tmp_path / "hooks")
    bench = Bench(make_server(BATCHYARD_VCPUS=16, BATCHYARD_MEMORY_MIB=8192).start(), hooks, shared_folder)
    began = time.monotonic()
    found, clients = storm(bench, jobs, kills)

    def record(text):
        text = f"{text}; {kills} kills in {time.monotonic() - began:.0f} s"
        record_property("faults", text)
        print(text)

    check(bench, found, clients, jobs, record)
