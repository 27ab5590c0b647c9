"""Fixtures: servers with data folders of their own; checks that nothing is left behind.

Jobs that need a minute are started when the session begins and judged by tests that run last (`late`).
"""

import os

import pytest

from support import attacker, compatibility, exchange, leaks
from support.hooks import TABLE
from support.server import BINARY, DRIVER, Server


def pytest_configure(config):
    assert os.geteuid() == 0, "jobs get namespaces and cgroups: run the tests as root (make test does)"
    assert BINARY.exists(), f"{BINARY} is missing: make build"
    config.pluginmanager.register(compatibility.Compatibility(config))


def pytest_terminal_summary(terminalreporter):
    """What the tests counted: instants of death, answers held to the service models, requests of the bad-input suite."""
    if lines := TABLE.lines():
        terminalreporter.section("instants at which server or supervisor were killed")
        terminalreporter.write_line("\n".join(lines))
    asked = ", ".join(f"{count} of {who}" for who, count in exchange.COUNTS.items())
    terminalreporter.write_line(f"answers checked against the service models: {sum(exchange.COUNTS.values())} ({asked})")
    for note in exchange.NOTES:
        terminalreporter.write_line(note)


def pytest_collection_modifyitems(items):
    """`late` tests go to the end, so that their jobs have run meanwhile. Tests of other drivers are skipped."""
    for item in items:
        marker = item.get_closest_marker("drivers")
        if marker and DRIVER not in marker.args:
            item.add_marker(pytest.mark.skip(reason=f"only with {', '.join(marker.args)}: docs/containers.md"))
    items.sort(key=lambda item: item.get_closest_marker("late") is not None)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_on_the_host():
    """No network namespace that was not there before; the rest is checked server by server."""
    before = leaks.network_namespaces()
    yield
    assert leaks.network_namespaces() <= before


@pytest.fixture(scope="session", autouse=True)
def minute_jobs(request, tmp_path_factory, nothing_left_on_the_host):
    """Two servers with a job each that is over its time after a minute, the shortest that AWS allows: one server stays
    up, the other is killed as soon as its job runs. Only when a `late` test asks for them later."""
    if not any(item.get_closest_marker("late") for item in request.session.items):
        yield {}
        return
    made = {}
    for name in ("up", "down"):
        server = Server(tmp_path_factory.mktemp(name)).start()
        job = server.shell(
            "trap 'echo asked to stop; exit 5' TERM; echo began; while :; do sleep 0.1; done",
            timeout={"attemptDurationSeconds": 60},
            retryStrategy={"attempts": 3, "evaluateOnExit": [{"action": "RETRY", "onReason": "*"}]},
        )
        made[name] = (server, job, server.wait_job(job, "RUNNING")["startedAt"])
        if name == "down":
            server.kill9()
    yield made
    for server, _, _ in made.values():
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server for the tests of a module. The last of them sees it end without a trace."""
    server = Server(tmp_path_factory.mktemp("server")).start()
    yield server
    server.stop()


@pytest.fixture
def make_server(tmp_path):
    """Makes servers for one test: `make_server(BATCHYARD_…="…")`, not started yet."""
    made = []

    def make(**settings):
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        made.append(Server(folder, settings))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def own_server(make_server):
    """A started server for one test that does things to it."""
    return make_server().start()


@pytest.fixture
def shared_folder(tmp_path):
    """A folder of this host that jobs may mount and write to."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """A folder with the program that attacks (tests/attacker)."""
    return attacker.build(tmp_path_factory.mktemp("tools")).parent
