"""A small disk of a test's own, which can be filled and be written to no more. Never here: what a server makes of it."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from .wait import until

MIB = 1 << 20


class Disk:
    """An ext4 file system in a file."""

    def __init__(self, folder, size_mib=96, features=None, options=None):
        self.image, self.path = Path(folder) / "disk.img", Path(folder) / "disk"
        with self.image.open("wb") as image:
            image.truncate(size_mib * MIB)
        self.path.mkdir()
        # Nothing is kept for root, so that full is full.
        wanted = ["-O", features] if features else []
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", *wanted, self.image], check=True, capture_output=True)
        self.mount(options or "rw")

    def mount(self, options="rw"):
        done = subprocess.run(["mount", "-o", f"loop,{options}", self.image, self.path], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted from a file here: {done.stderr.strip()}")

    def unmount(self):
        def gone():
            return subprocess.run(["umount", self.path], capture_output=True).returncode == 0

        until(gone, timeout=10, what=f"the end of who uses {self.path}")

    def fill(self):
        """Takes every byte that is left."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            for piece in (MIB, 4096, 1):
                with contextlib.suppress(OSError):
                    while filler.write(b"\1" * piece):
                        pass
            with contextlib.suppress(OSError):
                os.fsync(filler.fileno())

    def empty(self):
        """Gives it back."""
        (self.path / "filler").unlink()

    @staticmethod
    @contextlib.contextmanager
    def immutable(*paths):
        """Nothing is written to these, not even by who has them open: as on a file system that turned read-only."""
        paths = [path for path in paths if path.exists()]
        subprocess.run(["chattr", "+i", *paths], check=True)
        try:
            yield
        finally:
            subprocess.run(["chattr", "-i", *paths], check=True)
