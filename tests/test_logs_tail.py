"""StartLiveTail through boto3 and the `aws` CLI: a session over plain HTTP, framed as an event stream (spec infrastructure
§9.4). Clients put `stream-` before the host's name unless they are told not to."""

import subprocess
import threading
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support.server import VENV_BIN
from support.wait import until


@pytest.fixture
def tailer(server):
    return boto3.client(
        "logs", endpoint_url=server.endpoint, region_name=server.region, aws_access_key_id=server.key,
        aws_secret_access_key=server.secret, config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def group(server, request):
    name = "/tail/" + request.node.name
    server.logs.create_log_group(logGroupName=name)
    arn = server.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["logGroupArn"]
    for stream in ("a/1", "a/2", "b"):
        server.logs.create_log_stream(logGroupName=name, logStreamName=stream)
    return name, arn


def put(server, group, stream, *texts, at_ms=None):
    events = [{"timestamp": at_ms or int(time.time() * 1000), "message": text} for text in texts]
    server.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def messages(stream, count):
    """The next so many messages of a session."""
    return [event["message"] for event in events(stream, count)]


def events(stream, count):
    found = []
    for part in stream:
        assert part["sessionUpdate"]["sessionMetadata"] == {"sampled": False}
        found += part["sessionUpdate"]["sessionResults"]
        if len(found) >= count:
            return found


def test_a_session_tells_what_is_new(server, tailer, group):
    name, arn = group
    put(server, name, "a/1", "newest before", at_ms=int(time.time() * 1000) - 1000)
    answer = tailer.start_live_tail(
        logGroupIdentifiers=[arn], logStreamNamePrefixes=["a/"], logEventFilterPattern="?new ?later"
    )["responseStream"]
    stream = iter(answer)
    start = next(stream)["sessionStart"]
    assert start["logGroupIdentifiers"] == [arn] and start["logStreamNamePrefixes"] == ["a/"] and start["sessionId"]
    assert start["logEventFilterPattern"] == "?new ?later" and start["requestId"]
    put(server, name, "a/1", "new one", "other")
    put(server, name, "b", "new elsewhere")
    [event] = events(stream, 1)
    assert (event["message"], event["logStreamName"], event["logGroupIdentifier"]) == ("new one", "a/1", arn)
    assert event["timestamp"] <= event["ingestionTime"]
    put(server, name, "a/2", "later", "new two")
    assert messages(stream, 2) == ["later", "new two"]
    answer.close()


def test_a_session_of_named_streams(server, tailer, group):
    name, arn = group
    answer = tailer.start_live_tail(logGroupIdentifiers=[arn], logStreamNames=["b"])["responseStream"]
    stream = iter(answer)
    assert next(stream)["sessionStart"]["logStreamNames"] == ["b"]
    put(server, name, "a/1", "elsewhere")
    put(server, name, "b", "here")
    assert messages(stream, 1) == ["here"]
    answer.close()


def test_a_session_that_cannot_be(tailer, group):
    name, arn = group
    for code, parameters in [
        ("ResourceNotFoundException", {"logGroupIdentifiers": [arn + "x"]}),
        ("InvalidParameterException", {"logGroupIdentifiers": [arn], "logEventFilterPattern": "{"}),
        ("InvalidParameterException", {"logGroupIdentifiers": [arn, arn], "logStreamNames": ["b"]}),
        ("InvalidParameterException", {"logGroupIdentifiers": [arn], "logStreamNames": ["b"], "logStreamNamePrefixes": ["a"]}),
    ]:
        with pytest.raises(ClientError) as caught:
            tailer.start_live_tail(**parameters)
        assert caught.value.response["Error"]["Code"] == code, parameters


def test_the_cli_follows_a_group(server, group):
    name, arn = group
    tail = subprocess.Popen(
        [VENV_BIN / "aws", "logs", "start-live-tail", "--log-group-identifiers", arn],
        env=server.client_environment() | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    lines = []
    threading.Thread(target=lambda: lines.extend(iter(tail.stdout.readline, "")), daemon=True).start()

    def shown():
        put(server, name, "b", "tick")
        return any("tick" in line for line in lines) or tail.poll() is not None

    try:
        until(shown, what="a line of the CLI", every=0.2)
        assert any("tick" in line for line in lines), lines
    finally:
        tail.kill()
        tail.wait()


def test_sessions_are_few_and_give_their_place_back(own_server):
    """AWS allows 15 at a time."""
    own_server.logs.create_log_group(logGroupName="g")
    client = own_server.client("logs", checked=False, inject_host_prefix=False)
    opened = []

    def another():
        try:
            opened.append(client.start_live_tail(logGroupIdentifiers=["g"])["responseStream"])
            return True
        except ClientError as error:
            assert error.response["Error"]["Code"] == "LimitExceededException"
            return False

    assert [another() for _ in range(16)] == [True] * 15 + [False]
    opened.pop().close()
    until(another, what="the place that was given back")
    for stream in opened:
        stream.close()


def test_a_server_that_stops_ends_its_sessions(own_server):
    own_server.logs.create_log_group(logGroupName="g")
    arn = own_server.logs.describe_log_groups()["logGroups"][0]["logGroupArn"]
    client = own_server.client("logs", checked=False, inject_host_prefix=False)
    stream = iter(client.start_live_tail(logGroupIdentifiers=[arn])["responseStream"])
    next(stream)
    began = time.monotonic()
    own_server.stop()
    assert time.monotonic() - began < 8, "it does not wait for them"
    assert all("sessionUpdate" in part for part in stream)
