"""What can be wrong with one member of an input, and a request for each: every operation x member x fault.

`FAULTS` is the table. A fault says on which kinds of member it applies, what it puts there, and what the answer must be.
The members come from the service model, the requests around them from `templates`. Never here: sending and judging.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from .places import (
    ALL, BOOLEAN, DECIMAL, ENUM, INTEGER, LIST, LONG, MANY, MAP, NUMBERS, STRUCTURE, TEXT, Raw, body_members, depth_of, example,
    kind_of, name_of, places, to_text, value_at, with_value,
)

# What the answer must be.
REFUSED = "refused"  # A modelled 4xx whose message names the member.
ACCEPTED = "accepted"  # As the request without the fault: AWS ignores it.
NOT_JSON = "refused as no JSON"  # The same, without the name: readers do not know where they are.
ANY = "2xx or a modelled 4xx"  # A matter of the operation; never a 5xx, a hang or a cut connection.

# Collections that AWS takes empty though its model asks for an entry (crates/model/src/limits.rs).
MAY_BE_EMPTY = {"TagrisTagsMap"}
# Texts that are no value of any enum in any case.
NO_VALUE = ["NO_SUCH_VALUE", "", " "]
# Texts that break one pattern or another.
NO_MATCH = ["\x07", "a\nb", "a:b", "a*", "a b", "😀", "{x}"]


class Bad(NamedTuple):
    """A value to put in the place of a good one, and the member that a refusal must name, if not the place itself."""

    value: Any
    named: str | None = None


class Fault(NamedTuple):
    """A row of the table. `values(shape, good)` gives what to put in the place of `good`."""

    name: str
    on: set
    answer: str
    values: Any


WRONG_TYPES = {
    TEXT: [7, True, ["x"], {"x": "y"}], ENUM: [7, False, ["x"], {"x": "y"}],
    INTEGER: ["7", True, [7], {"x": 7}], LONG: ["7", True, [7], {"x": 7}], DECIMAL: ["0.5", True, [1], {"x": 1}],
    BOOLEAN: ["true", 1, [True], {"x": True}], LIST: ["x", 7, True, {}, {"0": "x"}], MAP: ["x", 7, True, [], [["k", "v"]]],
    STRUCTURE: ["x", 7, False, []],
}


def _wrong_types(shape, good):
    bad = WRONG_TYPES[kind_of(shape)]
    if kind_of(shape) == STRUCTURE:
        # The members' values in their order: what some readers of JSON take for the structure itself.
        bad = [*bad, [good.get(name) for name in sorted(body_members(shape))]]
    return [Bad(value) for value in bad]


def _whole_numbers(bits):
    return [Bad(Raw(text)) for text in (str(2 ** (bits - 1)), str(-(2 ** (bits - 1)) - 1), str(2**64), "1" + "0" * 400)]


def _beyond_the_model(shape, good):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    kind, bad = kind_of(shape), []
    if kind in NUMBERS:
        below = [] if low is None else [Bad(low - 1)]
        return below + ([] if high is None else [Bad(high + 1), Bad(-high)])
    if kind == TEXT:
        bad += ["x" * (high + 1), "é" * (high + 1)] if high else []
        bad += ["x" * (low - 1)] if low else []
        pattern = shape.metadata.get("pattern")
        bad += [text for text in NO_MATCH if not re.fullmatch(_portable(pattern), text)] if pattern else []
    elif kind == LIST:
        bad += [[example(shape.member)] * (high + 1)] if high else []
        bad += [[]] if low and shape.name not in MAY_BE_EMPTY else []
    elif kind == MAP:
        bad += [{f"k{n}": example(shape.value) for n in range(high + 1)}] if high else []
        most = shape.key.metadata.get("max")
        bad += [{"k" * (most + 1): example(shape.value)}] if most else []
        bad += [{"": example(shape.value)}] if shape.key.metadata.get("min") else []
    return [Bad(value) for value in bad]


def _portable(pattern):
    """A pattern of the models for Python, which has no Unicode classes: anything beyond ASCII may be a letter."""
    return pattern.replace(r"\p{L}", "\\w\x80-\U0010ffff").replace(r"\p{N}", r"\d").replace(r"\p{Z}", " ")


def _many(shape, good):
    if kind_of(shape) == LIST:
        return [Bad([example(shape.member)] * MANY)]
    return [Bad({f"k{n}": example(shape.value) for n in range(MANY)})]


def _nulls_inside(shape, good):
    return [Bad([None])] if kind_of(shape) == LIST else [Bad({"k": None})]


def _without_required(shape, good):
    required = [name for name in shape.required_members if name in body_members(shape)]
    missing = [Bad({k: v for k, v in good.items() if k != name}, name) for name in required]
    nothing = [Bad({}, required[0])] if required else []
    return missing + [Bad(good | {name: None}, name) for name in required] + nothing


def _twice(shape, good):
    if not good:
        return []
    name, value = next(iter(good.items()))
    text = f"{json.dumps(name)}: {to_text(value)}"
    return [Bad(Raw("{" + f"{text}, {text}, " + to_text(good)[1:]))]


def _put(*values):
    return lambda shape, good: [Bad(value) for value in values]


def _alongside(members):
    return lambda shape, good: [Bad(good | members)]


def _absent_as_null(shape, good):
    absent = [n for n in body_members(shape) if n not in good and n not in shape.required_members]
    return [Bad(good | dict.fromkeys(absent))] if absent else []


FAULTS = (
    # name                       on             the answer  what stands there
    Fault("another JSON type", ALL, REFUSED, _wrong_types),
    Fault("null", ALL - {STRUCTURE}, ANY, _put(None)),
    Fault("null inside", {LIST, MAP}, REFUSED, _nulls_inside),
    Fault("a required member left out or null", {STRUCTURE}, REFUSED, _without_required),
    Fault("absent members as null", {STRUCTURE}, ACCEPTED, _absent_as_null),
    Fault("members that nobody knows", {STRUCTURE}, ACCEPTED,
          _alongside({"noSuchMember": {"deep": [[None, 1.5, "x"]]}, "": 1, "n\u0000": "😀"})),
    Fault("a member twice", {STRUCTURE}, ANY, _twice),
    Fault("an unknown value", {ENUM}, REFUSED, _put(*NO_VALUE, "😀", "x" * 5000)),
    Fault("beyond the model's limits", {TEXT, INTEGER, LONG, DECIMAL, LIST, MAP}, REFUSED, _beyond_the_model),
    Fault("more than 32 bits", {INTEGER}, REFUSED, lambda shape, good: _whole_numbers(32)),
    Fault("more than 64 bits", {LONG}, REFUSED, lambda shape, good: _whole_numbers(64)),
    Fault("no number of JSON", NUMBERS, NOT_JSON, _put(*map(Raw, ("NaN", "-Infinity", "0x10", "01", "1.", "+1")))),
    Fault("more than a float holds", NUMBERS, REFUSED, _put(Raw("1e400"), Raw("-1e400"))),
    Fault("a fraction for a whole number", {INTEGER, LONG}, REFUSED, _put(1.5, Raw("1e-3"))),
    Fault("an odd number", NUMBERS, ANY, _put(-1, 0, 2**31 - 1, -(2**31), Raw("-0"), Raw("1.0"), Raw("1e2"))),
    Fault("an odd number of 64 bits", {LONG, DECIMAL}, ANY, _put(2**31, 2**63 - 1, -(2**63))),
    Fault("a tiny or huge number", {DECIMAL}, ANY, _put(Raw("1e308"), Raw("5e-324"), Raw("-0.0"))),
    Fault("odd text", {TEXT}, ANY, _put(
        "", " ", "\x00", "a\x00b", "\x01\x1b[31m\x7f", "😀\U0010ffff", "\u202e\ufeff\ufffe", "../../etc/passwd", "${x}%s%n",
        "'; DROP TABLE job; --", "x" * MANY, "arn:aws:batch:::", "arn:" * 50, ":" * 50, "a:99999999999999999999")),
    Fault("half a surrogate pair", {TEXT, ENUM}, REFUSED, _put(Raw('"\\ud83d"'), Raw('"a\\ude00\\ud83d"'))),
    Fault("text that ends too early", {TEXT, ENUM}, NOT_JSON, _put(Raw('"\\u12"'), Raw('"\\x"'), Raw('"a\nb"'))),
    Fault("very many", {LIST, MAP}, ANY, _many),
    Fault("nothing inside", {LIST, MAP}, ANY, lambda shape, good: [Bad([] if kind_of(shape) == LIST else {})]),
    Fault("odd keys", {MAP}, ANY, lambda shape, good: [
        Bad({key: example(shape.value)}) for key in ("\x00", "aws:x", "😀", "a\nb", "x" * 127)]),
)

# Limits that no model states, from the fact sheets: operation, member, what is beyond them (jobs 2.1, 5, 7, 8;
# infrastructure 1.3, 3.1, 3.3, 5.4, 10.2). The answer must be a refusal, in AWS's words or in ours.
LIMITS = (
    ("CancelJob", "reason", ["x" * 1025]),
    ("CreateComputeEnvironment", "computeResources.maxvCpus", [-1]),
    ("CreateComputeEnvironment", "computeResources.minvCpus", [-1, 5]),
    ("CreateComputeEnvironment", "computeEnvironmentName", ["", "x" * 129, "-x", "a b", "é", "a/b", "x\x00"]),
    ("CreateJobQueue", "priority", [-1, 1001]),
    ("CreateJobQueue", "jobQueueName", ["", "x" * 129, "-x", "a b", "é", "a/b", "x\x00"]),
    ("CreateJobQueue", "computeEnvironmentOrder", [[{"order": n, "computeEnvironment": "bad-input"} for n in range(4)]]),
    ("CreateJobQueue", "jobStateTimeLimitActions.0.maxTimeSeconds", [599, 86_401]),
    ("CreateJobQueue", "tags", [{f"k{n}": "v" for n in range(51)}, {"aws:x": "v"}, {"AWS:x": "v"}]),
    ("DescribeComputeEnvironments", "computeEnvironments", [["x"] * 101]),
    ("DescribeJobDefinitions", "jobDefinitions", [["x"] * 101]),
    ("DescribeJobQueues", "jobQueues", [["x"] * 101]),
    ("DescribeJobs", "jobs", [["x"] * 101]),
    ("RegisterJobDefinition", "jobDefinitionName", ["", "x" * 129, "-x", "a b", "é", "a:b", "x\x00"]),
    ("RegisterJobDefinition", "retryStrategy.attempts", [0, -1, 11]),
    ("RegisterJobDefinition", "retryStrategy.evaluateOnExit", [[{"action": "EXIT", "onReason": "x"}] * 6]),
    ("RegisterJobDefinition", "timeout.attemptDurationSeconds", [59, 0, -1]),
    ("RegisterJobDefinition", "schedulingPriority", [-1, 10_000]),
    ("RegisterJobDefinition", "containerProperties.image", ["", "x" * 256]),
    ("RegisterJobDefinition", "containerProperties.environment.0.name", ["", "AWS_BATCH_X", "a\x00"]),
    ("RegisterJobDefinition", "containerProperties.resourceRequirements.0.value", ["", "0", "-1", "x", "1e9", "NaN", "9" * 400]),
    ("RegisterJobDefinition", "containerProperties.resourceRequirements.1.value", ["", "0", "-1", "3", "x", "1.5", "9" * 400]),
    ("RegisterJobDefinition", "parameters", [{"k": "x" * 25_000}]),
    ("SubmitJob", "jobName", ["", "x" * 129, "-x", "a b", "é", "a.b", "x\x00"]),
    ("SubmitJob", "jobDefinition", ["", "none", "bad-input:0", "bad-input:-1", "bad-input:x", "bad-input:9999999999", "x\x00"]),
    ("SubmitJob", "jobQueue", ["", "none", "arn:aws:batch:x:y:job-queue/z", "x\x00"]),
    ("SubmitJob", "retryStrategy.attempts", [0, -1, 11]),
    ("SubmitJob", "timeout.attemptDurationSeconds", [59, 0, -1]),
    ("SubmitJob", "schedulingPriorityOverride", [-1, 10_000]),
    ("SubmitJob", "containerOverrides.command", [["x", ""], ["a\x00"]]),
    ("SubmitJob", "containerOverrides.environment", [[{"name": "PAD", "value": "x" * 31_000}], [{"name": "AWS_BATCH_X", "value": ""}]]),
    ("SubmitJob", "tags", [{f"k{n}": "v" for n in range(51)}, {"aws:x": "v"}]),
    ("TerminateJob", "reason", ["x" * 1025]),
)
# What is tried once more, with its last value, where a member of the same shape shows up again in an operation.
EVERYWHERE = {"another JSON type", "an unknown value", "a required member left out or null"}


@dataclass(frozen=True)
class Case:
    """One request to send: the input with its fault, and what the answer must be."""

    operation: Any
    about: str
    base: str  # The same without the fault.
    body: str
    answer: str
    named: str | None


def cases(operation, templates):
    """Every request with one fault in it, of one operation."""
    seen = set()
    for path, shape in places(operation.input_shape):
        base = max(templates, key=lambda template: depth_of(template, path))
        good = value_at(base, path, shape)
        inside = depth_of(base, path) == len(path)
        new = (shape.name, path[-1:]) not in seen
        seen.add((shape.name, path[-1:]))
        for fault in FAULTS:
            if kind_of(shape) not in fault.on or not (new or fault.name in EVERYWHERE):
                continue
            for bad in fault.values(shape, good)[None if new else -1:]:
                # Whether a place that no template has is accepted depends on its surroundings.
                answer = ANY if fault.answer == ACCEPTED and not inside else fault.answer
                named = None if answer == NOT_JSON else bad.named or name_of(path)
                body = to_text(with_value(base, path, bad.value, operation.input_shape))
                about = f"{fault.name} at {'.'.join(map(str, path)) or 'the top'}"
                yield Case(operation, about, to_text(base), body, REFUSED if answer == NOT_JSON else answer, named)


def limit_cases(operation, templates):
    """Every request that is beyond a limit of `LIMITS`, of one operation."""
    base = templates[0] if operation.name != "CreateComputeEnvironment" else templates[-1]
    for name, member, values in LIMITS:
        if name == operation.name:
            path = tuple(int(step) if step.isdigit() else step for step in member.split("."))
            for value in values:
                body = to_text(with_value(base, path, value, operation.input_shape))
                yield Case(operation, f"beyond AWS's limits at {member}", to_text(base), body, REFUSED, None)
