"""Jobs whose images are pulled. Never here: registries (registry, registry_proxy), expectations of one test."""

PULL = {"BATCHYARD_PULL_POLICY": "missing"}
PREFIX = "CannotPullContainerError: Error response from daemon: "


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
