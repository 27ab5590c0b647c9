"""A proxy before a registry of the tests' own that misbehaves on order, asks for tokens, and counts what it hands out.

Never here: expectations.
"""

import base64
import collections
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy:
    """Stands before `registry`. `served` counts how often each path was answered in full, `bytes` what went out, `most_held`
    how many answers stood at a gate at once.

    `order(part, fault, times)` gives the next requests whose path holds `part` a fault: a status (503), `cut` (half of the
    answer, then the connection ends), `elsewhere` (a redirect to the host `other`), `gate` (half of the answer, the rest after
    `open`), `silent` (nothing until `open`) or `alter` (a byte of it is another). With `tokens` it wants tokens, which it gives
    to `user`, a name and password, or to anybody.
    """

    def __init__(self, registry, tokens=False, user=None):
        self.registry, self.tokens, self.user = registry, tokens, user
        self.served, self.bytes, self.asked = collections.Counter(), 0, []
        self.other, self.logins = None, 0
        self.orders, self.lock = [], threading.Lock()
        self.held, self.most_held = 0, 0
        self.reached, self.opened = threading.Event(), threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"proxy": self}))
        self.http.daemon_threads = True
        self.host = f"127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def order(self, part, fault, times=1):
        self.orders.append([part, fault, times])

    def fault(self, path):
        with self.lock:
            self.asked.append(path)
            for order in self.orders:
                if order[0] in path and order[2] > 0:
                    order[2] -= 1
                    return order[1]
        return None

    def hold(self):
        """Waits until `open`; counts how many do at once."""
        with self.lock:
            self.held += 1
            self.most_held = max(self.most_held, self.held)
        self.reached.set()
        opened = self.opened.wait(60)
        with self.lock:
            self.held -= 1
        return opened

    def open(self):
        """Lets all go on that were held."""
        self.opened.set()

    def blobs(self):
        """How often each blob was handed out in full."""
        return {path.rsplit("/", 1)[-1]: count for path, count in self.served.items() if "/blobs/" in path}

    def stop(self):
        self.opened.set()
        self.http.shutdown()
        self.http.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        fault = self.proxy.fault(self.path)
        self.proxy.logins += "Authorization" in self.headers
        if fault == "elsewhere":
            self.answer(307, Location=f"http://{self.proxy.other}{self.path}")
        elif isinstance(fault, int):
            self.answer(fault, b"<html>Service Unavailable</html>")
        elif fault == "silent":
            self.proxy.reached.set()
            self.proxy.opened.wait(60)
            self.close_connection = True
        elif self.path.startswith("/token"):
            self.token()
        elif self.proxy.tokens and self.headers.get("Authorization") != "Bearer given":
            realm = f'Bearer realm="http://{self.proxy.host}/token",service="tests"'
            self.answer(401, b"{}", WWW_Authenticate=realm)
        else:
            self.forward(fault)

    def token(self):
        wanted = self.proxy.user and "Basic " + base64.b64encode(self.proxy.user.encode()).decode()
        if wanted and self.headers.get("Authorization") != wanted:
            self.answer(401, json.dumps({"details": "incorrect username or password"}).encode())
        else:
            self.answer(200, json.dumps({"token": "given"}).encode())

    def forward(self, fault):
        kept = ("Accept", "Range") if self.proxy.tokens else ("Accept", "Range", "Authorization")
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.registry.port, timeout=60)
        connection.request("GET", self.path, headers={k: self.headers[k] for k in kept if self.headers[k]})
        answer = connection.getresponse()
        self.send_response(answer.status)
        length = int(answer.headers["Content-Length"])
        for name, value in answer.getheaders():
            if name.lower() not in ("date", "connection", "server"):
                self.send_header(name, value)
        self.end_headers()
        done = 0
        while part := answer.read(1 << 20 if fault is None else max(1, length // 4)):
            if fault == "alter" and done == 0:
                part = bytes([part[0] ^ 1]) + part[1:]
            self.wfile.write(part)
            done += len(part)
            self.proxy.bytes += len(part)
            if fault in ("cut", "gate") and done >= length // 2:
                self.wfile.flush()
                if fault == "cut" or not self.proxy.hold():
                    self.close_connection = True
                    connection.close()
                    return
                fault = "opened"
        connection.close()
        if answer.status in (200, 206):
            with self.proxy.lock:
                self.proxy.served[self.path] += 1
