"""What the administrator of a machine decides for its jobs: what they may have of it, what they get, what stays the
machine's. Never here: what jobs ask for where nothing is restricted (test_container)."""

import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support import leaks
from support.server import Server
from test_security import mounted


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of this host: one that jobs may mount, one that they may not."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("allowed", "other")}
    for folder in made.values():
        folder.chmod(0o777)
    return made


@pytest.fixture(scope="module")
def strict(tmp_path_factory, folders):
    """A server whose administrator gives little."""
    server = Server(tmp_path_factory.mktemp("strict"), {
        "BATCHYARD_ALLOW_PRIVILEGED": "false",
        "BATCHYARD_HOST_VOLUME_ROOTS": folders["allowed"],
        "BATCHYARD_ALLOWED_DEVICES": "/dev/fuse,/dev/loop*",
        "BATCHYARD_JOB_ENVIRONMENT": "HTTP_PROXY=http://proxy:3128,WHOSE=administrator",
        "BATCHYARD_JOB_MOUNTS": f"{folders['allowed']}=/given:ro",
        "BATCHYARD_RESERVED_MEMORY_MIB": "2048",
        "BATCHYARD_RESERVED_VCPUS": "1",
        "BATCHYARD_VCPUS": "64",
    }).start()
    yield server
    server.stop()


def refused(server, **properties):
    with pytest.raises(ClientError) as error:
        server.shell("true", **properties)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error.value.response["Error"]["Message"]


def test_what_is_not_allowed_is_refused_at_submit_and_names_the_setting(strict, folders):
    assert "allow_privileged" in refused(strict, privileged=True)
    assert "allowed_devices" in refused(strict, linuxParameters={"devices": [{"hostPath": "/dev/kmsg"}]})
    for path in (folders["other"], "/", f"{folders['allowed']}/../{folders['other'].name}", f"{folders['allowed']}x"):
        assert "host_volume_roots" in refused(strict, **mounted(path, "/data")), path


def test_what_is_allowed_works(strict, folders):
    (folders["allowed"] / "in").write_text("from the host\n")
    assert strict.run_shell("cat /data/in", **mounted(folders["allowed"], "/data")) == ["from the host"]
    assert strict.run_shell("echo made >/data/file", **mounted(folders["allowed"] / "not/there", "/data")) == []
    assert (folders["allowed"] / "not/there/file").read_text() == "made\n"


@pytest.mark.parametrize("target", ["{other}", "../{name}", "/etc"])
def test_no_link_that_a_job_plants_leads_out_of_an_allowed_folder(strict, folders, target):
    """The path of the next job's volume is looked up inside the folder, whatever lies there."""
    other = folders["other"]
    (other / "secret").write_text("mine\n")
    link = target.format(other=other, name=other.name)
    strict.run_shell(f"rm -rf /data/link; ln -s {link} /data/link", **mounted(folders["allowed"], "/data"))
    job = strict.wait_job(strict.shell("cat /data/secret /data/passwd; touch /data/written", **mounted(folders["allowed"] / "link", "/data")))
    lines = strict.log_of(job) if job["status"] == "SUCCEEDED" or "exitCode" in job["container"] else []
    assert not [line for line in lines if line == "mine" or line.startswith("root:")], lines
    assert not (other / "written").exists() and not Path("/etc/written").exists()


def test_a_job_that_waited_is_judged_by_the_settings_of_its_start(make_server):
    server = make_server(BATCHYARD_VCPUS=1).start()
    first = server.shell("trap 'exit 0' TERM; while :; do sleep 0.05; done")
    server.wait_job(first, "RUNNING")
    waiting = server.shell("true", privileged=True)
    server.kill9()
    server.settings["BATCHYARD_ALLOW_PRIVILEGED"] = "false"
    server.start()
    server.batch.terminate_job(jobId=first, reason="enough")
    job = server.fail(waiting)
    assert job["statusReason"] == "Task failed to start"
    assert "allow_privileged" in job["container"]["reason"]


def test_every_job_gets_what_the_administrator_gives(strict, folders):
    (folders["allowed"] / "in").write_text("from the host\n")
    lines = strict.run_shell('echo $HTTP_PROXY; echo $WHOSE; cat /given/in; touch /given/x 2>/dev/null || echo "read only"',
                             environment=[{"name": "WHOSE", "value": "job"}])
    assert lines == ["http://proxy:3128", "job", "from the host", "read only"]


def test_a_part_of_the_machine_stays_its_own(strict):
    """However much is declared, all jobs together are held to what the machine has less what is reserved."""
    said = next(line for line in strict.output if line.startswith("machine"))
    total_mib = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    memory = int(said.split(" MiB")[0].split()[-1])
    assert abs(total_mib - 2048 - memory) <= 1, said
    assert " 64 vCPU" in said
    groups = [Path(line.split()[-1]) for line in leaks.cgroups(strict.data_dir)]
    limits = [g / name for g in groups for name in ("memory.limit_in_bytes", "memory.max") if (g / name).exists()]
    assert limits and int(limits[0].read_text()) == memory << 20
    quotas = [g / name for g in groups for name in ("cpu.cfs_quota_us", "cpu.max") if (g / name).exists()]
    assert int(quotas[0].read_text().split()[0]) == (max(os.cpu_count() - 1, 1)) * 100_000
