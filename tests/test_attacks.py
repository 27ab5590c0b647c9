"""Attacks on the kernel's files, devices, control groups and other jobs, by root in a container. Each is judged from
inside (what the call gave) and from this host (nothing changed, others go on). A privileged job shows that the same
attack does something. What is tried is harmless where it works: values are written as they are.

Never here: names that lead out (test_attacks_paths), floods (test_attacks_floods), every system call by its number
(test_security_probe)."""

import os
import re
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import leaks
from support.attacker import volumes
from support.server import DRIVER, USER_NAMESPACES, Server
from support.wait import until

pytestmark = pytest.mark.drivers("native", "oci")
REFUSED = {"EPERM", "EACCES", "EROFS", "ENOENT"}
HAS_PRIVILEGED = USER_NAMESPACES != "all" and DRIVER != "docker"
# With Docker's daemon the rest is its own: profiles, control groups, the machine's numbers.
DOCKER_TOO = pytest.mark.drivers("native", "oci", "docker")
# Every path but these is opened for reading and writing, and gets the value that it has.
SYSCTLS = [f"/proc/sys/{name}" for name in (
    "kernel/core_pattern", "kernel/core_pipe_limit", "kernel/modprobe", "kernel/hotplug", "kernel/poweroff_cmd", "kernel/panic",
    "kernel/sysrq", "kernel/pid_max", "kernel/randomize_va_space", "kernel/hostname", "kernel/domainname", "kernel/shmmax",
    "kernel/msgmax", "kernel/sem", "kernel/unprivileged_bpf_disabled", "kernel/dmesg_restrict", "kernel/kptr_restrict",
    "kernel/yama/ptrace_scope", "kernel/threads-max", "vm/overcommit_memory", "vm/panic_on_oom", "vm/oom_kill_allocating_task",
    "vm/max_map_count", "vm/mmap_min_addr", "vm/swappiness", "net/ipv4/ip_forward", "net/ipv4/ping_group_range",
    "net/core/somaxconn", "fs/file-max", "fs/suid_dumpable", "fs/protected_symlinks", "fs/mqueue/queues_max",
    "user/max_user_namespaces")]
KERNEL_FILES = [*SYSCTLS, "/proc/irq/default_smp_affinity", "/proc/scsi/scsi", "/sys/kernel/uevent_helper", "/sys/kernel/profiling",
                "/sys/kernel/mm/ksm/run", "/sys/kernel/mm/lru_gen/enabled", "/sys/power/state", "/sys/power/pm_async",
                "/sys/devices/system/cpu/cpu1/online", "/sys/class/net/lo/mtu", "/sys/block/loop0/queue/nr_requests",
                "/sys/block/loop0/queue/scheduler", "/sys/module/kernel/parameters/panic", "/sys/fs/cgroup/cgroup.procs"]
# Opened for writing, and nothing is written.
SWITCHES = ["/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/proc/sys/vm/compact_memory", "/proc/sys/kernel/ns_last_pid",
            "/proc/sys/fs/binfmt_misc/register", "/proc/kmsg", "/dev/mem", "/dev/kmsg",
            "/sys/kernel/mm/page_idle/bitmap", "/sys/power/wake_lock", "/sys/bus/pci/rescan", "/sys/class/block/loop0/uevent"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with room for several jobs at once."""
    server = Server(tmp_path_factory.mktemp("server"), {"BATCHYARD_VCPUS": "16"}).start()
    yield server
    server.stop()


def results(lines):
    """What the program of tests/attacker printed, by name."""
    return dict(line.rsplit(": ", 1) for line in lines if ": " in line)


def attack(server, tools, script, **more):
    """Runs the script, in which $A is the program, whatever it ends with; gives what was said."""
    job_id = server.shell("A=/tools/attack\n" + script + "\ntrue", **more | volumes((tools, "/tools")))
    return results(server.log_of(server.succeed(job_id)))


@contextmanager
def other_job(server, folder):
    """Another job, which writes down each signal that it gets and counts as it goes on."""
    (folder / "count").write_text("")
    traps = " ".join(f"trap 'echo signal {n}' {n};" for n in (1, 2, 3, 10, 12, 13, 14, 15))
    job_id = server.shell(f"{traps} i=0; while [ ! -e /v/end ]; do i=$((i+1)); echo $i >/v/next; mv /v/next /v/count; sleep 0.02; done",
                          **volumes((folder, "/v")))

    def count():
        return int((folder / "count").read_text() or 0)

    until(count, what="the other job")
    yield count
    seen = count()
    until(lambda: count() > seen, what="the other job, which went on")
    (folder / "end").touch()
    assert server.log_of(server.succeed(job_id)) == []


def values(paths):
    def read(path):
        try:
            return Path(path).read_bytes()
        except OSError:
            return None

    return {path: read(path) for path in paths}


@DOCKER_TOO
@pytest.mark.parametrize("user", ["0", "1000"])
def test_the_kernels_files_cannot_be_written(server, tools, user):
    before = values(SYSCTLS)
    said = attack(server, tools, f"$A same {' '.join(KERNEL_FILES)}\n$A write {' '.join(SWITCHES)}", user=user)
    assert set(KERNEL_FILES + SWITCHES) == set(said)
    assert set(said.values()) <= REFUSED, {k: v for k, v in said.items() if v not in REFUSED}
    assert sum(result != "ENOENT" for result in said.values()) > 30
    assert values(SYSCTLS) == before
    if HAS_PRIVILEGED and user == "0":
        harmless = ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness"]
        said = attack(server, tools, f"$A same {' '.join(harmless)}\n$A write {SWITCHES[0]}", privileged=True)
        assert [said[path] for path in harmless] == ["ok", "ok"] and said[SWITCHES[0]] in ("ok", "ENOENT")
        assert values(SYSCTLS) == before


@DOCKER_TOO
def test_nobody_becomes_less_likely_to_be_killed(server):
    """Where it worked it would count for the job alone."""
    assert server.run_shell("v=$(cat /proc/self/oom_score_adj); (echo $((v - 1)) >/proc/self/oom_score_adj) 2>/dev/null || echo refused") == ["refused"]


@DOCKER_TOO
def test_the_devices_of_this_host_cannot_be_opened(server, tools):
    """Its disks by their own numbers, on every kind of file system that a job can have."""
    disks = [(path.parent.name, *path.read_text().strip().split(":")) for path in Path("/sys/block").glob("*/dev")]
    assert disks
    known = [("c", 1, 1), ("c", 1, 2), ("c", 1, 4), ("c", 1, 11), ("c", 10, 229), ("c", 10, 232), ("c", 10, 237), ("c", 4, 1), ("c", 188, 0)]
    numbers = [("b", major, minor) for _, major, minor in disks] + known
    places = {"/": "", "/dev": "", "/dev/shm": "", "/t": "", "/own": "", "/tools": ""}
    script = "\n".join(f"$A device {place} {kind} {major} {minor}" for place in places for kind, major, minor in numbers)
    volume = {"volumes": [{"name": "v0", "host": {"sourcePath": str(tools)}}, {"name": "own"}], "mountPoints": [
        {"containerPath": "/tools", "sourceVolume": "v0"}, {"containerPath": "/own", "sourceVolume": "own"}]}
    job_id = server.shell("A=/tools/attack\n" + script + "\ntrue", linuxParameters={"tmpfs": [{"containerPath": "/t", "size": 1}]}, **volume)
    said = results(server.log_of(server.succeed(job_id)))
    assert len(said) == len(places) * len(numbers)
    assert set(said.values()) <= {"EPERM", "EACCES"}, said
    assert not (tools / "attack-device").exists()
    # A device that everybody may use is none on a file system without devices.
    said = attack(server, tools, "$A device / c 1 3; $A device /dev/shm c 1 3")
    assert said == {"/ c 1:3": "EPERM" if USER_NAMESPACES == "all" else "ok", "/dev/shm c 1:3": "EPERM" if USER_NAMESPACES == "all" else "EACCES"}


def groups_of(server):
    """The control groups of the server's one job, and what of them a job would want to change."""
    folders = {Path(line.split()[-1]) for line in leaks.cgroups(server.data_dir)}
    names = ("memory.limit_in_bytes", "memory.max", "cpu.shares", "cpu.max", "pids.max", "devices.list", "cgroup.procs")
    found = {f / name: (f / name).read_text() for f in folders for name in names if (f / name).exists()}
    return {path: text for path, text in found.items() if text}


def test_a_job_stays_in_its_control_groups(own_server, tools, shared_folder):
    """It writes nothing in them, moves nowhere, mounts none, and has no others with a namespace of its own."""
    script = """
        until [ -e /v/go ]; do sleep 0.01; done
        $A same $(find /sys/fs/cgroup -type f)
        for folder in /sys/fs/cgroup /sys/fs/cgroup/*; do
            mkdir $folder/own 2>/dev/null && echo "mkdir $folder: ok"
            for file in cgroup.procs tasks ../cgroup.procs; do (echo 1 >$folder/$file) 2>/dev/null && echo "join $folder: ok"; done
            (echo /none >$folder/release_agent) 2>/dev/null && echo "release_agent $folder: ok"
        done
        cat /proc/1/cgroup >/v/seen; touch /v/done
        until [ -e /v/end ]; do sleep 0.01; done; true"""
    job_id = own_server.shell("A=/tools/attack\n" + script, **volumes((tools, "/tools"), (shared_folder, "/v")))
    own_server.wait_job(job_id, "RUNNING")
    before = groups_of(own_server)
    assert [path for path in before if path.name in ("memory.limit_in_bytes", "memory.max")]
    (shared_folder / "go").touch()
    until((shared_folder / "done").exists, what="the attack")
    assert {path: text for path, text in groups_of(own_server).items() if path.name != "cgroup.procs"} == {
        path: text for path, text in before.items() if path.name != "cgroup.procs"}
    # All of what it runs is still there; sleeping children come and go.
    assert {path.parent for path in groups_of(own_server) if path.name == "cgroup.procs"} == {
        path.parent for path in before if path.name == "cgroup.procs"}
    (shared_folder / "end").touch()
    said = results(own_server.log_of(own_server.succeed(job_id)))
    assert len(said) > 20 and set(said.values()) <= REFUSED, {k: v for k, v in said.items() if v not in REFUSED}
    for line in (shared_folder / "seen").read_text().splitlines():
        assert line.split(":")[2] == "/" or "batchyard" not in line, "its own group is the root that it sees"


@pytest.mark.parametrize("user", ["0", "1000"])
def test_calls_that_lead_out_are_refused(server, tools, user):
    """With arguments with which they would work: namespaces, mounts of control groups, handles, keys, programs in the kernel."""
    said = attack(server, tools, "$A calls", user=user)
    assert len(said) > 40
    assert set(said.values()) <= {"EPERM", "ENOSYS"}, {k: v for k, v in said.items() if v not in ("EPERM", "ENOSYS")}
    if HAS_PRIVILEGED and user == "0":
        said = attack(server, tools, "$A calls", privileged=True)
        assert {said[name] for name in ("unshare mounts", "mount proc", "bpf", "clone user")} == {"ok"}, said


@DOCKER_TOO
@pytest.mark.parametrize("user", ["0", "1000"])
def test_signals_reach_no_other_job(server, tools, shared_folder, user):
    """Every number that a process can have, and everybody."""
    highest = int(Path("/proc/sys/kernel/pid_max").read_text())
    with other_job(server, shared_folder):
        said = attack(server, tools, f"$A signals {min(highest, 200_000)}", user=user)
        assert said["hit"] == "0", said
        assert server.process.poll() is None
        assert server.run_shell("echo others start") == ["others start"]


# Memory ends the first one; the second one stays below its number of processes until it is ended.
BOMBS = {"memory": {"memory": 128}, "number": {"memory": 1024, "user": "1234", "ulimits": [{"name": "nproc", "softLimit": 600, "hardLimit": 600}]}}


@pytest.mark.parametrize("bound", BOMBS)
def test_a_fork_bomb_hurts_itself(server, tools, shared_folder, bound):
    """Others answer, start, run and end meanwhile; a request to end it ends it, and nothing is left."""
    with other_job(server, shared_folder) as count:
        script = "A=/tools/attack; trap 'exit 7' TERM; $A forks 30 & while :; do wait; done"
        bomb = server.shell(script, **BOMBS[bound] | volumes((tools, "/tools")))
        stream = server.wait_job(bomb, "RUNNING")["container"]["logStreamName"]
        if bound == "number":
            until(lambda: "refused: EAGAIN" in server.log(stream), what="as many as it can have")
            assert 500 <= len(processes_of_jobs(server)) <= 620
        began = time.monotonic()
        server.job(bomb)
        assert time.monotonic() - began < 2, "the server answers"
        assert server.run_shell("echo started") == ["started"]
        assert time.monotonic() - began < 10, "a job starts and ends"
        seen = count()
        until(lambda: count() > seen + 2, what="the other job")
        if bound == "number":
            server.batch.terminate_job(jobId=bomb, reason="enough")
        job = server.fail(bomb, timeout=35)
        assert job["container"]["exitCode"] == (7 if bound == "number" else 137)
        until(lambda: len(processes_of_jobs(server)) < 10, what="the end of its processes")


def test_all_jobs_together_leave_this_host_numbers_for_processes(server, shared_folder):
    """A job that takes all that it can leaves some to others, and all together to the server."""
    numbers = min(int(Path(f"/proc/sys/kernel/{name}").read_text()) for name in ("pid_max", "threads-max"))
    if os.readlink("/proc/self/ns/pid") != "pid:[4026531836]":
        # Not the machine's own limits; then the kernel's default is what counts.
        numbers = min(numbers, max(32768, 1024 * len(os.sched_getaffinity(0))))
    with other_job(server, shared_folder):
        limits = {}
        for line in leaks.cgroups(server.data_dir):
            folder = Path(line.split()[-1])
            if (folder / "pids.max").exists():
                limits[folder.name.startswith("batchyard-")] = (folder / "pids.max").read_text().strip()
    assert limits.keys() == {True, False}, limits
    assert int(limits[True]) == numbers // 4 * 3 and int(limits[False]) <= numbers // 2


def processes_of_jobs(server):
    """Of all the jobs of the server."""
    files = [Path(line.split()[-1]) / "cgroup.procs" for line in leaks.cgroups(server.data_dir)]
    found = set()
    for file in files:
        try:
            found |= set(file.read_text().split())
        except OSError:
            continue  # The group went away just now.
    return found


@DOCKER_TOO
def test_output_that_another_job_holds_open(server, tools, shared_folder):
    """A job passes its standard output on and ends: it ends all the same. What the other one says there before the end is
    seen is the giver's own doing; none of it is in the other's log."""
    both = volumes((tools, "/tools"), (shared_folder, "/v"))
    giver = server.shell("exec /tools/attack hand /v/socket", **both)
    until((shared_folder / "socket").exists, what="the socket")
    taker = server.shell("/tools/attack hand /v/socket 'from another job'; until [ -e /v/end ]; do sleep 0.01; done; echo own", **both)
    said = server.log_of(server.succeed(giver, timeout=20))
    (shared_folder / "end").touch()
    assert said[0] == "handed: ok" and set(said[1:]) <= {"from another job"}
    lines = server.log_of(server.succeed(taker))
    assert lines[0] == "taken: ok" and lines[-1] == "own" and "from another job" not in lines
    assert re.fullmatch("said: (ok|EPIPE)", lines[1])
