"""Makes a sample data folder of the running version; called by scripts/make-sample.sh."""

import json
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support.server import Server  # noqa: E402
from support.wait import until  # noqa: E402

# Not part of a sample: what only counts while a server runs, and images that any machine makes again.
LEFT_OUT = {"run", "images"}


def beside_jobs(server):
    """A policy with a queue, tags that were changed, a stream of a client: what version 2 added."""
    policy = server.batch.create_scheduling_policy(
        name="sample", fairsharePolicy={"shareDistribution": [{"shareIdentifier": "a*", "weightFactor": 0.5}]}
    )["arn"]
    queue = server.batch.create_job_queue(
        jobQueueName="shared", priority=2, schedulingPolicyArn=policy, tags={"made": "with"},
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "default"}],
    )["jobQueueArn"]
    server.batch.tag_resource(resourceArn=queue, tags={"set": "later"})
    server.logs.create_log_group(logGroupName="sample")
    server.logs.put_retention_policy(logGroupName="sample", retentionInDays=3653)
    server.logs.create_log_stream(logGroupName="sample", logStreamName="s")
    server.logs.put_log_events(logGroupName="sample", logStreamName="s", logEvents=[
        {"timestamp": int(time.time() * 1000), "message": "from a client"}])
    return {"made": "with", "set": "later"}, policy, queue


def main(name):
    """Jobs that ended, that ended after the crash, and that wait for ever; packed with the answers to expect."""
    folder = Path(tempfile.mkdtemp(prefix="batchyard-sample."))
    server = Server(folder)
    server.key, server.secret = "AKIASAMPLE0000000000", "sample/secret/key/of/the/committed/folder"
    server.start()
    server.batch.create_compute_environment(
        computeEnvironmentName="nobody", type="UNMANAGED", state="ENABLED",
        serviceRole="arn:aws:iam::000000000000:role/batch",
    )
    server.batch.create_job_queue(
        jobQueueName="waits", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "nobody"}]
    )
    tags, policy, shared = beside_jobs(server)
    definition = server.register(["sh", "-c", "echo attempt $AWS_BATCH_JOB_ATTEMPT; exit $CODE"], name="sample",
                                 environment=[{"name": "CODE", "value": "0"}])
    good = server.submit(definition)
    server.succeed(good)
    three = {"containerOverrides": {"environment": [{"name": "CODE", "value": "3"}]}, "retryStrategy": {"attempts": 2}}
    bad = server.submit(definition, **three)
    server.fail(bad)
    waiting = server.submit(definition, queue="waits")
    of_share = server.submit(definition, queue="shared", shareIdentifier="a1", schedulingPriorityOverride=7)
    server.succeed(of_share)
    open_job = server.submit(server.register(["sh", "-c", "echo began; sleep 1; echo ended; exit 5"], name="sample-open"))
    server.wait_job(open_job, "RUNNING")
    server.kill9()
    until(lambda: list(server.data_dir.glob("attempts/*/exit")), what="the exit record of the job that outlived the server")
    target = Path(__file__).parent / "samples" / name
    target.mkdir(parents=True)
    with tarfile.open(target / "data.tar.gz", "w:gz") as tar:
        for path in sorted(server.data_dir.iterdir()):
            if path.name not in LEFT_OUT:
                tar.add(path, path.name)
    expected = {
        "key": server.key, "secret": server.secret, "definition": definition, "queues": ["default", "default-fargate", "shared", "waits"],
        "tags": {shared: tags}, "policies": [policy], "events": ["from a client"],
        "jobs": {
            good: {"status": "SUCCEEDED", "log": ["attempt 1"]},
            bad: {"status": "FAILED", "statusReason": "Essential container in task exited", "log": ["attempt 2"]},
            waiting: {"status": "RUNNABLE"},
            of_share: {"status": "SUCCEEDED", "shareIdentifier": "a1", "schedulingPriority": 7},
            open_job: {"status": "FAILED", "log": ["began", "ended"]},
        },
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    server.stop()
    shutil.rmtree(folder)
    print(f"made {target}: {[p.name for p in sorted(target.iterdir())]}")


if __name__ == "__main__":
    main(sys.argv[1])
