"""What members of a container do to the process inside (spec jobs §6.2). Never here: isolation (test_security)."""

import pytest


def test_limits_of_the_process(server):
    limits = [{"name": "nofile", "softLimit": 64, "hardLimit": 128}, {"name": "core", "softLimit": 0, "hardLimit": 0}]
    assert server.run_shell("ulimit -Sn; ulimit -Hn; ulimit -Hc", ulimits=limits) == ["64", "128", "0"]


@pytest.mark.drivers("native", "oci", "docker")
def test_shared_memory_tmpfs_and_init(server):
    script = "df -m /dev/shm | tail -1 | awk '{print $2}'; grep ' /t ' /proc/mounts; echo $$"
    shm, tmpfs, pid = server.run_shell(script, linuxParameters={
        "initProcessEnabled": True, "sharedMemorySize": 8,
        "tmpfs": [{"containerPath": "/t", "size": 4, "mountOptions": ["ro"]}]})
    assert shm == "8"
    options = tmpfs.split()[3].split(",")
    assert {"ro", "nosuid", "nodev", "noexec", "size=4096k"} <= set(options), options
    assert pid != "1", "an init is the first process"
    assert server.run_shell("echo $$") == ["1"]


def test_the_deprecated_numbers_count(server):
    """`vcpus` and `memory` where resourceRequirements says nothing: the memory is a hard limit."""
    properties = {"image": "busybox", "vcpus": 1, "memory": 32, "command": ["sh", "-c", "head -c 59999999 /dev/zero | tail"]}
    definition = server.batch.register_job_definition(
        jobDefinitionName="deprecated", type="container", containerProperties=properties)["jobDefinitionArn"]
    assert server.fail(server.submit(definition))["container"]["reason"].startswith("OutOfMemoryError")
    server.succeed(server.submit(definition, containerOverrides={"memory": 400}))


def test_the_log_goes_where_the_definition_says(server):
    job = server.succeed(server.shell("echo there", logConfiguration={
        "logDriver": "awslogs", "options": {"awslogs-group": "mine", "awslogs-stream-prefix": "first"}}))
    stream = job["container"]["logStreamName"]
    assert stream.startswith("first/default/")
    assert server.log(stream, "mine") == ["there"]


@pytest.mark.drivers("native", "oci", "docker")
def test_a_volume_without_a_path_is_the_attempts_own(server):
    """Empty at the start, shared by its mounts, gone with the attempt."""
    more = {"volumes": [{"name": "v"}], "mountPoints": [
        {"containerPath": "/a", "sourceVolume": "v"}, {"containerPath": "/b", "sourceVolume": "v"}]}
    assert server.run_shell("ls /a; echo x >/a/file; cat /b/file", **more) == ["x"]
