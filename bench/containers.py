"""The same command in the same image under `batchyard run`, `runc run`, `crun run` and `docker run`, in turn, in one run.

The image is like python:3.12-slim, made from this machine's own Python and pushed to a registry of its own; the command has a
mounted folder, an environment file and a user. Runtimes get a bundle made ahead: they know neither images nor logs. What is
not installed, or refuses this machine, is named and not measured. Figures are medians; compare ratios, never figures of
different runs. Never here: verdicts.
"""

import argparse
import gzip
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "tests"))

from support.registry import Registry, busybox_layer, layer  # noqa: E402
from support.server import BINARY, Server  # noqa: E402
from support.wait import until  # noqa: E402

UID = 4321
MEMORY = 256 << 20
SCRIPT = "import os; print(os.environ['GREETING'], os.getuid(), open('/data/in').read().strip())"
EXPECTED = f"hello from the file {UID} mounted"


def python_layer():
    """A tar of this machine's Python: program, libraries that it is linked to, standard library without its tests."""
    program = Path("/usr/bin/python3").resolve()
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    files = {"usr/bin/python3": program, "etc/passwd": f"root:x:0:0::/:/bin/sh\nworker:x:{UID}:{UID}::/:/bin/sh\n".encode()}
    files |= {path.lstrip("/"): Path(path).resolve() for path in re.findall(r"(/\S+) \(0x", linked)}
    library = Path("/usr/lib") / program.name
    skipped = ("test", "__pycache__", "dist-packages", "idlelib", "tkinter")
    for path in sorted(library.rglob("*")):
        if path.is_file() and not set(skipped) & set(path.parts) and not path.parent.name.startswith("config-"):
            files[str(path).lstrip("/")] = path
    return layer(files)


class Under:
    """One way to run the command. `prepare` may say that it cannot: with a text."""

    def __init__(self, folder, image, layers, data, environment):
        self.folder, self.image, self.layers, self.data, self.environment = folder, image, layers, data, environment
        self.command = ["python3", "-c", SCRIPT]

    def once(self):
        began = time.monotonic()
        done = subprocess.run(self.words(), capture_output=True, text=True, stdin=subprocess.DEVNULL, env=self.env())
        seconds = time.monotonic() - began
        assert done.returncode == 0 and done.stdout.strip() == EXPECTED, f"{done}"
        return seconds * 1000

    def env(self):
        return None

    def forget(self):
        """Removes the image, where there is such a thing."""
        return False

    def end(self):
        pass


class Plain(Under):
    """The command itself on this machine: no container."""

    name = "no container: the same python"

    def prepare(self):
        return None

    def words(self):
        return ["/usr/bin/python3", "-c", SCRIPT.replace("/data/in", f"{self.data}/in").replace("os.getuid()", str(UID))]

    def env(self):
        return {"GREETING": "hello from the file"}


class Batchyard(Under):
    name = "batchyard run"

    def prepare(self):
        self.server = Server(self.folder, {"BATCHYARD_PULL_POLICY": "missing"}).start()

    def words(self):
        return [BINARY, "run", "--mount", f"{self.data}:/data:ro", "--env-file", self.environment, "--user", "worker", "--memory", "256m",
                self.image, "--", *self.command]

    def env(self):
        return self.server.environment()

    def forget(self):
        until(lambda: not list((self.server.data_dir / "attempts").iterdir()), what="the job's folder to go")
        self.server.batchyard("image", "rm", self.image)
        return True

    def end(self):
        self.server.stop()


class Runtime(Under):
    """A bundle made ahead: root file system unpacked, all else written down."""

    def prepare(self):
        if shutil.which(self.program) is None:
            return "not installed"
        root = self.folder / "rootfs"
        for data in self.layers:
            path = self.folder / "layer.tar"
            path.write_bytes(data)
            with tarfile.open(path) as tar:
                tar.extractall(root, filter="fully_trusted")
        for name in ("proc", "dev", "sys", "tmp", "data"):
            (root / name).mkdir(exist_ok=True)
        subprocess.run([self.program, "spec"], cwd=self.folder, check=True)
        spec = json.loads((self.folder / "config.json").read_text())
        spec["process"] |= {"terminal": False, "args": self.command, "user": {"uid": UID, "gid": UID}}
        spec["process"]["env"] += [self.environment.read_text().strip()]
        spec["mounts"].append({"destination": "/data", "type": "bind", "source": str(self.data), "options": ["rbind", "ro"]})
        spec["linux"]["resources"] = {"memory": {"limit": MEMORY}, "cpu": {"shares": 1024}}
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "network"]
        (self.folder / "config.json").write_text(json.dumps(spec))
        self.number = 0
        tried = subprocess.run(self.words(), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return None if tried.returncode == 0 else tried.stderr.strip()[-200:]

    def words(self):
        self.number += 1
        return [self.program, "run", "--bundle", self.folder, f"bench-{os.getpid()}-{self.number}"]


class Runc(Runtime):
    name, program = "runc run, bundle made ahead", "runc"


class Crun(Runtime):
    name, program = "crun run, bundle made ahead", "crun"


class Docker(Under):
    """A daemon of its own, with its own folders and socket, that touches no network rules."""

    name = "docker run"
    daemon = None

    def prepare(self):
        if shutil.which("dockerd") is None or shutil.which("docker") is None:
            return "dockerd is not installed (Debian: docker.io)"
        self.log = open(self.folder / "log", "wb")
        self.socket = f"unix://{self.folder}/docker.sock"
        self.daemon = subprocess.Popen(
            ["dockerd", "--data-root", self.folder / "root", "--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid",
             "--host", self.socket, "--cgroup-parent", f"/{self.parent()}", "--iptables=false", "--ip6tables=false", "--bridge=none"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            until(lambda: self.docker("info", check=False).returncode == 0 or self.daemon.poll() is not None, 60, "dockerd")
        except AssertionError:
            pass
        if self.daemon.poll() is not None or self.docker("info", check=False).returncode != 0:
            return "dockerd does not start: " + (self.folder / "log").read_text().strip().splitlines()[-1][-200:]
        tried = subprocess.run(self.words(), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return None if tried.returncode == 0 else tried.stderr.strip()[-300:]

    @staticmethod
    def parent():
        return f"batchyard-bench-{os.getpid()}"

    def docker(self, *words, check=True):
        return subprocess.run(["docker", "--host", self.socket, *words], capture_output=True, text=True, check=check)

    def words(self):
        return ["docker", "--host", self.socket, "run", "--rm", "--network", "host", "--volume", f"{self.data}:/data:ro", "--env-file",
                str(self.environment), "--user", "worker", "--memory", str(MEMORY), "--cpu-shares", "1024", self.image, *self.command]

    def forget(self):
        self.docker("image", "rm", self.image)
        return True

    def end(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(60)
            self.log.close()
            # What it leaves: a mount of a namespace, and the parent of its control groups.
            for mount in Path("/proc/self/mountinfo").read_text().splitlines():
                if f" {self.folder}/" in mount:
                    subprocess.run(["umount", mount.split()[4]], check=True)
            for group in Path("/sys/fs/cgroup").glob(f"**/{self.parent()}"):
                group.rmdir()


def table(title, head, rows):
    """Prints a Markdown table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def ready(folder, registry):
    """The image, and all ways to run it that work here."""
    layers = [busybox_layer(), python_layer()]
    image, _ = registry.push("python", "3.12-slim", layers, {"Env": ["PATH=/usr/bin:/bin"]}, pack=lambda tar: gzip.compress(tar, 6))
    data, environment = folder / "data", folder / "environment"
    data.mkdir(mode=0o755)
    (data / "in").write_text("mounted\n")
    environment.write_text("GREETING=hello from the file\n")
    ways = []
    for kind in (Plain, Batchyard, Runc, Crun, Docker):
        own = folder / kind.__name__
        own.mkdir()
        way = kind(own, image, layers, data, environment)
        if why := way.prepare():
            print(f"{way.name}: NOT MEASURED: {why}", file=sys.stderr, flush=True)
            way.end()
            continue
        ways.append(way)
    return sum(map(len, layers)), ways


def rows(ways, times, base):
    """Median, worst and ratios."""
    mid = {way.name: statistics.median(times[way.name]) for way in ways if times[way.name]}
    return [[name, f"{value:.0f}", f"{min(times[name]):.0f}", f"{max(times[name]):.0f}", f"{value / mid[base]:.2f}"] for name, value in mid.items()]


def run(folder, options):
    """Measures all ways in turn."""
    os.chmod(folder, 0o755)
    (folder / "registry").mkdir()
    registry = Registry(folder / "registry")
    ways = []
    try:
        size, ways = ready(folder, registry)
        warm, cold = ({way.name: [] for way in ways} for _ in range(2))
        for number in range(-3, options.runs):  # The first three only warm up.
            for way in ways:
                took = way.once()
                if number >= 0:
                    warm[way.name].append(took)
        for _ in range(options.cold):
            for way in ways:
                if way.forget():
                    cold[way.name].append(way.once())
        base = Runc.name if warm.get(Runc.name) else Batchyard.name
        head = ["what", "p50 ms", "best", "worst"]
        table(f"{SCRIPT.split(';')[0]} …: mount, environment file, user; {options.runs} runs each, in turn", [*head, f"x {base.split(',')[0]}"],
              rows(ways, warm, base))
        table(f"The same with its image of {size / 1e6:.0f} MB pulled first, {options.cold} runs each", [*head, f"x {Batchyard.name}"],
              rows(ways, cold, Batchyard.name))
    finally:
        for way in ways:
            way.end()
        registry.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--cold", type=int, default=5, help="runs that pull the image first")
    options = parser.parse_args()
    if platform.machine() != "x86_64":
        parser.error("the image is made for amd64")
    print(f"{os.cpu_count()} CPUs, Linux {os.uname().release}, load {os.getloadavg()[0]:.1f} at the start; {BINARY}")
    folder = Path(tempfile.mkdtemp(prefix="batchyard-bench-containers."))
    try:
        run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
