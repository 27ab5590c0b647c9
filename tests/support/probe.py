"""The probe program of tests/probe: built, run in a container of ours and under runc as Docker would, and read.

Never here: which differences are fine (test_security_probe).
"""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import uuid
from contextlib import contextmanager
from pathlib import Path

from . import docker_defaults

SOURCES = Path(__file__).resolve().parents[1] / "probe"
NOFILE = (1024, 4096)
ENVIRONMENT = {"PATH": "/bin", "HOME": "/", "HOSTNAME": os.uname().nodename}


def build(folder):
    """The static program."""
    program = Path(folder) / "probe"
    subprocess.run(["cc", "-static", "-O1", "-w", "-o", program, *sorted(SOURCES.glob("*.c"))], check=True, timeout=60)
    return program


def archive(program):
    """A root file system with nothing but the program, `/tmp` and the files that containers get bound."""
    path = program.with_suffix(".tar")
    with tarfile.open(path, "w") as tar:
        tar.add(program, "probe")
        for name in ("tmp", "etc", "data", "proc", "sys", "dev"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for name in ("etc/hosts", "etc/resolv.conf", "etc/hostname"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    return path


def under_batchyard(server, program, data, **more):
    """What it prints in a job of `server`."""
    server.batchyard("image", "import", "--name", "probe:1", str(archive(program)))
    return _job(server, data, more)


def _job(server, data, more):
    definition = server.register(
        ["/probe"], image="probe:1", memory=256,
        environment=[{"name": name, "value": value} for name, value in ENVIRONMENT.items() if name != "HOSTNAME"],
        ulimits=[{"name": "nofile", "softLimit": NOFILE[0], "hardLimit": NOFILE[1]}],
        volumes=[{"name": "v", "host": {"sourcePath": str(data)}}],
        mountPoints=[{"containerPath": "/data", "sourceVolume": "v"}], **more)
    return server.log_of(server.succeed(server.submit(definition)))


@contextmanager
def _overlay(folder, tar):
    """A writable root over the archive's contents, as Docker's own."""
    places = {name: folder / name for name in ("lower", "upper", "work", "rootfs")}
    for place in places.values():
        place.mkdir(parents=True)
    with tarfile.open(tar) as contents:
        contents.extractall(places["lower"])
    options = "lowerdir={lower},upperdir={upper},workdir={work}".format(**places)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, places["rootfs"]], check=True)
    try:
        yield places["rootfs"]
    finally:
        subprocess.run(["umount", places["rootfs"]], check=True)
        shutil.rmtree(folder)


def under_runc(folder, program, data, user=(0, 0)):
    """What it prints under runc with Docker's defaults."""
    folder = Path(folder) / "bundle"
    names = [(f"/etc/{name}", f"/etc/{name}") for name in ("resolv.conf", "hosts", "hostname") if Path(f"/etc/{name}").is_file()]
    with _overlay(folder, archive(program)) as root:
        config = docker_defaults.bundle(
            root, ["/probe"], [f"{k}={v}" for k, v in ENVIRONMENT.items()], ENVIRONMENT["HOSTNAME"], NOFILE,
            [*names, (data, "/data")], user)
        (folder / "config.json").write_text(json.dumps(config))
        name = "batchyard-probe-" + uuid.uuid4().hex[:8]
        state = folder / "state"
        try:
            done = subprocess.run(
                ["runc", "--root", state, "run", "-b", folder, name], capture_output=True, text=True, timeout=120,
                stdin=subprocess.DEVNULL)
        finally:
            subprocess.run(["runc", "--root", state, "delete", "-f", name], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout.splitlines()


def read(lines):
    """Results by name. Tables get names out of their lines, so that order is no matter."""
    found = {}
    for line in lines:
        name, _, result = line.partition(": ")
        if name == "mountinfo":
            name, result = _mount(result)
        elif name == "environment":
            variable, _, result = result.partition("=")
            name = f"environment {variable}"
        if name in ("file that can be written", "folder that can be written"):
            name, result = f"{name}: {result}", "yes"
        while name in found:
            name += " again"
        found[name] = result
    assert found.get("probe") == "complete", lines[-3:]
    return found


def _mount(line):
    """Place, options, kind and the options of the file system but those that name this host's folders."""
    left, _, right = line.partition(" - ")
    place, options = left.split(" ")[4:6]
    kind, source, details = right.split(" ", 2)
    details = re.sub(r"(lowerdir|upperdir|workdir|size|nr_inodes|lowerdir\+)=[^,]*,?", "", details).strip(",")
    shared = "shared" if " shared:" in left or " master:" in left else "private"
    return f"mount at {place}", f"{options} {shared}, {kind} {details}"


def compare(ours, theirs, explained):
    """(differences without a reason, differences with one) as (name, ours, theirs, reason)."""
    open_ones, known = [], []
    for name in sorted(set(ours) | set(theirs)):
        a, b = ours.get(name, "-"), theirs.get(name, "-")
        if a == b:
            continue
        reason = next((why for pattern, ours_is, theirs_is, why in explained
                       if re.fullmatch(pattern, name) and re.fullmatch(ours_is, a) and re.fullmatch(theirs_is, b)), None)
        (known if reason else open_ones).append((name, a, b, reason))
    return open_ones, known


def table(ours, theirs):
    """Both, side by side."""
    rows = [("", "native", "runc"), *((n, ours.get(n, "-"), theirs.get(n, "-")) for n in sorted(set(ours) | set(theirs)))]
    return "\n".join(f"{'=' if a == b else '!'} {n[:60]:60} {a[:70]:70} {b[:70]}" for n, a, b in rows)
