"""Jobs whose images are pulled, and fixtures that tests of them import: `registry`, `proxy`, `base`.

Never here: how registries work (registry, registry_proxy), expectations of one test.
"""

import pytest

from support.registry import Registry, busybox_layer
from support.registry_proxy import Proxy

PULL = {"BATCHYARD_PULL_POLICY": "missing"}
PREFIX = "CannotPullContainerError: Error response from daemon: "


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("registry"))
    yield registry
    registry.stop()


@pytest.fixture
def proxy(registry):
    proxy = Proxy(registry)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def base():
    return busybox_layer()


def through(proxy, registry, image):
    """The same image's name at the proxy."""
    return image.replace(registry.host, proxy.host)


def run(server, image, *command, **properties):
    """Runs it to its success and gives its lines."""
    return server.log_of(server.succeed(server.submit(server.register(list(command), image=image, **properties))))


def reason(server, image, **properties):
    """Why it could not start."""
    job = server.fail(server.submit(server.register(["/bin/true"], image=image, **properties)))
    assert job["statusReason"] == "Task failed to start" and len(job["attempts"]) == 1
    return job["container"]["reason"]


def nothing_half_made(server):
    """Nothing of an unfinished pull is there."""
    assert [path for part in ("tmp", "fetching") for path in server.data_dir.glob(f"images/{part}/*")] == []
