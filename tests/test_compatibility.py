"""The check of docs/compatibility against what ran: that it can fail (tests/support/compatibility.py)."""

import pytest

from support import compatibility

PAGE = """
| Operation | State | Note | Shown by |
|---|---|---|---|
| `Put` | works | | `test_a.py::test_put` |
| `Drop` | refused | | |

### `PutRequest`
| Member | State | Note | Shown by |
|---|---|---|---|
| `name` | works | as `given` | `test_a.py::test_put`, `test_b.py::test_name` |
| `box` | kept | a note | |

| Other | State |
|---|---|
| `x` | `test_c.py::test_other` |
"""
ALL = {"test_a.py::test_put": "passed", "test_b.py::test_name": "passed"}


def test_what_ran_and_passed_is_counted():
    assert compatibility.judge([PAGE], ALL) == ("compatibility: 2 operations, 2 fields, 2 shown by tests", [])


@pytest.mark.parametrize("outcome", ["failed", "skipped", None])
def test_a_row_whose_test_does_not_show_it_is_a_complaint(outcome):
    outcomes = {test: result for test, result in (ALL | {"test_b.py::test_name": outcome}).items() if result}
    line, complaints = compatibility.judge([PAGE], outcomes)
    assert line.endswith("1 shown by tests")
    assert complaints == [f"test_b.py::test_name ({outcome or 'not run'}) is to show name"]


ANSWERS = """
### `CreateJobQueueRequest`, `CreateJobQueueResponse`
| Member | State | Note | Shown by |
|---|---|---|---|
| `jobQueueName` | works | | `test_a.py::test_put` |
| `priority` | works | only in the request | `test_a.py::test_put` |
| `jobQueueArn` | absent | | |
"""


def test_answers_are_held_against_the_rows():
    name, arn = ("CreateJobQueueResponse", "jobQueueName"), ("CreateJobQueueResponse", "jobQueueArn")
    assert compatibility.judge_answers([ANSWERS], {name}) == []
    assert compatibility.judge_answers([ANSWERS], {name, arn}) == [
        "CreateJobQueueResponse.jobQueueArn is said to be absent and was in an answer"]
    assert compatibility.judge_answers([ANSWERS], set()) == ["CreateJobQueueResponse.jobQueueName works, and no answer ever had it"]


def test_the_check_fails_a_run(a_run):
    """A run of everything in which a named test is not there ends with status 1 and says so."""
    status, told = a_run("")
    assert status == 1 and "test_nowhere.py::test_it (not run) is to show Put" in told


def test_a_part_of_the_suite_is_not_judged(a_run):
    status, told = a_run("-k", "fine")
    assert status == 0 and "compatibility:" not in told


@pytest.fixture
def a_run(tmp_path):
    """Runs pytest with the plugin over a folder that has one good test and a page that names another."""
    import subprocess
    import sys

    (tmp_path / "test_fine.py").write_text("def test_fine():\n    pass\n")
    (tmp_path / "conftest.py").write_text(
        "from support import compatibility, exchange\n"
        f"compatibility.TESTS = compatibility.Path({str(tmp_path)!r})\n"
        f"compatibility.pages = lambda: [{PAGE.replace('test_a.py::test_put', 'test_nowhere.py::test_it')!r}]\n"
        "def pytest_configure(config):\n"
        "    config.pluginmanager.register(compatibility.Compatibility(config))\n"
        "def pytest_terminal_summary(terminalreporter):\n"
        "    terminalreporter.write_line('\\n'.join(exchange.NOTES))\n"
    )
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {compatibility.REPO / 'tests'}\naddopts = -p no:cacheprovider\n")

    def run(*args):
        words = [sys.executable, "-m", "pytest", *[arg for arg in args if arg], str(tmp_path)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=60)
        return done.returncode, done.stdout + done.stderr

    return run
