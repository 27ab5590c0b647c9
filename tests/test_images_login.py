"""`batchyard image login` and `logout`."""

import base64
import json
import stat
import subprocess

import pytest

from support.pulls import PULL
from support.registry import Registry, busybox_layer
from support.registry_proxy import Proxy
from support.server import BINARY
from support.terminal import Terminal


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A registry that wants a login (Basic), and one before an open registry that gives tokens for it."""
    bcrypt = pytest.importorskip("bcrypt", reason="NOT RUN: bcrypt is not installed")
    basic = Registry(tmp_path_factory.mktemp("basic"), htpasswd=f"me:{bcrypt.hashpw(b'pass:word', bcrypt.gensalt(5)).decode()}\n")
    basic.auth = "Basic " + base64.b64encode(b"me:pass:word").decode()
    basic.push("private/tool", "1", [busybox_layer()], {"Cmd": ["/bin/sh", "-c", "echo in"]})
    plain = Registry(tmp_path_factory.mktemp("plain"))
    plain.push("private/tool", "1", [busybox_layer()], {"Cmd": ["/bin/sh", "-c", "echo in"]})
    tokens = Proxy(plain, tokens=True, user="me:pass:word")
    yield basic.host, tokens.host
    tokens.stop()
    plain.stop()
    basic.stop()


def login(server, host, password, *more):
    return subprocess.run([BINARY, "image", "login", host, "-u", "me", "--password-stdin", *more], env=server.environment(),
                          input=password, capture_output=True, text=True, timeout=20)


def test_logins_are_checked_kept_used_and_forgotten(closed, make_server, tmp_path):
    server = make_server(BATCHYARD_DOCKER_CONFIG=tmp_path / "none.json", **PULL).start()
    kept = server.data_dir / "registries.json"
    for host in closed:
        wrong = login(server, host, "wrong")
        assert (wrong.returncode, wrong.stderr) == (4, f"batchyard: registry {host} refuses the login of me\n")
        assert not kept.exists() or host not in kept.read_text()
        done = login(server, f"http://{host}/", "pass:word\n")
        assert (done.returncode, done.stdout) == (0, f"me is logged in at {host}\n"), done.stderr
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert json.loads(kept.read_text())["logins"][host] == {"username": "me", "password": "pass:word"}
        image = f"{host}/private/tool:1"
        assert server.log_of(server.succeed(server.submit(server.register([], image=image)))) == ["in"]
        server.batchyard("image", "rm", image)
        server.batchyard("image", "logout", host)
        assert server.batchyard("image", "logout", host, check=False).returncode == 3
        job = server.fail(server.submit(server.register([], image=image)))
        assert f"batchyard image login {host}" in job["container"]["reason"]


def test_what_is_no_login_is_refused(closed, own_server):
    for host, password, code in (("team", "x", 2), (f"{closed[0]}/team", "x", 2), (closed[0], "", 2), ("127.0.0.1:1", "x", 1)):
        assert login(own_server, host, password).returncode == code, host
    alone = own_server.batchyard("image", "login", closed[0], check=False)
    assert alone.returncode == 2 and "--password-stdin" in alone.stderr
    assert not (own_server.data_dir / "registries.json").exists()


def test_a_terminal_does_not_show_the_password(closed, own_server):
    with Terminal(own_server, "image", "login", closed[0]) as terminal:
        terminal.see(rb"User at", "the first question")
        terminal.type(b"me\n")
        terminal.see(rb"Password: ", "the second question")
        terminal.type(b"pass:word\n")
        terminal.see(rb"me is logged in", "the answer")
        assert terminal.wait() == 0 and b"pass:word" not in terminal.seen
