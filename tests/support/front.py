"""Requests byte for byte: a quick signer of its own, and a connection that says what came back or that nothing did.

`Signer` signs as AWS's version 4 says, with every part open to change. Never here: which changes are wrong.
"""

import hashlib
import hmac
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

TIMEOUT = 20  # Seconds after which an answer counts as missing.


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict
    body: bytes


class NoAnswer(Exception):
    """The connection was closed or kept silent before an answer was whole."""


@dataclass
class Request:
    """A request before it is signed. `path` and `query` stand as they are sent."""

    method: str
    path: str
    body: bytes = b""
    query: str = ""
    headers: dict = field(default_factory=dict)
    service: str = "batch"

    def to_bytes(self, host, more=None):
        """The request on the wire."""
        target = self.path + ("?" + self.query if self.query else "")
        headers = {"host": host, "content-length": str(len(self.body))} | self.headers | (more or {})
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items() if v is not None)]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Signer:
    """Signs for one server."""

    def __init__(self, server):
        self.host = urllib.parse.urlsplit(server.endpoint).netloc
        self.key, self.secret, self.region = server.key, server.secret, server.region
        self._keys = {}

    def _signing_key(self, secret, *scope):
        if (secret, scope) not in self._keys:
            key = ("AWS4" + secret).encode()
            for part in scope:
                key = _hmac(key, part)
            self._keys[secret, scope] = key
        return self._keys[secret, scope]

    def scope(self, of, skew=0, **change):
        """(stamp, (day, region, service, terminator)) of a request to the service `of` made now."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + skew))
        parts = {"day": stamp[:8], "region": self.region, "service": of, "terminator": "aws4_request"} | change
        return stamp, tuple(parts.values())

    def _signature(self, request, query, headers, signed, body_hash, stamp, scope, secret):
        path = urllib.parse.quote(request.path, safe="/-_.~")
        lines = [request.method, path, query, *(f"{n}:{headers[n].strip()}" for n in signed), "", ";".join(signed), body_hash]
        digest = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), digest])
        return hmac.new(self._signing_key(secret, *scope), text.encode(), hashlib.sha256).hexdigest()

    def header_form(self, request, key=None, secret=None, more=None, signs=(), skew=0, **scope_change):
        """The headers that sign `request`: `more` is added and signed."""
        stamp, scope = self.scope(request.service, skew, **scope_change)
        headers = {"host": self.host, "x-amz-date": stamp} | (more or {})
        if target := request.headers.get("x-amz-target"):
            headers["x-amz-target"] = target
        signed = sorted(n for n in headers if not signs or n in signs)
        query = "&".join(sorted(p if "=" in p else p + "=" for p in request.query.split("&"))) if request.query else ""
        body_hash = headers.get("x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest()
        signature = self._signature(request, query, headers, signed, body_hash, stamp, scope, secret or self.secret)
        credential = "/".join([key or self.key, *scope])
        value = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={';'.join(signed)}, Signature={signature}"
        return headers | {"authorization": value}

    def query_form(self, request, expires=60, skew=0, change=None, **scope_change):
        """The query of a presigned `request`; `change` alters its parts after signing, None leaves one out."""
        stamp, scope = self.scope(request.service, skew, **scope_change)
        parts = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "/".join([self.key, *scope]), "X-Amz-Date": stamp,
            "X-Amz-Expires": str(expires), "X-Amz-SignedHeaders": "host",
        }
        if target := request.headers.get("x-amz-target"):
            parts["X-Amz-SignedHeaders"] = "host;x-amz-target"
        headers = {"host": self.host, "x-amz-target": target or ""}
        body_hash = hashlib.sha256(request.body).hexdigest()
        query = urllib.parse.urlencode(sorted(parts.items()), quote_via=urllib.parse.quote, safe="-_.~")
        query = "&".join(filter(None, sorted([*query.split("&"), *filter(None, request.query.split("&"))])))
        signed = parts["X-Amz-SignedHeaders"].split(";")
        signature = self._signature(request, query, headers, signed, body_hash, stamp, scope, self.secret)
        for name, value in ({"X-Amz-Signature": signature} | (change or {})).items():
            kept = [part for part in query.split("&") if not part.startswith(name + "=")]
            query = "&".join(kept + ([f"{name}={urllib.parse.quote(value, safe='-_.~')}"] if value is not None else []))
        return query

    def signed(self, request):
        """The whole request, rightly signed in the header form."""
        return request.to_bytes(self.host, self.header_form(request))


class Connection:
    """A connection that is kept as long as the server keeps it."""

    def __init__(self, server):
        address = urllib.parse.urlsplit(server.endpoint)
        self._address = (address.hostname, address.port)
        self._socket = None

    def close(self):
        """Closes it; the next request opens another."""
        if self._socket:
            self._socket.close()
        self._socket = None

    def ask(self, data, head=False, half_close=False):
        """Sends bytes and gives the answer to them. `head`: the answer has no body. `half_close`: nothing more will come."""
        kept = self._socket is not None
        try:
            self._open()
            self._send(data, half_close)
            answer = self._read(head)
        except (OSError, NoAnswer) as error:
            self.close()
            if kept and not isinstance(error, TimeoutError):  # An idle connection may be closed at any time.
                return self.ask(data, head, half_close)
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        if half_close or answer.headers.get("connection") == "close":
            self.close()
        return answer

    def _open(self):
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _send(self, data, half_close):
        try:
            self._socket.sendall(data)
            if half_close:
                self._socket.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The server may answer before it has read everything; the answer is what counts.

    def _read(self, head):
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(data)
        top, body = data.split(b"\r\n\r\n", 1)
        lines = top.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        if headers.get("content-type") == "application/vnd.amazon.eventstream":
            # It has no end of its own: that it began is the answer.
            return Answer(int(lines[0].split()[1]), headers | {"connection": "close"}, b"")
        if "content-length" not in headers:
            raise NoAnswer(f"an answer of unknown length: {top!r}")
        length = 0 if head else int(headers["content-length"])
        while len(body) < length:
            body += self._more(data)
        return Answer(int(lines[0].split()[1]), headers, body[:length])

    def _more(self, before):
        chunk = self._socket.recv(1 << 16)
        if not chunk:
            raise NoAnswer(f"closed after {before[-200:]!r}" if before else "closed without an answer")
        return chunk


def in_threads(server, jobs, work, threads=4):
    """Calls `work(connection, job)` for every job, in order, over a few connections; gives the results in any order."""
    left, results, lock = iter(jobs), [], threading.Lock()

    def run():
        connection = Connection(server)
        while True:
            with lock:
                job = next(left, None)
            if job is None:
                break
            result = work(connection, job)
            with lock:
                results.append(result)
        connection.close()

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results
