"""The checker of answers checks: what breaks a model is found, and every way of asking a server passes through it."""

import pytest

from support import exchange
from support.wire import call

MODEL = exchange.MODELS["batch"]
HEADERS = {"x-amzn-requestid": "r", "content-type": "application/json"}


def output(operation, body):
    """Whether the checker takes this body for the operation's answer."""
    exchange.check_raw(MODEL.operation_model(operation), 200, HEADERS, body)


def test_good_answers_pass():
    output("CancelJob", b"{}")
    output("SubmitJob", b'{"jobId": "i", "jobName": "n"}')
    output("DescribeJobQueues", b'{"jobQueues": []}')


@pytest.mark.parametrize(
    ("operation", "body", "why"),
    [
        ("SubmitJob", b'{"jobId": "i"}', "required member 'jobName'"),
        ("SubmitJob", b'{"jobId": 7, "jobName": "n"}', "not a string"),
        ("SubmitJob", b'{"jobId": null, "jobName": "n"}', "null"),
        ("SubmitJob", b'{"jobId": "i", "jobName": "n", "other": 1}', "unknown member 'other'"),
        ("RegisterJobDefinition", b'{"jobDefinitionName": "n", "jobDefinitionArn": "a", "revision": 1.0}', "not a JSON integer"),
        ("RegisterJobDefinition", b'{"jobDefinitionName": "n", "jobDefinitionArn": "a", "revision": true}', "not a JSON integer"),
        ("ListJobs", b'{"jobSummaryList": [{"jobId": "i", "jobName": "n", "status": "DREAMING"}]}', "not one of"),
        ("ListJobs", b'{"jobSummaryList": {}}', "not a list"),
    ],
)
def test_wrong_answers_are_found(operation, body, why):
    with pytest.raises(exchange.ExchangeError, match=why):
        output(operation, body)


@pytest.mark.parametrize(
    ("status", "headers", "body", "why"),
    [
        (400, {"content-type": "application/json"}, b"{}", "request id"),
        (400, HEADERS, b'{"__type": "MadeUpException", "message": "m"}', "neither declared"),
        (400, HEADERS, b'{"__type": "ClientException"}', "without a message"),
        (500, HEADERS, b'{"__type": "ServerException", "message": "m"}', "answered 500"),
    ],
)
def test_wrong_refusals_are_found(status, headers, body, why):
    with pytest.raises(exchange.ExchangeError, match=why):
        exchange.check_raw(MODEL.operation_model("SubmitJob"), status, headers, body)


def test_every_way_of_asking_is_checked(server):
    before = dict(exchange.COUNTS)
    server.batch.describe_job_queues()
    call(server, "describejobqueues", {})
    server.aws("batch", "describe-job-queues")
    assert exchange.COUNTS == {who: count + 1 for who, count in before.items()}
