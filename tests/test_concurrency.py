"""Several clients at once over a server that places, runs and reads at the same time."""

import collections
import threading
from concurrent.futures import ThreadPoolExecutor

from support.wait import until

JOBS, CLIENTS = 200, 8


def test_many_short_jobs_from_several_clients(server, shared_folder):
    """All SUCCEEDED, each in exactly one attempt, each log complete, seen from both sides."""
    definition = server.register(
        ["sh", "-c", "echo $AWS_BATCH_JOB_ID >>/shared/ran; echo $AWS_BATCH_JOB_ID"],
        volumes=[{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
        mountPoints=[{"containerPath": "/shared", "sourceVolume": "s"}],
    )
    local = threading.local()

    def submit(number):
        if not hasattr(local, "client"):
            local.client = server.client("batch")
        answer = local.client.submit_job(jobName=f"n{number}", jobQueue="default", jobDefinition=definition)
        # Strongly consistent: the next call knows the job (clients §0, 1).
        [job] = local.client.describe_jobs(jobs=[answer["jobId"]])["jobs"]
        assert job["jobName"] == f"n{number}"
        return answer["jobId"]

    def make():
        with making:
            return server.client("batch")

    making = threading.Lock()
    local.client = make()
    with ThreadPoolExecutor(CLIENTS) as pool:
        ids = list(pool.map(submit, range(JOBS)))
    assert len(set(ids)) == JOBS

    def described():
        jobs = []
        for i in range(0, JOBS, 100):
            jobs += server.batch.describe_jobs(jobs=ids[i:i + 100])["jobs"]
        return jobs

    until(lambda: all(j["status"] in ("SUCCEEDED", "FAILED") for j in described()), 120, "the end of all jobs", every=0.1)
    jobs = described()
    assert collections.Counter(j["status"] for j in jobs) == {"SUCCEEDED": JOBS}
    assert {len(j["attempts"]) for j in jobs} == {1}
    for job in jobs:
        assert server.log_of(job) == [job["jobId"]]
    ran = (shared_folder / "ran").read_text().split()
    assert sorted(ran) == sorted(ids)


def test_readers_do_not_slow_or_miss(server):
    """While jobs come and go, every list is consistent with every description."""
    definition = server.register(["true"])
    stop, problems = threading.Event(), []

    def read():
        client = server.client("batch")
        while not stop.is_set():
            for summary in client.list_jobs(jobQueue="default", jobStatus="SUCCEEDED")["jobSummaryList"][:5]:
                [job] = client.describe_jobs(jobs=[summary["jobId"]])["jobs"]
                if job["status"] != "SUCCEEDED" or job["stoppedAt"] != summary["stoppedAt"]:
                    problems.append((summary, job))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for job_id in [server.submit(definition) for _ in range(40)]:
            server.succeed(job_id)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert problems == []


def test_terminate_races_with_the_end(server):
    """A terminate that comes around the end of a job leaves one clean result, whichever won."""
    definition = server.register(["sh", "-c", "sleep 0.05"])
    ids = [server.submit(definition) for _ in range(30)]
    for job_id in ids:
        server.batch.terminate_job(jobId=job_id, reason="raced")
    for job_id in ids:
        job = server.wait_job(job_id)
        if job["status"] == "FAILED":
            assert job["statusReason"] == "raced"
        else:
            assert job["container"]["exitCode"] == 0
        assert len(job["attempts"]) <= 1
