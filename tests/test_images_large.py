"""Fifty jobs of one image of 300 MB that start at once where none of it is: each layer is fetched once."""

import gzip
import json
import platform
import random
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.registry import Registry, busybox_layer, layer
from support.registry_proxy import Proxy
from support.server import BINARY
from support.wait import until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(platform.machine() != "x86_64", reason="NOT RUN: the images are made for amd64")]
JOBS, LAYERS, SIZE = 50, 6, 50_000_000
MIB = 1 << 20


def sizes(folder):
    """Bytes of all files below a folder, a file with several names once."""
    return {(i.st_dev, i.st_ino): i.st_size for p in folder.rglob("*") if p.is_file() for i in [p.lstat()]}


def at_once(server, definition):
    """Submits all jobs and waits for their ends; gives the seconds, the jobs, and what the reasons said meanwhile."""
    began, said = time.monotonic(), set()
    with ThreadPoolExecutor(10) as pool:
        ids = list(pool.map(lambda _: server.submit(definition), range(JOBS)))

    def ended():
        jobs = server.batch.describe_jobs(jobs=ids)["jobs"]
        said.update(job["statusReason"] for job in jobs if "pulling" in job.get("statusReason", ""))
        return all(job["status"] in ("SUCCEEDED", "FAILED") for job in jobs) and jobs
    jobs = until(ended, 300, "the end of all jobs", every=0.2)
    assert {job["status"] for job in jobs} == {"SUCCEEDED"} and {len(job["attempts"]) for job in jobs} == {1}
    return time.monotonic() - began, jobs, said


def pull_beside(server, proxy, name):
    """Another process that wants it too, when the server has begun: the command line."""
    until(lambda: proxy.bytes > MIB, what="the first layer")
    return subprocess.run([BINARY, "image", "pull", name], env=server.environment(), stdout=subprocess.DEVNULL, timeout=300).returncode


def test_each_layer_of_a_large_image_is_fetched_once(tmp_path, make_server, record_property):
    registry = Registry(tmp_path)
    proxy = Proxy(registry)
    server = make_server(BATCHYARD_VCPUS=64, BATCHYARD_MEMORY_MIB=64 * JOBS, BATCHYARD_PULL_POLICY="missing").start()
    try:
        layers = [layer({f"data/{n}": random.Random(n).randbytes(SIZE)}) for n in range(LAYERS)]
        image, _ = registry.push("large/tool", "1", [busybox_layer(), *layers], {"Cmd": ["/bin/busybox", "du", "-sb", "/data"]},
                                 pack=lambda tar: gzip.compress(tar, 1))
        name = image.replace(registry.host, proxy.host)
        packed = sum(sizes(tmp_path / "blobs").values())
        built_in = len(list((server.data_dir / "images/layers").iterdir()))
        definition = server.register([], image=name, memory=64)
        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(pull_beside, server, proxy, name)
            seconds, jobs, said = at_once(server, definition)
            assert beside.result() == 0
        for job in jobs[:: JOBS // 5]:
            assert int(server.log_of(job)[0].split()[0]) >= LAYERS * SIZE
        blobs, first = proxy.blobs(), proxy.bytes
        assert len(blobs) == LAYERS + 2, "layers, busybox's and the configuration"
        configuration = [blob for blob, count in blobs.items() if count > 1]
        assert len(configuration) <= 1 and sum(blobs.values()) <= LAYERS + 3, "what has no lock is the configuration, by two processes"
        again, _, _ = at_once(server, definition)
        assert proxy.bytes == first, "a second run downloads nothing"
        stored = sum(sizes(server.data_dir / "images").values())
        until(lambda: not list((server.data_dir / "attempts").iterdir()), what="the jobs' folders to go")
        gone = json.loads(server.batchyard("image", "prune", "-o", "json").stdout)
        rest = [p for p in (server.data_dir / "images/layers").iterdir()]
        assert gone["removed"] == [name] and len(rest) == built_in and not list((server.data_dir / "images/tmp").iterdir())
        left = sum(sizes(server.data_dir / "images").values())
        assert left < 4 * MIB, "nothing but the built-in image"
        text = (f"{JOBS} jobs of an image of {packed / 1e6:.0f} MB in {len(layers) + 1} layers on an empty store: {seconds:.1f} s, "
                f"{sum(blobs.values())} blobs for {len(blobs)} distinct, {first / 1e6:.0f} MB transferred; progress said "
                f"{len(said)} times ({sorted(said)[-1] if said else 'never'}); again: {again:.1f} s, 0 bytes; store {stored / 1e6:.0f} MB, "
                f"after prune {left / 1e6:.1f} MB ({gone['layers']} layers, {gone['bytes'] / 1e6:.0f} MB removed)")
        record_property("large", text)
        print(text)
    finally:
        proxy.stop()
        registry.stop()
        shutil.rmtree(tmp_path / "blobs")
