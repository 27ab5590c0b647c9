"""Checks every answer against the service model, whoever asked: no unknown member, right types, known enum values.

Of boto3 and of requests by hand it reads the raw body, since botocore drops what it does not know; of the AWS command line
what it printed. Errors must be of a declared shape or a known code, and every answer must carry a request id. The checks
are counted. Never here: what an answer should say.
"""

import json
import urllib.parse
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from botocore import xform_name
from botocore.model import ServiceModel

DATA = Path(__file__).resolve().parents[2] / "data"
MODELS = {name: ServiceModel(json.loads((DATA / f"{name}.json").read_text()), name) for name in ("batch", "logs", "sts")}
OPERATIONS = {name: [model.operation_model(operation) for operation in model.operation_names] for name, model in MODELS.items()}
BY_COMMAND = {(name, xform_name(operation.name, "-")): operation for name in MODELS for operation in OPERATIONS[name]}
BY_PATH = {(operation.http["method"], operation.http["requestUri"]): operation for operation in OPERATIONS["batch"]}
BY_TARGET = {f"{MODELS['logs'].metadata['targetPrefix']}.{operation.name}": operation for operation in OPERATIONS["logs"]}
# Operations whose answer is a stream of events and not an object.
STREAMING = {"StartLiveTail"}

# Members that the model requires on output and that AWS itself leaves out (spec jobs §1.2).
REQUIRED_BUT_ABSENT = {("JobDetail", "startedAt")}

# Enums that AWS takes in any case and shows as they were sent (spec jobs §7).
ANY_CASE = {"RetryAction"}

# Codes outside the model that AWS's front gives for every service.
FRONT_CODES = {
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException", "InvalidSignatureException",
    "MissingAuthenticationTokenException", "RequestEntityTooLargeException", "SerializationException",
    "ServiceUnavailableException", "TooManyRequestsException", "UnknownOperationException",
    "UnrecognizedClientException",
}

# The same in the query protocol.
QUERY_CODES = {code.removesuffix("Exception") for code in FRONT_CODES} | {
    "InvalidAction", "InvalidClientTokenId", "SignatureDoesNotMatch", "MissingAuthenticationToken", "Throttling"}

# How many answers were checked, by who asked; printed at the end of the run.
COUNTS = {"boto3": 0, "raw": 0, "aws": 0}
# Further lines for the end of the run.
NOTES = []
# (structure, member) of everything that an answer had and that was not empty; docs/compatibility is held against it.
SEEN = set()


class ExchangeError(AssertionError):
    """An answer breaks the service model."""


def _fail(path, what):
    raise ExchangeError(f"{path}: {what}")


def check_value(shape, value, path):
    """Walks `value` beside `shape`; raises at the first difference, naming its path."""
    kind = shape.type_name
    if value is None:
        _fail(path, "null; an absent member is left out")
    if kind == "structure":
        if not isinstance(value, dict):
            _fail(path, f"{value!r} is not an object")
        for name, item in value.items():
            if name not in shape.members:
                _fail(path, f"unknown member {name!r} of {shape.name}")
            check_value(shape.members[name], item, f"{path}.{name}")
            if item not in ([], {}):
                SEEN.add((shape.name, name))
        for name in shape.required_members:
            if name not in value and (shape.name, name) not in REQUIRED_BUT_ABSENT:
                _fail(path, f"required member {name!r} of {shape.name} is missing")
    elif kind == "list":
        if not isinstance(value, list):
            _fail(path, f"{value!r} is not a list")
        for i, item in enumerate(value):
            check_value(shape.member, item, f"{path}[{i}]")
    elif kind == "map":
        if not isinstance(value, dict):
            _fail(path, f"{value!r} is not a map")
        for key, item in value.items():
            check_value(shape.value, item, f"{path}[{key!r}]")
    elif kind == "string":
        if not isinstance(value, str):
            _fail(path, f"{value!r} is not a string")
        known = value.upper() if shape.name in ANY_CASE else value
        if shape.enum and known not in shape.enum:
            _fail(path, f"{value!r} is not one of {shape.enum}")
    elif kind in ("integer", "long"):
        if isinstance(value, bool) or not isinstance(value, int):
            _fail(path, f"{value!r} is not a JSON integer")
    elif kind in ("float", "double"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            _fail(path, f"{value!r} is not a number")
    elif kind == "boolean":
        if not isinstance(value, bool):
            _fail(path, f"{value!r} is not a boolean")


def _check_error(name, operation, status, code, message):
    declared = {shape.name for shape in operation.error_shapes} if operation else set()
    if code not in declared | FRONT_CODES:
        _fail(name, f"error {code!r} ({status}) is neither declared nor a front code")
    if status >= 500 and code not in ("ServiceUnavailableException",):
        _fail(name, f"answered {status}: {message}")
    if not message:
        _fail(name, f"error {code!r} without a message")


def _check_output(operation, body):
    if operation.output_shape is not None and operation.name not in STREAMING:
        check_value(operation.output_shape, json.loads(body or b"{}"), operation.name)


def check_answer(http_response, parsed, model, **_):
    """Handler of botocore's `after-call` event."""
    COUNTS["boto3"] += 1
    if "RequestId" not in parsed.get("ResponseMetadata", {}):
        _fail(model.name, "answer without a request id")
    if http_response.status_code >= 300:
        error = parsed.get("Error", {})
        _check_error(model.name, model, http_response.status_code, error.get("Code"), error.get("Message"))
    elif model.service_model.metadata["protocol"] != "query":
        _check_output(model, http_response.content)


def check_raw(operation, status, headers, body):
    """Checks an answer as it came; `headers` by their names in lower case, `operation` None where there is none of the kind."""
    COUNTS["raw"] += 1
    name = operation.name if operation else "no operation"
    if not headers.get("x-amzn-requestid"):
        _fail(name, "answer without a request id")
    if "xml" in headers.get("content-type", ""):
        _check_xml(name, status, body)
    elif "json" in headers.get("content-type", "") and status < 300:
        _check_output(operation, body)
    elif "json" in headers.get("content-type", "") and body:  # An answer to HEAD has none.
        document = json.loads(body)
        code = headers.get("x-amzn-errortype") or document.get("__type")
        _check_error(name, operation, status, code, document.get("message"))


def _check_xml(name, status, body):
    """The query protocol's answers: well-formed, and an error's code is one that it has."""
    document = ElementTree.fromstring(body) if body else None
    if status >= 300 and document is not None:
        texts = {element.tag.rpartition("}")[2]: element.text for element in document.iter()}
        if texts.get("Code") not in QUERY_CODES:
            _fail(name, f"error {texts.get('Code')!r} ({status}) is not one of the query protocol")
        if status >= 500 or not texts.get("Message"):
            _fail(name, f"answered {status}: {texts}")


def operation_of(method, url, headers):
    """The operation that a request by hand asks for, or None."""
    target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), None)
    path = urllib.parse.urlsplit(url).path
    path = "/v1/tags/{resourceArn}" if path.startswith("/v1/tags/") else path
    return BY_TARGET.get(target) if target else BY_PATH.get((method, path))


def check_printed(args, document):
    """Checks what the AWS command line printed for `args`; a form that it changed (`--query`) is not looked at."""
    operation = BY_COMMAND.get(tuple(args[:2]))
    if operation and operation.output_shape is not None and not {"--query", "--output"} & set(args):
        COUNTS["aws"] += 1
        check_value(operation.output_shape, document or {}, operation.name)


def watch(client):
    """Makes `client` check every answer that it gets."""
    client.meta.events.register("after-call", check_answer)
    return client
