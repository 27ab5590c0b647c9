"""Sends many requests over a few connections, judges the answers by the rules that hold for all, counts.

The rules: an answer comes, is no 5xx, has a request id and fits the model; what must be refused is, with the member named;
what AWS ignores is. Never here: which requests.
"""

import itertools
import json
import time
from typing import Any, NamedTuple

from . import exchange, front
from .faults import ACCEPTED, REFUSED
from .front import Connection, NoAnswer, Request, Signer

STS = exchange.MODELS["sts"].operation_model("GetCallerIdentity")
FRESH = itertools.count()


class Ask(NamedTuple):
    """Bytes to send, what is wrong with them, and what the answer must be."""

    operation: Any  # None where there is none.
    about: str
    data: bytes
    answer: str
    named: str | None = None  # The member that a refusal must name.
    options: dict = {}  # Of `Connection.ask`.


class Suite:
    """Sends requests, judges the answers, counts."""

    def __init__(self, server, names):
        self.server, self.names, self.signer = server, names, Signer(server)
        self.sent, self.broken = 0, []
        self.accepts = {}  # (operation's name, good input as text) -> whether it is accepted

    def request(self, operation, body, arn=None):
        """The request for an operation with this input."""
        if operation is STS:
            return Request("POST", "/", body, headers={"content-type": "application/x-www-form-urlencoded"}, service="sts")
        if operation.service_model.service_name == "logs":
            headers = {"x-amz-target": f"Logs_20140328.{operation.name}", "content-type": "application/x-amz-json-1.1"}
            return Request("POST", "/", body, headers=headers, service="logs")
        quoted = self.names["arn"].replace(":", "%3A").replace("/", "%2F") if arn is None else arn
        path = operation.http["requestUri"].replace("{resourceArn}", quoted)
        method = operation.http["method"]
        query = "tagKeys=k" if operation.name == "UntagResource" else ""
        headers = {"content-type": "application/json"} if method == "POST" else {}
        return Request(method, path, body if method == "POST" else b"", query, headers)

    def job(self, operation, about, body, answer, named=None):
        """An operation with this body, rightly signed."""
        return Ask(operation, about, self.signer.signed(self.request(operation, body)), answer, named)

    def ask(self, operation, text):
        """One answer, outside of the count."""
        connection = Connection(self.server)
        try:
            return connection.ask(self.signer.signed(self.request(operation, fresh(text))))
        finally:
            connection.close()

    def send(self, jobs, threads=4):
        """Sends all of them over a few connections, counts, and fails with the first that broke a rule."""
        jobs = list(jobs)
        done = front.in_threads(self.server, jobs, self._one, threads)
        assert len(done) == len(jobs), "a worker died"
        broken = [line for line in done if line]
        self.sent += len(jobs)
        self.broken += broken
        assert not broken, f"{len(broken)} of {len(jobs)} broke a rule, the first:\n" + "\n".join(broken[:20])

    def _one(self, connection, job):
        operation, about, data, answer, named, options = job
        name = operation.name if operation else "-"
        try:
            deadline = time.monotonic() + 2
            got = connection.ask(data, **options)
            problem = judge(operation, got, answer, named)
            # A resource that still settles refuses what it takes a moment later.
            while problem and answer == ACCEPTED and time.monotonic() < deadline:
                got = connection.ask(data, **options)
                problem = judge(operation, got, answer, named)
        except NoAnswer as error:
            got, problem = None, f"no answer: {error}"
        except Exception as error:  # noqa: BLE001 - the thread must live, and the answer is at fault
            problem = f"an answer that cannot be read: {error!r}"
        if problem:
            shown = f"{got.status} {got.body[:300]!r}" if got else "-"
            body = data.split(b"\r\n\r\n", 1)[-1][:300]
            return f"{name}: {about}: {problem}\n    sent {body!r}\n    got  {shown}"
        return None


def judge(operation, got, answer, named=None):
    """What is wrong with an answer, or None."""
    try:
        exchange.check_raw(operation, got.status, got.headers, got.body)
    except AssertionError as error:
        return str(error)
    if 200 <= got.status < 300:
        return "accepted" if answer == REFUSED else None
    if not 400 <= got.status < 500:
        return f"status {got.status}"
    if operation in (None, STS) or not_built(operation, got):
        return None
    if answer == ACCEPTED:
        return "refused, and without the fault it is accepted"
    if answer == REFUSED and named and named not in json.loads(got.body)["message"]:
        return f"the message does not name {named}"
    return None


def fresh(text):
    """`text` with new names in it."""
    return text.replace("@fresh@", f"bad-{next(FRESH)}").encode("utf-8", "surrogatepass")


def not_built(operation, got):
    """Whether the operation says that it does not work at all: then it has read no input, and nothing more can be asked."""
    return f"{operation.name} does not work".encode() in got.body
