"""A command of the program whose standard input, output and error are a terminal. Never here: expectations."""

import os
import pty
import re
import subprocess

from support.server import BINARY
from support.wait import until


class Terminal:
    """Starts it. `seen` is what it has shown so far, as bytes; its own output may go elsewhere (`stdout`)."""

    def __init__(self, server, *args, stdout=None):
        self.ours, theirs = pty.openpty()
        self.running = subprocess.Popen([BINARY, *args], env=server.environment(), stdin=theirs, stdout=stdout or theirs,
                                        stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.kill()
        self.running.wait()
        if self.running.stdout:
            self.running.stdout.close()
        os.close(self.ours)

    def see(self, pattern, what):
        """Waits until it has shown this."""
        def shown():
            self.seen += os.read(self.ours, 4096)
            return re.search(pattern, self.seen)
        until(shown, what=what)

    def type(self, text):
        os.write(self.ours, text)

    def wait(self, timeout=10):
        """Its exit code."""
        return self.running.wait(timeout)
