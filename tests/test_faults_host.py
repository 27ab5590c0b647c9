"""The host goes away under its jobs: a reboot, and processes killed from outside (spec jobs §1.5, §7).

Never here: chosen instants (test_faults_points), load (test_faults_load).
"""

import os
import signal

import pytest

from support.fault_bench import TELL, Bench, codes, host_lost
from support.hooks import Hooks

# The first attempt never ends by itself.
SECOND_ENDS = TELL + "[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || sleep 1000"
FIRST_HOST_ONLY = [{"action": "RETRY", "onStatusReason": "Host EC2*"}, {"action": "EXIT", "onReason": "*"}]


@pytest.fixture
def bench(make_server, shared_folder, tmp_path):
    hooks = Hooks(tmp_path / "hooks")
    return Bench(make_server(**hooks.settings, BATCHYARD_VCPUS=4, BATCHYARD_MEMORY_MIB=4096), hooks, shared_folder)


def test_a_reboot(bench):
    """What ran is lost with its host and retried by its own rules; what waited goes on waiting, then runs."""
    bench.hooks.boot("first")
    server = bench.server.start()
    by_rule = bench.running(bench.define(SECOND_ENDS, retryStrategy={"attempts": 3, "evaluateOnExit": FIRST_HOST_ONLY}))
    by_count = bench.running(bench.define(SECOND_ENDS, attempts=2))
    once = bench.running(bench.define(SECOND_ENDS, attempts=1))
    other = [{"action": "EXIT", "onStatusReason": "Host EC2*"}]
    refuses = bench.running(bench.define(SECOND_ENDS, retryStrategy={"attempts": 3, "evaluateOnExit": other}))
    waits = server.submit(bench.define(TELL, attempts=1))
    assert server.job(waits)["status"] == "RUNNABLE"

    bench.end_everything()
    bench.hooks.boot("second")
    server.start()
    (bench.shared / "all").touch()
    for job_id in (by_rule, by_count):
        job = server.succeed(job_id)
        assert (codes(job), bench.lines(job_id)) == ([None, 0], ["1", "2"])
        assert host_lost(job["attempts"][0]) and "exitCode" not in job["attempts"][0]["container"]
    for job_id in (once, refuses):
        job = server.fail(job_id)
        assert (codes(job), bench.lines(job_id)) == ([None], ["1"])
        assert host_lost(job["attempts"][0]) and job["statusReason"] == job["attempts"][0]["statusReason"]
    assert (codes(server.succeed(waits)), bench.lines(waits)) == ([0], ["1"])


def test_an_end_that_was_written_before_the_reboot_counts(bench):
    """Its exit record says how it ended, whatever boot reads it."""
    bench.hooks.boot("first")
    server = bench.server.start()
    job_id = bench.running(bench.define(TELL + "while [ ! -e /shared/end ]; do sleep 0.01; done; exit 5", attempts=3,
                                        retryStrategy={"attempts": 1}))
    bench.hooks.arm("supervisor.after_exit_wake", "stop")
    server.kill9()
    (bench.shared / "end").touch()
    bench.reached("supervisor.after_exit_wake")
    bench.end_everything()
    bench.hooks.disarm()
    bench.hooks.boot("second")
    server.start()
    job = server.fail(job_id)
    assert (codes(job), job["statusReason"]) == ([5], "Essential container in task exited")


@pytest.mark.parametrize("server_is", ["up", "down"])
@pytest.mark.parametrize("killed", ["supervisor", "init", "both"])
def test_killed_from_outside(bench, killed, server_is):
    """A killed program is one that ended with 137; without its supervisor nobody knows, and its host is told as gone."""
    server = bench.server.start()
    job_id = bench.running(bench.define(SECOND_ENDS, attempts=2))
    supervisor, init = bench.supervisor(), bench.init()
    if server_is == "down":
        server.kill9()
    if killed != "supervisor":
        os.kill(init, signal.SIGKILL)
    if killed != "init":
        os.kill(supervisor, signal.SIGKILL)
    if server_is == "down":
        server.start()
    bench.drive(job_id)
    job = server.succeed(job_id)
    first = job["attempts"][0]
    assert (len(job["attempts"]), bench.lines(job_id), job["container"]["exitCode"]) == (2, ["1", "2"], 0)
    told = (first["container"].get("exitCode"), first["statusReason"])
    seen = (137, "Essential container in task exited")
    assert told == seen if killed == "init" else host_lost(first) or (killed == "both" and told == seen)
