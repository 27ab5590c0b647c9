"""Registries as they are: packed with zstd, behind TLS and logins, flaky, altered, hostile. And a server that dies at it."""

import base64
import json
import os
import platform
import re
import stat
import subprocess

import pytest

from support.disk import Disk
from support.registry import BUSYBOX, Registry, busybox_layer, digest, layer
from support.registry_proxy import Proxy
from support.server import Server
from support.wait import until

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="NOT RUN: the images are made for amd64")
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
    return image.replace(registry.host, proxy.host)


def run(server, image, *command, **properties):
    return server.log_of(server.succeed(server.submit(server.register(list(command), image=image, **properties))))


def reason(server, image, **properties):
    job = server.fail(server.submit(server.register(["/bin/true"], image=image, **properties)))
    assert job["statusReason"] == "Task failed to start" and len(job["attempts"]) == 1
    return job["container"]["reason"]


def nothing_half_made(server):
    assert [path for part in ("tmp", "fetching") for path in server.data_dir.glob(f"images/{part}/*")] == []


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


ACCEPT = "application/vnd.oci.image.manifest.v1+json"


# -- hostile and odd layers -------------------------------------------------------------------------------------------


def link(target):
    return {"type": b"2", "linkname": target}


def hard(target):
    return {"type": b"1", "linkname": target}


def test_layers_that_reach_out_are_refused(registry, base, make_server, tmp_path):
    server = make_server(**PULL).start()
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "secret").write_text("untouched")
    hostile = {
        "dots": {"a/../../../../../../../../tmp/x": b"x"},
        "absolute": {f"{victim}/x": b"x"},
        "through": {"out": link(str(victim)), "out/x": b"x"},
        "climb": {"out": link("../" * 30 + str(victim).lstrip("/")), "out/deeper/x": b"x"},
        "hard": {"name": hard(str(victim / "secret"))},
        "hardup": {"name": hard("../" * 30 + str(victim / "secret").lstrip("/"))},
        "hardthrough": {"out": link(str(victim)), "name": hard("out/secret")},
        "folder": {"out": link(str(victim)), "out/": {"type": b"5", "mode": 0o777}},
    }
    for name, files in hostile.items():
        below = [base] if name == "folder" else []
        image, _ = registry.push(f"hostile/{name}", "1", [*below, layer(files)], {"Cmd": ["/bin/sh", "-c", "echo ran"]})
        job = server.wait_job(server.submit(server.register([], image=image)))
        if name == "folder":
            assert job["status"] == "SUCCEEDED", "the folder takes the link's place"
        else:
            assert job["status"] == "FAILED" and "is refused" in job["container"]["reason"], name
        assert [p.name for p in victim.iterdir()] == ["secret"] and (victim / "secret").read_text() == "untouched"
        assert (victim / "secret").stat().st_nlink == 1 and stat.S_IMODE(victim.stat().st_mode) != 0o777
    nothing_half_made(server)


def test_devices_in_layers_are_left_out_and_links_stay_inside(registry, base, make_server):
    server = make_server(**PULL).start()
    image, _ = registry.push("odd/devices", "1", [base, layer({
        "disk": {"type": b"4", "devmajor": 8, "devminor": 0}, "mem": {"type": b"3", "devmajor": 1, "devminor": 1},
        "zero": {"type": b"3", "devmajor": 0, "devminor": 0}, "escape": link("/etc/hostname"), "etc/hostname": b"inside\n",
        "pipe": {"type": b"6"}})], {"Cmd": ["/bin/ls", "/"]})
    names = run(server, image)
    assert not {"disk", "mem", "zero"} & set(names) and {"escape", "pipe"} <= set(names)


CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


def test_whiteouts_hard_links_and_attributes_in_the_running_container(registry, base, make_server):
    server = make_server(**PULL).start()
    lower = layer({"d/gone": b"1", "d/stays": b"1", "whole/a": b"1", "whole/b": b"1", "tree/x/y": b"1", "again": b"old"})
    upper = layer({
        "d/.wh.gone": b"", "whole/.wh..wh..opq": b"", "whole/new": b"2", ".wh.tree": b"", "again": b"new",
        "one": b"same\n", "two": hard("one"), "prog": {
            "data": BUSYBOX.read_bytes(), "pax_headers": {"SCHILY.xattr.security.capability": CAPABILITY.decode(),
                                                          "SCHILY.xattr.user.note": "kept", "SCHILY.xattr.trusted.overlay.opaque": "y"}},
        "owned": {"data": b"x", "uid": 1234, "gid": 4321, "mode": 0o4750, "mtime": 1000000000},
    })
    script = ("echo $(/bin/ls /d) = $(/bin/ls /whole) = $(/bin/ls / | /bin/busybox grep -c tree) = $(/bin/cat /again); "
              "/bin/busybox stat -c '%h' /one; /bin/cat /two; "
              "/bin/busybox stat -c '%u:%g %a %Y' /owned; trap 'exit 0' TERM; while :; do /bin/busybox sleep 0.05; done")
    image, _ = registry.push("odd/layers", "1", [base, lower, upper], {"Cmd": ["/bin/sh", "-c", script]})
    job = server.submit(server.register([], image=image))
    server.wait_job(job, "RUNNING")
    lines = until(lambda: len(lines := server.log_of(server.job(job))) == 4 and lines, what="its lines")
    assert lines == ["stays = new = 0 = new", "2", "same", "1234:4321 4750 1000000000"]
    [record] = server.data_dir.glob("attempts/*/started")
    [pid] = [line.split()[1] for line in record.read_text().splitlines() if line.startswith("pid ")]
    prog = f"/proc/{pid}/root/prog"
    assert os.getxattr(prog, "security.capability") == CAPABILITY and os.getxattr(prog, "user.note") == b"kept"
    assert "trusted.overlay.opaque" not in os.listxattr(prog)
    server.batch.terminate_job(jobId=job, reason="enough")
    server.wait_job(job)


# -- crashes ----------------------------------------------------------------------------------------------------------


def test_the_server_is_killed_in_the_middle_of_a_pull(proxy, registry, base, make_server):
    server = make_server(**PULL).start()
    top = layer({"big": bytes(range(256)) * 8000})
    image, _ = registry.push("killed/tool", "1", [base, top], {"Cmd": ["/bin/busybox", "wc", "-c", "/big"]},
                             pack=lambda tar: tar, kind="tar")
    proxy.order(digest(top), "gate", 1)
    job = server.submit(server.register([], image=through(proxy, registry, image), retryStrategy={"attempts": 2}))
    until(proxy.reached.is_set, what="half of a layer")
    told = until(lambda: (why := server.job(job).get("statusReason")) and "of" in why and why, what="its progress")
    assert re.fullmatch(r"pulling \d+ of \d+ MB", told) and server.job(job)["status"] == "STARTING"
    server.kill9()
    [half] = (server.data_dir / "images/tmp").iterdir()
    assert list(half.iterdir()), "half a layer is there"
    proxy.open()
    server.start()
    done = server.succeed(job)
    assert server.log_of(done) == ["2048000 /big"] and len(done["attempts"]) == 1
    nothing_half_made(server)
    assert len(list((server.data_dir / "images/layers").iterdir())) == 3, "built-in, base, top"


def test_no_rule_takes_the_image_of_a_job_not_even_after_a_crash(registry, base, make_server):
    """Everything is over the limit; what a job has stays, and goes when it has ended."""
    greedy = {"BATCHYARD_IMAGES_MAX_BYTES": 1, **PULL}
    server = make_server(**greedy).start()
    script = "trap 'exit 0' TERM; while [ -e /bin/cat ]; do /bin/busybox sleep 0.05; done; exit 7"
    kept, _ = registry.push("gc/kept", "1", [base, layer({"a": b"a"})], {"Cmd": ["/bin/sh", "-c", script]})
    other, _ = registry.push("gc/other", "1", [base, layer({"b": b"b"})], {"Cmd": ["/bin/sh", "-c", "echo done"]})
    job = server.submit(server.register([], image=kept))
    server.wait_job(job, "RUNNING")
    assert run(server, other) == ["done"]

    def names():
        return {row["name"] for row in json.loads(server.batchyard("image", "ls", "-o", "json").stdout)["images"]}
    assert {kept, other} <= names()
    until(lambda: len(list((server.data_dir / "attempts").iterdir())) == 1, what="the other job's folder to go")
    server.restart()  # Its first look at the rules comes with the start.
    until(lambda: other not in names(), what="the unused image to go")
    assert kept in names() and server.job(job)["status"] == "RUNNING"
    server.batch.terminate_job(jobId=job, reason="enough")
    assert server.fail(job)["container"]["exitCode"] == 0, "its image was there to the end"
    until(lambda: not list((server.data_dir / "attempts").iterdir()), what="its folder to go")
    server.restart()
    until(lambda: kept not in names(), what="its image to go")


# -- a disk that is too small -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_room_is_made_for_an_image_and_what_never_fits_leaves_the_disk_free(registry, base, tmp_path, request):
    """On a disk of 96 MiB: images of 40 MB one after the other, then one that unpacks to more than there is."""
    disk = Disk(tmp_path)
    request.addfinalizer(disk.unmount)
    server = Server(disk.path, {"BATCHYARD_DISK_RESERVE_BYTES": "8MiB", "BATCHYARD_DISK_FLOOR_BYTES": 0, **PULL}).start()
    request.addfinalizer(server.stop)
    for number in range(3):
        image, _ = registry.push(f"room/{number}", "1", [base, layer({f"{number}": bytes([number]) * 40_000_000})],
                                 {"Cmd": ["/bin/sh", "-c", f"echo {number}"]})
        assert run(server, image) == [str(number)]
        until(lambda: not list((server.data_dir / "attempts").iterdir()), what="the job's folder to go")
    left = {row["name"].rsplit("/", 1)[-1] for row in json.loads(server.batchyard("image", "ls", "-o", "json").stdout)["images"]}
    assert "2:1" in left and "0:1" not in left, "the one that was not used for longest went"
    image, _ = registry.push("room/bomb", "1", [base, layer({"bomb": bytes(200_000_000)})])
    job = server.submit(server.register(["/bin/true"], image=image, retryStrategy={"attempts": 1}))
    until(lambda: list(server.data_dir.glob("images/tmp/*/*")), what="the first of it")
    lowest = [os.statvfs(disk.path).f_bavail * os.statvfs(disk.path).f_frsize]
    until(lambda: lowest.append(os.statvfs(disk.path).f_bavail * os.statvfs(disk.path).f_frsize) or server.job(job)["status"] == "FAILED",
          60, "its end")
    assert "no space left on device" in server.job(job)["container"]["reason"]
    assert min(lowest) > 1 << 20, "never full"
    nothing_half_made(server)
    assert server.run_shell("echo fine") == ["fine"]
