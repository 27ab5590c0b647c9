"""batchyard's own commands: the exit codes and forms that docs/cli.md promises."""

import json
import os
import signal
import subprocess
import time

import pytest

from support.server import BINARY

LONG = "trap 'exit 3' TERM; echo began; while :; do sleep 0.02; done"


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_run_ends_with_the_code_of_the_job(server, code):
    done = server.batchyard("run", "busybox", "--", "sh", "-c", f"echo out; exit {code}", check=False)
    assert (done.returncode, done.stdout) == (code, "out\n")


def test_run_is_quick(server):
    """Warm, well under a second from the shell's point of view."""
    times = []
    for _ in range(5):
        began = time.monotonic()
        done = server.batchyard("run", "busybox", "--", "sh", "-c", "exit 7", check=False)
        times.append(time.monotonic() - began)
        assert done.returncode == 7
    assert sorted(times)[2] < 1.0, times


def test_run_streams(server):
    """A line is shown when it is printed, not when the job ends."""
    script = "echo first; while [ ! -e /w/go ]; do sleep 0.02; done; echo second"
    folder = server.folder / "w"
    folder.mkdir()
    running = subprocess.Popen([BINARY, "run", "--mount", f"{folder}:/w", "busybox", "--", "sh", "-c", script],
                               env=server.environment(), stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "first\n"
    (folder / "go").touch()
    assert running.communicate(timeout=30)[0] == "second\n"
    assert running.returncode == 0


def test_run_detached_then_wait_logs_show_ps(server):
    job_id = server.batchyard("run", "-d", "--name", "detached", "busybox", "--", "sh", "-c", "echo hi; exit 4").stdout.strip()
    assert server.batchyard("wait", job_id, check=False).returncode == 4
    assert server.batchyard("logs", job_id).stdout == "hi\n"
    assert server.batchyard("logs", job_id[:8]).stdout == "hi\n", "an id's beginning will do"
    shown = server.batchyard("show", "detached").stdout
    assert job_id in shown and "FAILED" in shown
    listed = json.loads(server.batchyard("ps", "-a", "-o", "json").stdout)
    rows = listed if isinstance(listed, list) else listed["jobs"]
    assert job_id in json.dumps(rows)


def test_terminate_and_follow(server):
    job_id = server.batchyard("run", "-d", "busybox", "--", "sh", "-c", LONG).stdout.strip()
    server.wait_job(job_id, "RUNNING")
    follow = subprocess.Popen([BINARY, "logs", "-f", job_id], env=server.environment(), stdout=subprocess.PIPE, text=True)
    assert follow.stdout.readline() == "began\n"
    server.batchyard("terminate", job_id, "--reason", "seen")
    assert follow.wait(30) == 0
    assert server.fail(job_id)["statusReason"] == "seen"


def test_ctrl_c_leaves_the_job(server):
    running = subprocess.Popen([BINARY, "run", "busybox", "--", "sh", "-c", LONG], env=server.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=os.setsid)
    assert running.stdout.readline() == "began\n"
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=30)
    assert running.returncode == 130
    [job] = server.batch.list_jobs(jobQueue="default")["jobSummaryList"]
    assert job["jobId"][:8] in told, "it says how to find the job again"
    server.batch.terminate_job(jobId=job["jobId"], reason="seen")
    server.fail(job["jobId"])


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["no-such-command"], 2),
        (["run"], 2),
        (["show", "00000000-0000-4000-8000-000000000000"], 3),
        (["logs", "no-such-job"], 3),
        (["terminate", "no-such-job"], 3),
        (["run", "--queue", "nowhere", "busybox", "--", "true"], None),
    ],
)
def test_exit_codes(server, args, code):
    done = server.batchyard(*args, check=False)
    assert done.returncode == code if code is not None else done.returncode not in (0, 101)
    assert done.stderr.strip() and "panicked" not in done.stderr


def test_wrong_keys_are_denied(server):
    environment = server.client_environment() | {"AWS_SECRET_ACCESS_KEY": "wrong", "BATCHYARD_DATA_DIR": "/nonexistent"}
    done = server.batchyard("ps", environment=environment, check=False)
    assert done.returncode == 4, done.stderr


def test_wait_times_out(server):
    job_id = server.batchyard("run", "-d", "busybox", "--", "sh", "-c", LONG).stdout.strip()
    assert server.batchyard("wait", "--wait-timeout", "1s", job_id, check=False).returncode == 124
    server.batch.terminate_job(jobId=job_id, reason="seen")
    server.fail(job_id)


def test_queues_and_doctor(server):
    assert "default" in server.batchyard("queues").stdout
    told = server.batchyard("doctor").stdout
    for word in ("cgroup", "overlay", "disk"):
        assert word in told.lower()


def test_an_image_archive_is_imported_and_run(server, tmp_path):
    """`docker save` writes manifest.json, a config and layers; digests are checked and a job runs from it."""
    archive = docker_archive(tmp_path, "made/by-hand:1")
    server.batchyard("image", "import", str(archive))
    assert "made/by-hand" in server.batchyard("image", "ls").stdout
    done = server.batchyard("run", "made/by-hand:1", check=False)
    assert (done.returncode, done.stdout) == (5, "from the image\n")


def test_a_damaged_archive_is_refused(server, tmp_path):
    archive = docker_archive(tmp_path, "damaged:1", damage=True)
    done = server.batchyard("image", "import", str(archive), check=False)
    assert done.returncode not in (0, 101)
    assert "damaged" not in server.batchyard("image", "ls").stdout


def docker_archive(folder, tag, damage=False):
    """An archive as `docker save` makes it, from this machine's static busybox."""
    import hashlib
    import io
    import tarfile

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(os.path.realpath("/bin/busybox"), "bin/busybox")
        # Contents of its own, since a layer that is there already is not read again.
        mark = tarfile.TarInfo("etc/" + hashlib.sha256(tag.encode()).hexdigest())
        tar.addfile(mark)
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    data = layer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    if damage:
        data = data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]
    config = json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine], "os": "linux",
        "config": {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["echo from the image; exit 5"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": [f"{digest}/layer.tar"]}]).encode()
    path = folder / "image.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in ((config_name, config), (f"{digest}/layer.tar", data), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_stop_says_what_goes_on(make_server):
    server = make_server().start()
    job_id = server.shell(LONG)
    server.wait_job(job_id, "RUNNING")
    done = server.batchyard("stop")
    assert server.process.wait(30) == 0
    assert "1 job" in done.stdout + done.stderr + "\n".join(server.output)
    server.start()
    assert server.job(job_id)["status"] == "RUNNING"
    server.batchyard("stop", "--terminate-jobs")
    assert server.process.wait(30) == 0
    server.start()
    assert server.job(job_id)["status"] == "FAILED"
