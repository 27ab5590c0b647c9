"""The real binary with a data folder of its own, and the clients that talk to it.

A server listens on a free port of the loopback address; its credentials are made here. Never here: expectations; a test
asks and judges.
"""

import json
import os
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

import boto3
from botocore.config import Config

from . import dockerd, exchange, leaks
from .wait import until

REPO = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPO / "target")
BINARY = Path(os.environ.get("BATCHYARD_BIN") or TARGET / "release" / "batchyard")
VENV_BIN = Path(os.environ.get("VENV") or REPO / ".venv") / "bin"
# What makes the containers of this run: native, oci (with BATCHYARD_TEST_OCI_RUNTIME), docker or process.
DRIVER = os.environ.get("BATCHYARD_TEST_DRIVER") or "native"
# Whose jobs of this run have user namespaces: off, fargate, all. Empty: the default.
USER_NAMESPACES = os.environ.get("BATCHYARD_TEST_USER_NAMESPACES")
OCI_RUNTIME = os.environ.get("BATCHYARD_TEST_OCI_RUNTIME") or ""
GROUP = "/aws/batch/job"
ENDED = ("SUCCEEDED", "FAILED")


class Server:
    """One server process over one data folder. `start` and `kill9` may alternate."""

    def __init__(self, folder, settings=None):
        self.folder = Path(folder)
        self.data_dir = self.folder / "data"
        self.key = "AKIATEST" + uuid.uuid4().hex[:12].upper()
        self.secret = uuid.uuid4().hex + uuid.uuid4().hex[:8]
        self.settings = {"BATCHYARD_DRIVER": DRIVER} if DRIVER != "native" else {}
        if USER_NAMESPACES:
            self.settings["BATCHYARD_USER_NAMESPACES"] = USER_NAMESPACES
        # Nothing is ever asked of a registry that no test started.
        self.settings["BATCHYARD_PULL_POLICY"] = "never"
        if DRIVER == "oci" and OCI_RUNTIME:
            self.settings["BATCHYARD_OCI_RUNTIME"] = OCI_RUNTIME
        if DRIVER == "docker":
            self.settings["BATCHYARD_DOCKER_HOST"] = dockerd.shared().host
        self.settings.update(settings or {})
        self.listen = "127.0.0.1:0"
        self.output = []
        self.prefix = []  # What the server is started through.
        self.binary = BINARY
        self.process = None
        self.endpoint = self.region = None
        self._clients = {}

    # -- the process ----------------------------------------------------------------------------------------------

    def environment(self, **more):
        """What the server and batchyard's own commands run with: nothing of the caller's AWS settings."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BATCHYARD_"))}
        return keep | {
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "BATCHYARD_ACCESS_KEY_ID": self.key,
            "BATCHYARD_SECRET_ACCESS_KEY": self.secret,
            "BATCHYARD_DATA_DIR": str(self.data_dir),
            "NO_COLOR": "1",
        } | {k: str(v) for k, v in more.items()}

    def start(self, wait=True, **environment):
        """Starts it; returns when it answers. Variables of `environment` are added for this start only."""
        (self.data_dir / "run" / "endpoint").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*self.prefix, self.binary, "server", "--listen", self.listen, "--data-dir", self.data_dir],
            env=self.environment(**self.settings, **environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        if wait:
            self.endpoint = until(self._ready, what="the server's endpoint")
            self._clients.clear()
        return self

    def _read(self, stream):
        for line in stream:
            self.output.append(line.rstrip("\n"))

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n" + "\n".join(self.output))
        path = self.data_dir / "run" / "endpoint"
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) < 2:
            return None
        self.region = lines[1]
        return lines[0]

    def kill9(self):
        """Ends the server and nothing else, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self, **environment):
        """Crash and start again."""
        self.kill9()
        return self.start(**environment)

    def wait_aborted(self, timeout=30):
        """Waits until the server has ended by itself, as the crash points make it; returns its status."""
        return self.process.wait(timeout)

    def stop(self):
        """The orderly end: jobs are terminated, the exit status is 0, nothing panicked, nothing is left."""
        if self.process is None:
            return
        if self.process.poll() is not None:
            self.start()  # A test that ends with the server down leaves jobs that only a server can end.
        done = self.batchyard("stop", "--terminate-jobs", timeout=90, check=False)
        status = self.process.wait(60) if done.returncode == 0 else None
        if status is None:
            self.process.kill()
        text = "\n".join(self.output)
        assert done.returncode == 0, f"stop failed: {done.stdout}{done.stderr}\n{text}"
        assert status == 0, f"the server ended with {status}:\n{text}"
        assert "panicked" not in text, text
        self.check_nothing_left()

    def check_nothing_left(self):
        """No process, mount, cgroup, interface and loop device of this server is there. Folders of attempts may be: what a stop leaves of
        their removal is for the next start."""
        def left():
            kinds = (leaks.processes, leaks.mounts, leaks.cgroups, leaks.loop_devices, leaks.networks)
            return [thing for kind in kinds for thing in kind(self.data_dir)]

        deadline = time.monotonic() + 5
        while left() and time.monotonic() < deadline:
            time.sleep(0.02)
        rest = left()
        assert not rest, "\n".join(rest)

    # -- clients --------------------------------------------------------------------------------------------------

    def client(self, service, checked=True, **config):
        """A boto3 client; every answer is checked against the model."""
        options = {"retries": {"total_max_attempts": 1}, "parameter_validation": False} | config
        client = boto3.client(
            service, endpoint_url=self.endpoint, region_name=self.region, aws_access_key_id=self.key,
            aws_secret_access_key=self.secret, config=Config(**options),
        )
        return exchange.watch(client) if checked else client

    def _cached(self, service):
        if service not in self._clients:
            self._clients[service] = self.client(service)
        return self._clients[service]

    @property
    def batch(self):
        """boto3's AWS Batch."""
        return self._cached("batch")

    @property
    def logs(self):
        """boto3's CloudWatch Logs."""
        return self._cached("logs")

    @property
    def sts(self):
        """boto3's STS."""
        return self._cached("sts")

    def client_environment(self):
        """What `eval "$(batchyard env)"` leaves in a shell."""
        script = 'eval "$("$0" env)"; env -0'
        done = subprocess.run(
            ["sh", "-c", script, BINARY], env=self.environment(), capture_output=True, check=True, timeout=30
        )
        pairs = (item.split("=", 1) for item in done.stdout.decode().split("\0") if "=" in item)
        return {k: v for k, v in pairs if k not in ("BATCHYARD_ACCESS_KEY_ID", "BATCHYARD_SECRET_ACCESS_KEY")}

    def aws(self, *args, check=True, timeout=60):
        """The AWS command line in the environment that `batchyard env` makes; gives the parsed JSON, if any."""
        done = subprocess.run(
            [VENV_BIN / "aws", *args], env=self.client_environment(), capture_output=True, text=True, timeout=timeout
        )
        if not check:
            return done
        assert done.returncode == 0, f"aws {' '.join(args)}: {done.stdout}{done.stderr}"
        try:
            document = json.loads(done.stdout) if done.stdout.strip() else None
        except json.JSONDecodeError:
            return done.stdout
        exchange.check_printed(args, document)
        return document

    def batchyard(self, *args, check=True, timeout=60, environment=None, **popen):
        """One of batchyard's own commands."""
        done = subprocess.run(
            [BINARY, *args], env=environment or self.environment(), capture_output=True, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, **popen,
        )
        if check:
            assert done.returncode == 0, f"batchyard {' '.join(map(str, args))}: {done.stdout}{done.stderr}"
        return done

    # -- jobs -----------------------------------------------------------------------------------------------------

    def register(self, command=("true",), image="busybox", memory=64, vcpus=1, name=None, **more):
        """Registers a definition and gives its ARN. `more` goes into containerProperties, but for what a definition
        itself has."""
        top = {k: more.pop(k) for k in ("retryStrategy", "timeout", "parameters", "tags", "propagateTags") if k in more}
        answer = self.batch.register_job_definition(
            jobDefinitionName=name or "t-" + uuid.uuid4().hex[:12], type="container", **top,
            containerProperties={
                "image": image, "command": list(command),
                "resourceRequirements": [
                    {"type": "VCPU", "value": str(vcpus)}, {"type": "MEMORY", "value": str(memory)},
                ],
            } | more,
        )
        return answer["jobDefinitionArn"]

    def submit(self, definition=None, queue="default", name=None, **more):
        """Submits a job and gives its id."""
        answer = self.batch.submit_job(
            jobName=name or "job-" + uuid.uuid4().hex[:8], jobQueue=queue,
            jobDefinition=definition or self.register(), **more,
        )
        return answer["jobId"]

    def shell(self, script, **more):
        """Registers and submits a job that runs `sh -c script`; gives its id."""
        return self.submit(self.register(["sh", "-c", script], **more))

    def job(self, job_id):
        """The job as DescribeJobs shows it."""
        jobs = self.batch.describe_jobs(jobs=[job_id])["jobs"]
        assert len(jobs) == 1, f"DescribeJobs of {job_id} gave {len(jobs)} jobs"
        return jobs[0]

    def wait_job(self, job_id, statuses=ENDED, timeout=60):
        """Waits until the job has one of `statuses` and gives its description; fails at once if it ended otherwise."""
        statuses = (statuses,) if isinstance(statuses, str) else tuple(statuses)

        def reached():
            job = self.job(job_id)
            if job["status"] in statuses:
                return job
            assert job["status"] not in ENDED, f"job ended before it was {statuses}: {json.dumps(job, indent=1)}"
            return None

        return until(reached, timeout, f"{job_id} in {'/'.join(statuses)}")

    def succeed(self, job_id, timeout=60):
        """Waits for the end, which must be SUCCEEDED."""
        job = self.wait_job(job_id, timeout=timeout)
        assert job["status"] == "SUCCEEDED", f"{json.dumps(job, indent=1)}\n{self.log_of(job)}"
        return job

    def fail(self, job_id, timeout=60):
        """Waits for the end, which must be FAILED."""
        job = self.wait_job(job_id, timeout=timeout)
        assert job["status"] == "FAILED", json.dumps(job, indent=1)
        return job

    def log_of(self, job):
        """All lines of the job's stream (of its last attempt)."""
        stream = job.get("container", {}).get("logStreamName")
        return self.log(stream) if stream else []

    def log(self, stream, group=GROUP):
        """All lines of a stream, page by page, as Airflow reads it."""
        lines, token = [], {}
        while True:
            page = self.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
            lines += [event["message"] for event in page["events"]]
            if token.get("nextToken") == page["nextForwardToken"]:
                return lines
            token = {"nextToken": page["nextForwardToken"]}

    def run_shell(self, script, **more):
        """Runs `sh -c script` to its success and gives the lines that it printed."""
        return self.log_of(self.succeed(self.shell(script, **more)))
