"""JSON Patch as API Gateway has it: each kind of record has a table of the paths that can be changed, and by which ops.

A line of a table is a path, what kind of value it leads to, and the ops that AWS supports there:

    text flag number    a single value; a patch's value is always text
    object              a value of several members, as JSON text that is put in its place as a whole
    texts flags         an entry of a map, named by the path's last part
    members             a list, whose member is the patch's value
    listed              a list, whose member is the path's last part (or, when replaced, the patch's value)
    refused             a value that AWS has and Cumulet refuses by name

A patch changes the members that the record is shown with; the operation makes its record of them anew, so that an
update passes the same checks as a creation.
https://docs.aws.amazon.com/apigateway/latest/api/patch-operations.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError

_SHOWN_CHARS_MAX = 200
_PLACE = re.compile(r"[0-9]{1,4}\Z")
OPS = ("add", "remove", "replace", "move", "copy", "test")


@dataclass(frozen=True, slots=True)
class Patchable:
    """One line of a table."""

    path: str
    kind: str
    ops: tuple[str, ...]

    def key_of(self, parts: list[str]) -> list[str] | None:
        """Return the names that lead to the value if a path's parts are of this line."""
        own = self.path[1:].split("/")
        if len(own) != len(parts):
            return None
        if all(name == part or name.startswith("{") for name, part in zip(own, parts, strict=True)):
            return parts
        return None


def table(text: str) -> tuple[Patchable, ...]:
    """Return the lines of a table."""
    lines = [line.split() for line in text.strip().splitlines()]
    return tuple([Patchable(path, kind, tuple(ops)) for path, kind, *ops in lines])


def patched(
    shown: dict[str, Any], operations: Sequence[Mapping[str, Any]] | None, lines: Sequence[Patchable]
) -> dict[str, Any]:
    """Return a record's members after the patch operations, which are applied in order. `shown` is changed.

    What is removed, or replaced by nothing, becomes None.
    """
    for operation in operations or ():
        op, path = operation.get("op"), operation.get("path") or ""
        if op not in OPS:
            raise ServiceError("BadRequestException", f"Invalid patch operation specified: {op or 'null'}")
        known = [line for line in lines if op in line.ops]
        parts = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
        line = next((line for line in known if path.startswith("/") and line.key_of(parts)), None)
        if line is None:
            raise unsupported(path, op, [line.path for line in known])
        if line.kind == "refused":
            raise NotImplementedHere(f"The patch path {path} of API Gateway")
        _patch(shown, line, parts, op, operation.get("value"))
    return shown


def unsupported(path: str, op: str, known: Sequence[str]) -> ServiceError:
    """Return the error for a path that an operation does not have; `known` are those that it has."""
    choice = f"Must be one of: [{', '.join(known)}]" if known else "Please choose supported operations"
    return ServiceError("BadRequestException", f"Invalid patch path  '{path}' specified for op '{op}'. {choice}")


def _patch(shown: dict[str, Any], line: Patchable, parts: list[str], op: str, value: str | None) -> None:
    *above, last = parts
    holder = shown
    if line.kind == "members":
        above, last = parts, value or ""
    for name in above[:-1] if line.kind in ("members", "listed") else above:
        if not isinstance(holder.get(name), dict):
            holder[name] = {}
        holder = holder[name]
    if line.kind in ("members", "listed"):
        holder[above[-1]] = _relisted(list(holder.get(above[-1]) or ()), op, last, value)
    elif line.kind in ("texts", "flags"):
        if op != "add" and last not in holder:
            # The words for parameters: https://github.com/hashicorp/terraform-provider-aws/pull/40124
            what = "parameter name" if above[-1].endswith("Parameters") else "content type"
            raise ServiceError("NotFoundException", f"Invalid {what} specified")
        if op == "remove":
            del holder[last]
        else:
            holder[last] = is_true(value) if line.kind == "flags" else value or ""
    elif op == "remove" or not value:
        holder[last] = None
    elif line.kind == "flag":
        holder[last] = is_true(value)
    elif line.kind == "object":
        holder[last] = _object(parts, value)
    else:
        holder[last] = _number(parts, value) if line.kind == "number" else value


def is_true(value: str | None) -> bool:
    """Tell whether a patch's value is true, as Java's Boolean reads it."""
    return (value or "").lower() == "true"


def _number(parts: list[str], value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise bad_value(parts, value)
    return int(value)


def _object(parts: list[str], value: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise bad_value(parts, value) from None


def bad_value(parts: Sequence[str], value: str) -> ServiceError:
    """Return the error for a value that a path cannot have; of a long one, its beginning."""
    shown = value if len(value) <= _SHOWN_CHARS_MAX else f"{value[:_SHOWN_CHARS_MAX]}..."
    return ServiceError("BadRequestException", f"Invalid patch value {shown} specified for path /{'/'.join(parts)}")


def _relisted(members: list[str], op: str, member: str, value: str | None) -> list[str]:
    if op == "add":
        return members if member in members else [*members, member]
    # Terraform names the member of a list by its place.
    if member not in members and _PLACE.match(member) and int(member) < len(members):
        member = members[int(member)]
    replaced = [value] if op == "replace" and value else []
    return [new for old in members for new in (replaced if old == member else [old])]
