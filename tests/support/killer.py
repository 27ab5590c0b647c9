"""Kills supervisors, processes of containers and the server at random, and remembers whom.

Never here: what becomes of it.
"""

import collections
import contextlib
import os
import random
import signal
import threading
from pathlib import Path


def below(pid):
    """Descendants of a process, nearest first."""
    found, todo = [], [pid]
    while todo:
        with contextlib.suppress(OSError):
            children = [int(word) for word in Path(f"/proc/{todo[0]}/task/{todo[0]}/children").read_text().split()]
            found += children
            todo += children
        todo.pop(0)
    return found


class Killer(threading.Thread):
    """Kills until told to stop. `tasks` are the attempts that were hit, by the name of their folder."""

    def __init__(self, server, seed, longest):
        super().__init__(daemon=True)
        self.server, self.dice, self.longest = server, random.Random(seed), longest
        self.attempts = f"{server.data_dir}/attempts/".encode()
        self.over, self.counts, self.tasks, self.error = threading.Event(), collections.Counter(), set(), None

    def run(self):
        try:
            # A pause waits for nothing: it chooses the instant.
            while not self.over.wait(self.dice.uniform(0.005, self.longest)):
                what = self.dice.choices((self.supervisor, self.container, self.restart), (5, 5, 1))[0]
                self.counts[what.__name__] += what()
        except BaseException as error:  # Told to the test by `end`.
            self.error = error

    def end(self):
        """Stops; the server is up then."""
        self.over.set()
        self.join(60)
        if self.error:
            raise self.error

    def task_of(self, pid):
        """The attempt that this process is the supervisor of."""
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if len(words) > 1 and words[1].startswith(self.attempts):
                return words[1].removeprefix(self.attempts).decode().rstrip("/")
        return None

    def supervisors(self):
        """Process ids of supervisors, and of the copies of them that are about to become containers."""
        return sorted(int(p.name) for p in Path("/proc").glob("[0-9]*") if self.task_of(int(p.name)))

    def kill(self, pid, task, is_still):
        """Kills this very process: ids are used again."""
        with contextlib.suppress(OSError):
            held = os.pidfd_open(pid)
            try:
                if is_still():
                    self.tasks.add(task)
                    signal.pidfd_send_signal(held, signal.SIGKILL)
                    return 1
            finally:
                os.close(held)
        return 0

    def supervisor(self):
        """A supervisor."""
        pids = self.supervisors()
        if not pids:
            return 0
        pid = self.dice.choice(pids)
        task = self.task_of(pid)
        return self.kill(pid, task, lambda: task and self.task_of(pid) == task)

    def container(self):
        """A process below a supervisor: the container's first one, or one of its job's."""
        pids = self.supervisors()
        if not pids:
            return 0
        parent = self.dice.choice(pids)
        task, children = self.task_of(parent), below(parent)
        if not task or not children:
            return 0
        pid = self.dice.choice(children)
        return self.kill(pid, task, lambda: self.task_of(parent) == task and pid in below(parent))

    def restart(self):
        """The server, which is started again soon."""
        self.server.kill9()
        self.over.wait(self.dice.uniform(0, 0.1))
        self.server.start()
        return 1
