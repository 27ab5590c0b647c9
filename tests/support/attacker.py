"""What attacks are made of: the program of tests/attacker, volumes at once, images with a working folder.

Never here: what is tried, and judging (test_attacks*).
"""

import hashlib
import json
import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from .registry import BUSYBOX, layer

SOURCES = Path(__file__).resolve().parents[1] / "attacker"


def build(folder):
    """The static program, in a folder of its own that everybody may read."""
    program = Path(folder) / "attack"
    subprocess.run(["cc", "-static", "-O1", "-Wall", "-Werror", "-o", program, *sorted(SOURCES.glob("*.c"))], check=True, timeout=60)
    program.parent.chmod(0o755)
    return program


def volumes(*pairs):
    """Folders of this host at paths of the container, as (folder, path)."""
    return {
        "volumes": [{"name": f"v{i}", "host": {"sourcePath": str(folder)}} for i, (folder, _) in enumerate(pairs)],
        "mountPoints": [{"containerPath": path, "sourceVolume": f"v{i}"} for i, (_, path) in enumerate(pairs)],
    }


def image(server, path, name, working_folder):
    """Imports busybox as an image whose programs begin in `working_folder`."""
    data = layer({f"bin/{applet}": BUSYBOX for applet in ("sh", "cat", "ls", "touch")})
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    config = json.dumps({
        "architecture": machine, "os": "linux", "config": {"Env": ["PATH=/bin"], "WorkingDir": working_folder},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest()]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for member, content in (("config.json", config), ("layer.tar", data), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    server.batchyard("image", "import", "--name", name, str(path))
    return name
