"""What the program offers to tests in the place of the outside world (crates/supervisor/src/hooks.rs): instants to die
or to stop at, another wall clock, another boot. And the table of the instants that were tried.

Never here: what should come of it.
"""

import collections
import re
from pathlib import Path

from .server import REPO

VARIABLE = "BATCHYARD_TEST_HOOKS"


class Hooks:
    """A folder of orders to one server and its supervisors."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)

    @property
    def settings(self):
        """For the server's environment."""
        return {VARIABLE: self.folder}

    def arm(self, point, action="kill"):
        """Whoever comes to `point` next gets SIGKILL, or SIGSTOP with `stop`."""
        (self.folder / "hit").unlink(missing_ok=True)
        self._write("at", f"{point} {action}")

    def disarm(self):
        """Takes the order back; gives whether it had been carried out."""
        (self.folder / "at").unlink(missing_ok=True)
        return self.hit()

    def hit(self):
        """Whether somebody came to the point."""
        return (self.folder / "hit").exists()

    def clock(self, seconds):
        """Sets the wall clock of server and supervisors ahead (or back)."""
        self._write("clock", str(int(seconds * 1000)))

    def boot(self, name):
        """Makes the next start believe that it is in this boot of the machine."""
        self._write("boot", name)

    def _write(self, name, text):
        new = self.folder / f"{name}.new"
        new.write_text(text)
        new.rename(self.folder / name)


class Table:
    """Per point: how often it was tried, and how many jobs were lost or ran an attempt twice. Shown at the session's end."""

    def __init__(self):
        self.rows = collections.defaultdict(lambda: [0, 0, 0])

    def record(self, point, lost, doubled):
        """Counts one try."""
        row = self.rows[point]
        row[0] += 1
        row[1] += lost
        row[2] += doubled

    def lines(self):
        """The table, with a line of sums."""
        if not self.rows:
            return []
        width = max(map(len, self.rows))
        head = f"{'point':{width}} | tries | lost | doubled"
        body = [f"{point:{width}} | {t:5} | {lost:4} | {d:7}" for point, (t, lost, d) in self.rows.items()]
        sums = [sum(column) for column in zip(*self.rows.values(), strict=True)]
        return [head, *body, f"{f'{len(self.rows)} points':{width}} | {sums[0]:5} | {sums[1]:4} | {sums[2]:7}"]


TABLE = Table()


def points_of_the_program():
    """All names that the sources of server and supervisor give to `point` and `around`."""
    sources = REPO.glob("crates/*/src/**/*.rs")
    text = "\n".join(path.read_text() for path in sources if "/tests/" not in str(path))
    calls = re.findall(r"(?<!fn )\bpoint\((?!&)(.*?)\);", text, re.DOTALL)
    names = {name for call in calls for name in re.findall(r'"([a-z_.]+)"', call)}
    stages = set(re.findall(r'"([a-z]+)"', re.search(r"fn around.*", (REPO / "crates/server/src/crash.rs").read_text(),
                                                      re.DOTALL).group()))
    around = set(re.findall(r'(?<!fn )\baround\("([a-z_]+)"', text))
    assert names and stages and around
    return names | {f"{when}.{stage}" for when in around for stage in stages}
