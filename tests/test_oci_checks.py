"""What the OCI runtime specification promises a container on Linux, each point asked of a real job, and the same asked
under an OCI runtime by the driver `oci`. Never here: what is beyond the specification (test_security_probe compares
every line with runc), what jobs ask for (test_container*)."""

import os
import re
import shutil

import pytest

from support.attacker import image
from support.server import USER_NAMESPACES, Server
from test_security import DOCKER_CAPABILITIES, bounding_set

pytestmark = pytest.mark.drivers("native", "oci")
CAPABILITIES = f"{sum(1 << bit for bit in DOCKER_CAPABILITIES.values()) & bounding_set():016x}"
KINDS = ("pid", "mnt", "ipc", "uts", "cgroup")


def options(path, kind, *wanted):
    """A file system of this kind is mounted there, with these options."""
    return f"grep ' {path} {kind} ' /proc/mounts | cut -d' ' -f4", lambda said: set(wanted) <= set(said.split(","))


def device(name, major, minor):
    return f"stat -c '%F %a %t:%T' /dev/{name}", f"character special file 666 {major:x}:{minor:x}"


def link(name, *targets):
    return f"readlink /dev/{name}", lambda said: said in targets


def masked(path):
    """Nothing is to be seen there: it is missing, an empty folder, or the null device."""
    script = f"[ ! -e {path} ] || [ -z \"$(ls -A {path} 2>/dev/null)\" ] || {{ [ -c {path} ] && stat -c %t:%T {path} | grep -qx 1:3; }}; echo $?"
    return script, "0"


def closed(path):
    """It is missing, or a mount of its own that is read-only."""
    return f"[ ! -e {path} ] || grep \"^[^ ]* {path} \" /proc/mounts | cut -d' ' -f4 | grep -q '^ro,' && echo closed", "closed"


# Point of the specification -> what is asked, and the answer or what it has to be like.
CHECKS = {
    # process
    "process.args": ("head -c 5 /proc/1/cmdline | tr '\\0' ' '", "sh -c"),
    "process.env": ("echo $COLOUR-$EMPTY-", "red--"),
    "process.env, all of it": ("tr '\\0' '\\n' </proc/1/environ | grep -vcE '^(COLOUR|EMPTY|PATH|HOME|HOSTNAME|AWS_[A-Z_]*)='", "0"),
    "process.user": ("id -u; id -g", "0 0"),
    "process.user.additionalGids": ("id -G", "0"),
    "process.user.umask": ("umask", "0022"),
    "process.rlimits": ("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc", "64 128 0 0"),
    "process.capabilities": ("grep -E '^Cap(Bnd|Prm|Eff)' /proc/self/status | cut -f2 | sort -u", CAPABILITIES),
    "process.capabilities, inheritable and ambient": ("grep -E '^Cap(Inh|Amb)' /proc/self/status | cut -f2 | sort -u", "0" * 16),
    "process.noNewPrivileges": ("grep NoNewPrivs /proc/self/status | cut -f2", "1"),
    "process.oomScoreAdj": ("cat /proc/self/oom_score_adj", lambda said: int(said) >= 0),
    "process.terminal": ("[ -t 0 ] || [ -t 1 ] || [ -t 2 ] || echo none", "none"),
    "linux.seccomp": ("grep '^Seccomp:' /proc/self/status | cut -f2", "2"),
    # the file systems that every container has
    "/proc": options("/proc", "proc", "rw", "nosuid", "nodev", "noexec"),
    "/dev": options("/dev", "tmpfs", "rw", "nosuid"),
    "/dev/pts": options("/dev/pts", "devpts", "rw", "nosuid", "noexec", "mode=620", "ptmxmode=666"),
    "/dev/shm": options("/dev/shm", "tmpfs", "rw", "nosuid", "nodev", "noexec", "size=65536k"),
    "/dev/mqueue": options("/dev/mqueue", "mqueue", "rw", "nosuid", "nodev", "noexec"),
    "/sys": options("/sys", "sysfs", "ro", "nosuid", "nodev", "noexec"),
    "/dev/shm, its mode": ("stat -c %a /dev/shm", "1777"),
    # devices and links
    "/dev/null": device("null", 1, 3), "/dev/zero": device("zero", 1, 5), "/dev/full": device("full", 1, 7),
    "/dev/random": device("random", 1, 8), "/dev/urandom": device("urandom", 1, 9), "/dev/tty": device("tty", 5, 0),
    "/dev/fd": link("fd", "/proc/self/fd"), "/dev/stdin": link("stdin", "/proc/self/fd/0"),
    "/dev/stdout": link("stdout", "/proc/self/fd/1"), "/dev/stderr": link("stderr", "/proc/self/fd/2"),
    "/dev/ptmx": link("ptmx", "pts/ptmx", "/dev/pts/ptmx"),
    "devices work": ("head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x 2>&1 >/dev/full | grep -o 'No space'; cat /dev/null", "4 4 No space"),
    "no other device": ("find /dev -type b -o -type c | grep -vE '/(null|zero|full|random|urandom|tty|console|pts/.*)$' | wc -l", "0"),
    # what is hidden
    **{f"linux.maskedPaths {path}": masked(path) for path in (
        "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware")},
    **{f"linux.readonlyPaths {path}": closed(path) for path in (
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")},
    # the root
    "linux.rootfsPropagation": ("grep ' / / ' /proc/self/mountinfo | grep -cE 'shared:|master:'", "0"),
    "no mount is shared": ("grep -cE ' (shared|master):' /proc/self/mountinfo", "0"),
    "root.path": ("ls -di / | awk '{print $1}'; ls -di /.. | awk '{print $1}'", lambda said: len(set(said.split())) == 1),
    "root.readonly, when not asked for": ("touch /x && echo made", "made"),
    # namespaces: all of them the container's own, but for the network, which is the machine's
    **{f"linux.namespaces {kind}": (f"readlink /proc/self/ns/{kind}", lambda said, kind=kind: said != os.readlink(f"/proc/self/ns/{kind}"))
       for kind in KINDS},
    "linux.namespaces, those of all its processes": ("for p in 1 self; do readlink /proc/$p/ns/pid; done | sort -u | wc -l", "1"),
    "hostname": ("hostname", os.uname().nodename),
    "the first process": ("echo $$", "1"),
    "only its own processes": ("ls /proc | grep -c '^[0-9]*$'", lambda said: int(said) < 8),
}


def ask_all(server):
    """The answers, each on a line, the lines of one joined by blanks."""
    script = "".join(f"echo \"@@$( {{ {asked}\n}} 2>&1 | tr '\\n' ' ')\"\n" for asked, _ in CHECKS.values())
    lines = server.run_shell(
        script, environment=[{"name": "COLOUR", "value": "red"}, {"name": "EMPTY", "value": ""}],
        ulimits=[{"name": "nofile", "softLimit": 64, "hardLimit": 128}, {"name": "core", "softLimit": 0, "hardLimit": 0}])
    answers = [line.removeprefix("@@").removesuffix(" ") for line in lines if line.startswith("@@")]
    assert len(answers) == len(CHECKS), lines
    return dict(zip(CHECKS, answers))


@pytest.fixture(scope="module")
def answers(server):
    return ask_all(server)


@pytest.mark.parametrize("point", CHECKS)
def test_a_container_is_as_the_specification_says(answers, point):
    wanted = CHECKS[point][1]
    assert wanted(answers[point]) if callable(wanted) else answers[point] == wanted.rstrip(), answers[point]


@pytest.mark.skipif(USER_NAMESPACES == "all", reason="the runtime's containers have none")
@pytest.mark.drivers("native")
def test_the_answers_are_those_of_a_runtime(answers, tmp_path_factory):
    """What may differ: the numbers of namespaces, options that only tell a size, the number of an inode."""
    if not shutil.which("runc"):
        pytest.skip("NOT RUN: runc is not installed, so nothing was compared (scripts/setup.sh installs it)")
    other = Server(tmp_path_factory.mktemp("runc"), {"BATCHYARD_DRIVER": "oci", "BATCHYARD_OCI_RUNTIME": "runc", "BATCHYARD_USER_NAMESPACES": "off"}).start()
    try:
        theirs = ask_all(other)
    finally:
        other.stop()
    differs = {point: (ours, theirs[point]) for point, ours in answers.items() if comparable(ours) != comparable(theirs[point])}
    assert set(differs) <= {"/dev", "/dev/shm", "root.path", "only its own processes"}, differs


def comparable(answer):
    return re.sub(r"\[\d+\]", "", answer)


def test_a_root_that_is_to_be_read_only(server):
    script = "touch /x 2>&1 | grep -o 'Read-only'; grep ' / ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1; touch /dev/shm/x && echo others are not"
    assert server.run_shell(script, readonlyRootFilesystem=True) == ["Read-only", "ro", "others are not"]


def test_the_user_and_its_groups(server):
    lines = server.run_shell("id -u; id -g; id -G; grep -E '^Cap(Prm|Eff|Amb)' /proc/self/status | cut -f2 | sort -u", user="1234:5678")
    assert lines == ["1234", "5678", "5678", "0" * 16]


def test_the_working_folder(server, tmp_path):
    name = image(server, tmp_path / "image.tar", "working:1", "/work/deep")
    assert server.run_shell("pwd; ls -a", image=name) == ["/work/deep", ".", ".."]


def test_the_program_must_be_there(server):
    for command in ("/not/there", "not-there", "/etc"):
        job = server.fail(server.submit(server.register([command])))
        assert job["container"]["reason"].startswith("CannotStartContainerError") and "exitCode" not in job["container"]


def test_a_signal_is_the_exit_code(server):
    for script, code in (("exit 9", 9), ("sh -c 'kill -9 $$'; exit $?", 137), ("sh -c 'kill -15 $$'; exit $?", 143)):
        assert server.fail(server.shell(script))["container"]["exitCode"] == code


@pytest.mark.skipif(USER_NAMESPACES == "all", reason="its namespaces are looked at in test_security_users")
def test_the_network_is_the_machines(server):
    said = server.run_shell("for kind in net user; do readlink /proc/self/ns/$kind; done")
    assert said == [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "user")]
