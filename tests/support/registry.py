"""A registry of the tests' own: Debian's docker-registry on a free port of the loopback address, and images made by hand.

Never here: expectations.
"""

import gzip
import hashlib
import http.client
import io
import json
import shutil
import socket
import ssl
import subprocess
import tarfile
from pathlib import Path

import pytest

from .wait import until

OCI = "application/vnd.oci.image."
BUSYBOX = next((p for p in map(Path, ("/bin/busybox", "/usr/bin/busybox")) if p.exists()), None)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(files):
    """A tar of `{path: bytes | Path | dict}`; a dict holds members of TarInfo, for what is no plain file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in files.items():
            info, data = tarfile.TarInfo(path), b""
            info.mode = 0o755
            if isinstance(content, dict):
                members = dict(content)
                data = members.pop("data", b"")
                for name, value in members.items():
                    setattr(info, name, value)
            else:
                data = content.read_bytes() if isinstance(content, Path) else content
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def busybox_layer():
    files = {"bin/busybox": BUSYBOX}
    return layer(files | {f"bin/{name}": b"#!/bin/busybox sh\nexec /bin/busybox " + name.encode() + b' "$@"\n' for name in ("cat", "ls", "id")}
                 | {"bin/sh": BUSYBOX})


class Registry:
    """`push` puts images in; `requests` is what was asked of it, as `GET /v2/…` lines."""

    def __init__(self, folder, htpasswd=None, tls=None):
        program = shutil.which("docker-registry")
        if program is None:
            pytest.skip("NOT RUN: docker-registry is not installed (make setup)")
        self.folder, self.port = Path(folder), free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.auth, self.tls = None, tls
        config = f"version: 0.1\nlog:\n  accesslog:\n    disabled: false\nstorage:\n  filesystem:\n    rootdirectory: {folder}/blobs\nhttp:\n  addr: {self.host}\n"
        if tls:
            config += f"  tls:\n    certificate: {tls[0]}\n    key: {tls[1]}\n"
        if htpasswd:
            (self.folder / "htpasswd").write_text(htpasswd)
            config += f"auth:\n  htpasswd:\n    realm: tests\n    path: {folder}/htpasswd\n"
        (self.folder / "config.yml").write_text(config)
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([program, "serve", self.folder / "config.yml"], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        until(self._answers, what="the registry")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return None

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()

    def requests(self):
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return [line.split('"')[1] for line in lines if '"GET /v2/' in line]

    def ask(self, method, path, body=None, **headers):
        if self.tls:
            blind = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=blind)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if self.auth:
            headers["Authorization"] = self.auth
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        answer = response.status, dict(response.getheaders()), response.read()
        connection.close()
        assert answer[0] < 300, answer
        return answer

    def blob(self, name, data):
        _, headers, _ = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        location = headers["Location"].split(self.host, 1)[-1]
        self.ask("PUT", f"{location}&digest={digest(data)}", data, Content_Type="application/octet-stream")
        return digest(data)

    def manifest(self, name, tag, document):
        data = json.dumps(document).encode()
        self.ask("PUT", f"/v2/{name}/manifests/{tag}", data, Content_Type=document["mediaType"])
        return digest(data)

    def push(self, name, tag, layers, config=None, pack=gzip.compress, kind="tar+gzip"):
        """An image of plain tars, lowest first. Returns its reference and its manifest's digest."""
        document = {"architecture": "amd64", "os": "linux", "config": config or {},
                    "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in layers]}}
        packed = [pack(tar) for tar in layers]
        for data in packed:
            self.blob(name, data)
        data = json.dumps(document).encode()
        self.blob(name, data)
        manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                    "config": {"mediaType": OCI + "config.v1+json", "digest": digest(data), "size": len(data)},
                    "layers": [{"mediaType": f"{OCI}layer.v1.{kind}", "digest": digest(p), "size": len(p)} for p in packed]}
        return f"{self.host}/{name}:{tag}", self.manifest(name, tag, manifest)

    def damage(self, data):
        """Flips a byte of a blob on the registry's disk."""
        hexa = digest(data).removeprefix("sha256:")
        path = self.folder / "blobs/docker/registry/v2/blobs/sha256" / hexa[:2] / hexa / "data"
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
