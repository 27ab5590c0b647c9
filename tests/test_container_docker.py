"""The driver docker beside the tests of all drivers: what the daemon keeps while no server is there, what is removed, and
errors of a daemon. Never here: what a container gets (test_container, test_security)."""

import socketserver
import tempfile
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from support import dockerd
from support.registry import Registry, busybox_layer, layer
from support.server import USER_NAMESPACES
from support.wait import until

docker_only = pytest.mark.drivers("docker")


class Away(BaseHTTPRequestHandler):
    """An Engine whose inside is broken."""

    def do_GET(self):
        body = b'{"message": "the daemon is broken"}'
        self.send_response(500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def refused(make_server, host):
    server = make_server(BATCHYARD_DRIVER="docker", BATCHYARD_DOCKER_HOST=host).start(wait=False)
    assert server.wait_aborted() == 1
    until(lambda: any("driver = docker" in line for line in server.output), what="why the start is refused")
    server.process = None
    return "\n".join(server.output)


@pytest.mark.drivers("native")
@pytest.mark.skipif(USER_NAMESPACES == "all", reason="driver and user namespaces exclude each other")
def test_a_start_without_a_daemon_is_refused_with_the_reason(make_server, tmp_path):
    assert "docker_host" in refused(make_server, f"unix://{tmp_path}/nobody.sock")
    engine = Engine(str(tmp_path / "e.sock"), Away)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    try:
        assert "the daemon is broken" in refused(make_server, f"unix://{tmp_path}/e.sock")
    finally:
        engine.shutdown()
        engine.server_close()
    assert "must be unix:///PATH" in "\n".join(_bad(make_server))


def _bad(make_server):
    server = make_server(BATCHYARD_DRIVER="docker", BATCHYARD_DOCKER_HOST="nonsense").start(wait=False)
    assert server.wait_aborted() != 0
    until(lambda: any("must be" in line for line in server.output), what="the refusal")
    server.process = None
    return server.output


@docker_only
def test_twenty_at_once_with_the_server_killed_meanwhile(own_server, shared_folder):
    """Each ends once, with its code and its whole output; no container is left."""
    script = "i=0; while [ ! -e /shared/end ]; do i=$((i+1)); echo $i; sleep 0.05; done; exit 7"
    mounts = {"volumes": [{"name": "s", "host": {"sourcePath": str(shared_folder)}}],
              "mountPoints": [{"containerPath": "/shared", "sourceVolume": "s"}]}
    server = own_server
    server.kill9()
    server.settings["BATCHYARD_VCPUS"] = "20"
    server.start()
    jobs = [server.shell(script, **mounts) for _ in range(20)]
    for job in jobs:
        server.wait_job(job, "RUNNING")
    server.restart()
    server.kill9()
    (shared_folder / "end").touch()
    server.start()
    for job in jobs:
        ended = server.fail(job)
        lines = server.log_of(ended)
        assert ended["container"]["exitCode"] == 7 and len(ended["attempts"]) == 1
        assert lines == [str(i + 1) for i in range(len(lines))] and lines
    until(lambda: not containers(server), what="the containers' removal")


@docker_only
def test_a_container_that_somebody_removes_is_lost_and_strangers_go(own_server):
    server = own_server
    job = server.shell("sleep 1000")
    server.wait_job(job, "RUNNING")
    server.kill9()
    [name] = containers(server)
    daemon = dockerd.shared()
    daemon.docker("rm", "-f", name)
    owner = name.split("-")[0] + "-" + name.split("-")[1]
    image = daemon.docker("images", "-q", "batchyard-builtin").split()[0]
    daemon.docker("create", "--name", owner + "-" + "0" * 32, "--label", f"batchyard.server={owner}",
                  "--label", "batchyard.task=" + "0" * 32, image, "sh")
    daemon.docker("create", "--name", "foreign", image, "sh")
    server.start()
    assert server.fail(job)["statusReason"]
    until(lambda: not containers(server), what="the stranger's removal")
    assert "foreign" in daemon.docker("ps", "-a", "--format", "{{.Names}}")
    daemon.docker("rm", "foreign")


@docker_only
def test_a_program_that_is_not_there_and_an_image_that_is_not(server):
    job = server.fail(server.submit(server.register(["/not/there"])))
    assert job["container"]["reason"].startswith("CannotStartContainerError: Error response from daemon: ")
    job = server.fail(server.submit(server.register(["true"], image="nobody/has:this")))
    assert job["container"]["reason"].startswith("CannotPullContainerError: Error response from daemon: ")


@docker_only
def test_the_daemon_pulls_with_the_images_own_words(make_server, tmp_path):
    registry = Registry(tmp_path)
    try:
        image, _ = registry.push("team/tool", "1", [busybox_layer(), layer({"hello": b"from the image\n"})],
                                 {"Entrypoint": ["/bin/cat"], "Cmd": ["/hello"], "Env": ["A=1"]})
        server = make_server(BATCHYARD_PULL_POLICY="missing").start()
        job = server.succeed(server.submit(server.register([], image=image)))
        assert server.log_of(job) == ["from the image"]
        job = server.succeed(server.submit(server.register(["/proc/self/environ"], image=image)))
        assert "A=1" in "".join(server.log_of(job)).split("\0")
    finally:
        registry.stop()


@docker_only
@pytest.mark.slow
def test_a_job_that_ignores_its_end_is_killed_after_the_grace(server):
    started = server.shell("trap '' TERM; echo on; while :; do sleep 0.05; done")
    server.wait_job(started, "RUNNING")
    server.batch.terminate_job(jobId=started, reason="enough")
    job = server.fail(started)
    assert job["statusReason"] == "enough" and job["container"]["exitCode"] == 137


@docker_only
def test_a_daemon_that_goes_is_waited_for(make_server):
    """Its containers end with it, as without live-restore; what came meanwhile runs when it is back."""
    daemon = dockerd.Dockerd(tempfile.mkdtemp(prefix="bydocker"))
    dockerd.shared()  # Skips where there can be none.
    try:
        server = make_server(BATCHYARD_DOCKER_HOST=daemon.start().host).start()
        cut = server.shell("trap 'exit 9' TERM; echo on; while :; do sleep 0.05; done")
        server.wait_job(cut, "RUNNING")
        daemon.stop()
        later = server.shell("echo later")
        until(lambda: server.job(later).get("statusReason", "").startswith("waiting for Docker"), what="the reason")
        daemon.start()
        assert server.log_of(server.succeed(later)) == ["later"]
        assert server.fail(cut)["container"]["exitCode"] == 9
        server.stop()
        server.process = None
    finally:
        daemon.remove()


@docker_only
@pytest.mark.slow
def test_a_job_over_its_time_is_stopped(server):
    job_id = server.shell("trap 'echo asked; exit 5' TERM; echo on; while :; do sleep 0.05; done", timeout={"attemptDurationSeconds": 60})
    job = server.fail(job_id, timeout=90)
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert server.log_of(job) == ["on", "asked"]


def containers(server):
    owner = "label=batchyard.server"
    names = dockerd.shared().docker("ps", "-a", "--filter", owner, "--format", "{{.Names}}")
    return names.split()
