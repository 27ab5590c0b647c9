"""Kill -9 of the server while jobs are queued, starting and running: nothing accepted is lost, nothing runs twice."""

import time

import pytest

from support import dockerd
from support.server import DRIVER
from support.wait import until

SHARED = {"mountPoints": [{"containerPath": "/shared", "sourceVolume": "s"}]}


def shared(folder):
    return {"volumes": [{"name": "s", "host": {"sourcePath": str(folder)}}]} | SHARED


def printed(folder):
    """How many lines the job says it has printed; it may be just writing that."""
    path = folder / "printed"
    return int((path.read_text() if path.exists() else "") or 0)


def test_a_running_job_is_found_again(own_server, shared_folder):
    """Same attempt, output complete, exit code right, although it printed and ended while no server was there."""
    script = """
        i=0
        while [ ! -e /shared/end ]; do i=$((i+1)); echo line $i; echo $i >/shared/printed; sleep 0.02; done
        exit 42
    """
    job_id = own_server.shell(script, **shared(shared_folder))
    before = own_server.wait_job(job_id, "RUNNING")
    own_server.kill9()
    mark = printed(shared_folder)
    until(lambda: printed(shared_folder) > mark + 10, what="lines printed with no server")
    (shared_folder / "end").touch()
    if DRIVER == "docker":  # Its daemon keeps how a container ended.
        until(lambda: "(42)" in dockerd.shared().docker("ps", "-a", "--filter", "status=exited"), what="the end")
    else:
        until(lambda: list(own_server.data_dir.glob("attempts/*/exit")), what="the exit record")
    own_server.start()
    job = own_server.fail(job_id)
    assert job["container"]["exitCode"] == 42
    assert job["startedAt"] == before["startedAt"]
    assert job["container"]["logStreamName"] == before["container"]["logStreamName"]
    assert len(job["attempts"]) == 1
    count = printed(shared_folder)
    assert own_server.log_of(job) == [f"line {i + 1}" for i in range(count)]


def test_a_job_that_still_runs_goes_on(own_server, shared_folder):
    job_id = own_server.shell("while [ ! -e /shared/end ]; do sleep 0.02; done; echo end", **shared(shared_folder))
    before = own_server.wait_job(job_id, "RUNNING")
    own_server.restart()
    job = own_server.job(job_id)
    assert (job["status"], job["startedAt"]) == ("RUNNING", before["startedAt"])
    (shared_folder / "end").touch()
    assert own_server.log_of(own_server.succeed(job_id)) == ["end"]


def test_a_job_found_again_can_be_terminated(own_server):
    job_id = own_server.shell("trap 'exit 7' TERM; while :; do sleep 0.02; done")
    own_server.wait_job(job_id, "RUNNING")
    own_server.restart()
    own_server.batch.terminate_job(jobId=job_id, reason="enough")
    job = own_server.fail(job_id)
    assert (job["statusReason"], job["container"]["exitCode"]) == ("enough", 7)


def test_queued_jobs_are_kept_and_run_once(own_server, shared_folder):
    """A job that fills the machine runs, others wait behind it; after the crash all run once, in their order."""
    environment = own_server.batch.create_compute_environment(
        computeEnvironmentName="one", type="MANAGED", state="ENABLED",
        computeResources={"type": "EC2", "maxvCpus": 1, "minvCpus": 0, "instanceTypes": ["optimal"],
                          "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "instanceRole": "ecs"},
    )["computeEnvironmentArn"]
    own_server.batch.create_job_queue(jobQueueName="one", priority=1, state="ENABLED",
                                      computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}])
    wait = own_server.register(["sh", "-c", "while [ ! -e /shared/end ]; do sleep 0.02; done"], **shared(shared_folder))
    tell = own_server.register(["sh", "-c", "echo $AWS_BATCH_JOB_ID >>/shared/ran"], **shared(shared_folder))
    first = own_server.submit(wait, queue="one")
    own_server.wait_job(first, "RUNNING")
    queued = [own_server.submit(tell, queue="one") for _ in range(10)]
    own_server.restart()
    assert {own_server.job(i)["status"] for i in queued} == {"RUNNABLE"}
    (shared_folder / "end").touch()
    for job_id in [first, *queued]:
        assert len(own_server.succeed(job_id)["attempts"]) == 1
    assert (shared_folder / "ran").read_text().split() == queued


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.05, 0.2])
def test_every_answered_submission_is_there_after_a_crash(own_server, shared_folder, delay):
    """Killed at some instant after the last answer, with jobs in every state: each runs exactly once."""
    definition = own_server.register(
        ["sh", "-c", "echo $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT >>/shared/ran"], **shared(shared_folder)
    )
    ids = [own_server.submit(definition) for _ in range(20)]
    time.sleep(delay)  # Not to wait for anything: to choose the instant of the crash.
    own_server.restart()
    for job_id in ids:
        job = own_server.succeed(job_id)
        assert len(job["attempts"]) == 1
    assert sorted((shared_folder / "ran").read_text().splitlines()) == sorted(f"{i} 1" for i in ids)


def test_definitions_and_queues_survive(own_server):
    definition = own_server.register(name="kept")
    done = own_server.succeed(own_server.submit(definition))
    lines = own_server.log_of(done)
    before = own_server.batch.describe_job_queues()["jobQueues"]
    own_server.restart()
    assert own_server.register(name="kept").endswith(":2")
    assert own_server.batch.describe_job_queues()["jobQueues"] == before
    assert own_server.job(done["jobId"]) == done
    assert own_server.log_of(done) == lines


def test_sigterm_leaves_jobs_running(own_server, shared_folder):
    """The orderly end without `--terminate-jobs` says how many go on, and they do."""
    job_id = own_server.shell("while [ ! -e /shared/end ]; do sleep 0.02; done", **shared(shared_folder))
    own_server.wait_job(job_id, "RUNNING")
    own_server.process.terminate()
    assert own_server.process.wait(30) == 0
    until(lambda: any("1 job" in line for line in own_server.output), 5, "the line that counts running jobs")
    own_server.start()
    assert own_server.job(job_id)["status"] == "RUNNING"
    (shared_folder / "end").touch()
    own_server.succeed(job_id)


def test_a_second_server_on_the_same_folder_is_refused(own_server):
    done = own_server.batchyard("server", "--listen", "127.0.0.1:0", check=False)
    assert done.returncode != 0
    assert str(own_server.data_dir) in done.stdout + done.stderr
    own_server.sts.get_caller_identity()
