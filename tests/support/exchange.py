"""Checks every answer that boto3 gets against the service model: no unknown member, right types, known enum values.

It reads the raw body, since botocore drops what it does not know. Errors must be of a declared shape or a known code, and
every answer must carry a request id. Never here: what an answer should say.
"""

import json

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


def _check_error(model, response, parsed):
    code = parsed.get("Error", {}).get("Code")
    declared = {shape.name for shape in model.error_shapes}
    if code not in declared | FRONT_CODES:
        _fail(model.name, f"error {code!r} ({response.status_code}) is neither declared nor a front code")
    if response.status_code >= 500 and code not in ("ServiceUnavailableException",):
        _fail(model.name, f"answered {response.status_code}: {parsed}")
    if not parsed["Error"].get("Message"):
        _fail(model.name, f"error {code!r} without a message")


def check_answer(http_response, parsed, model, **_):
    """Handler of botocore's `after-call` event."""
    if "RequestId" not in parsed.get("ResponseMetadata", {}):
        _fail(model.name, "answer without a request id")
    if http_response.status_code >= 300:
        _check_error(model, http_response, parsed)
        return
    if model.service_model.metadata["protocol"] == "query" or model.output_shape is None:
        return
    body = json.loads(http_response.content or b"{}")
    check_value(model.output_shape, body, model.name)


def watch(client):
    """Makes `client` check every answer that it gets."""
    client.meta.events.register("after-call", check_answer)
    return client
