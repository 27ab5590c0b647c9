"""What a container may not: seen from inside a real job, and from this host beside it.

Needs nothing but busybox in the container; whatever it cannot say is asked of /proc.
"""

import os
import re
from pathlib import Path

import pytest

from support import leaks
from support.server import DRIVER, USER_NAMESPACES
from support.wait import until

pytestmark = pytest.mark.drivers("native", "oci", "docker")

# Docker's default capabilities, by their numbers in linux/capability.h.
DOCKER_CAPABILITIES = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
    "NET_BIND_SERVICE": 10, "NET_RAW": 13, "SYS_CHROOT": 18, "MKNOD": 27, "AUDIT_WRITE": 29, "SETFCAP": 31,
}


def bounding_set():
    text = Path("/proc/self/status").read_text()
    return int(re.search(r"^CapBnd:\s*([0-9a-f]+)$", text, re.M)[1], 16)


def status_of_first_process(server):
    lines = server.run_shell("cat /proc/self/status")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def test_capabilities_seccomp_and_no_new_privileges(server):
    status = status_of_first_process(server)
    expected = sum(1 << bit for bit in DOCKER_CAPABILITIES.values()) & bounding_set()
    for kind in ("CapBnd", "CapPrm", "CapEff"):
        assert int(status[kind], 16) == expected, kind
    assert int(status["CapInh"], 16) == 0 and int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2", "a filter"


def test_an_ordinary_user_has_no_capabilities(server):
    job = server.succeed(server.shell("id -u; id -g; grep -E '^Cap(Prm|Eff)' /proc/self/status", user="1234:5678"))
    lines = server.log_of(job)
    assert lines[:2] == ["1234", "5678"]
    assert all(int(line.split()[1], 16) == 0 for line in lines[2:])


# Each would be harmless on this host if the container could: nothing is set to another value than it has.
FORBIDDEN = [
    "unshare -m true",
    "mount -t tmpfs none /tmp",
    "umount /proc",
    "cd /proc/sys/kernel && v=$(cat sysrq) && echo $v >sysrq",
    "cd /proc/sys/kernel && v=$(cat panic) && echo $v >panic",
    "echo h >/proc/sysrq-trigger",
    "head -c1 /proc/kcore | grep -q .",
    "ls /proc/acpi | grep -q .",
    "ls /sys/firmware | grep -q .",
    # Docker's folder of hierarchies is a writable tmpfs with version 1: a folder there is no control group.
    "mkdir /sys/fs/cgroup/memory/mine || mkdir /sys/fs/cgroup/mine" + (
        " && test -e /sys/fs/cgroup/mine/cgroup.procs" if DRIVER == "docker" else ""),
    "cd /sys/kernel/mm/ksm && v=$(cat run) && echo $v >run",
    "mknod /node b 254 254 && ! dd if=/node of=/dev/null count=1 2>&1 | grep -qE 'denied|not permitted'",
    "hostname $(hostname)",
    "! date -s @$(date +%s) 2>&1 | grep -q 'set date'",
    "dmesg | grep -q .",
    "ip link add dummy0 type dummy",
    "mount -o remount,rw /sys",
    "nsenter -t 1 -m true",
]


@pytest.mark.parametrize("script", FORBIDDEN)
def test_things_that_a_container_may_not(server, script):
    job = server.fail(server.shell(f"({script}) >/tmp/said 2>&1 && exit 0; exit 9"))
    assert job["container"]["exitCode"] == 9, f"the container could: {script}"


@pytest.mark.drivers("native", "oci")  # Docker's daemon names and removes its own.
def test_the_cgroup_is_where_leaks_are_looked_for(server):
    """If the name changes, the check of what is left would see nothing and pass."""
    job_id = server.shell("while :; do sleep 0.05; done & trap 'exit 0' TERM; wait")
    server.wait_job(job_id, "RUNNING")
    assert leaks.cgroups(server.data_dir)
    server.batch.terminate_job(jobId=job_id, reason="seen")
    server.fail(job_id)


def test_own_processes_only(server):
    lines = server.run_shell("ls /proc | grep -E '^[0-9]+$' | sort -n; readlink /proc/self/ns/pid; echo $$")
    assert lines[-1] == "1", "the program is the first process of its namespace"
    assert all(int(pid) < 20 for pid in lines[:-2])
    for kind in ("pid", "mnt", "ipc", "uts", "cgroup"):
        inside = server.run_shell(f"readlink /proc/self/ns/{kind}")
        assert inside != [os.readlink(f"/proc/self/ns/{kind}")], kind
    # The host's network, as on EC2.
    assert server.run_shell("readlink /proc/self/ns/net") == [os.readlink("/proc/self/ns/net")]


@pytest.mark.drivers("native", "oci", "docker", "process")
def test_no_descriptor_of_the_server_or_supervisor(server):
    """Nothing but standard input, output and error. The folder that `ls` held while it listed has no link any more."""
    lines = server.log_of(server.succeed(server.submit(server.register(["ls", "-l", "/proc/self/fd"]))))
    descriptors = dict(line.rsplit(" -> ", 1) for line in lines if " -> " in line)
    descriptors = {name.rsplit(" ", 1)[1]: target for name, target in descriptors.items()}
    assert set(descriptors) == set("012")
    assert descriptors["0"] == "/dev/null"
    assert all(descriptors[n].startswith("pipe:") for n in "12")


@pytest.mark.drivers("native", "oci", "docker", "process")
def test_environment_holds_no_secret_of_the_server(server):
    lines = server.run_shell("env; cat /proc/$$/environ | tr '\\0' '\\n'")
    assert not [line for line in lines if server.secret in line or "BATCHYARD" in line]


def test_read_only_root(server):
    job = server.fail(server.shell("touch /x || exit 9", readonlyRootFilesystem=True))
    assert job["container"]["exitCode"] == 9
    server.run_shell("touch /x")


def test_writes_into_the_root_are_gone_after_the_job(server):
    server.run_shell("echo mine >/left-behind; rm /bin/true 2>/dev/null; true")
    server.run_shell("[ ! -e /left-behind ]")


def mounted(folder, path, **more):
    return {"volumes": [{"name": "v", "host": {"sourcePath": str(folder)}}],
            "mountPoints": [{"containerPath": path, "sourceVolume": "v"} | more]}


def test_volumes(server, shared_folder):
    (shared_folder / "in").write_text("from the host\n")
    lines = server.run_shell("cat /data/in; echo from the job >/data/out", **mounted(shared_folder, "/data"))
    assert lines == ["from the host"]
    assert (shared_folder / "out").read_text() == "from the job\n"
    job = server.fail(server.shell("echo x >/data/out || exit 9", **mounted(shared_folder, "/data", readOnly=True)))
    assert job["container"]["exitCode"] == 9
    assert (shared_folder / "out").read_text() == "from the job\n"


def test_a_missing_host_folder_is_made(server, tmp_path):
    server.run_shell("echo x >/data/file", **mounted(tmp_path / "not" / "there", "/data"))
    assert (tmp_path / "not" / "there" / "file").read_text() == "x\n"


@pytest.mark.parametrize("path", ["/../../../../tmp/escaped", "/a/../../b", "/proc/../data"])
def test_mount_targets_stay_inside_the_root(server, shared_folder, path):
    """Refused, or resolved inside the container: never a mount on this host."""
    before = Path("/proc/self/mountinfo").read_text()
    try:
        job_id = server.shell("true", **mounted(shared_folder, path))
    except Exception:  # noqa: BLE001 - refused at registration is as good.
        return
    server.wait_job(job_id)
    assert Path("/proc/self/mountinfo").read_text() == before
    assert not Path("/tmp/escaped").exists()


def test_a_link_in_a_volume_does_not_lead_a_mount_out(server, shared_folder, tmp_path):
    """A job plants a link; the next job mounts below it: the target is resolved inside its own root."""
    outside = tmp_path / "outside"
    outside.mkdir()
    server.run_shell(f"ln -s {outside} /data/link", **mounted(shared_folder, "/data"))
    second = tmp_path / "second"
    second.mkdir()
    (second / "secret").write_text("mine\n")
    job_id = server.shell(
        "ls -R /data",
        volumes=[{"name": "v", "host": {"sourcePath": str(shared_folder)}}, {"name": "w", "host": {"sourcePath": str(second)}}],
        mountPoints=[{"containerPath": "/data", "sourceVolume": "v"}, {"containerPath": "/data/link/in", "sourceVolume": "w"}],
    )
    server.wait_job(job_id)
    assert list(outside.iterdir()) == [], "nothing was made or mounted where the link leads"


@pytest.mark.skipif(USER_NAMESPACES == "all", reason="privileged and a user namespace exclude each other: test_security_users")
@pytest.mark.drivers("native", "oci")  # Docker wants all capabilities, which this host need not have.
def test_privileged_has_what_the_host_can_give(server):
    job = server.succeed(server.shell("grep ^Cap /proc/self/status; mount -t tmpfs none /mnt && echo mounted", privileged=True))
    lines = server.log_of(job)
    assert lines[-1] == "mounted"
    effective = next(line for line in lines if line.startswith("CapEff"))
    assert int(effective.split()[1], 16) == bounding_set()


def test_jobs_do_not_see_each_other(server, shared_folder):
    """Two at once: neither sees the other's processes or writable layer."""
    other = server.shell("echo mine >/only-here; touch /shared/ready; while [ ! -e /shared/end ]; do sleep 0.02; done",
                         **mounted(shared_folder, "/shared"))
    until(lambda: (shared_folder / "ready").exists(), what="the other job")
    lines = server.run_shell("ls /; ps")
    (shared_folder / "end").touch()
    server.succeed(other)
    assert "only-here" not in lines
    assert not [line for line in lines if "shared/ready" in line]


@pytest.mark.drivers("native", "oci", "docker", "process")
def test_the_server_keeps_its_files_to_itself(server):
    """Keys and task files (they hold the jobs' environments) are for the server's user alone."""
    assert (server.data_dir / "credentials").stat().st_mode & 0o077 == 0
    definition = server.register(["sh", "-c", "trap 'exit 1' TERM; while :; do sleep 0.05; done"], environment=[{"name": "PASSWORD", "value": "s3cr3t-value"}])
    job_id = server.submit(definition)
    server.wait_job(job_id, "RUNNING")
    try:
        for path in server.data_dir.rglob("*"):
            if path.is_file() and not path.is_symlink() and b"s3cr3t-value" in path.read_bytes():
                reachable = all(parent.stat().st_mode & 0o005 for parent in path.parents if server.data_dir in (parent, *parent.parents))
                assert path.stat().st_mode & 0o077 == 0 or not reachable, f"{path} can be read by others"
        arguments = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()]
        assert not [a for a in arguments if b"s3cr3t-value" in a]
        assert not [line for line in server.output if "s3cr3t-value" in line]
    finally:
        server.batch.terminate_job(jobId=job_id, reason="seen")
        server.fail(job_id)


def test_host_image_is_off_unless_asked_for(server):
    job_id = None
    try:
        job_id = server.submit(server.register(["true"], image="host"))
    except Exception as error:  # noqa: BLE001
        assert "host" in str(error)
    if job_id:
        assert server.fail(job_id)["statusReason"] == "Task failed to start"
