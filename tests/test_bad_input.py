"""Thousands of requests with one fault each, made from the service models: each gets a modelled answer, none a 5xx.

The faults are the tables in `support/faults.py` (members) and `support/hostile.py` (text, signature, path, HTTP). A request
breaks a rule when its answer does not come, is a 5xx, has no request id, is an error without a declared code or a message,
is a success that does not fit the output's shape, or says yes to what must be refused.
"""

import json
import re

import pytest

from support import exchange, faults, hostile, templates
from support.asking import STS, Ask, Suite, fresh, judge
from support.faults import ACCEPTED, ANY, REFUSED
from support.front import Request
from support.places import to_text
from support.wait import until

OPERATIONS = exchange.OPERATIONS["batch"] + exchange.OPERATIONS["logs"]
# Inputs above this may be refused for their size before their members are looked at.
SMALL = 16 << 10
# Tests of this file; with fewer the count means nothing.
TESTS = 11


def key(operation):
    """Service and name: both services have a TagResource."""
    return operation.service_model.service_name, operation.name


@pytest.fixture(scope="module")
def names(server):
    """What the good requests speak of: a queue on a disabled environment, so that no accepted job runs."""
    batch, account = server.batch, server.sts.get_caller_identity()["Account"]
    log = server.succeed(server.submit(server.register(["echo", "x"])))["container"]["logStreamName"]
    server.logs.create_log_stream(logGroupName="/aws/batch/job", logStreamName="bad-input")
    environment = batch.create_compute_environment(
        computeEnvironmentName="bad-input", type="MANAGED", computeResources=templates.MANAGED)["computeEnvironmentArn"]
    describe = lambda: batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"]  # noqa: E731
    until(lambda: describe()[0]["status"] == "VALID")
    batch.create_job_queue(jobQueueName="bad-input", priority=1,
                           computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}])
    until(lambda: batch.describe_job_queues(jobQueues=["bad-input"])["jobQueues"][0]["status"] == "VALID")
    batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    until(lambda: describe()[0]["status"] == "VALID")
    policy = batch.create_scheduling_policy(name="bad-input", fairsharePolicy=templates.SHARES)["arn"]
    definition = server.register(["true"], name="bad-input").rpartition(":")[0].rpartition("/")[2]
    return {
        "region": server.region, "account": account, "queue": "bad-input", "environment": "bad-input",
        "definition": definition, "policy": policy,
        "job": server.submit(definition, queue="bad-input"), "group": "/aws/batch/job", "stream": log, "now": hostile.now_ms(),
        "arn": f"arn:aws:batch:{server.region}:{account}:job-queue/bad-input",
    }


@pytest.fixture(scope="module")
def good(names):
    """Operation's key -> its good inputs."""
    known = {"batch": templates.batch(names), "logs": templates.logs(names)}
    return {key(operation): templates.of(operation, known[key(operation)[0]]) for operation in OPERATIONS}


@pytest.fixture(scope="module")
def suite(server, names):
    suite = Suite(server, names)
    yield suite
    exchange.NOTES.append(f"bad input: {suite.sent} requests sent, {len(suite.broken)} broke a rule")


def absent(operation, body):
    """Whether the request names what nobody made, and so is rightly refused."""
    return "@fresh@" in to_text(body) and not operation.name.startswith("Create")


def test_the_good_requests_are_good(suite, good):
    """Else the faults would not be what is judged. Parts that do not work yet are refused, and say so."""
    refused = []
    for operation in OPERATIONS:
        for body in good[key(operation)]:
            got = suite.ask(operation, to_text(body))
            assert judge(operation, got, ANY) is None, (operation.name, got)
            suite.accepts[operation.name, to_text(body)] = got.status == 200
            if got.status != 200 and not absent(operation, body) and not re.search(rb"do(es)? not work", got.body):
                refused.append(f"{operation.name} {json.dumps(body)[:200]}\n    {got.body.decode()[:300]}")
    assert not refused, "\n".join(refused)


def test_limits_that_no_model_states(suite, good):
    """Before the others make as many resources as there may be, which would be the reason of each refusal."""
    suite.send(suite.job(operation, case.about, fresh(case.body), case.answer) for operation in OPERATIONS
               for case in faults.limit_cases(operation, good[key(operation)]))


def test_every_operation_member_and_fault(suite, good):
    """A tag operation's ARN and keys are not in the body: `test_resource_arns` has them."""
    ignored, others = [], []
    for operation in OPERATIONS:
        if operation.http["method"] != "POST":
            continue
        for case in faults.cases(operation, good[key(operation)]):
            answer = case.answer
            if answer == ACCEPTED and not suite.accepts.get((operation.name, case.base)):
                answer = ANY
            if answer != REFUSED and operation.name in exchange.STREAMING:
                continue
            (ignored if answer == ACCEPTED else others).append(
                suite.job(operation, case.about, fresh(case.body), answer, case.named if len(case.body) < SMALL else None))
    # Those that must be accepted come first and alone: later the limits on how many there may be would refuse them.
    suite.send(ignored, threads=1)
    suite.send(others)


def test_the_text_of_the_body(suite, good):
    jobs = []
    for operation in OPERATIONS:
        if operation.http["method"] != "POST":
            continue
        text = fresh(to_text(good[key(operation)][0])).decode()
        rows = [(row, REFUSED) for row in hostile.BODIES.items() if row[0] != "over the limit of size" or operation.name != "PutLogEvents"]
        rows += [(row, ANY) for row in hostile.BODIES_MAYBE.items() if operation.name not in exchange.STREAMING]
        jobs += [suite.job(operation, name, make(text), answer) for (name, make), answer in rows]
    suite.send(jobs)


def test_signatures(suite, good):
    jobs = []
    for operation in OPERATIONS:
        request = suite.request(operation, fresh(to_text(good[key(operation)][0])))
        rows = [(row, REFUSED) for row in hostile.SIGNATURES.items()]
        rows += [(row, ANY) for row in hostile.SIGNATURES_MAYBE.items()]
        jobs += [Ask(operation, f"signature: {name}", make(suite.signer, request), answer) for (name, make), answer in rows]
    suite.send(jobs)


def test_forms(suite):
    """STS speaks another protocol: a form in, XML out."""
    jobs = [suite.job(STS, f"form: {name}", form, REFUSED) for name, form in hostile.FORMS.items()]
    right = suite.request(STS, b"Action=GetCallerIdentity&Version=2011-06-15")
    jobs += [Ask(STS, f"signature: {name}", make(suite.signer, right), REFUSED) for name, make in hostile.SIGNATURES.items()]
    suite.send(jobs)


def test_methods_and_paths(suite, good):
    """Of every operation: the wrong methods, and paths beside its own."""
    jobs = []
    for operation in OPERATIONS:
        right = suite.request(operation, fresh(to_text(good[key(operation)][0])))
        wrong = [(method, right.path) for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")]
        if "{" in operation.http["requestUri"]:
            wrong = [row for row in wrong if row[0] not in ("GET", "DELETE", "POST")]
        elif operation.http["requestUri"] != "/":
            wrong += [("POST", path) for path in (
                right.path + "/", right.path + "/x", "/" + right.path, right.path.upper(), right.path.replace("/v1", "/v2"),
                right.path.replace("/v1", ""), right.path.replace("/v1/", "/v1/%2e%2e/"), right.path + "%00", right.path + "%20")]
        for method, path in wrong:
            request = Request(method, path, right.body, "", right.headers, right.service)
            jobs.append(Ask(None, f"{method} {path}", suite.signer.signed(request), REFUSED, options={"head": method == "HEAD"}))
    targets = ["", "x", ".", "Logs_20140328", "Logs_20140328.", "Logs_20140328.Nope", "logs_20140328.GetLogEvents", "é", "x" * 5000,
               "Logs_20140328.getlogevents", "Logs_20140328.GetLogEvents.x", "AWSBatch_V1.SubmitJob"]
    for target in targets:
        request = Request("POST", "/", b"{}", headers={"x-amz-target": target}, service="logs")
        jobs.append(Ask(None, f"x-amz-target {target[:50]}", suite.signer.signed(request), REFUSED))
    suite.send(jobs)


def test_resource_arns(suite):
    """What stands in the path and the query of the three tag operations."""
    jobs = []
    for operation in OPERATIONS:
        if "{" not in operation.http["requestUri"]:
            continue
        for arn in hostile.ARNS:
            request = suite.request(operation, b'{"tags":{"a":"b"}}', arn)
            jobs.append(Ask(operation, f"resource {arn[:50]}", suite.signer.signed(request), REFUSED))
    untag = exchange.MODELS["batch"].operation_model("UntagResource")
    for query in hostile.TAG_KEYS:
        request = suite.request(untag, b"")
        request.query = query
        jobs.append(Ask(untag, f"query {query[:50]}", suite.signer.signed(request), ANY))
    suite.send(jobs)


def test_http_itself(suite):
    """Each on a connection of its own, and after each the server answers a good request."""
    operation = exchange.MODELS["batch"].operation_model("DescribeJobs")
    good = suite.signer.signed(suite.request(operation, b'{"jobs":["x"]}'))
    for name, (data, last) in hostile.http(suite.signer.host, good).items():
        suite.send([Ask(operation, name, data, REFUSED, options={"half_close": last})], threads=1)
        suite.send([Ask(operation, f"after: {name}", good, ACCEPTED)], threads=1)


def shown(server):
    """All that the server has, read with clients that check each answer."""
    batch = server.batch
    pages = {name: list(batch.get_paginator(name).paginate(**more)) for name, more in (
        ("describe_compute_environments", {}), ("describe_job_queues", {}), ("describe_job_definitions", {"maxResults": 100}),
        ("list_jobs", {"jobQueue": "bad-input", "jobStatus": "RUNNABLE"}))}
    ids = [job["jobId"] for page in pages["list_jobs"] for job in page["jobSummaryList"]]
    for start in range(0, len(ids), 100):
        pages[start] = batch.describe_jobs(jobs=ids[start:start + 100])["jobs"]
    assert len(ids) > 10, "some were accepted"
    return json.loads(json.dumps(pages, default=str), object_hook=lambda found: {
        k: v for k, v in found.items() if k not in ("ResponseMetadata", "nextToken", "statusReason")})


def test_what_was_accepted_can_be_read(suite):
    """Before and after a crash: nothing that a client sends makes rows that the server cannot read."""
    before = shown(suite.server)
    suite.server.restart()
    assert shown(suite.server) == before


def test_it_is_many_and_the_server_is_well(suite, request):
    """All of the above together, when it was all asked for."""
    assert suite.ask(exchange.MODELS["batch"].operation_model("DescribeJobQueues"), "{}").status == 200
    if sum(item.path == request.path for item in request.session.items) == TESTS:
        assert suite.sent >= 5000
    assert not any("panicked" in line for line in suite.server.output)
