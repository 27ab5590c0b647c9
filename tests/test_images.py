"""Images from registries: pulled when a job needs them, once, whole, or with a reason why not (spec jobs §1.5)."""

import base64
import contextlib
import json
import platform

import pytest
from botocore.exceptions import BotoCoreError

from support import dockerd
from support.hooks import TABLE, Hooks
from support.pulls import PULL, base, registry, run  # noqa: F401: fixtures
from support.registry import OCI, Registry, busybox_layer, layer
from support.server import DRIVER
from support.wait import until

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="NOT RUN: the images are made for amd64")


def test_a_jobs_image_is_pulled_and_its_layers_once(registry, base, make_server):
    server = make_server(**PULL).start()
    image, _ = registry.push("team/tool", "1", [base, layer({"hello": b"from the image\n"})],
                             {"Entrypoint": ["/bin/cat"], "Cmd": ["/hello"], "Env": ["A=1"]})
    other, _ = registry.push("team/other", "1", [base, layer({"hello": b"from the other\n"})], {"Cmd": ["/bin/cat", "/hello"]})
    assert run(server, image) == ["from the image"]
    assert run(server, other) == ["from the other"]
    assert run(server, image) == ["from the image"]
    blobs = [line.split()[1] for line in registry.requests() if "/blobs/" in line]
    assert len(blobs) == len(set(blobs)), "nothing is fetched twice"
    assert len(list((server.data_dir / "images/layers").iterdir())) == 4, "built-in, base and one each"


def test_many_jobs_that_start_at_once_share_one_pull(registry, base, make_server):
    server = make_server(BATCHYARD_VCPUS=32, **PULL).start()
    image, _ = registry.push("team/shared", "1", [base, layer({"big": bytes(range(256)) * 20_000})], {"Cmd": ["/bin/ls", "/big"]})
    before = len(registry.requests())
    definition = server.register([], image=image)
    jobs = [server.submit(definition) for _ in range(20)]
    for job in jobs:
        server.succeed(job)
    asked = [line for line in registry.requests()[before:] if "/blobs/" in line]
    assert len(asked) == 3, "its configuration and two layers"


def test_the_server_dies_when_a_start_is_about_to_wait_for_its_image(registry, base, make_server, tmp_path):
    image, _ = registry.push("team/late", "1", [base], {"Cmd": ["/bin/sh", "-c", "echo late"]})
    hooks = Hooks(tmp_path / "hooks")
    server = make_server(**PULL, **hooks.settings).start()
    definition = server.register([], image=image)
    hooks.arm("before_wait")
    with contextlib.suppress(BotoCoreError):  # It may die before its answer is out.
        server.submit(definition, name="late")
    server.wait_aborted()
    hooks.disarm()
    server.start()
    [job] = [row["jobId"] for row in server.batch.list_jobs(
        jobQueue="default", filters=[{"name": "JOB_NAME", "values": ["late"]}])["jobSummaryList"]]
    assert server.log_of(server.succeed(job)) == ["late"]
    TABLE.record("before_wait", 0, 0)


def test_a_mirror_stands_in_for_docker_hub_and_for_ecr(registry, base, make_server):
    ecr = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    server = make_server(BATCHYARD_REGISTRY_MIRRORS=f"docker.io={registry.host}/hub,{ecr}={registry.host}", **PULL).start()
    registry.push("hub/library/python", "3.12-slim", [base], {"Cmd": ["/bin/sh", "-c", "echo hub"]})
    registry.push("genomics", "2", [base], {"Cmd": ["/bin/sh", "-c", "echo ecr"]})
    assert run(server, "python:3.12-slim") == ["hub"]
    assert run(server, f"{ecr}/genomics:2") == ["ecr"]


def test_an_index_gives_this_machines_image(registry, base, make_server):
    server = make_server(**PULL).start()
    _, mine = registry.push("team/many", "mine", [base], {"Cmd": ["/bin/sh", "-c", "echo mine"]})
    _, other = registry.push("team/many", "other", [base], {"Cmd": ["/bin/sh", "-c", "echo other"]})
    entry = lambda digest, arch: {"mediaType": OCI + "manifest.v1+json", "digest": digest, "size": 1,
                                  "platform": {"os": "linux", "architecture": arch}}
    whole = registry.manifest("team/many", "1", {"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                                                 "manifests": [entry(other, "s390x"), entry(mine, "amd64")]})
    assert run(server, f"{registry.host}/team/many:1") == ["mine"]
    by_digest = f"{registry.host}/team/many@{whole}"
    assert run(server, by_digest) == ["mine"]
    before = len(registry.requests())
    assert run(server, by_digest) == ["mine"]
    assert len(registry.requests()) == before, "known by the index's digest too"


def test_pulled_and_pruned_by_hand(registry, base, own_server):
    image, digest = registry.push("team/hand", "1", [base, layer({"hello": b"by hand\n"})], {"Cmd": ["/bin/cat", "/hello"]})
    pulled, = json.loads(own_server.batchyard("image", "pull", image, "-o", "json").stdout)["pulled"]
    assert (pulled["digest"], pulled["newLayers"], pulled["layers"]) == (digest, 2, 2) and pulled["fetchedBytes"] > 0
    assert "0 of 2 layers new, 0" in own_server.batchyard("image", "pull", image).stdout
    assert run(own_server, image) == ["by hand"], "no registry is asked by the server"
    blocked = own_server.submit(own_server.register(["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do /bin/cat /hello; done"], image=image))
    own_server.wait_job(blocked, "RUNNING")
    assert json.loads(own_server.batchyard("image", "prune", "-o", "json").stdout)["removed"] == [], "a job has it"
    own_server.batch.terminate_job(jobId=blocked, reason="enough")
    own_server.fail(blocked)
    def removed():
        return json.loads(own_server.batchyard("image", "prune", "-o", "json").stdout)
    gone = until(lambda: (answer := removed())["removed"] and answer, what="the job's folder to go")
    assert gone["removed"] == [image] and gone["layers"] == 2
    missing = own_server.batchyard("image", "pull", f"{registry.host}/team/none:1", check=False)
    assert missing.returncode == 3 and "not found: manifest unknown" in missing.stderr


def test_what_cannot_be_had_says_why_in_dockers_words(registry, base, make_server):
    server = make_server(**PULL).start()
    def reason(image):
        job = server.fail(server.submit(server.register(["/bin/true"], image=image)))
        assert job["statusReason"] == "Task failed to start" and "exitCode" not in job["container"]
        return job["container"]["reason"]
    prefix = "CannotPullContainerError: Error response from daemon: "
    missing = f"{registry.host}/team/none:1"
    assert reason(missing) == f"{prefix}manifest for {missing} not found: manifest unknown: manifest unknown"
    top = layer({"x": b"to be damaged" * 100})
    image, _ = registry.push("team/damaged", "1", [base, top], pack=lambda tar: tar, kind="tar")
    registry.damage(top)
    assert reason(image).startswith(prefix) and "digest" in reason(image)
    assert not [p for p in (server.data_dir / "images/tmp").iterdir()], "nothing of it is left"



@pytest.fixture(scope="module")
def closed(tmp_path_factory, base):
    """A registry that wants a login."""
    bcrypt = pytest.importorskip("bcrypt", reason="NOT RUN: bcrypt is not installed")
    password = bcrypt.hashpw(b"pass:word", bcrypt.gensalt(5)).decode()
    registry = Registry(tmp_path_factory.mktemp("closed"), htpasswd=f"me:{password}\n")
    registry.auth = "Basic " + base64.b64encode(b"me:pass:word").decode()
    registry.push("private/tool", "1", [base], {"Cmd": ["/bin/sh", "-c", "echo in"]})
    yield registry
    registry.stop()


def test_logins_come_from_docker_and_from_repository_credentials(closed, make_server, tmp_path):
    image = f"{closed.host}/private/tool:1"
    config = tmp_path / "config.json"
    server = make_server(BATCHYARD_DOCKER_CONFIG=config, **PULL).start()
    job = server.fail(server.submit(server.register([], image=image)))
    denied = "no basic auth credentials" if DRIVER == "docker" else "pull access denied for"
    assert denied in job["container"]["reason"]
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team/hub-AbCdEf"
    credentials = {"repositoryCredentials": {"credentialsParameter": arn}}
    job = server.fail(server.submit(server.register([], image=image, **credentials)))
    assert "there is no secret team/hub" in job["container"]["reason"]
    secret = server.data_dir / "secrets/team/hub"
    secret.parent.mkdir(parents=True)
    secret.write_text(json.dumps({"username": "me", "password": "pass:word"}))
    job = server.succeed(server.submit(server.register([], image=image, **credentials)))
    assert server.log_of(job) == ["in"]
    assert job["container"]["repositoryCredentials"] == {"credentialsParameter": arn}
    if DRIVER == "docker":  # Which keeps its images itself.
        dockerd.shared().docker("rmi", "-f", image)
    else:
        server.batchyard("image", "rm", image)
    config.write_text(json.dumps({"auths": {closed.host: {"auth": base64.b64encode(b"me:pass:word").decode()}}}))
    assert run(server, image) == ["in"]


def test_repository_credentials_of_a_task(closed, make_server):
    """`ecsProperties` has them at the container."""
    server = make_server(**PULL).start()
    secret = server.data_dir / "secrets/hub"
    secret.parent.mkdir(parents=True)
    secret.write_text(json.dumps({"username": "me", "password": "pass:word"}))
    container = {"name": "main", "image": f"{closed.host}/private/tool:1", "repositoryCredentials": {"credentialsParameter": "hub"},
                 "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}
    definition = server.batch.register_job_definition(
        jobDefinitionName="task", type="container", ecsProperties={"taskProperties": [{"containers": [container]}]})
    job = server.succeed(server.submit(definition["jobDefinitionArn"]))
    shown = job["ecsProperties"]["taskProperties"][0]["containers"][0]
    assert shown["repositoryCredentials"] == {"credentialsParameter": "hub"}
