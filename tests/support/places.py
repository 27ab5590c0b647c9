"""The members of an input: their kinds, their places, small good values for them, and the JSON text of it all.

A place is a path from the input: a member's name, 0 for a list's first item, "k" for a map's entry. Never here: faults.
"""

import json
import re

TEXT, ENUM, INTEGER, LONG, DECIMAL, BOOLEAN, LIST, MAP, STRUCTURE = range(9)
NUMBERS = {INTEGER, LONG, DECIMAL}
ALL = {TEXT, ENUM, BOOLEAN, LIST, MAP, STRUCTURE} | NUMBERS
KINDS = {"string": TEXT, "blob": TEXT, "integer": INTEGER, "long": LONG, "timestamp": LONG, "float": DECIMAL,
         "double": DECIMAL, "boolean": BOOLEAN, "list": LIST, "map": MAP, "structure": STRUCTURE}
# Longer lists hold nothing raw, so they are not searched for it.
MANY = 20_000


class Raw(str):
    """JSON text that stands in a body as it is."""


def kind_of(shape):
    """The kind of member that a shape is."""
    return ENUM if shape.type_name == "string" and shape.enum else KINDS[shape.type_name]


def body_members(shape):
    """The members of a structure that travel in the body."""
    return {n: m for n, m in shape.members.items() if not m.serialization.get("location")}


def example(shape, within=()):
    """The smallest good value of a shape."""
    kind = kind_of(shape)
    if kind == STRUCTURE:
        required = [n for n in shape.required_members if n in body_members(shape) and shape.name not in within]
        return {name: example(shape.members[name], (*within, shape.name)) for name in required}
    if kind == LIST:
        return [example(shape.member, within)] * shape.metadata.get("min", 1 if kind_of(shape.member) != STRUCTURE else 0)
    if kind == MAP:
        return {f"k{n}": example(shape.value, within) for n in range(shape.metadata.get("min", 0))}
    if kind == TEXT:
        return ("1" if "Id" in shape.name else "x") * max(1, shape.metadata.get("min", 1))
    return {ENUM: lambda: shape.enum[0], BOOLEAN: lambda: True, DECIMAL: lambda: 0.5}.get(
        kind, lambda: shape.metadata.get("min", 1))()


def places(shape, path=(), within=()):
    """Every place of an input as (path, shape); a step is a member's name, 0 in lists and "k" in maps."""
    yield path, shape
    if shape.name in within:
        return
    within, kind = (*within, shape.name), kind_of(shape)
    if kind == STRUCTURE:
        for name, member in body_members(shape).items():
            yield from places(member, (*path, name), within)
    elif kind in (LIST, MAP):
        yield from places(shape.member if kind == LIST else shape.value, (*path, 0 if kind == LIST else "k"), within)


def to_text(value):
    """JSON, with raw parts as they are. Surrogates may stand alone."""
    raws = []

    def hide(value):
        if isinstance(value, Raw):
            raws.append(value)
            return f"@raw{len(raws) - 1}@"
        if isinstance(value, dict):
            return {k: hide(v) for k, v in value.items()}
        return [hide(v) for v in value] if isinstance(value, list) and len(value) < MANY else value

    text = json.dumps(hide(value))
    return re.sub(r'"@raw(\d+)@"', lambda found: raws[int(found[1])], text) if raws else text


def name_of(path):
    return next((step for step in reversed(path) if isinstance(step, str) and step != "k"), None)


def depth_of(value, path):
    """How many steps of the path the value has."""
    for depth, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(path)


def value_at(value, path, shape):
    if depth_of(value, path) < len(path):
        return example(shape)
    for step in path:
        value = value[step]
    return value


def with_value(base, path, value, shape):
    """A copy of `base` with `value` at `path`; structures on the way get what they require."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    kind = kind_of(shape)
    inner = shape.members[step] if kind == STRUCTURE else shape.member if kind == LIST else shape.value
    if kind == LIST:
        below = base[step] if len(base) > step else example(inner)
        return [*base[:step], with_value(below, rest, value, inner), *base[step + 1:]]
    below = base[step] if step in base else example(inner)
    return base | {step: with_value(below, rest, value, inner)}
