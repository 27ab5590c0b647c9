"""Requests by hand: signed by botocore's signer, changed where a test wants, sent without any client's help."""

import contextlib
import datetime
import json
import socket
import urllib.parse

import requests
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from . import exchange

@contextlib.contextmanager
def clock_shifted(seconds):
    """Makes botocore's signer believe that it is another time."""
    kept = auth.get_current_datetime
    auth.get_current_datetime = lambda *args, **named: kept(*args, **named) + datetime.timedelta(seconds=seconds)
    try:
        yield
    finally:
        auth.get_current_datetime = kept


def signed(server, method, path, body=b"", headers=None, service="batch", region=None, key=None, secret=None, skew=0,
           query=None):
    """A signed request as (url, headers, body)."""
    url = server.endpoint + path + ("?" + urllib.parse.urlencode(query) if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
    signer = auth.SigV4Auth(Credentials(key or server.key, secret or server.secret), service, region or server.region)
    with clock_shifted(skew):
        signer.add_auth(request)
    return url, dict(request.headers.items()), body


def send(method, url, headers, body):
    """Sends it as it is; the answer is checked against the model."""
    answer = requests.request(method, url, headers=headers, data=body, timeout=30, allow_redirects=False)
    lower = {name.lower(): value for name, value in answer.headers.items()}
    exchange.check_raw(exchange.operation_of(method, url, headers), answer.status_code, lower, answer.content)
    return answer


def call(server, operation, members, method="POST", **changes):
    """One of Batch's operations by its path, e.g. `describejobqueues`."""
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    headers = {"Content-Type": "application/json"} | changes.pop("headers", {})
    return send(method, *signed(server, method, f"/v1/{operation}", body, headers, **changes))


def code_of(response):
    """The error's code as botocore finds it: header first, then body."""
    header = response.headers.get("x-amzn-errortype", "").split(":")[0]
    body = response.json()
    return header or body.get("__type", "").rsplit("#")[-1] or body.get("code")


def message_of(response):
    """The error's message."""
    body = response.json()
    return body.get("message") or body.get("Message")


def connect(server):
    """A bare connection."""
    address = urllib.parse.urlsplit(server.endpoint)
    return socket.create_connection((address.hostname, address.port), timeout=60)


def read_answer(connection):
    """All bytes until the other side closes or nothing comes."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data
