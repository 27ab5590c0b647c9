"""Log drivers and their options: where a job's output goes and how it is cut into events (spec jobs §6.2).

Never here: reading events (test_logs), limits of a log (test_faults_disk).
"""

import json
import socket
import uuid

import pytest
from botocore.exceptions import ClientError

from support.wait import until

pytestmark = pytest.mark.drivers("native", "oci", "process")


def driver(name, **options):
    """A logConfiguration; `_` in the names of options stands for `-`."""
    return {"logConfiguration": {"logDriver": name, "options": {k.replace("_", "-"): v for k, v in options.items()}}}


def test_lines_that_belong_together_are_one_event(server):
    script = r"printf 'lost\nERROR 1\n  at a\n  at b\nERROR 2\n'; printf 'ERROR 3\n  at c' >&2"
    joined = server.run_shell(script, **driver("awslogs", awslogs_multiline_pattern="^ERROR"))
    assert joined[:2] == ["lost", "ERROR 1\n  at a\n  at b"] and set(joined[2:]) == {"ERROR 2", "ERROR 3\n  at c"}
    script = r"printf '[Nov 25, 2026 10:00:00] one\n two\n[Nov 25, 2026 10:00:01] three\n'"
    both = driver("awslogs", awslogs_datetime_format="[%b %d, %Y %H:%M:%S]", awslogs_multiline_pattern="two")
    assert server.run_shell(script, **both) == ["[Nov 25, 2026 10:00:00] one\n two", "[Nov 25, 2026 10:00:01] three"]


def test_an_event_does_not_wait_for_ever_for_its_next_line(server):
    """Docker's 5 s, while the job runs on."""
    job_id = server.shell("echo ERROR; echo more; trap 'exit 0' TERM; while :; do sleep 0.1; done",
                          **driver("awslogs", awslogs_multiline_pattern="ERROR"))
    job = server.wait_job(job_id, "RUNNING")
    until(lambda: server.log_of(job) == ["ERROR\nmore"], timeout=15, what="the event")
    server.batch.terminate_job(jobId=job_id, reason="seen")
    server.wait_job(job_id)


def test_a_log_group_is_made_unless_the_job_forbids_it(server):
    group = "mine-" + uuid.uuid4().hex
    forbids = driver("awslogs", awslogs_group=group, awslogs_create_group="false")
    job = server.fail(server.shell("echo x", **forbids))
    assert job["statusReason"] == "Task failed to start"
    assert "The specified log group does not exist" in job["container"]["reason"]
    server.logs.create_log_group(logGroupName=group)
    made = [(forbids, group), (driver("awslogs", awslogs_group=group + "-2", awslogs_create_group="true"), group + "-2")]
    for how, where in made:
        job = server.succeed(server.shell("echo x", **how))
        assert server.log(job["container"]["logStreamName"], where) == ["x"]


def files_of(server, job):
    folder = server.data_dir / "json-logs" / job["jobId"]
    return {file.name: [json.loads(line) for line in file.read_text().splitlines()] for file in folder.iterdir()}


def test_json_file_is_dockers(server):
    job = server.succeed(server.shell(r"echo 'a \"word\"'; echo bad >&2", **driver("json-file", mode="non-blocking", max_buffer_size="4m")))
    assert "logStreamName" not in job["container"] and "logStreamName" not in job["attempts"][0]["container"]
    [lines] = files_of(server, job).values()
    assert {(line["log"], line["stream"]) for line in lines} == {('a \\"word\\"\n', "stdout"), ("bad\n", "stderr")}
    assert all(line["time"].endswith("Z") and len(line) == 3 for line in lines)
    told = server.batchyard("logs", job["jobId"], check=False)
    assert told.returncode == 3 and "its log driver is json-file" in told.stderr


def test_a_full_json_file_is_moved_away(server):
    script = "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); done"
    files = files_of(server, server.succeed(server.shell(script, **driver("json-file", max_size="1k", max_file="2"))))
    assert sorted(files) == ["1.log", "1.log.1"]
    kept = [line["log"] for line in files["1.log.1"] + files["1.log"]]
    assert kept == [f"line {n}\n" for n in range(60 - len(kept), 60)] and 10 < len(kept) < 60


@pytest.fixture
def datagrams(tmp_path):
    """A socket of this machine, as syslogs have it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "log"))
        listener.settimeout(10)
        yield listener


def test_syslog_gets_a_message_for_each_line(server, datagrams):
    address = "unix://" + datagrams.getsockname()
    server.succeed(server.shell("echo one; sleep 0.2; echo two >&2", **driver("syslog", syslog_address=address, tag="mine")))
    first, second = (datagrams.recv(1 << 16).decode() for _ in range(2))
    assert first.startswith("<30>") and " mine[" in first and first.endswith("]: one"), first
    assert second.startswith("<27>") and second.endswith("]: two"), second


def test_syslog_of_other_machines(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        for listener in (udp, tcp):
            listener.bind(("127.0.0.1", 0))
            listener.settimeout(10)
        tcp.listen()
        where = {kind: f"{kind}://127.0.0.1:{listener.getsockname()[1]}"
                 for kind, listener in (("udp", udp), ("tcp", tcp))}
        job = server.shell("echo one", **driver("syslog", syslog_address=where["udp"], syslog_facility="local7", syslog_format="rfc5424"))
        task = server.succeed(job)["container"]["taskArn"].rsplit("/", 1)[1]
        message = udp.recv(1 << 16).decode()
        assert message.startswith("<190>1 20") and f" {task[:12]} " in message and message.endswith(" - one"), message
        server.succeed(server.shell("echo one; echo two", **driver("syslog", syslog_address=where["tcp"])))
        stream, _ = tcp.accept()
        with stream, stream.makefile() as messages:
            assert [line.rstrip("\n").rsplit(": ", 1)[1] for line in messages] == ["one", "two"]


def test_a_syslog_that_is_away_stops_no_job(server, tmp_path, datagrams):
    """Neither one that is not there nor one that nobody reads."""
    for path in (tmp_path / "nowhere", datagrams.getsockname()):
        script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done"
        server.succeed(server.shell(script, **driver("syslog", syslog_address=f"unix://{path}")), timeout=20)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server.succeed(server.shell("echo x", **driver("syslog", syslog_address="tcp://127.0.0.1:%d" % closed.getsockname()[1])))


@pytest.mark.parametrize("name", ["fluentd", "gelf", "journald", "splunk", "awsfirelens"])
def test_other_drivers_are_refused_by_name(server, name):
    with pytest.raises(ClientError, match=f"the log driver {name} does not work"):
        server.shell("true", **driver(name))


def test_a_driver_that_the_api_does_not_know(server):
    with pytest.raises(ClientError, match="none") as error:
        server.register(**driver("none"))
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(("name", "option", "value"), [
    ("awslogs", "awslogs-multiline-pattern", "("), ("awslogs", "awslogs-datetime-format", "never"),
    ("awslogs", "awslogs-create-group", "perhaps"), ("awslogs", "mode", "fast"), ("awslogs", "max-buffer-size", "much"),
    ("json-file", "max-size", "0"), ("json-file", "max-file", "none"), ("json-file", "compress", "true"),
    ("syslog", "syslog-address", "tcp+tls://a:1"), ("syslog", "syslog-address", "udp://169.254.169.254"),
    ("syslog", "syslog-facility", "loud"), ("syslog", "syslog-format", "x"), ("syslog", "tag", "{{.ID}}"),
])
def test_wrong_values_are_told(server, name, option, value):
    log = {"logConfiguration": {"logDriver": name, "options": {option: value}}}
    if "169.254" in value:
        assert "link-local" in server.fail(server.shell("true", **log))["container"]["reason"]
        return
    with pytest.raises(ClientError, match=option) as error:
        server.shell("true", **log)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_where_folders_are_not_allowed_only_the_machines_own_syslog_is(make_server, datagrams):
    server = make_server(BATCHYARD_HOST_VOLUME_ROOTS="/srv").start()
    with pytest.raises(ClientError, match="host_volume_roots"):
        server.shell("true", **driver("syslog", syslog_address="unix://" + datagrams.getsockname()))
    server.succeed(server.shell("echo x", **driver("syslog")))
