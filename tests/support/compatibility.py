"""What docs/compatibility says, against what a run of the whole suite saw.

A row whose test did not run, was skipped or failed fails the run, and so does a member of an answer that is said to work
and never came, or that is said to be absent and did. A run of a part of the suite is not judged. Never here: which rows
there must be; `cargo xtask tidy` checks that.
"""

import functools
import re
from pathlib import Path
from typing import NamedTuple

import botocore.session
import pytest

from . import exchange

REPO = Path(__file__).resolve().parents[2]
TESTS = REPO / "tests"
TEST = re.compile(r"`(test_\w+\.py::test_\w+)`")
# What the configuration selects, and what `make test-full` does.
WHOLE_MARKS = ("", "not slow")


def pages():
    """The texts of the pages."""
    return [path.read_text() for path in (REPO / "docs/compatibility.md", *sorted((REPO / "docs/compatibility").glob("*.md")))]


class Row(NamedTuple):
    """A row of a page."""

    # The structures of the heading; none for an operation.
    shapes: list[str] | None
    name: str
    state: str
    tests: list[str]


def rows(text):
    """The rows of a page's tables of operations and members."""
    kind, heading = None, []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("#"):
            heading = re.findall("`([^`]+)`", line)
        if not line.strip().startswith("|"):
            kind = None
        elif cells[0] in ("Operation", "Member"):
            kind = cells[0]
        elif kind and not cells[0].startswith("-"):
            shapes = heading if kind == "Member" else None
            yield Row(shapes, cells[0].strip("`"), cells[1], TEST.findall(cells[-1]))


def test_of(nodeid):
    """`test_file.py::test_name` of a test's node, whatever its parameters and class."""
    path, *names = nodeid.split("[")[0].split("::")
    return f"{Path(path).name}::{names[-1] if names else ''}"


def judge(texts, outcomes):
    """The line that sums the pages up, and a complaint for each test that does not show what a row says."""
    every = [row for text in texts for row in rows(text)]
    named = {}
    for row in every:
        for test in row.tests:
            named.setdefault(test, []).append(row.name)
    operations = sum(row.shapes is None for row in every)
    shown = sum(bool(row.tests) and all(outcomes.get(test) == "passed" for test in row.tests) for row in every)
    line = f"compatibility: {operations} operations, {len(every) - operations} fields, {shown} shown by tests"
    wrong = {test: outcomes.get(test, "not run") for test in named if outcomes.get(test) != "passed"}
    return line, [f"{test} ({why}) is to show {', '.join(sorted(set(named[test])))}" for test, why in sorted(wrong.items())]


@functools.cache
def answered():
    """(structure, member) of everything that an answer of Batch or CloudWatch Logs can have. The tests of an operation whose
    answer is a stream of events look at its members themselves."""
    found = set()

    def walk(shape):
        inner = {"list": ["member"], "map": ["key", "value"]}.get(shape.type_name, ())
        for name in inner:
            walk(getattr(shape, name))
        for name, member in getattr(shape, "members", {}).items():
            if (shape.name, name) not in found:
                found.add((shape.name, name))
                walk(member)

    for service in ("batch", "logs"):
        model = botocore.session.get_session().get_service_model(service)
        for operation in map(model.operation_model, model.operation_names):
            if operation.output_shape is not None and operation.name not in exchange.STREAMING:
                walk(operation.output_shape)
    return found


def judge_answers(texts, seen):
    """A complaint for each member of an answer that is not as its row says."""
    complaints = []
    for row in (row for text in texts for row in rows(text)):
        for shape, name in sorted(answered() & {(shape, row.name) for shape in row.shapes or ()}):
            if row.state == "absent" and (shape, name) in seen:
                complaints.append(f"{shape}.{name} is said to be absent and was in an answer")
            elif row.state in ("works", "partly", "kept") and (shape, name) not in seen:
                complaints.append(f"{shape}.{name} {row.state}, and no answer ever had it")
    return complaints


class Compatibility:
    """A plugin of pytest that collects outcomes and judges at the end; its lines are among the notes that conftest prints."""

    def __init__(self, config):
        self.config = config
        self.outcomes = {}

    def is_whole(self):
        """Whether everything under tests/ was asked for."""
        option = self.config.option
        picked = (option.keyword, option.deselect, option.ignore, option.ignore_glob, option.collectonly)
        folders = [(self.config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in self.config.args]
        return (
            not any(picked) and option.markexpr in WHOLE_MARKS
            and all("::" not in arg for arg in self.config.args) and any(f == TESTS or f in TESTS.parents for f in folders)
        )

    def pytest_runtest_logreport(self, report):
        """A test has passed if all its cases have, from setup to teardown."""
        test = test_of(report.nodeid)
        if report.outcome != "passed":
            self.outcomes[test] = report.outcome
        elif report.when == "call":
            self.outcomes.setdefault(test, "passed")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        """Fails a run that went to its end and does not show what the pages say."""
        to_the_end = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not session.shouldstop
        if not (to_the_end and not session.shouldfail and self.is_whole()):
            return
        line, complaints = judge(pages(), self.outcomes)
        complaints += judge_answers(pages(), exchange.SEEN)
        exchange.NOTES.extend([line, *complaints])
        if complaints:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
