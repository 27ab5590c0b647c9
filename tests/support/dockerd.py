"""A Docker daemon of the tests' own: its own folders and socket, no network rules, ended by its id.

Needs Debian's docker.io, which ordinary tests do not. Never here: what is run with it.
"""

import atexit
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from .wait import until


class Dockerd:
    """One daemon over a folder. `start` and `stop` may alternate."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.socket = self.folder / "d.sock"
        self.host = f"unix://{self.socket}"
        self.process = None

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            ["dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
             "--pidfile", self.folder / "pid", "-H", self.host, "--iptables=false", "--ip6tables=false",
             "--ip-masq=false", "--bridge=none"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        until(lambda: self.process.poll() is not None or self._answers(), timeout=60, what="dockerd")
        if self.process.poll() is not None:
            said = (self.folder / "log").read_text(errors="replace").splitlines()[-5:]
            raise RuntimeError("dockerd does not start here:\n" + "\n".join(said))
        return self

    def _answers(self):
        return subprocess.run(["docker", "-H", self.host, "version"], capture_output=True, check=False).returncode == 0

    def docker(self, *words):
        """What `docker …` prints."""
        return subprocess.run(["docker", "-H", self.host, *words], capture_output=True, text=True, check=True).stdout

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def remove(self):
        self.stop()
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (path := line.split()[1]).startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", path], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


_shared = []


def shared():
    """The daemon of this run, started when it is first asked for; the run skips where there can be none."""
    if not _shared:
        if not shutil.which("dockerd"):
            pytest.skip("NOT RUN: no dockerd here (Debian: apt-get install --no-install-recommends docker.io)")
        daemon = Dockerd(tempfile.mkdtemp(prefix="bydocker"))
        try:
            _shared.append(daemon.start())
        except RuntimeError as error:
            daemon.remove()
            _shared.append(str(error))
        else:
            atexit.register(daemon.remove)
    if isinstance(_shared[0], str):
        pytest.skip(f"NOT RUN: {_shared[0]}")
    return _shared[0]
