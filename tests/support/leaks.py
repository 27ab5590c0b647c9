"""What a server must not leave behind: processes, mounts, loop devices, cgroups, interfaces, network namespaces.

Each function lists what is there now, in words that a failing test can show.
"""

import hashlib
import os
import subprocess
from pathlib import Path


def processes(data_dir):
    """Processes whose command line, working folder, root or mounts tell that they belong to `data_dir`."""
    found = []
    needle = str(data_dir).encode()
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit() or int(proc.name) == os.getpid():
            continue
        try:
            if not (proc / "cmdline").read_bytes():
                continue  # A kernel thread, or a process that has ended and waits to be reaped.
            texts = [(proc / "cmdline").read_bytes(), (proc / "mountinfo").read_bytes()]
            texts += [os.readlink(proc / name).encode() for name in ("cwd", "root", "exe")]
            if any(needle in text for text in texts):
                command = texts[0].replace(b"\0", b" ").decode(errors="replace").strip()
                found.append(f"process {proc.name}: {command}")
        except OSError:
            continue
    return found


def mounts(data_dir):
    """Mounts of this namespace at or below `data_dir`, or made from what is in it."""
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    return [f"mount: {line}" for line in lines if str(data_dir) in line]


def cgroup_name(data_dir):
    """The cgroup of a server's jobs, below the root of every hierarchy: it is named after the data folder."""
    return "batchyard-" + hashlib.sha256(str(data_dir).encode()).hexdigest()[:8]


def cgroups(data_dir):
    """All cgroups of the server of `data_dir`, in every hierarchy."""
    name = cgroup_name(data_dir)
    return [f"cgroup: {path}" for path, _, _ in os.walk("/sys/fs/cgroup") if name in path.split("/")]


def loop_devices(data_dir):
    """Loop devices over files in `data_dir`, files that have lost their name included."""
    found = []
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            name = path.read_text().strip()
        except OSError:
            continue  # It went away just now.
        if name.startswith(f"{data_dir}/"):
            found.append(f"loop device: {path.parts[3]} over {name}")
    return found


def networks(data_dir):
    """Interfaces and tables of the packet filter of the server of `data_dir`: they begin with the name of its bridge."""
    name = bridge(data_dir)
    found = [f"interface: {path.name}" for path in Path("/sys/class/net").iterdir() if path.name.startswith(name)]
    # The table comes and goes with the bridge; without one there is no need to ask.
    return found + ([f"table: {name}"] if found and name in tables() else [])


def bridge(data_dir):
    """The bridge of a server's jobs, and its table."""
    return "by" + cgroup_name(data_dir).removeprefix("batchyard-")


def tables():
    """Names of the packet filter's tables."""
    done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True)
    return [line.split()[-1] for line in done.stdout.splitlines()]


def network_namespaces():
    """Named network namespaces of this host."""
    folder = Path("/run/netns")
    return {f"netns: {p}" for p in folder.iterdir()} if folder.is_dir() else set()
