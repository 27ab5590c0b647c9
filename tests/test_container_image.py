"""What a container takes from its image, and what a job puts in its place: entry point and command, variables, user,
working folder, stop signal, volumes (spec jobs §6.2). Never here: how images come (test_images)."""

import hashlib
import io
import json
import os
import tarfile

import pytest

from support import dockerd
from support.registry import BUSYBOX, layer
from support.server import DRIVER

pytestmark = pytest.mark.drivers("native", "oci", "docker")

PASSWD = b"root:x:0:0::/root:/bin/sh\napp:x:1234:500::/home/app:/bin/sh\n"
GROUP = b"root:x:0:\nstaff:x:500:\nextra:x:600:app,other\nwheel:x:700:\n"
CONFIG = {
    "Entrypoint": ["/bin/sh", "-c", 'echo "$@"; eval "$1"', "entry"], "Cmd": ["echo from the image"],
    "Env": ["PATH=/bin", "COLOUR=red", "SIZE=small"], "User": "app", "WorkingDir": "/work/deep", "StopSignal": "SIGUSR1",
    "Volumes": {"/state": {}},
}
APPLETS = ("echo", "id", "pwd", "sh", "sleep", "touch")


@pytest.fixture(scope="module")
def image(server, tmp_path_factory):
    """An image with a say in everything, imported."""
    if BUSYBOX is None:
        pytest.skip("NOT RUN: no busybox here (make setup)")
    files = {"etc/passwd": PASSWD, "etc/group": GROUP, "bin/busybox": BUSYBOX}
    data = layer(files | {f"bin/{name}": BUSYBOX for name in APPLETS})
    config = {"architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine], "os": "linux", "config": CONFIG}
    config = json.dumps(config | {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest()]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["opinions:1"], "Layers": ["layer.tar"]}]).encode()
    path = tmp_path_factory.mktemp("image") / "image.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in (("config.json", config), ("layer.tar", data), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    if DRIVER == "docker":
        dockerd.shared().docker("load", "-i", str(path))  # Its images are its own.
    else:
        server.batchyard("image", "import", path)
    return "opinions:1"


def run(server, image, *command, **more):
    return server.log_of(server.succeed(server.submit(server.register(list(command), image=image, **more))))


def test_the_entry_point_stays_and_the_command_is_replaced(server, image):
    assert run(server, image) == ["echo from the image", "from the image"]
    assert run(server, image, "echo mine", "2") == ["echo mine 2", "mine"]


def test_variables_of_the_job_go_before_the_images(server, image):
    own = [{"name": "COLOUR", "value": "blue"}, {"name": "EMPTY", "value": ""}]
    shown = run(server, image, 'echo "$COLOUR $SIZE $PATH ${EMPTY-unset} $HOME"', environment=own)
    assert shown[1] == "blue small /bin  /home/app"


@pytest.mark.parametrize(("user", "ids"), [
    (None, "1234 500 500 600"), ("app", "1234 500 500 600"), ("1234", "1234 500 500 600"), ("app:wheel", "1234 700 700"),
    ("4321", "4321 0 0"), ("4321:500", "4321 500 500"), ("root", "0 0 0"),
])
def test_users_are_looked_up_in_the_image(server, image, user, ids):
    more = {"user": user} if user else {}
    assert run(server, image, 'echo "$(id -u) $(id -g) $(id -G)"', **more)[1] == ids


def test_users_that_the_image_does_not_know_are_named(server, image):
    reason = server.fail(server.submit(server.register([], image=image, user="stranger")))["container"]["reason"]
    assert "unable to find user stranger" in reason


def test_the_working_folder_is_made(server, image):
    assert run(server, image, "pwd")[1:] == ["/work/deep"]


def test_the_images_volumes_can_be_written_where_the_root_cannot(server, image):
    script = "touch /state/x && echo written; touch /work/x 2>/dev/null || echo refused"
    assert run(server, image, script, readonlyRootFilesystem=True, user="0")[1:] == ["written", "refused"]


def test_the_images_stop_signal_asks_for_the_end(server, image):
    command = "trap 'echo term' TERM; trap 'echo usr1; exit 3' USR1; echo ready; while :; do sleep 0.1; done"
    job_id = server.submit(server.register([command], image=image))
    server.wait_job(job_id, "RUNNING")
    server.batch.terminate_job(jobId=job_id, reason="enough")
    job = server.fail(job_id)
    # The job may be asked before its traps are set; then the signal itself ends it.
    assert job["container"]["exitCode"] in (3, 128 + 10)
    assert "term" not in server.log_of(job)[1:]
