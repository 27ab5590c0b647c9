"""A bench for faults: a server with hooks, jobs that tell each of their attempts, and a judge of what is left.

Never here: which faults there are.
"""

import contextlib
import os
import signal
from pathlib import Path

from botocore.exceptions import BotoCoreError

from . import leaks
from .hooks import TABLE
from .server import ENDED
from .wait import until

STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")

# It waits for a sign of its own or for all, so that it cannot end before it was seen to run, and appends one line.
TELL = """
    me=$AWS_BATCH_JOB_ID.$AWS_BATCH_JOB_ATTEMPT
    while [ ! -e /shared/go.$me ] && [ ! -e /shared/all ]; do sleep 0.01; done
    echo $me >>/shared/ran
    echo ran
"""
FAILS_ONCE = TELL + "[ $AWS_BATCH_JOB_ATTEMPT = 2 ]"
ENDLESS = "trap 'exit 9' TERM" + TELL + "while :; do sleep 0.02; done"


class Bench:
    """A server whose jobs write to `shared`. `settings` are the server's own."""

    def __init__(self, server, hooks, shared):
        self.server, self.hooks, self.shared = server, hooks, shared

    def define(self, script, attempts=3, **more):
        """A definition that runs `script` with the shared folder at /shared."""
        return self.server.register(
            ["sh", "-c", script], volumes=[{"name": "s", "host": {"sourcePath": str(self.shared)}}],
            mountPoints=[{"containerPath": "/shared", "sourceVolume": "s"}],
            **{"retryStrategy": {"attempts": attempts}} | more,
        )

    def dead(self):
        """The server has ended."""
        return self.server.process.poll() is not None

    def crashed(self, point):
        """Waits for the server's death at the point."""
        assert self.server.wait_aborted() == -signal.SIGKILL
        assert self.hooks.disarm(), f"{point} was never reached"

    def reached(self, point):
        """Waits until somebody came to the point."""
        until(self.hooks.hit, what=f"{point} reached")

    # -- jobs -----------------------------------------------------------------------------------------------------

    def drive(self, job_id, over=lambda: False):
        """Gives each attempt that runs its sign until `over`, the job's end, or the server's."""
        def look():
            with contextlib.suppress(BotoCoreError):
                job = self.server.job(job_id)
                if job["status"] == "RUNNING":
                    (self.shared / f"go.{job_id}.{len(job['attempts']) + 1}").touch()
                if job["status"] in ENDED:
                    return True
            return over() or self.dead()
        until(look, 60, f"{job_id} driven")

    def running(self, definition):
        """Submits a job and waits until its first attempt has told itself."""
        job_id = self.server.submit(definition)
        self.drive(job_id, lambda: self.lines(job_id))
        return job_id

    def jobs(self):
        """Ids of all jobs in the default queue."""
        found = set()
        for status in STATUSES:
            pages = self.server.batch.get_paginator("list_jobs").paginate(jobQueue="default", jobStatus=status)
            found |= {summary["jobId"] for page in pages for summary in page["jobSummaryList"]}
        return found

    def lines(self, job_id):
        """Numbers of the attempts of this job that told themselves, as often as they did."""
        path = self.shared / "ran"
        lines = path.read_text().split() if path.exists() else []
        return [line.removeprefix(f"{job_id}.") for line in lines if line.startswith(job_id)]

    def judge(self, point, found, right, may_be_gone=False):
        """Waits for the end of the jobs found, one at most. `right` says of its description and its lines whether they are
        as they should be. Counts the try in the table."""
        lost, doubled = int(not found and not may_be_gone), max(0, len(found) - 1)
        seen = []
        for job_id in found:
            self.drive(job_id)
            job, lines = self.server.job(job_id), self.lines(job_id)
            seen.append((job, lines))
            lost += not right(job, lines)
            doubled += len(lines) != len(set(lines))
            # Each line belongs to an attempt that the rows have.
            lost += any(int(line) > len(job["attempts"]) for line in lines)
        TABLE.record(point, lost, doubled)
        assert (lost, doubled) == (0, 0), seen

    # -- processes ------------------------------------------------------------------------------------------------

    def supervisors(self):
        """Process ids of this server's supervisors; not of the copies that become containers."""
        needle = f"{self.server.data_dir}/attempts/".encode()
        found = {}
        for proc in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (proc / "cmdline").read_bytes().split(b"\0")
                if len(words) > 1 and words[1].startswith(needle):
                    found[int(proc.name)] = int((proc / "stat").read_text().rpartition(")")[2].split()[1])
        return [pid for pid, parent in found.items() if parent not in found]

    def supervisor(self):
        """The one that there is."""
        [pid] = until(self.supervisors, what="a supervisor")
        return pid

    def stopped_supervisor(self):
        """The one that was stopped by SIGSTOP; the next attempt's may be there already."""
        [pid] = until(lambda: [pid for pid in self.supervisors() if stopped(pid)], what="a stopped supervisor")
        return pid

    def init(self):
        """The first process of the one container that runs, as this host sees it."""
        [record] = until(lambda: list(self.server.data_dir.glob("attempts/*/started")), what="the started record")
        [pid] = [line.split()[1] for line in record.read_text().splitlines() if line.startswith("pid ")]
        return int(pid)

    def end_everything(self):
        """What a reboot does to the processes and control groups of this server."""
        if not self.dead():
            self.server.kill9()
        # Supervisors first, as no exit record of theirs is to tell of it.
        supervisors = self.supervisors()
        mine = [int(text.split()[1].rstrip(":")) for text in leaks.processes(self.server.data_dir)]
        for pid in [*supervisors, *mine]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not leaks.processes(self.server.data_dir), what="the end of all processes")

        def removed():
            for text in sorted(leaks.cgroups(self.server.data_dir), key=len, reverse=True):
                with contextlib.suppress(OSError):
                    os.rmdir(text.removeprefix("cgroup: "))
            return not leaks.cgroups(self.server.data_dir)
        until(removed, what="the end of all control groups")


def stopped(pid):
    """Whether the process was stopped by SIGSTOP."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def codes(job):
    """Exit codes of the attempts, None where there is none."""
    return [attempt["container"].get("exitCode") for attempt in job["attempts"]]


def host_lost(attempt):
    """Whether it ended with its host, in AWS's words."""
    reason = attempt["statusReason"]
    return reason.startswith("Host EC2 (instance i-") and reason.endswith(") terminated.")
