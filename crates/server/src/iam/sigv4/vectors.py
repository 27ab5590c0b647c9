"""Writes vectors.json: requests signed by botocore, as they would go over the wire. Needs boto3.

Run: python3 vectors.py > vectors.json
"""

import datetime
import hashlib
import json
from urllib.parse import urlsplit

import boto3
import botocore.auth
from botocore.awsrequest import AWSRequest, AWSResponse

NOW = datetime.datetime(2026, 11, 24, 12, 34, 56, tzinfo=datetime.timezone.utc)
ENDPOINT = "http://127.0.0.1:9740"
ARN = "arn:aws:batch:us-east-1:123456789012:job-queue/a queue/ü"
botocore.auth.get_current_datetime = lambda *a, **k: NOW
session = boto3.Session("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region_name="us-east-1")
vectors = []


class Raw:
    def stream(self, *_args, **_kwargs):
        return iter(())


def note(name, service, request):
    """Adds a request that was prepared by botocore."""
    parts = urlsplit(request.url)
    text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
    unsigned = ("user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "content-length")
    headers = {key: text(value) for key, value in request.headers.items() if key.lower() not in unsigned}
    headers.setdefault("Host", parts.netloc)
    body = request.body or b""
    body = body if isinstance(body, bytes) else body.encode()
    vectors.append(
        {
            "name": name,
            "service": service,
            "method": request.method,
            "path": parts.path or "/",
            "query": parts.query,
            "headers": sorted(headers.items()),
            "body": body.decode(),
        }
    )


def call(name, service, operation, **arguments):
    """Lets a real client make a call and catches what it would send."""
    client = session.client(service, endpoint_url=ENDPOINT)

    def catch(request, **_kwargs):
        note(name, service, request)
        content = "text/xml" if service == "sts" else "application/json"
        body = b"<R><GetCallerIdentityResult/></R>" if service == "sts" else b"{}"
        answer = AWSResponse(request.url, 200, {"Content-Type": content}, Raw())
        answer._content = body
        return answer

    client.meta.events.register(f"before-send.{service}", catch)
    getattr(client, operation)(**arguments)


def presign(name, service, method, path, expires, data=b"", headers=None):
    """Signs a request in its query."""
    request = AWSRequest(method, ENDPOINT + path, headers or {})
    signer = botocore.auth.SigV4QueryAuth(session.get_credentials(), service, "us-east-1", expires)
    # Given to the signer beside the request: it would move a request's own data into the query.
    signer.payload = lambda _request: hashlib.sha256(data).hexdigest()
    signer.add_auth(request)
    prepared = request.prepare()
    prepared.body = data
    note(name, service, prepared)


def raw(name, path, query=""):
    """Signs a request whose path or query no client of ours would send."""
    request = AWSRequest("GET", ENDPOINT + path + query, {"X-Odd": "  two   blanks  "})
    botocore.auth.SigV4Auth(session.get_credentials(), "batch", "us-east-1").add_auth(request)
    note(name, "batch", request.prepare())


call("submit job", "batch", "submit_job", jobName="j", jobQueue="q", jobDefinition="d:1", parameters={"k": "ü €"})
call("empty object", "batch", "describe_job_queues")
call("tags of an arn", "batch", "list_tags_for_resource", resourceArn=ARN)
call("tag an arn", "batch", "tag_resource", resourceArn=ARN, tags={"a": "b"})
call("untag with blanks", "batch", "untag_resource", resourceArn=ARN, tagKeys=["b b", "a+b", "é&=/", "a"])
call("log events", "logs", "get_log_events", logGroupName="/aws/batch/job", logStreamName="d/default/1")
call("caller identity", "sts", "get_caller_identity")
presign("presigned identity", "sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", 900)
presign("presigned tags", "batch", "GET", "/v1/tags/arn%3Aaws%3Abatch", 604800)
presign(
    "presigned body", "batch", "POST", "/v1/describejobs", 60, b'{"jobs":["a"]}', {"Content-Type": "application/json"}
)
raw("dots and slashes", "/v1//tags/./x/../a%20b~c*d")
raw("unsorted query", "/v1/tags/a", "?b=2&a=1&a=0&c&A=x")
print(json.dumps(vectors, indent=1, ensure_ascii=False))
