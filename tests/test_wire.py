"""The endpoint against wrong, odd and hostile requests: a modelled 4xx that says what is wrong, never a 5xx."""

import json
import re
import threading

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import wire
from support.wait import until
from support.wire import call, code_of, connect, message_of, read_answer, send, signed


@pytest.fixture(scope="module", autouse=True)
def still_answers(server):
    """After all of this the server must be as well as before."""
    yield
    assert call(server, "describejobqueues", {}).status_code == 200


def test_a_good_request(server):
    answer = call(server, "describejobqueues", {})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-amzn-requestid"])


def refused(answer, status, code):
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    assert answer.headers.get("x-amzn-requestid")
    assert message_of(answer)
    return message_of(answer)


def test_unsigned(server):
    answer = send("POST", server.endpoint + "/v1/describejobqueues", {}, b"{}")
    refused(answer, 403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"key": "AKIANOBODYKNOWS00000"}, 403, "UnrecognizedClientException"),
        ({"secret": "not the secret"}, 403, "InvalidSignatureException"),
        ({"skew": -3600}, 403, "InvalidSignatureException"),
        ({"skew": 3600}, 403, "InvalidSignatureException"),
    ],
)
def test_wrong_signatures(server, change, status, code):
    refused(call(server, "describejobqueues", {}, **change), status, code)


@pytest.mark.parametrize("skew", [-240, 240])
def test_a_clock_a_little_off_is_fine(server, skew):
    assert call(server, "describejobqueues", {}, skew=skew).status_code == 200


def test_a_body_changed_after_signing(server):
    url, headers, _ = signed(server, "POST", "/v1/describejobqueues", b"{}")
    refused(send("POST", url, headers, b'{"maxResults":1}'), 403, "InvalidSignatureException")


def test_a_path_changed_after_signing(server):
    url, headers, body = signed(server, "POST", "/v1/describejobqueues", b"{}")
    refused(send("POST", url.replace("queues", "definitions"), headers, body), 403, "InvalidSignatureException")


@pytest.mark.parametrize(
    "header", ["", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "Basic dTpw", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, "
               "SignedHeaders=host, Signature=zz", "\x7f", "AWS4-HMAC-SHA256 " + "A" * 4000],
)
def test_headers_that_cannot_be_read(server, header):
    url, headers, body = signed(server, "POST", "/v1/describejobqueues", b"{}")
    answer = send("POST", url, headers | {"Authorization": header}, body)
    assert 400 <= answer.status_code < 500
    assert code_of(answer) in (
        "IncompleteSignatureException", "MissingAuthenticationTokenException", "InvalidSignatureException",
        "UnrecognizedClientException",
        # A control character in a header is no HTTP.
        "SerializationException",
    )


def presigned(server, seconds, shift=0):
    request = AWSRequest(method="POST", url=server.endpoint + "/v1/describejobqueues", headers={})
    signer = SigV4QueryAuth(Credentials(server.key, server.secret), "batch", server.region, expires=seconds)
    with wire.clock_shifted(shift):
        signer.add_auth(request)
    return request.url


def test_presigned(server):
    assert send("POST", presigned(server, 60), {}, b"").status_code == 200
    answer = send("POST", presigned(server, 60, shift=-120), {}, b"")
    assert answer.status_code == 403 and code_of(answer) in ("ExpiredTokenException", "InvalidSignatureException")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'"text"', b"null", b"1", b'{"jobs": ["a"]} trailing'])
def test_bodies_that_are_no_json_object(server, body):
    answer = call(server, "describejobs", body)
    assert code_of(answer) in ("SerializationException", "ClientException")
    refused(answer, 400, code_of(answer))


def test_deep_nesting_does_not_hurt(server):
    answer = call(server, "submitjob", b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    assert 400 <= answer.status_code < 500


def test_no_body_is_an_empty_object(server):
    assert call(server, "describejobqueues", b"").status_code == 200


@pytest.mark.parametrize(
    ("operation", "members", "named"),
    [
        ("describejobs", {}, "jobs"),
        ("describejobs", {"jobs": "text"}, "jobs"),
        ("describejobs", {"jobs": [1]}, "jobs"),
        ("describejobqueues", {"maxResults": "ten"}, "maxResults"),
        ("describejobqueues", {"maxResults": 1.5}, "maxResults"),
        ("submitjob", {"jobQueue": "default", "jobDefinition": "d"}, "jobName"),
        ("submitjob", {"jobName": "n", "jobQueue": "default", "jobDefinition": "d", "parameters": {"a": 1}}, "parameters"),
        ("submitjob", {"jobName": "n", "jobQueue": "q", "jobDefinition": "d", "arrayProperties": {"size": "2"}}, "size"),
        ("submitjob", {"jobName": "n", "jobQueue": "q", "jobDefinition": "d", "dependsOn": [{"type": "WRONG"}]}, "type"),
        ("registerjobdefinition", {"jobDefinitionName": "x"}, "type"),
        ("registerjobdefinition", {"jobDefinitionName": "x", "type": "wrong"}, "type"),
        ("registerjobdefinition",
         {"jobDefinitionName": "x", "type": "container", "containerProperties": {"ulimits": [{"name": "nofile"}]}}, "ulimits"),
        ("terminatejob", {"jobId": "x"}, "reason"),
        ("createjobqueue", {"jobQueueName": "q", "priority": 1, "state": "MAYBE"}, "state"),
    ],
)
def test_messages_name_the_member(server, operation, members, named):
    answer = call(server, operation, members)
    assert answer.status_code == 400
    assert named in message_of(answer), message_of(answer)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nosuchoperation", "/v1/submitjob/more", "/v2/submitjob", "//v1/submitjob"])
def test_unknown_paths(server, path):
    answer = send("POST", *signed(server, "POST", path, b"{}"))
    # At / the query protocol listens: no Action is a 400.
    assert answer.status_code in (400, 403, 404)
    assert answer.headers.get("x-amzn-requestid")


def test_wrong_method(server):
    answer = send("GET", *signed(server, "GET", "/v1/submitjob"))
    assert 400 <= answer.status_code < 500


def test_unknown_target_of_logs(server):
    answer = send("POST", *signed(server, "POST", "/", b"{}", {
        "X-Amz-Target": "Logs_20140328.NoSuchThing", "Content-Type": "application/x-amz-json-1.1"}, service="logs"))
    assert answer.status_code in (400, 404)
    assert code_of(answer) == "UnknownOperationException"


def test_a_huge_body_is_refused_early(server):
    answer = call(server, "submitjob", b'{"jobName":"' + b"x" * (8 << 20) + b'"}')
    assert answer.status_code in (400, 413)


def test_a_job_over_30_kib(server):
    pad = [{"name": "PAD", "value": "x" * 31 * 1024}]
    answer = call(server, "submitjob", {"jobName": "big", "jobQueue": "default", "jobDefinition": server.register(),
                                        "containerOverrides": {"environment": pad}})
    assert "30 KiB" in refused(answer, 400, "ClientException")


def test_many_and_long_headers(server):
    url, headers, body = signed(server, "POST", "/v1/describejobqueues", b"{}")
    answer = send("POST", url, headers | {f"x-{i}": "v" for i in range(2000)}, body)
    assert 400 <= answer.status_code < 500
    answer = send("POST", url, headers | {"x-long": "v" * 1_000_000}, body)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("sent", [b"", b"POST /v1/submitjob HTTP/1.1\r\nhost: x\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GARBAGE\r\n\r\n"])
def test_half_requests_do_not_hold_the_server(server, sent):
    """Idle and half-open clients, as many as a small server could run out of; others are served meanwhile."""
    held = [connect(server) for _ in range(200)]
    try:
        for connection in held:
            connection.sendall(sent)
        assert call(server, "describejobqueues", {}).status_code == 200
    finally:
        for connection in held:
            connection.close()


@pytest.mark.slow
def test_a_slow_client_is_cut_off(server):
    """Headers that never end are given up after a time."""
    connection = connect(server)
    connection.settimeout(120)
    connection.sendall(b"POST /v1/submitjob HTTP/1.1\r\nhost: x\r\n")
    data = read_answer(connection)
    assert data == b"" or data.startswith(b"HTTP/1.1 408")


def test_pipelined_requests_are_answered_in_order(server):
    url, headers, body = signed(server, "POST", "/v1/describejobqueues", b"{}")
    one = b"POST /v1/describejobqueues HTTP/1.1\r\n" + b"".join(
        f"{k}: {v.decode() if isinstance(v, bytes) else v}\r\n".encode() for k, v in headers.items()
        if k.lower() not in ("content-length", "host")
    ) + f"host: {url.split('/')[2]}\r\ncontent-length: 2\r\n\r\n".encode() + body
    connection = connect(server)
    connection.sendall(one * 2 + one.replace(b"\r\ncontent-length", b"\r\nconnection: close\r\ncontent-length"))
    assert read_answer(connection).count(b"HTTP/1.1 200") == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from([
    "jobName", "jobQueue", "jobDefinition", "jobs", "maxResults", "nextToken", "type", "containerProperties", "image",
    "command", "environment", "parameters", "retryStrategy", "timeout", "state", "priority", "computeEnvironmentOrder",
    "arrayProperties", "dependsOn", "filters", "jobStatus", "containerOverrides", "resourceRequirements", "tags", "volumes",
])
OPERATIONS = st.sampled_from([
    "submitjob", "describejobs", "listjobs", "registerjobdefinition", "createjobqueue", "createcomputeenvironment",
    "updatejobqueue", "describejobdefinitions", "canceljob", "terminatejob", "deregisterjobdefinition",
])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(operation=OPERATIONS, members=st.dictionaries(MEMBERS, JSON, max_size=6))
def test_nothing_makes_it_fail(server, operation, members):
    answer = call(server, operation, json.dumps(members).encode())
    assert answer.status_code in (200, 400), (operation, members, answer.text)
    answer.json()


def test_many_connections_at_once(server):
    """512 connections with a request each, all answered."""
    request = signed(server, "POST", "/v1/describejobqueues", b"{}")
    codes, lock = [], threading.Lock()

    def ask():
        code = send("POST", *request).status_code
        with lock:
            codes.append(code)

    threads = [threading.Thread(target=ask) for _ in range(512)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 512
    until(lambda: call(server, "describejobqueues", {}).status_code == 200)
