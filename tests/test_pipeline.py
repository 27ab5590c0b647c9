"""A pipeline as people run them: a job that splits, an array on its parts, a second array N_TO_N on the first, a job that
merges; some children fail once and are tried again, the server is killed three times meanwhile.

Never here: the rules one by one (test_arrays, the engine's tests).
"""

import os

import pytest

from support.wait import until

# Every child says who it is; one in fifty of the first array fails at its first attempt.
CHILD = """
    env | grep ^AWS_BATCH_ | sort | tr '\\n' ' ' >> /shared/env.$STAGE.$AWS_BATCH_JOB_ARRAY_INDEX.$AWS_BATCH_JOB_ATTEMPT
    [ $STAGE$AWS_BATCH_JOB_ATTEMPT$((AWS_BATCH_JOB_ARRAY_INDEX % 50)) != map17 ] || exit 1
    [ $STAGE = map ] || [ -e /shared/map.$AWS_BATCH_JOB_ARRAY_INDEX ] || exit 2
    echo $AWS_BATCH_JOB_ARRAY_INDEX > /shared/$STAGE.$AWS_BATCH_JOB_ARRAY_INDEX
"""


@pytest.mark.parametrize("size", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_split_map_map_merge(server, shared_folder, size):
    mount = {"volumes": [{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
             "mountPoints": [{"containerPath": "/shared", "sourceVolume": "s"}]}
    small = {"memory": 8, **mount}
    once = server.register(["sh", "-c", "echo $AWS_BATCH_JOB_ID > /shared/split"], **small)
    child = server.register(["sh", "-c", CHILD], **small)
    merge = server.register(["sh", "-c", "cat /shared/reduce.* | sort -n | uniq | wc -l > /shared/merged"], **small)

    def stage(name, *on):
        environment = {"environment": [{"name": "STAGE", "value": name}]}
        return server.submit(child, arrayProperties={"size": size}, dependsOn=list(on), containerOverrides=environment,
                             retryStrategy={"attempts": 2})

    def summary(job_id):
        return server.job(job_id)["arrayProperties"]["statusSummary"]

    split = server.submit(once)
    first = stage("map", {"jobId": split})
    second = stage("reduce", {"jobId": first, "type": "N_TO_N"})
    last = server.submit(merge, dependsOn=[{"jobId": second}])
    for part in (0.1, 0.4, 0.8):
        until(lambda: summary(first)["SUCCEEDED"] + summary(second)["SUCCEEDED"] >= 2 * size * part, 120, "the children")
        server.restart()
    assert server.wait_job(last, timeout=300)["status"] == "SUCCEEDED"
    assert int((shared_folder / "merged").read_text()) == size
    for job_id, stage in ((first, "map"), (second, "reduce")):
        assert summary(job_id)["SUCCEEDED"] == size and server.job(job_id)["status"] == "SUCCEEDED"
        for index in range(size):
            attempts = [path.name for path in sorted(shared_folder.glob(f"env.{stage}.{index}.*"))]
            retried = stage == "map" and index % 50 == 7
            assert attempts == [f"env.{stage}.{index}.{n + 1}" for n in range(1 + retried)], "ran once per attempt"
            for number, name in enumerate(attempts, 1):
                variables = dict(pair.split("=", 1) for pair in (shared_folder / name).read_text().split())
                assert variables == {
                    "AWS_BATCH_JOB_ID": f"{job_id}:{index}", "AWS_BATCH_JOB_ATTEMPT": str(number),
                    "AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": str(size),
                    "AWS_BATCH_JQ_NAME": "default", "AWS_BATCH_CE_NAME": "default"}, os.fspath(name)
