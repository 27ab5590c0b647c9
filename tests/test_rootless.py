"""The server of an ordinary user: its jobs run in a user namespace of that user, and what is weaker there is said."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.pulls import PULL, base, registry, run  # noqa: F401: fixtures
from support.registry import layer
from support.proc import read
from support.server import BINARY, Server
from support.wait import until

USER, GROUP, FIRST, COUNT = 23456, 23457, 700000, 65536
pytestmark = pytest.mark.drivers("native")

# Whoever the host's ordinary users are and whichever ids they were given: here it is ours, seen by the server alone.
START = """
cd / && for name in passwd subuid subgid; do [ ! -e /etc/$name ] || mount --bind "$1/$name" /etc/$name || exit; done
[ -z "$2" ] || echo $$ >"$2/cgroup.procs"
shift 2; exec setpriv --reuid={user} --regid={group} --clear-groups "$@"
""".format(user=USER, group=GROUP)


class Ordinary(Server):
    """A server, and commands beside it, of an ordinary user. `given`: the user has a range of ids; `group`: the control
    group that they are put into."""

    def __init__(self, folder, settings=None, given=False, group=""):
        super().__init__(folder, settings)
        if "BATCHYARD_USER_NAMESPACES" not in (settings or {}):
            self.settings.pop("BATCHYARD_USER_NAMESPACES", None)  # What a run as root asks for cannot be had.
        (self.folder / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\nbyuser:x:{USER}:{GROUP}::/nowhere:/bin/sh\n")
        for name in ("subuid", "subgid"):
            (self.folder / name).write_text(f"byuser:{FIRST}:{COUNT}\n" if given else "")
        self.binary = self.folder / "batchyard"
        shutil.copy(BINARY, self.binary)  # Where it was built may be closed to others.
        self.prefix = ["unshare", "-m", "sh", "-ec", START, "sh", self.folder, group]

    def environment(self, **more):
        return super().environment(**{"TMPDIR": open_to_all()} | more)

    def batchyard(self, *args, check=True, timeout=60, environment=None, **popen):
        done = subprocess.run([*self.prefix, self.binary, *args], env=environment or self.environment(), timeout=timeout,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, **popen)
        assert not check or done.returncode == 0, f"batchyard {args}: {done.stdout}{done.stderr}"
        return done


def open_to_all():
    """A folder for temporary files that every user may write to."""
    places = map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp"))
    return next(place for place in places if place.stat().st_mode & 2 and all(p.stat().st_mode & 1 for p in (place, *place.parents)))


@pytest.fixture(scope="module")
def make_ordinary():
    """Makes servers in folders of the user's, which every user may enter."""
    made, folders = [], []

    def make(given=False, group="", **settings):
        folder = Path(tempfile.mkdtemp(prefix="batchyard-rootless-", dir=open_to_all()))
        folders.append(folder)
        folder.chmod(0o755)
        os.chown(folder, USER, GROUP)
        made.append(Ordinary(folder, {f"BATCHYARD_{k.removeprefix('BATCHYARD_')}": v for k, v in settings.items()}, given, group))
        return made[-1]

    yield make
    for server in made:
        server.stop()
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def single(make_ordinary):
    """A server whose user has one id."""
    return make_ordinary().start()


@pytest.fixture(scope="module")
def many(make_ordinary):
    """A server whose user has a range."""
    if not shutil.which("newuidmap") or not shutil.which("newgidmap"):
        pytest.skip("NOT RUN: no newuidmap and newgidmap here (Debian: uidmap)")
    return make_ordinary(given=True).start()


@pytest.fixture(params=["single", "many"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def folder(server):
    """A folder of the user's."""
    path = Path(tempfile.mkdtemp(dir=server.folder))
    os.chown(path, USER, GROUP)
    return path


def volume(folder, path="/data"):
    return {"volumes": [{"name": "v", "host": {"sourcePath": str(folder)}}],
            "mountPoints": [{"containerPath": path, "sourceVolume": "v"}]}


def test_a_job_runs_to_its_log_as_root_of_the_users_namespace(server):
    lines = server.run_shell("echo hello; cat /proc/self/uid_map; grep CapEff /proc/self/status; id -u; echo $$")
    assert lines[0] == "hello"
    assert lines[1].split() == ["0", str(USER), "1"]
    rest = {"single": [], "many": [f"1 {FIRST} {COUNT}"]}
    assert [" ".join(line.split()) for line in lines[2:-3]] == rest["many" if len(lines) > 5 else "single"]
    # Docker's set, without device files: nothing here fences them.
    assert lines[-3:] == ["CapEff:\t00000000a00425fb", "0", "1"]


def test_the_server_is_the_process_that_was_started(server):
    """Whatever it was on the way: who started it may signal it and wait for it."""
    assert (server.data_dir / "run/pid").read_text().split()[0] == str(server.process.pid)
    assert Path(f"/proc/{server.process.pid}").stat().st_uid == USER
    assert os.readlink(f"/proc/{server.process.pid}/ns/user") != os.readlink("/proc/self/ns/user")
    kept = [path for below in ("*", "run/*", "images/**/*") for path in server.data_dir.glob(below)]
    assert len(kept) > 10 and {path.lstat().st_uid for path in kept} == {USER}


def test_what_a_job_makes_in_a_folder_is_the_users(server, folder):
    server.run_shell("echo x >/data/file; mkdir -p /data/deep; ls /data; cat /data/file", **volume(folder))
    for path in (folder / "file", folder / "deep"):
        assert (path.stat().st_uid, path.stat().st_gid) == (USER, GROUP)
    server.run_shell("echo x >/data/file", **volume(folder / "made" / "for it"))
    assert (folder / "made" / "for it" / "file").stat().st_uid == USER
    # What is closed to the user stays closed to root in a job.
    closed = folder / "closed"
    closed.mkdir(0o700)
    assert server.run_shell("ls /data/closed 2>/dev/null || echo refused", **volume(folder)) == ["refused"]


def test_devices_terminals_and_the_kernels_file_systems_are_there_and_confined(server):
    lines = server.run_shell("""
        echo x >/dev/null; head -c 3 /dev/urandom >/dev/shm/r; echo out >/dev/stdout; ls /dev | sort | tr '\\n' ' '; echo
        ls /sys/fs/cgroup | wc -l; ls -d /sys/class/net/lo; (echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo no sysctl
        mount -t tmpfs none /tmp 2>/dev/null || echo no mount; mknod /node c 1 3 2>/dev/null || echo no device
        touch /sys/x 2>/dev/null || echo no sysfs; hostname x 2>/dev/null || echo no name; cat /proc/timer_list | wc -c
        ls /proc | grep -c '^[0-9]'""")
    assert lines[0] == "out"
    assert lines[1].split() == "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    assert lines[2:9] == ["0", "/sys/class/net/lo", "no sysctl", "no mount", "no device", "no sysfs", "no name"]
    assert lines[9] == "0" and int(lines[10]) < 6


def test_the_root_is_writable_and_gone_afterwards(server):
    assert server.run_shell("echo x >/bin/new; mkdir /d; mv /bin /moved; /moved/busybox ls -d /moved/new /d") == ["/d", "/moved/new"]
    assert server.run_shell("ls /bin/new /d 2>/dev/null || echo gone") == ["gone"]
    assert server.run_shell("touch /x 2>/dev/null || echo read-only", readonlyRootFilesystem=True) == ["read-only"]


def test_tmpfs_devices_volumes_and_init(server):
    lines = server.run_shell(
        "echo x >/t/file; stat -c %a /t; echo x >/v/file; ls /v; ls -l /dev/fuse | cut -c1; ps -o pid,comm | grep -c batchyard",
        volumes=[{"name": "v"}], mountPoints=[{"containerPath": "/v", "sourceVolume": "v"}],
        linuxParameters={"initProcessEnabled": True, "tmpfs": [{"containerPath": "/t", "size": 4}],
                         "devices": [{"hostPath": "/dev/zero", "containerPath": "/dev/fuse"}]})
    assert lines == ["1777", "file", "c", "1"]


def test_privileged_has_what_the_namespace_gives(server):
    lines = server.run_shell(
        "mount -t tmpfs none /tmp && echo mounted; grep -c . /proc/self/uid_map; ls /dev/kmsg; grep Seccomp: /proc/self/status; "
        "(echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo no sysctl", privileged=True)
    assert lines[0] == "mounted" and lines[-3:] == ["/dev/kmsg", "Seccomp:\t0", "no sysctl"]


def test_a_running_job_is_found_again(server, folder):
    """The next server has another namespace, with the same ids."""
    job = server.shell("i=0; while [ ! -e /data/end ]; do i=$((i+1)); echo line $i; echo $i >/data/printed; sleep 0.02; done; "
                       "exit 42", **volume(folder))
    before = server.wait_job(job, "RUNNING")
    server.kill9()
    printed = lambda: int((folder / "printed").read_text() or 0) if (folder / "printed").exists() else 0  # noqa: E731
    mark = printed()
    until(lambda: printed() > mark + 5, what="lines with no server")
    server.start()
    assert server.job(job)["status"] == "RUNNING"
    (folder / "end").touch()
    ended = server.fail(job)
    assert ended["container"]["exitCode"] == 42 and ended["startedAt"] == before["startedAt"]
    assert server.log_of(ended) == [f"line {i + 1}" for i in range(printed())]


def test_a_job_of_the_server_before_is_stopped(server, folder):
    job = server.shell("trap 'exit 3' TERM; (trap '' TERM; setsid sleep 3210) & while :; do sleep 0.05; done")
    server.wait_job(job, "RUNNING")
    server.restart()
    server.batch.terminate_job(jobId=job, reason="enough")
    ended = server.fail(job)
    assert ended["statusReason"] == "enough" and ended["container"]["exitCode"] == 3
    until(lambda: b"sleep\x003210" not in b" ".join(map(read, Path("/proc").glob("[0-9]*/cmdline"))), what="the end of what it left")


def test_terminate_ends_a_job_and_nothing_is_left(server):
    job = server.shell("trap 'echo asked; exit 3' TERM; (setsid sleep 4321 &); while :; do sleep 0.05; done")
    server.wait_job(job, "RUNNING")
    server.batch.terminate_job(jobId=job, reason="enough")
    ended = server.fail(job)
    assert ended["container"]["exitCode"] == 3 and server.log_of(ended) == ["asked"]
    until(lambda: b"sleep\x004321" not in b" ".join(map(read, Path("/proc").glob("[0-9]*/cmdline"))), what="the end of what it left")


def test_a_supervisor_that_is_killed_takes_its_job_along(server):
    job = server.shell("(setsid sleep 5432 &); exec sleep 5432")
    server.wait_job(job, "RUNNING")
    [supervisor] = [p for p in Path("/proc").glob("[0-9]*") if b"batchyard-supervisor" in read(p / "cmdline")
                    and str(server.data_dir / "attempts").encode() in read(p / "cmdline")]
    os.kill(int(supervisor.name), 9)
    server.fail(job)
    until(lambda: b"sleep\x005432" not in b" ".join(map(read, Path("/proc").glob("[0-9]*/cmdline"))), what="the end of its processes")


def test_what_cannot_be_had_is_refused_by_name(server):
    swap = server.fail(server.shell("true", linuxParameters={"maxSwap": 64, "swappiness": 10}))
    assert "swap limit was asked for" in swap["container"]["reason"]
    hard = 1 << 30
    limit = server.fail(server.shell("true", ulimits=[{"name": "nofile", "softLimit": hard, "hardLimit": hard}]))
    assert "hard limit is" in limit["container"]["reason"]
    disk = server.fail(server.shell("true", ephemeralStorage={"sizeInGiB": 21}))
    assert "needs a server that runs as root" in disk["container"]["reason"]


def test_settings_that_cannot_be_held_are_refused(make_ordinary):
    server = make_ordinary()
    for name, value in [("NETWORK_NAMESPACES", "all"), ("USER_NAMESPACES", "all"), ("JOB_DISK_BYTES", "1GiB"),
                        ("DRIVER", "oci")]:
        server.start(wait=False, **{f"BATCHYARD_{name}": value})
        assert server.process.wait(20) == 1
        text = until(lambda: (lines := "\n".join(server.output)) and name.lower() in lines and lines, what="a reason")
        assert "run the server as root" in text
    server.process = None


def test_the_start_says_what_is_weaker(single, many):
    for server, one_id in ((single, True), (many, False)):
        driver, *warnings = [line for line in server.output if line.startswith(("driver", "warning"))][: 4 if one_id else 3]
        assert f"rootless: containers of user {USER}" in driver
        assert "memory, CPU and processes of jobs are not limited" in warnings[0]
        assert ("one user id" in warnings[1] and "newuidmap" in warnings[1]) == one_id
        assert "no networks" in warnings[-1]


def test_doctor_says_what_is_weaker(server, request):
    done = server.batchyard("doctor", "-o", "json", check=False)
    findings = {f["name"]: f for f in json.loads(done.stdout)["findings"]}
    assert findings["user"]["state"] == "warn" and "user namespace" in findings["user"]["found"]
    assert findings["overlayfs"]["state"] == findings["namespaces"]["state"] == "ok"
    assert findings["limits"]["state"] == "warn" and "not limited" in findings["limits"]["found"]
    assert findings["rootless"]["state"] == "warn" and "no networks" in findings["rootless"]["found"]
    assert ("ids" in findings) == ("single" in request.node.name)
    assert not [name for name, f in findings.items() if f["state"] == "fail"] and done.returncode == 0


def test_one_id_is_no_other_user(single):
    for user in ("1234", "0:5", "daemon"):
        reason = single.fail(single.shell("true", user=user))["container"]["reason"]
        if user != "daemon":
            assert "/etc/subuid" in reason and "newuidmap" in reason
    assert single.run_shell("id -u", user="0") == ["0"]


def test_a_user_of_the_range(many, folder):
    folder.chmod(0o777)
    lines = many.run_shell("id -u; id -g; touch /data/x; stat -c %u:%g /data/x; echo >/dev/stdout", user="1234:99", **volume(folder))
    assert lines == ["1234", "99", "1234:99", ""]
    assert ((folder / "x").stat().st_uid, (folder / "x").stat().st_gid) == (FIRST + 1233, FIRST + 98)
    reason = many.fail(many.shell("true", user=str(COUNT + 1)))["container"]["reason"]
    assert f"ordinary user with {COUNT + 1}" in reason


def test_a_user_of_the_range_is_stopped_by_the_next_server(many):
    job = many.shell("trap 'exit 3' TERM; while :; do sleep 0.05; done", user="1234")
    many.wait_job(job, "RUNNING")
    many.restart()
    many.batch.terminate_job(jobId=job, reason="enough")
    assert many.fail(job)["container"]["exitCode"] == 3


@pytest.mark.parametrize("given", [False, True], ids=["single", "many"])
def test_layers_whiteouts_and_owners(registry, base, make_ordinary, given):
    if given and not shutil.which("newuidmap"):
        pytest.skip("NOT RUN: no newuidmap here (Debian: uidmap)")
    server = make_ordinary(given, **PULL).start()
    lower = layer({"d/gone": b"1", "d/stays": b"1", "whole/a": b"1", "tree/x/y": b"1", "again": b"old"})
    upper = layer({
        "d/.wh.gone": b"", "whole/.wh..wh..opq": b"", "whole/new": b"2", ".wh.tree": b"", "again": b"new",
        "owned": {"data": b"x", "uid": 1234, "gid": 4321, "mode": 0o4750}, "closed/": {"type": b"5", "mode": 0o700, "uid": 77}})
    script = ("echo $(/bin/ls /d) = $(/bin/ls /whole) = $(/bin/ls / | /bin/busybox grep -c tree) = $(/bin/cat /again); "
              "/bin/busybox stat -c '%u:%g %a' /owned; /bin/busybox rm /owned /d/stays; /bin/ls /d")
    image, _ = registry.push(f"rootless/layers{int(given)}", "1", [base, lower, upper], {"Cmd": ["/bin/sh", "-c", script]})
    assert run(server, image) == ["stays = new = 0 = new", "1234:4321 4750" if given else "0:0 4750"]
    [owned] = server.data_dir.glob("images/layers/*/owned")
    assert owned.stat().st_uid == (FIRST + 1233 if given else USER)
    # By hand, as the user, who owns none of these files outside.
    gone = until(lambda: "removed" in server.batchyard("image", "rm", image, check=False).stdout
                 and not list(server.data_dir.glob("images/layers/*/owned")), what="the image to go")
    assert gone
    imported = server.folder / "archive.tar"
    imported.write_bytes(upper)
    server.batchyard("image", "import", imported, "--name", "by:hand")
    [owned] = server.data_dir.glob("images/layers/*/owned")
    assert owned.stat().st_uid == (FIRST + 1233 if given else USER)
    assert "by:hand" in server.batchyard("image", "ls").stdout
    # As the documentation says for a folder that is no longer wanted.
    copy = server.data_dir / "copy"
    [program] = server.data_dir.glob("run/batchyard-supervisor-*")
    as_user = {"user": USER, "group": GROUP, "extra_groups": []}
    if given:
        assert subprocess.run(["cp", "-a", owned.parent, server.data_dir / "refused"], **as_user, capture_output=True).returncode != 0
    subprocess.run([*server.prefix, program, "rootless", "cp", "-a", owned.parent, copy], check=True)
    assert (copy / "owned").stat().st_uid == owned.stat().st_uid
    subprocess.run([*server.prefix, program, "rootless", "rm", "-rf", copy], check=True)
    assert not copy.exists()
    server.batchyard("image", "prune", "--all")
    assert not list(server.data_dir.glob("images/layers/*/owned"))


def test_where_no_user_namespace_can_be_made_the_start_says_what_would_work(make_ordinary):
    server = make_ordinary()
    # The kernel lets nobody make one who sees a part of the file tree alone.
    (server.folder / "all").mkdir()
    chroot = ["unshare", "-m", "sh", "-ec", f'mount --rbind / "$1/all"; cd "$1"; shift; exec chroot --userspec={USER}:{GROUP} all "$@"',
              "sh", server.folder, server.binary]
    batchyard = lambda *args: subprocess.run([*chroot, *args], env=server.environment(), capture_output=True, text=True,  # noqa: E731
                                             timeout=30, stdin=subprocess.DEVNULL)
    start = batchyard("server", "--listen", "127.0.0.1:0")
    assert start.returncode == 1 and "make a user namespace: Operation not permitted" in start.stderr
    for way in ("run the server as root", "user.max_user_namespaces", "driver = process"):
        assert way in start.stderr
    findings = {f["name"]: f for f in json.loads(batchyard("doctor", "-o", "json").stdout)["findings"]}
    assert findings["user"]["state"] == "fail" and "process" in findings["user"]["mend"]
    # Without jobs, what is of no use as root goes on as before.
    assert batchyard("image", "ls").returncode == 0
    server.process = None


@pytest.mark.parametrize("given", [False, True], ids=["single", "many"])
def test_the_host_image(make_ordinary, given):
    if given and not shutil.which("newuidmap"):
        pytest.skip("NOT RUN: no newuidmap here (Debian: uidmap)")
    server = make_ordinary(given, HOST_IMAGE="true").start()
    script = "id -u; cat /etc/passwd | grep -c root; test -x /usr/bin/env && echo programs; echo x >/tmp/x && cat /tmp/x; " \
             "find /home /root /var -mindepth 1; touch /usr/x /etc/x 2>/dev/null || echo read-only; cat /etc/shadow; touch /new && echo new"
    job = server.wait_job(server.shell(script, image="host"))
    if given:
        assert server.log_of(job)[:5] == ["65534", "1", "programs", "x", "read-only"], server.log_of(job)
    else:
        assert "/etc/subuid" in job["container"]["reason"], "nobody is not there"
    lines = server.run_shell(script, image="host", user="0")
    assert lines == ["0", "1", "programs", "x", "read-only", "new"]
    assert not Path("/new").exists()


@pytest.fixture
def delegated():
    """A control group of version 2 that is the user's, as a service manager makes it, and one below for the server."""
    base = Path("/sys/fs/cgroup")
    if "memory" not in read(base / "cgroup.controllers").decode().split():
        pytest.skip("NOT RUN: this host's control groups are not of version 2 alone; make test-guest")
    for group in (base, base / "by-delegated"):
        group.mkdir(exist_ok=True)
        (group / "cgroup.subtree_control").write_text("+memory +cpu +pids")
    group = base / "by-delegated"
    (group / "server").mkdir()
    for path in (group, group / "server"):
        for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(path / name, USER, GROUP)
    yield group / "server"
    for path in (group / "server", group):
        path.rmdir()


def test_in_a_delegated_group_the_limits_hold(delegated, make_ordinary):
    server = make_ordinary(group=delegated).start()
    assert not [line for line in server.output if "not limited" in line]
    memory, processes, cpu = server.run_shell("cd /sys/fs/cgroup; cat memory.max pids.max; cut -d' ' -f1 cpu.max")
    assert (memory, cpu) == ("67108864", "max") and 1000 < int(processes) <= 32768
    big = server.fail(server.shell("x=a; while :; do x=$x$x; done"))
    assert big["container"]["exitCode"] == 137 and big["container"]["reason"].startswith("OutOfMemoryError")
    job = server.shell("(setsid sleep 6543 &); trap 'exit 3' TERM; while :; do sleep 0.05; done")
    server.wait_job(job, "RUNNING")
    server.restart()
    server.batch.terminate_job(jobId=job, reason="enough")
    assert server.fail(job)["container"]["exitCode"] == 3
    server.stop()
    server.process = None
    assert [path.name for path in delegated.iterdir() if path.is_dir()] == []
