"""The server, or a supervisor, is killed at each instant of the life of a job that the program names: nothing accepted is
lost, no attempt runs twice. The table of all instants is shown at the end of the session.

Never here: kills at random instants (test_faults_load), other faults (test_faults_*).
"""

import contextlib
import os
import signal

import pytest
from botocore.exceptions import BotoCoreError

from support import wal
from support.fault_bench import ENDLESS, FAILS_ONCE, TELL, Bench, codes, host_lost
from support.hooks import TABLE, Hooks, points_of_the_program
from support.server import ENDED, Server
from support.wait import until

COMMIT = ["before_commit", "during_commit", "after_commit", "after_answer"]
# What a job passes that fails once and then succeeds.
RUN = [f"{when}.{stage}" for stage in ("submit", "place", "started", "retry", "ended") for when in COMMIT] + [
    "before_folder", "after_folder", "after_lock", "before_spawn", "after_spawn", "before_report.started",
    "before_report.ended", "before_forget", "after_forget", "before_delete",
]
TERMINATE = [f"{when}.terminate" for when in COMMIT] + ["before_stop", "after_stop"]
TAG = [f"{when}.beside" for when in COMMIT]
RESOURCE = [f"{when}.resource" for when in COMMIT]
LOST = ["before_lost", "after_lost"]
SUPERVISOR = [f"supervisor.{name}" for name in (
    "begun", "room_made", "before_clone", "after_clone", "before_go", "before_started", "in_started", "after_started",
    "before_exit", "in_exit", "after_exit", "after_exit_wake", "before_release",
)]
# Tried where there is a registry to wait for (test_images).
ELSEWHERE = ["before_wait"]
# From there on the job's own program runs; from there on its exit record tells what happened, whoever dies.
BEGUN = SUPERVISOR.index("supervisor.before_started")
RECORDED = SUPERVISOR.index("supervisor.in_exit")
# The end of a log that was being written when the power went: what is done to its last transaction.
CUTS = {
    "cut short by a byte": lambda path, at, end: os.truncate(path, end - 1),
    "cut in the first frame": lambda path, at, end: os.truncate(path, at + 100),
    "never written": lambda path, at, end: os.truncate(path, at),
    "zeros": lambda path, at, end: path.write_bytes(path.read_bytes()[:at] + bytes(end - at)),
    "last page garbage": lambda path, at, end: path.write_bytes(path.read_bytes()[:end - 4096] + b"\xa5" * 4096),
}


@pytest.fixture(scope="module")
def module_bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    (folder / "shared").mkdir()
    hooks = Hooks(folder / "hooks")
    bench = Bench(Server(folder, hooks.settings).start(), hooks, folder / "shared")
    # One address for all its lives, so that clients need not look for it.
    bench.server.listen = bench.server.endpoint.removeprefix("http://")
    bench.fails_once, bench.endless = bench.define(FAILS_ONCE), bench.define(ENDLESS)
    yield bench
    hooks.disarm()
    bench.server.stop()


@pytest.fixture
def bench(module_bench):
    """Up, and without orders."""
    module_bench.hooks.disarm()
    if module_bench.dead():
        module_bench.server.start()
    module_bench.before = module_bench.jobs()
    yield module_bench
    # What a failed test leaves would take the next one's room.
    for pid in module_bench.supervisors():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    if not module_bench.dead():
        for job_id in module_bench.jobs() - module_bench.before:
            module_bench.server.batch.terminate_job(jobId=job_id, reason="left over")


@pytest.fixture
def fresh_bench(make_server, shared_folder, tmp_path):
    """A server of a test's own, not started."""
    hooks = Hooks(tmp_path / "hooks")
    return Bench(make_server(**hooks.settings), hooks, shared_folder)


def ran_both(job, lines):
    return (job["status"], codes(job), lines) == ("SUCCEEDED", [1, 0], ["1", "2"])


def submit_and_crash(bench, point):
    """Gives the job's id, or nothing when the answer was lost with the server."""
    bench.hooks.arm(point)
    answered = None
    try:
        answered = bench.server.submit(bench.fails_once)
        bench.drive(answered, bench.dead)
    except BotoCoreError:
        pass
    bench.crashed(point)
    return answered


def judge_run(bench, point, answered, may_be_gone):
    found = bench.jobs() - bench.before
    bench.judge(point, found, ran_both, may_be_gone and answered is None)
    assert not answered or found == {answered}


def test_every_point_of_the_program_is_tried():
    tried = [*RUN, *TERMINATE, *RESOURCE, *TAG, *LOST, *SUPERVISOR, "supervisor.before_stop", "before_own_record", "before_whole",
             "before_boot_kept", *ELSEWHERE]
    assert set(tried) == points_of_the_program()


@pytest.mark.parametrize("point", RUN)
def test_the_server_dies_on_a_jobs_way(bench, point):
    answered = submit_and_crash(bench, point)
    bench.server.start()
    judge_run(bench, point, answered, point in ("before_commit.submit", "during_commit.submit", "before_commit.place",
                                                "during_commit.place"))


@pytest.mark.slow
@pytest.mark.parametrize("again", RUN)
@pytest.mark.parametrize("point", ["after_commit.place", "after_commit.started", "before_report.ended"])
def test_it_dies_again_while_it_makes_up_for_it(bench, point, again):
    answered = submit_and_crash(bench, point)
    bench.hooks.arm(again)
    bench.server.start(wait=False)
    (bench.shared / "all").touch()

    def over():
        with contextlib.suppress(BotoCoreError):
            return bench.dead() or all(bench.server.job(i)["status"] in ENDED for i in bench.jobs() - bench.before)
        return bench.dead()
    until(over, what="a death or the job's end")
    (bench.shared / "all").unlink()
    bench.hooks.disarm()
    if not bench.dead():
        bench.server.kill9()  # It was past that point already.
    bench.server.start()
    judge_run(bench, f"{point}, then any other", answered, False)


@pytest.mark.parametrize("cut", CUTS)
def test_the_power_goes_while_a_commit_is_written(bench, cut):
    """The last transaction, which nobody was answered, is not whole on disk: it is as if it had never been."""
    answered = bench.server.register()
    bench.hooks.arm("after_commit.submit")
    with pytest.raises(BotoCoreError):
        bench.server.submit(bench.fails_once)
    bench.crashed("after_commit.submit")
    path = bench.server.data_dir / "batchyard.db-wal"
    *others, last = wal.transactions(path)
    assert others, "the log holds nothing else that could be lost"
    CUTS[cut](path, *last)
    bench.server.start()
    assert bench.server.batch.describe_job_definitions(jobDefinitions=[answered])["jobDefinitions"]
    assert bench.jobs() == bench.before
    bench.judge(f"in a commit: {cut}", set(), ran_both, may_be_gone=True)


@pytest.mark.parametrize("point", TERMINATE)
def test_the_server_dies_while_a_job_is_terminated(bench, point):
    job_id = bench.running(bench.endless)
    bench.hooks.arm(point)
    try:
        bench.server.batch.terminate_job(jobId=job_id, reason="enough")
    except BotoCoreError:
        answered = False
    else:
        answered = True
    bench.crashed(point)
    bench.server.start()
    if not answered:
        bench.server.batch.terminate_job(jobId=job_id, reason="enough")
    bench.judge(point, {job_id}, lambda job, lines: (job["status"], job["statusReason"], codes(job), lines)
                == ("FAILED", "enough", [9], ["1"]))


@pytest.mark.parametrize("point", RESOURCE)
def test_the_server_dies_while_a_definition_is_made(bench, point):
    name = f"made-{point.replace('.', '-')}"
    bench.hooks.arm(point)
    try:
        answered = bench.server.register(name=name)
    except BotoCoreError:
        answered = None
    bench.crashed(point)
    bench.server.start()
    made = bench.server.batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    lost = len(made) < (answered is not None or point.startswith("after"))
    TABLE.record(point, int(lost), max(0, len(made) - 1))
    assert not lost and [m["revision"] for m in made] in ([], [1])


@pytest.mark.parametrize("point", TAG)
def test_the_server_dies_while_a_tag_is_set(bench, point):
    arn = bench.server.register()
    bench.hooks.arm(point)
    answered = False
    with contextlib.suppress(BotoCoreError):
        bench.server.batch.tag_resource(resourceArn=arn, tags={"k": "v"})
        answered = True
    bench.crashed(point)
    bench.server.start()
    tags = bench.server.batch.list_tags_for_resource(resourceArn=arn)["tags"]
    lost = tags != {"k": "v"} and (answered or point.startswith("after"))
    TABLE.record(point, int(lost), 0)
    assert not lost and tags in ({}, {"k": "v"})


@pytest.mark.parametrize("point", RESOURCE + ["before_whole"])
def test_the_first_start_dies(fresh_bench, point):
    """The next one makes up for it, and the one after that finds all in order."""
    bench, server = fresh_bench, fresh_bench.server
    bench.hooks.arm(point)
    server.start(wait=False)
    bench.crashed(point)
    server.start()
    queues = [q["jobQueueName"] for q in server.batch.describe_job_queues()["jobQueues"]]
    server.restart()
    again = [q["jobQueueName"] for q in server.batch.describe_job_queues()["jobQueues"]]
    lost, doubled = len({"default", "default-fargate"} - {*queues}), len(queues) - len({*queues})
    TABLE.record(f"first start, {point}", lost, doubled)
    assert sorted(queues) == ["default", "default-fargate"] == sorted(again)
    assert server.run_shell("echo hello") == ["hello"]


def test_the_server_dies_at_a_job_that_cannot_start(bench):
    definition = bench.server.register(image="missing:1")
    bench.hooks.arm("before_own_record")
    answered = None
    # It may die before its answer is out.
    with contextlib.suppress(BotoCoreError):
        answered = bench.server.submit(definition)
    bench.crashed("before_own_record")
    bench.server.start()
    found = bench.jobs() - bench.before
    assert not answered or found == {answered}
    bench.judge("before_own_record", found, lambda job, lines: job["status"] == "FAILED" and len(job["attempts"]) == 1
                and job["attempts"][0]["container"]["reason"].startswith("CannotPullContainerError"))


@pytest.mark.parametrize("point", LOST)
def test_the_server_dies_when_it_finds_an_attempt_lost(bench, point):
    job_id = bench.running(bench.define(ENDLESS, attempts=1))
    bench.hooks.arm(point)
    os.kill(bench.supervisor(), signal.SIGKILL)
    bench.crashed(point)
    bench.server.start()
    bench.judge(point, {job_id}, lambda job, lines: job["status"] == "FAILED" and lines == ["1"]
                and len(job["attempts"]) == 1 and host_lost(job["attempts"][0]))


def test_the_first_start_after_a_reboot_dies(fresh_bench):
    bench = fresh_bench
    bench.hooks.boot("first")
    bench.server.start()
    job_id = bench.running(bench.define(TELL + "[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || sleep 1000"))
    bench.end_everything()
    bench.hooks.boot("second")
    bench.hooks.arm("before_boot_kept")
    bench.server.start(wait=False)
    bench.crashed("before_boot_kept")
    bench.server.start()
    bench.judge("before_boot_kept", {job_id}, lambda job, lines: host_lost(job["attempts"][0])
                and (codes(job), lines) == ([None, 0], ["1", "2"]))


# -- the supervisor ---------------------------------------------------------------------------------------------------

def submit_and_reach(bench, point, action):
    """A job whose supervisor came to the point, at which it was killed or stopped."""
    if point == "supervisor.before_stop":
        job_id = bench.running(bench.endless)
        bench.hooks.arm(point, action)
        bench.server.batch.terminate_job(jobId=job_id, reason="enough")
    else:
        bench.hooks.arm(point, action)
        job_id = bench.server.submit(bench.fails_once)
        bench.drive(job_id, bench.hooks.hit)
    bench.reached(point)
    return job_id


def right_with_dead_supervisor(point):
    """The first attempt is lost unless its record was written; another one makes up for it."""
    def right(job, lines):
        if point == "supervisor.before_stop":
            return (job["status"], job["statusReason"], len(job["attempts"]), lines) == ("FAILED", "enough", 1, ["1"])
        if SUPERVISOR.index(point) >= RECORDED:
            return ran_both(job, lines)
        first = job["attempts"][0]
        never = point == "supervisor.begun" and first["statusReason"] == "Task failed to start"
        # Before its program ran it cannot have told itself; the sign came only once it was seen to run.
        told = ["1", "2"] if point == "supervisor.before_exit" else ["2"]
        return (job["status"], codes(job), lines) == ("SUCCEEDED", [None, 0], told) and (never or host_lost(first))
    return right


@pytest.mark.parametrize("point", [*SUPERVISOR, "supervisor.before_stop"])
def test_the_supervisor_dies(bench, point):
    job_id = submit_and_reach(bench, point, "kill")
    bench.judge(point, {job_id}, right_with_dead_supervisor(point))


@pytest.mark.parametrize("resumes", [pytest.param("first", marks=pytest.mark.slow), "later"])
@pytest.mark.parametrize("point", [*SUPERVISOR, "supervisor.before_stop"])
def test_the_server_dies_while_the_supervisor_is_there(bench, point, resumes):
    """The supervisor goes on before, or only after, another server is there: it is as if no server had died."""
    job_id = submit_and_reach(bench, point, "stop")
    pid = bench.stopped_supervisor()
    bench.server.kill9()
    if resumes == "later":
        bench.server.start()
    os.kill(pid, signal.SIGCONT)
    if resumes == "first":
        bench.server.start()
    bench.judge(point, {job_id}, lambda job, lines: ran_both(job, lines) or (
        point == "supervisor.before_stop" and (job["statusReason"], codes(job), lines) == ("enough", [9], ["1"])))


@pytest.mark.slow
@pytest.mark.parametrize("point", [*SUPERVISOR, "supervisor.before_stop"])
def test_both_die(bench, point):
    job_id = submit_and_reach(bench, point, "stop")
    pid = bench.stopped_supervisor()
    bench.server.kill9()
    os.kill(pid, signal.SIGKILL)
    bench.server.start()
    if point == "supervisor.begun":
        # It had made nothing yet: that attempt is started now, for the first time.
        bench.judge(point, {job_id}, ran_both)
    else:
        bench.judge(point, {job_id}, right_with_dead_supervisor(point))
