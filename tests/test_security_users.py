"""User namespaces: root in the container is nobody on this host, and the container works all the same."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.proc import read
from support.server import TARGET, USER_NAMESPACES, Server
from support.wait import until

FIRST, COUNT = 1879048192, 65536
pytestmark = pytest.mark.drivers("native")


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A server all of whose jobs have one."""
    server = Server(tmp_path_factory.mktemp("mapped"), {"BATCHYARD_USER_NAMESPACES": "all"}).start()
    yield server
    server.stop()


def volume(folder, path):
    return {"volumes": [{"name": "v", "host": {"sourcePath": str(folder)}}],
            "mountPoints": [{"containerPath": path, "sourceVolume": "v"}]}


def test_root_inside_is_nobody_outside(mapped, shared_folder):
    """Seen from this host: the process, and what it makes in a shared folder."""
    job = mapped.shell("touch /data/made; while [ ! -e /data/end ]; do sleep 0.02; done", **volume(shared_folder, "/data"))
    made = until(lambda: (shared_folder / "made").exists() and (shared_folder / "made").stat(), what="a file")
    assert (made.st_uid, made.st_gid) == (FIRST, FIRST)
    pids = [p for p in Path("/proc").glob("[0-9]*") if b"/data/made" in read(p / "cmdline") and b"sh\0-c" in read(p / "cmdline")]
    assert pids
    for pid in pids:
        status = read(pid / "status").decode()
        assert re.search(r"^Uid:\s+(\d+)", status, re.M)[1] == str(FIRST)
        assert os.readlink(pid / "ns/user") != os.readlink("/proc/self/ns/user")
    (shared_folder / "end").touch()
    mapped.succeed(job)


def test_the_container_works_as_without(mapped):
    """Its files are its own, it may change owners and users, and its devices, terminals and queues can be used."""
    lines = mapped.run_shell("""
        cat /proc/self/uid_map; id -u; stat -c %u:%g / /bin/busybox /dev /dev/null /dev/shm /dev/mqueue /tmp
        touch /file && chown 1234:5678 /file && stat -c %u:%g /file
        mkdir -p /new/folder && rmdir /new/folder && echo removed
        echo x >/dev/null; head -c 3 /dev/urandom >/dev/shm/r; echo out >/dev/stdout; echo err >/dev/stderr""")
    assert lines[0].split() == ["0", str(FIRST), str(COUNT)]
    assert lines[1] == "0"
    assert lines[2:10] == ["0:0"] * 7 + ["1234:5678"], " ".join(lines)
    assert lines[10:] == ["removed", "out", "err"]
    assert mapped.run_shell("id -u; id -g; echo >/dev/stdout; touch /tmp/x && stat -c %u /tmp/x", user="1000:1001") == [
        "1000", "1001", "", "1000"]
    assert mapped.run_shell("pwd; touch here && stat -c %u here", user="0")[0] == "/"


def test_what_is_made_for_it_is_its_own(mapped, tmp_path):
    mapped.run_shell("echo x >/data/file", **volume(tmp_path / "not" / "there", "/data"))
    assert (tmp_path / "not" / "there" / "file").stat().st_uid == FIRST
    mapped.run_shell("echo x >/v/file; stat -c %u /v/file", volumes=[{"name": "v"}],
                     mountPoints=[{"containerPath": "/v", "sourceVolume": "v"}])
    mapped.run_shell("echo x >/t/file", linuxParameters={"tmpfs": [{"containerPath": "/t", "size": 4}]})


def test_files_of_this_host_are_nobodys(mapped, tmp_path):
    """What only root may read or write here, root in a container may not."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "secret").write_text("mine\n")
    (folder / "secret").chmod(0o600)
    lines = mapped.run_shell("cat /data/secret 2>/dev/null || echo refused; touch /data/x 2>/dev/null || echo refused; "
                             "stat -c %u /data/secret", **volume(folder, "/data"))
    assert lines == ["refused", "refused", "65534"]


def test_no_right_reaches_outside(mapped):
    """All capabilities of the set are there, over nothing of this host."""
    lines = mapped.run_shell("""
        grep CapEff /proc/self/status
        mknod /node c 1 3 2>/dev/null || echo no device
        mount -t tmpfs none /tmp 2>/dev/null || echo no mount
        hostname x 2>/dev/null || echo no name
        (echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo no sysctl""")
    assert lines[0].split()[1] == "00000000a80425fb"
    assert lines[1:] == ["no device", "no mount", "no name", "no sysctl"]


def test_ids_beyond_the_range_and_privileged_are_refused(mapped):
    job = mapped.fail(mapped.shell("true", user="70000"))
    assert "beyond the 65536 ids" in job["container"]["reason"]
    job = mapped.fail(mapped.shell("true", privileged=True))
    assert "user_namespaces" in job["container"]["reason"]


def test_layers_on_disk_keep_their_owners(mapped):
    layers = [p for p in (mapped.data_dir / "images").rglob("*") if not p.is_symlink()]
    assert layers and all(p.lstat().st_uid == 0 for p in layers)


@pytest.mark.skipif(USER_NAMESPACES == "all", reason="all jobs of this run have them")
def test_fargate_s_environments_have_them_by_default(server):
    definition = server.batch.register_job_definition(
        jobDefinitionName="on-fargate", type="container", platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "busybox", "command": ["cat", "/proc/self/uid_map"],
            "executionRoleArn": "arn:aws:iam::123456789012:role/r",
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
        })["jobDefinitionArn"]
    job = server.succeed(server.submit(definition, queue="default-fargate"))
    assert server.log_of(job)[0].split() == ["0", str(FIRST), str(COUNT)]
    assert server.run_shell("cat /proc/self/uid_map")[0].split() == ["0", "0", "4294967295"]


def test_doctor_tells_whether_this_host_can(server):
    line = next(line for line in server.batchyard("doctor", check=False).stdout.splitlines() if "user namespaces" in line)
    assert "yes" in line


def supervisor():
    """The program, built beside the server's."""
    return os.environ.get("BATCHYARD_SUPERVISOR") or TARGET / "supervisor" / "batchyard-supervisor"


def test_a_host_that_cannot_says_so(tmp_path):
    """What the server asks its supervisor at the start; what it does then is in its own tests."""
    limit = Path("/proc/sys/user/max_user_namespaces")
    if not limit.exists():
        pytest.skip("NOT RUN: this kernel has no limit of user namespaces to try with")
    # In a namespace of user namespaces of its own, so that this host's limit stays as it is.
    script = f"echo 0 >{limit} && exec \"$@\""
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", supervisor(), "--probe", tmp_path],
        capture_output=True, text=True, timeout=20)
    assert re.search(r"^user_namespaces no: .*make a user namespace", done.stdout, re.M), done.stdout + done.stderr
