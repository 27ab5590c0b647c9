"""Registries as they are: other formats, TLS, logins, flaky, silent, altered on the way."""

import base64
import json
import os
import platform
import re
import subprocess

import pytest

from support.pulls import PREFIX, PULL, base, nothing_half_made, proxy, reason, registry, run, through  # noqa: F401: fixtures
from support.registry import Registry, busybox_layer, digest, layer
from support.registry_proxy import Proxy
from support.wait import until

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="NOT RUN: the images are made for amd64")
ACCEPT = "application/vnd.oci.image.manifest.v1+json"


def test_layers_packed_with_zstd_and_gzip_and_not_at_all(registry, base, make_server):
    server = make_server(**PULL).start()
    zstd = lambda tar: subprocess.run(["zstd", "-q", "-19", "-c"], input=tar, capture_output=True, check=True).stdout
    for kind, pack in {"tar+zstd": zstd, "tar": lambda tar: tar}.items():
        image, _ = registry.push(f"packed/{kind.replace('+', '-')}", "1", [base, layer({"hello": kind.encode()})],
                                 {"Cmd": ["/bin/cat", "/hello"]}, pack=pack, kind=kind)
        assert run(server, image) == [kind]


def test_what_docker_pushes_and_an_index_with_other_things_in_it(registry, base, make_server):
    """Docker's own types; an index as buildx writes it, with attestations; and one that has nothing for this machine."""
    server = make_server(**PULL).start()
    docker = "application/vnd.docker."
    _, mine = registry.push("docker/many", "oci", [base], {"Cmd": ["/bin/sh", "-c", "echo docker"]})
    manifest = json.loads(registry.ask("GET", f"/v2/docker/many/manifests/{mine}", Accept=ACCEPT)[2])
    manifest["mediaType"] = docker + "distribution.manifest.v2+json"
    manifest["config"]["mediaType"] = docker + "container.image.v1+json"
    manifest["layers"][0]["mediaType"] = docker + "image.rootfs.diff.tar.gzip"
    mine = registry.manifest("docker/many", "plain", manifest)
    assert run(server, f"{registry.host}/docker/many:plain") == ["docker"]

    def index(tag, *platforms):
        entries = [{"mediaType": manifest["mediaType"], "digest": mine, "size": 1, "platform": {"os": system, "architecture": arch}}
                   for system, arch in platforms]
        registry.manifest("docker/many", tag, {
            "schemaVersion": 2, "mediaType": docker + "distribution.manifest.list.v2+json", "manifests": entries})
        return f"{registry.host}/docker/many:{tag}"
    server.batchyard("image", "prune")
    assert run(server, index("1", ("unknown", "unknown"), ("linux", "arm64"), ("linux", "amd64"))) == ["docker"]
    assert "no matching manifest for linux/amd64 in the manifest list entries of" in reason(
        server, index("2", ("windows", "amd64"), ("linux", "arm64")))


# -- TLS and logins ---------------------------------------------------------------------------------------------------


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def certificates(folder):
    """An authority's certificate; that of a registry on the loopback address and its key; one that signs itself."""
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = "subjectAltName=IP:127.0.0.1,IP:0.0.0.0"
    ca, key, request, cert, own = (folder / name for name in ("ca.pem", "key.pem", "request", "cert.pem", "own.pem"))
    openssl(*new, "-x509", "-days", 2, "-subj", "/CN=authority", "-keyout", folder / "cakey", "-out", ca)
    openssl(*new, "-subj", "/CN=registry", "-keyout", key, "-out", request)
    (folder / "names").write_text(names)
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", folder / "cakey", "-days", 2, "-extfile", folder / "names", "-out", cert)
    for constraint, path in (("FALSE", own), ("TRUE", folder / "root.pem")):
        openssl("req", "-x509", "-key", key, "-days", 2, "-subj", f"/CN={constraint}", "-addext", names,
                "-addext", f"basicConstraints=critical,CA:{constraint}", "-out", path)
    return ca, key, cert, own, folder / "root.pem"


def test_own_certificates_are_trusted_by_setting_and_refused_without(registry, base, make_server, tmp_path):
    ca, key, cert, own, root = certificates(tmp_path)
    for name, shown, trusted in (("signed", cert, ca), ("own", own, own), ("root", root, root)):
        folder = tmp_path / name
        folder.mkdir()
        closed = Registry(folder, tls=(shown, key))
        try:
            image, _ = closed.push("tls/tool", "1", [base], {"Cmd": ["/bin/sh", "-c", "echo by TLS"]})
            # An address that is no loopback address by name: nothing but TLS is tried there.
            far = image.replace("127.0.0.1", "0.0.0.0")
            trusting = make_server(BATCHYARD_REGISTRY_CA_FILE=trusted, **PULL).start()
            if name == "root":
                assert "with CA:FALSE" in reason(trusting, image)
                continue
            assert run(trusting, image) == ["by TLS"] and run(trusting, far) == ["by TLS"]
            if name == "signed":
                without = make_server(**PULL).start()
                for known in (image, far):
                    why = reason(without, known)
                    assert why.startswith(f"{PREFIX}registry {known.split('/')[0]} has a certificate that is not trusted here")
                    assert "setting registry_ca_file" in why
        finally:
            closed.stop()


def test_plain_http_is_for_registries_that_the_setting_names(registry, base, make_server):
    registry.push("plain/tool", "1", [base], {"Cmd": ["/bin/sh", "-c", "echo plain"]})
    far = f"0.0.0.0:{registry.port}"
    assert "setting insecure_registries" in reason(make_server(**PULL).start(), f"{far}/plain/tool:1")
    assert run(make_server(BATCHYARD_INSECURE_REGISTRIES=far, **PULL).start(), f"{far}/plain/tool:1") == ["plain"]


def helper(folder, logins):
    """A credential helper that knows these logins and writes down what it was asked."""
    answers = "".join(f'  {host}) echo \'{{"ServerURL": "{host}", "Username": "{user}", "Secret": "{secret}"}}\';;\n'
                      for host, (user, secret) in logins.items())
    path = folder / "docker-credential-keeper"
    path.write_text(f'#!/bin/sh\nread host\necho "$1 $host" >>{folder}/asked\ncase "$host" in\n{answers}'
                    '  *) echo "credentials not found in native keychain"; exit 1;;\nesac\n')
    path.chmod(0o755)


def test_tokens_helpers_and_wrong_passwords(registry, base, make_server, tmp_path):
    """Logins of a registry that gives tokens, as Docker Hub does."""
    proxy = Proxy(registry, tokens=True, user="me:pass:word")
    helper(tmp_path, {proxy.host: ("me", "pass:word")})
    config = tmp_path / "config.json"
    image, _ = registry.push("tokens/tool", "1", [base], {"Cmd": ["/bin/sh", "-c", "echo in"]})
    image = through(proxy, registry, image)
    server = make_server(BATCHYARD_DOCKER_CONFIG=config, PATH=f"{tmp_path}:{os.environ['PATH']}", **PULL).start()
    try:
        why = reason(server, image)
        assert "pull access denied for" in why and f"batchyard image login {proxy.host}" in why
        auth = lambda login: {"auths": {proxy.host: {"auth": base64.b64encode(login).decode()}}}
        config.write_text(json.dumps(auth(b"me:wrong")))
        why = reason(server, image)
        assert f"registry {proxy.host} refused the login of me" in why and "wrong" not in why.replace("wrong:", "")
        for settings in ({"credsStore": "keeper"}, {"credHelpers": {proxy.host: "keeper"}} | auth(b"me:wrong"), auth(b"me:pass:word")):
            config.write_text(json.dumps(settings))
            assert run(server, image) == ["in"]
            server.batchyard("image", "rm", image)
        assert (tmp_path / "asked").read_text().splitlines() == [f"get {proxy.host}"] * 2
        config.write_text(json.dumps({"credsStore": "missing"}))
        assert "docker-credential-missing" in reason(server, image)
    finally:
        proxy.stop()


def test_layers_that_lie_elsewhere_are_fetched_there_without_the_login(registry, base, make_server):
    """As registries do whose layers are in S3."""
    proxy, storage = Proxy(registry, tokens=True), Proxy(registry)
    server = make_server(**PULL).start()
    image, _ = registry.push("elsewhere/tool", "1", [base], {"Cmd": ["/bin/sh", "-c", "echo elsewhere"]})
    proxy.other = f"localhost:{storage.host.split(':')[1]}"
    proxy.order("/blobs/", "elsewhere", 100)
    try:
        assert run(server, through(proxy, registry, image)) == ["elsewhere"]
        assert len(storage.blobs()) == 2 and proxy.logins > 0 and storage.logins == 0
    finally:
        proxy.stop()
        storage.stop()


# -- flaky and altered ------------------------------------------------------------------------------------------------


def test_a_flaky_registry_costs_no_attempt(registry, base, make_server):
    proxy = Proxy(registry, tokens=True)
    server = make_server(**PULL).start()
    top = layer({"big": os.urandom(2_000_000)})
    image, _ = registry.push("flaky/tool", "1", [base, top], {"Cmd": ["/bin/busybox", "sha256sum", "/big"]},
                             pack=lambda tar: tar, kind="tar")
    blob = digest(top)
    try:
        proxy.order("/v2/flaky/tool/manifests", 503, 2)
        proxy.order("/token", 503, 2)
        proxy.order(blob, 502, 1)
        proxy.order(blob, "cut", 5)  # More tries than there are for one that does not come further.
        job = server.submit(server.register([], image=through(proxy, registry, image), retryStrategy={"attempts": 2}))
        job = server.succeed(job)
        assert len(job["attempts"]) == 1, "nothing of it was an attempt"
        assert not [order for order in proxy.orders if order[2]], "all of it happened"
        assert proxy.bytes < 1.5 * len(top) + 2 * len(base), "what came before a cut is not fetched again"
    finally:
        proxy.stop()
    nothing_half_made(server)


def test_pulls_at_once_are_bounded_and_share_what_they_have_in_common(proxy, registry, base, make_server):
    """Six images of one layer each, two names of each: two pulls at once, and each layer once."""
    server = make_server(BATCHYARD_MAX_PULLS=2, BATCHYARD_VCPUS=16, **PULL).start()
    jobs = []
    for number in range(6):
        whole = busybox_layer() + bytes(512 * number)
        proxy.order(digest(whole), "gate", 1)
        for tag in ("1", "2"):
            image, _ = registry.push(f"bounded/{number}", tag, [whole], {"Cmd": ["/bin/sh", "-c", f"echo {number}"]},
                                     pack=lambda tar: tar, kind="tar")
            jobs.append((number, server.submit(server.register([], image=through(proxy, registry, image)))))
    until(lambda: proxy.held == 2, what="two pulls")
    # All others have asked for their manifests, and wait.
    until(lambda: len({path for path in proxy.asked if "/manifests/" in path}) == 12, what="the other pulls")
    assert proxy.held == 2
    proxy.open()
    for number, job in jobs:
        assert server.log_of(server.succeed(job)) == [str(number)]
    blobs = [path for path in proxy.asked if "/blobs/" in path]
    assert proxy.most_held <= 2 and len([path for path in blobs if proxy.served[path] > 2]) == 0
    layers = {digest(busybox_layer() + bytes(512 * number)) for number in range(6)}
    assert {blob: count for blob, count in proxy.blobs().items() if blob in layers} == dict.fromkeys(layers, 1)


def test_a_silent_registry_holds_up_no_other(proxy, registry, base, make_server):
    server = make_server(BATCHYARD_MAX_PULLS=1, **PULL).start()
    slow, _ = registry.push("slow/tool", "1", [busybox_layer() + bytes(512 * 40)], pack=lambda tar: tar, kind="tar")
    proxy.order("/blobs/", "gate", 100)
    waits = server.submit(server.register(["/bin/busybox", "true"], image=through(proxy, registry, slow)))
    until(lambda: proxy.held, what="the pull that waits")
    image, _ = registry.push("quick/tool", "1", [base], {"Cmd": ["/bin/busybox", "echo", "here"]})
    assert server.log_of(server.succeed(server.submit(server.register([], image=image)))) == ["here"]
    assert server.job(waits)["status"] == "STARTING"
    proxy.open()
    server.succeed(waits)


def test_a_silent_registry_is_given_up(proxy, registry, base, make_server):
    server = make_server(**PULL).start()
    image, _ = registry.push("silent/tool", "1", [base])
    proxy.order("/blobs/", "silent", 100)
    environment = server.environment(BATCHYARD_REGISTRY_SECONDS=1)
    gone = server.batchyard("image", "pull", through(proxy, registry, image), check=False, environment=environment, timeout=10)
    assert gone.returncode == 1 and f"registry {proxy.host} cannot be reached: operation timed out" in gone.stderr
    nothing_half_made(server)


def test_what_is_altered_on_the_way_is_refused(proxy, registry, base, make_server):
    server = make_server(**PULL).start()
    top = layer({"big": os.urandom(100_000)})
    image, _ = registry.push("altered/tool", "1", [base, top], pack=lambda tar: tar, kind="tar")
    name = through(proxy, registry, image)
    for part in ("/manifests/sha256", digest(top), "/blobs/"):
        proxy.order(part, "alter", 1)
        pulled = f"{proxy.host}/altered/tool@{registry.ask('GET', '/v2/altered/tool/manifests/1', Accept=ACCEPT)[1]['Docker-Content-Digest']}"
        why = reason(server, pulled if "manifests" in part else name)
        assert why.startswith(PREFIX) and re.search("digest|altered", why), why
    assert len(list((server.data_dir / "images/layers").iterdir())) == 1, "the built-in one"
    nothing_half_made(server)
    # A configuration that lies about what a layer unpacks to.
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(b"x")]}}).encode()
    for data in (config, base):
        registry.blob("altered/lies", data)
    document = {"schemaVersion": 2, "mediaType": ACCEPT, "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(base), "size": len(base)}]}
    registry.manifest("altered/lies", "1", document)
    assert "digest" in reason(server, f"{registry.host}/altered/lies:1")
    nothing_half_made(server)
