"""What can be wrong with a request around its input: the JSON text, the signature, the form, the path, HTTP itself.

Five tables; each row is a name and what to send. Never here: sending and judging.
"""

import json
import time

from .front import Request

DEEP = 100_000
BOM = b"\xef\xbb\xbf"

# -- the text of the body: name -> the good body, as text, to bytes ------------------------------------------------


def _with(text, more):
    """The object `text` with `more` as its last members."""
    return text[:-1].encode() + (b"," if text != "{}" else b"") + more + b"}"


BODIES = {
    "cut in the middle": lambda text: _with(text, b'"x":[1,2')[:-1],
    "cut in a text": lambda text: _with(text, b'"x":"y')[:-1],
    "cut after a backslash": lambda text: _with(text, b'"x":"y\\')[:-1],
    "closed twice": lambda text: text.encode() + b"}",
    "something behind it": lambda text: text.encode() + b" x",
    "two objects": lambda text: text.encode() * 2,
    "a comma at the end": lambda text: _with(text, b'"x":1,'),
    "single quotes": lambda text: text.encode()[:-1] + b",'x':1}",
    "a comment": lambda text: b"/* c */" + text.encode(),
    "a name without quotes": lambda text: _with(text, b"x:1"),
    "a colon missing": lambda text: _with(text, b'"x" 1'),
    "an array": lambda text: b"[" + text.encode() + b"]",
    "an array of the members": lambda text: json.dumps([v for _, v in sorted(json.loads(text).items())]).encode(),
    "a text": lambda text: json.dumps(text).encode(),
    "a number": lambda text: b"42",
    "null": lambda text: b"null",
    "true": lambda text: b"true",
    "no text at all": lambda text: b"\x00" * 64,
    "not UTF-8 in a text": lambda text: _with(text, b'"x":"\xff\xfe"'),
    "not UTF-8 in a name": lambda text: _with(text, b'"\xc3\x28":1'),
    "an encoded surrogate": lambda text: _with(text, b'"x":"\xed\xa0\x80"'),
    "an overlong slash": lambda text: _with(text, b'"x":"\xc0\xaf"'),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "a control character in a text": lambda text: _with(text, b'"x":"\x00\x1f"'),
    "a form instead": lambda text: b"Action=X&Version=1",
    "XML": lambda text: b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
    "gzip": lambda text: b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "CBOR": lambda text: b"\xbf\x61\x78\x01\xff",
    "over the limit of size": lambda text: _with(text, b'"x":"' + b"y" * (1 << 20) + b'"'),
    "deep arrays": lambda text: b"[" * DEEP + b"]" * DEEP,
    "deep arrays that never close": lambda text: b'{"x":' + b"[" * DEEP,
    "deep objects that never close": lambda text: b'{"a":' * (DEEP // 4),
}
# These may also be taken: AWS's readers differ here.
BODIES_MAYBE = {
    "a mark of byte order": lambda text: BOM + text.encode(),
    "white space around it": lambda text: b" \r\n\t" + text.encode() + b"\n\n",
    "a member twice that nobody knows": lambda text: _with(text, b'"x":1,"x":2'),
    "half a surrogate pair where nobody looks": lambda text: _with(text, b'"x":"\\ud83d"'),
    "a huge number where nobody looks": lambda text: _with(text, b'"x":1e999999'),
    "a long number where nobody looks": lambda text: _with(text, b'"x":' + b"9" * 20_000),
    "a long name": lambda text: _with(text, b'"' + b"n" * 20_000 + b'":1'),
    "many unknown members": lambda text: _with(text, b",".join(b'"x%d":1' % n for n in range(2_000))),
    "deep arrays where nobody looks": lambda text: _with(text, b'"x":' + b"[" * DEEP + b"]" * DEEP),
    "deep objects where nobody looks": lambda text: _with(text, b'"x":' + b'{"a":' * (DEEP // 4) + b"1" + b"}" * (DEEP // 4)),
    "nothing": lambda text: b"",
    "white space only": lambda text: b" \n ",
}

# -- the signature: name -> (signer, request) to what is sent ------------------------------------------------------


def _header(**change):
    return lambda signer, request: request.to_bytes(signer.host, signer.header_form(request, **change))


def _alter(alter):
    """Changes the headers after they were signed."""
    def send(signer, request):
        return request.to_bytes(signer.host, alter(signer.header_form(request)))
    return send


def _authorization(change):
    return _alter(lambda headers: headers | {"authorization": change(headers["authorization"])})


def _query(change=None, **named):
    def send(signer, request):
        query = signer.query_form(request, change=change, **named)
        return Request(request.method, request.path, request.body, query, request.headers).to_bytes(signer.host)
    return send


def _both(signer, request):
    query = signer.query_form(request)
    whole = Request(request.method, request.path, request.body, query, request.headers, request.service)
    return whole.to_bytes(signer.host, signer.header_form(request))


def _for_another(signer, request):
    other = Request("PATCH", request.path + "x", request.body, request.query, request.headers, request.service)
    return request.to_bytes(signer.host, signer.header_form(other))


SIGNATURES = {
    "none": lambda signer, request: request.to_bytes(signer.host),
    "an unknown key": _header(key="AKIANOBODYKNOWS00000"),
    "an empty key": _authorization(lambda text: text.replace("Credential=A", "Credential=/A")),
    "another secret": _header(secret="not the secret"),
    "another service": _header(service="s3"),
    "another region": _header(region="mars-north-1"),
    "another terminator": _header(terminator="aws5_request"),
    "another day than its date": _header(day="20200101"),
    "a day that is none": _header(day="2020\u00e9101"),
    "an hour ago": _header(skew=-3600),
    "an hour ahead": _header(skew=3600),
    "years ago": _header(skew=-10 * 365 * 86400),
    "a session's token": _header(more={"x-amz-security-token": "FwoGZXIvYXdzE"}),
    "an unsigned body": _header(more={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}),
    "a body signed in chunks": _header(more={"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}),
    "the digest of another body": _header(more={"x-amz-content-sha256": "0" * 64}),
    "the host not signed": _header(signs=("x-amz-date", "x-amz-target")),
    "an x-amz header not signed": _alter(lambda headers: headers | {"x-amz-meta-x": "1"}),
    "a signed header that is missing": _alter(lambda headers: {k: v for k, v in headers.items() if k != "x-amz-date"}),
    "a date that is none": _alter(lambda headers: headers | {"x-amz-date": "yesterday"}),
    "a date beyond the calendar": _alter(lambda headers: headers | {"x-amz-date": "99991399T996199Z"}),
    "of another request": _for_another,
    "cut": _authorization(lambda text: text[:-3]),
    "not hexadecimal": _authorization(lambda text: text[:-4] + "zzzz"),
    "empty": _authorization(lambda text: text[:-64]),
    "huge": _authorization(lambda text: text + "0" * 20_000),
    "no credential": _authorization(lambda text: text.replace("Credential", "Credentials")),
    "no signed headers": _authorization(lambda text: text.replace("SignedHeaders=", "SignedHeaders=,x=")),
    "a short credential": _authorization(lambda text: text.replace("/aws4_request", "")),
    "commas only": _authorization(lambda text: "AWS4-HMAC-SHA256 ,,,,"),
    "another algorithm": _authorization(lambda text: text.replace("HMAC-SHA256", "ECDSA-P256-SHA256")),
    "version 2": _authorization(lambda text: "AWS AKIATEST:c2lnbmF0dXJl"),
    "Bearer": _authorization(lambda text: "Bearer eyJhbGciOiJub25lIn0.e30."),
    "not ASCII": _authorization(lambda text: text.replace("Credential=", "Credential=é")),
    "in the query, expired": _query(skew=-120),
    "in the query, an hour ahead": _query(skew=3600),
    "in the query, for no time": _query(expires=0),
    "in the query, for eight days": _query(expires=8 * 86400),
    "in the query, expiry that is no number": _query(expires="soon"),
    "in the query, longer than it was signed for": _query({"X-Amz-Expires": "86400"}),
    "in the query, no date": _query({"X-Amz-Date": None}),
    "in the query, no credential": _query({"X-Amz-Credential": None}),
    "in the query, no signature": _query({"X-Amz-Signature": None}),
    "in the query, no algorithm": _query({"X-Amz-Algorithm": None}),
    "in the query, not UTF-8": _query({"X-Amz-Signature": b"\xff"}),
    "in the query, with a token": _query({"X-Amz-Security-Token": "x"}),
    "in the query, another service": _query(service="s3"),
    "in the query, another region": _query(region="mars-north-1"),
}
# AWS documents only one at a time; the header decides here.
SIGNATURES_MAYBE = {"in the header and in the query": _both}

# -- the query protocol of STS: name -> the form ------------------------------------------------------------------

FORMS = {
    "no action": b"Version=2011-06-15",
    "nothing": b"",
    "an unknown action": b"Action=AssumeEverything&Version=2011-06-15",
    "the action in small letters": b"Action=getcalleridentity&Version=2011-06-15",
    "an action that is not UTF-8": b"Action=%FF%FE&Version=2011-06-15",
    "a NUL in the action": b"Action=GetCallerIdentity%00&Version=2011-06-15",
    "an action with XML in it": b"Action=%3C%2FCode%3E%26%3C!--&Version=2011-06-15",
    "control characters in the action": b"Action=%01%1B%08%F0%9F%98%80&Version=2011-06-15",
    "a huge action": b"Action=" + b"x" * 100_000,
    "another version": b"Action=GetCallerIdentity&Version=1999-01-01",
    "JSON": b'{"Action":"GetCallerIdentity"}',
    "percent signs": b"%%%=%&%zz=%2",
    "ampersands": b"&" * 10_000,
    "bytes": bytes(range(256)),
    "over the limit of size": b"Action=GetCallerIdentity&x=" + b"x" * (1 << 20),
}

# -- resource ARNs in the path -------------------------------------------------------------------------------------

ARNS = [
    "", "%", "%2", "%zz", "%00", "a%00b", "%FF%FE", "%C3%28", "%ED%A0%80", "%F0%9F%98%80", "%2e%2e", "..", ".", "../tags", "a/b",
    "a//b", "/", "//", "%2F", "%252F", "arn%3Aaws%3Abatch", "arn:aws:batch:::", "arn%3Aaws%3As3%3A%3A%3Abucket",
    "arn%3Aaws%3Abatch%3Aus-east-1%3A123456789012%3Ajob-queue%2Fnone", "arn%3Aaws%3Abatch%3A%3A%3Ajob-queue%2F",
    "arn%253Aaws%253Abatch", "+", "%2B", "%20", "*", "'", "%22", ";x", "a&b", "a=b", "x" * 2000, "%3A" * 2000, "%E2%80%AE",
]
TAG_KEYS = [
    "", "tagKeys", "tagKeys=", "tagKeys=%", "tagKeys=%FF", "tagKeys=%00", "tagKeys=" + "k" * 129, "tagKeys=%F0%9F%98%80",
    "&".join(f"tagKeys=k{n}" for n in range(51)), "tagKeys=a&tagKeys=a", "tagkeys=a", "tagKeys[]=a", "&&&", "=&=", "tagKeys=aws%3Ax",
]


# -- HTTP itself: name -> (bytes, whether nothing more will be sent) -----------------------------------------------


def http(host, good):
    """Requests that are not HTTP or not whole. `good`: a signed request for an operation, as bytes."""
    head, body = good.split(b"\r\n\r\n", 1)
    post = f"POST /v1/describejobs HTTP/1.1\r\nhost: {host}\r\n".encode()
    length = f"content-length: {len(body)}".encode()

    def stating(text):
        return head.replace(length, b"content-length: " + text) + b"\r\n\r\n" + body

    def chunked(chunks):
        return head.replace(length, b"transfer-encoding: chunked") + b"\r\n\r\n" + chunks

    return {
        "a shorter length": (stating(b"1"), True),
        "a longer length": (stating(b"100"), True),
        "a negative length": (stating(b"-1"), False),
        "a length that is no number": (stating(b"two"), False),
        "a length in hexadecimal": (stating(b"0x2"), False),
        "a length with a sign": (stating(b"+2"), False),
        "a length beyond 64 bits": (stating(b"9" * 30), False),
        "a length of 1 TB": (stating(b"1000000000000"), True),
        "an empty length": (stating(b""), False),
        "two lengths": (stating(b"2\r\ncontent-length: 3"), False),
        "a list of lengths": (stating(b"2, 3"), False),
        "length and chunks": (head + b"\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", True),
        "chunks that end early": (chunked(b"5\r\nab"), True),
        "a chunk size that is none": (chunked(b"zz\r\nab\r\n0\r\n\r\n"), True),
        "a negative chunk size": (chunked(b"-1\r\nab\r\n0\r\n\r\n"), True),
        "a huge chunk size": (chunked(b"f" * 20 + b"\r\nab\r\n0\r\n\r\n"), True),
        "a chunk longer than it says": (chunked(b"1\r\nabc\r\n0\r\n\r\n"), True),
        "chunks without line ends": (chunked(b"2\nab\n0\n\n"), True),
        "an endless chunk extension": (chunked(b"2;" + b"x" * 40_000 + b"\r\nab\r\n0\r\n\r\n"), True),
        "another transfer coding": (head + b"\r\ntransfer-encoding: gzip\r\n\r\n" + body, True),
        "chunked twice": (head.replace(length, b"transfer-encoding: chunked, chunked") + b"\r\n\r\n0\r\n\r\n", True),
        "an unknown content encoding": (head + b"\r\ncontent-encoding: br\r\n\r\n" + body, False),
        "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), True),
        "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", True),
        "HTTP/0.9": (b"GET /\r\n\r\n", True),
        "HTTP/9.9": (b"GET / HTTP/9.9\r\n\r\n", True),
        "no version": (b"POST /v1/describejobs\r\n\r\n", True),
        "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", True),
        "random bytes": (bytes(7 * n * n % 256 for n in range(4096)), True),
        "NULs": (b"\x00" * 4096, True),
        "line ends only": (b"\r\n" * 2000 + b"x\r\n\r\n", True),
        "no colon in a header": (post + b"nonsense\r\n\r\n", True),
        "a blank before the colon": (post + b"x : 1\r\n\r\n", True),
        "a folded header": (post + b"x: 1\r\n  2\r\n\r\n", True),
        "a NUL in a header": (post + b"x: a\x00b\r\n\r\n", True),
        "a header that is not ASCII": (post + b"x: \xff\xfe\r\n\r\n", True),
        "a name that is not ASCII": (post + b"\xff: 1\r\n\r\n", True),
        "a thousand headers": (post + b"".join(b"x-%d: 1\r\n" % n for n in range(1000)) + b"\r\n", True),
        "a header of 1 MB": (post + b"x: " + b"y" * 1_000_000 + b"\r\n\r\n", True),
        "a path of 100 kB": (b"GET /" + b"p" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", True),
        "a path that is not ASCII": (b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n", True),
        "a path with a NUL": (b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n", True),
        "a path without a slash": (b"GET v1 HTTP/1.1\r\nhost: x\r\n\r\n", True),
        "a whole address as path": (b"GET http://example.org/v1/describejobs HTTP/1.1\r\nhost: x\r\n\r\n", True),
        "CONNECT": (b"CONNECT example.org:443 HTTP/1.1\r\nhost: x\r\n\r\n", True),
        "a method of 10 kB": (b"M" * 10_000 + b" / HTTP/1.1\r\nhost: x\r\n\r\n", True),
        "a method that is none": (b"G@T / HTTP/1.1\r\nhost: x\r\n\r\n", True),
        "no host": (b"POST /v1/describejobs HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", True),
        "two hosts": (post + b"host: y\r\n\r\n", True),
        "an upgrade": (post + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", True),
        "a body over the limit": (stating(b"2000000")[:-len(body)] + b"x" * 2_000_000, False),
        "a head that never ends": (post + b"x: 1\r\n", True),
        "half a request line": (b"POST /v1/des", True),
    }


def now_ms():
    """The time in milliseconds, as events carry it."""
    return int(time.time() * 1000)
