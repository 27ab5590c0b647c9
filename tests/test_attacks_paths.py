"""Ways out of a container by names: links that are swapped while jobs start, descriptors as paths, the program that
made the container. Each is tried by real jobs and judged from this host. Never here: links that lie still
(test_security, test_administrator)."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from support import attacker
from support.attacker import volumes
from support.server import BINARY, DRIVER, USER_NAMESPACES, Server
from support.wait import until

pytestmark = pytest.mark.drivers("native", "oci")
# More than a supervisor has open, its lock file at 100 among them.
DESCRIPTORS = [*range(3, 40), *range(100, 104)]
# From any folder of this host to its root.
UP = "/.." * 24


@pytest.fixture(scope="module")
def allowed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("allowed")
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="module")
def strict(tmp_path_factory, tools, allowed):
    """A server whose jobs may mount what is in `allowed`, and the tools."""
    server = Server(tmp_path_factory.mktemp("strict"), {
        "BATCHYARD_HOST_VOLUME_ROOTS": f"{allowed},{tools}", "BATCHYARD_VCPUS": "64"}).start()
    yield server
    server.stop()


@pytest.fixture
def outside(tmp_path):
    """A folder that no job may see, with a word in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "secret").write_text("mine\n")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["secret"], "something was made outside"
    assert (folder / "secret").read_text() == "mine\n"
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()


class Race:
    """A job that swaps `allowed/name`, a folder, with a link to `target` as fast as it can, until the end of the block."""

    def __init__(self, server, tools, allowed, name, target):
        self.server, self.ready, self.end = server, allowed / f"{name}-ready", allowed / f"{name}-end"
        self.job = server.shell(
            f"touch /a/{name}-ready; exec /tools/attack swap /a/{name} {target} /a/{name}-end",
            **volumes((tools, "/tools"), (allowed, "/a")))

    def __enter__(self):
        until(self.ready.exists, what="the race")
        return self

    def __exit__(self, *_):
        self.end.touch()
        self.server.succeed(self.job)

    def against(self, definition, starts=40, at_once=4):
        """The lines of all the jobs that came to run; a start that fails is as good."""
        lines, ends = [], Counter()
        for _ in range(starts // at_once):
            for job_id in [self.server.submit(definition) for _ in range(at_once)]:
                job = self.server.wait_job(job_id)
                ends[job["container"].get("reason", job["status"])[-60:]] += 1
                lines += self.server.log_of(job) if job["container"].get("exitCode") is not None else []
        print(dict(ends))
        return lines


LOOK = "ls -R /v /a/x; cat /v/secret /v/*/secret; touch /v/written /v/in/written; echo looked"


def test_a_source_that_is_swapped_with_a_link_while_jobs_start(strict, tools, allowed, outside):
    """Itself, and a folder on the way to it."""
    with Race(strict, tools, allowed, "x", outside) as race:
        itself = strict.register(["sh", "-c", LOOK], **volumes((allowed / "x", "/v")))
        lines = race.against(itself)
        below = strict.register(["sh", "-c", LOOK], **volumes((allowed / "x/in", "/v")))
        lines += race.against(below)
    assert lines.count("looked") > 0
    assert "mine" not in lines and "secret" not in lines


def test_a_target_in_a_shared_volume_that_is_swapped_with_a_link(strict, tools, allowed, outside):
    """The link is followed inside the container, where nothing is."""
    (allowed / "own").mkdir(exist_ok=True)
    with Race(strict, tools, allowed, "t", outside) as race:
        look = f"ls -R /a/t; cat {outside}/secret /a/t/secret; touch /a/t/in/written /a/t/written; echo looked"
        for target in ("/a/t", "/a/t/in"):
            definition = strict.register(["sh", "-c", look], **volumes((allowed, "/a"), (allowed / "own", target)))
            lines = race.against(definition)
            assert lines.count("looked") > 0
            assert "mine" not in lines and "secret" not in lines


def test_jobs_that_make_the_same_folder_at_once(strict, allowed):
    """No attack: whoever comes second finds what the first one made."""
    for n in range(4):
        definition = strict.register(["true"], **volumes((allowed / f"new{n}/a/b/c/d/e/f/g/h/i/j/k", "/v")))
        for job_id in [strict.submit(definition) for _ in range(8)]:
            strict.succeed(job_id)


def test_a_working_folder_that_is_swapped_with_a_link_to_a_descriptor(strict, tools, allowed, outside, tmp_path):
    """CVE-2024-21626: a folder that the supervisor has open, named by its number, leads to this host's root."""
    attacker.image(strict, tmp_path / "image.tar", "swapped:1", "/a/cwd")
    look = f"cat .{UP}{outside}/secret; ls; touch .{UP}{outside}/written; echo looked"
    definition = strict.register(["sh", "-c", look], image="swapped:1", **volumes((allowed, "/a")))
    for number in (5, 7):
        (allowed / "cwd-ready").unlink(missing_ok=True)
        (allowed / "cwd-end").unlink(missing_ok=True)
        with Race(strict, tools, allowed, "cwd", f"/proc/self/fd/{number}") as race:
            assert "mine" not in race.against(definition, starts=16)


@pytest.mark.parametrize("number", [3, 5, 7, 8, 9])
def test_a_descriptor_as_working_folder(strict, outside, tmp_path, number):
    attacker.image(strict, tmp_path / "image.tar", f"cwd:{number}", f"/proc/self/fd/{number}")
    job = strict.wait_job(strict.shell(f"cat .{UP}{outside}/secret; pwd", image=f"cwd:{number}"))
    lines = strict.log_of(job) if job["container"].get("exitCode") is not None else []
    assert "mine" not in lines, lines


def test_a_program_behind_a_descriptor_of_the_supervisor(server, tools, outside):
    """A program of this host must not run: by its `/proc/self/exe` it could be overwritten."""
    path = ":".join(f"/proc/self/fd/{n}{UP}{tools}" for n in DESCRIPTORS)
    definition = server.register(["attack", "read", "/proc/self/exe"], environment=[{"name": "PATH", "value": path}])
    job = server.fail(server.submit(definition))
    assert 'exec: "attack": executable file not found in $PATH' in job["container"]["reason"]


def test_standard_input_is_the_null_device_or_the_job_does_not_start(server, shared_folder):
    """A volume over /dev could have a link to a descriptor of the supervisor there."""
    for number in DESCRIPTORS[:12]:
        (shared_folder / "null").unlink(missing_ok=True)
        (shared_folder / "null").symlink_to(f"/proc/self/fd/{number}")
        job = server.wait_job(server.shell("readlink /proc/self/fd/0", **volumes((shared_folder, "/dev"))))
        assert job["status"] == "FAILED" or server.log_of(job) == ["/dev/null"], number
        # The reports' pipe in the job's hands would have kept the start open.
        assert job["status"] == "SUCCEEDED" or job["statusReason"] == "Task failed to start", number


def hashes(server):
    """The supervisor's program, wherever it is."""
    places = [*server.data_dir.glob("run/batchyard-supervisor-*"), BINARY.parent / "batchyard-supervisor", BINARY]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in places if path.is_file()}


@pytest.mark.parametrize("init", [False, True])
def test_descriptors_and_programs_of_whoever_made_the_container(server, tools, init):
    """CVE-2019-5736: neither what is open in the first process, nor its program, nor its root, is the host's."""
    before = hashes(server)
    assert before
    script = """
        for p in 1 self; do
            for fd in /proc/$p/fd/*; do echo "$p fd $(readlink $fd)"; done
            for link in root cwd exe; do echo "$p $link $(readlink /proc/$p/$link)"; done
        done 2>/dev/null
        ls /proc/1/root/ >/dev/null 2>&1 && [ -e /proc/1/root/proc/1/root/bin/busybox ] && echo own root
        ls -d /proc/1/task/*/fd/* 2>/dev/null | wc -l
        /tools/attack write /proc/1/exe /proc/self/exe"""
    job = server.wait_job(server.shell(script, linuxParameters={"initProcessEnabled": init}, **volumes((tools, "/tools"))))
    lines = server.log_of(job)
    assert "self fd /dev/null" in lines, lines
    seen = {line.split(" fd ", 1)[1] for line in lines if " fd " in line} - {""}
    assert all(target == "/dev/null" or target.startswith(("pipe:", "/proc/")) for target in seen), seen
    assert {line for line in lines if " root " in line} <= {"1 root /", "1 root ", "self root /"}
    # An init's program cannot even be named.
    assert ("1 exe " in lines) is init, lines
    refused = dict(line.split(": ") for line in lines if line.startswith("/proc/"))
    assert refused["/proc/1/exe"] == ("EACCES" if init or USER_NAMESPACES == "all" else "ETXTBSY")
    assert hashes(server) == before


# What a job that calls the supervisor gives it to do: to start a shell beside it, as the driver `process` does.
TASK = """batchyard-task 1
task_id {name}
job_id 00000000-0000-0000-0000-000000000000
attempt 1
cgroup none/{name}
stop_grace_s 1
driver process
container default
essential 1
arg sh
arg -c
arg {script}
cwd /
user{space}
layer /
scratch /tmp/scratch
readonly_root 0
cpu_shares 2
privileged 0
capabilities 0
seccomp{space}
shm_bytes 4096
init 0
stop_signal 15
log /att/log
log_cap 4096
disk_floor 0
end
"""


def test_the_supervisor_as_the_program(server, tools, shared_folder):
    """As `/proc/self/exe` the host's own program runs in a container, and starts others there: they cannot write it."""
    before = hashes(server)
    script = "for p in 1 $PPID; do /tools/attack write /proc/$p/exe; done >/att/said 2>&1; readlink /proc/1/exe >>/att/said"
    (shared_folder / "task").write_text(TASK.format(name="a" * 32, script=script, space=" "))
    definition = server.register(["/proc/self/exe", "/att"], **volumes((tools, "/tools"), (shared_folder, "/att")))
    server.wait_job(server.submit(definition))
    if DRIVER == "native" and USER_NAMESPACES != "all":  # Ids of nobody may not run it.
        said = (shared_folder / "said").read_text().split("\n")
        assert said[0] in ("/proc/1/exe: ETXTBSY", "/proc/1/exe: EACCES") and "batchyard-supervisor" in said[-2], said
    assert hashes(server) == before
    server.run_shell("true")
