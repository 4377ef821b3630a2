"""Members that lie outside the body in REST protocols: path labels, query string, headers, status code.

Compiled per operation to lists of small functions; the members of the body are left to the protocol's own file.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from cumulet.errors import InvariantViolated
from cumulet.wire.json_values import timestamp_format
from cumulet.wire.message import Headers, Request
from cumulet.wire.model import Member, OperationModel, Shape
from cumulet.wire.scalars import PARSERS
from cumulet.wire.timestamps import RENDERERS

Refuse = Callable[[Member, str], Exception]
"""Returns the protocol's error for text that a member cannot have."""

Read = Callable[[Request, Mapping[str, str]], dict[str, Any]]
FromText = Callable[[str], Any]

_COMMA_LIST = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')


def body_members(shape: Shape) -> dict[str, Member]:
    """Return the members of a structure that lie in the body."""
    return {name: member for name, member in shape.members.items() if member.location is None}


def compile_reader(operation: OperationModel, shape: Shape, refuse: Refuse) -> Read:
    """Return a function from a request and its path labels to the values of the members outside the body."""
    in_path, in_query, in_headers, in_prefix = (
        [member for member in shape.members.values() if member.location == location]
        for location in ("uri", "querystring", "header", "headers")
    )
    path_parts = [(member.name, member.wire_name, _from_text(member, refuse, "iso8601")) for member in in_path]
    header_parts = [(member.name, member.wire_name.lower(), _from_header(member, refuse)) for member in in_headers]
    prefix_parts = [(member.name, member.wire_name.lower()) for member in in_prefix]
    fixed = frozenset(parse_qs(operation.request_uri.partition("?")[2], keep_blank_values=True))
    read_query = _compile_query(in_query, fixed, refuse) if in_query else None

    def read(request: Request, labels: Mapping[str, str]) -> dict[str, Any]:
        values = {name: convert(labels[wire_name]) for name, wire_name, convert in path_parts}
        if read_query is not None and request.query:
            values.update(read_query(request.query))
        headers = request.headers
        for name, wire_name, convert in header_parts:
            if (text := headers.get(wire_name)) is not None:
                values[name] = convert(text)
        for name, prefix in prefix_parts:
            if found := _with_prefix(headers, prefix):
                values[name] = found
        return values

    return read


def _compile_query(members: list[Member], fixed: frozenset[str], refuse: Refuse) -> Callable[[str], dict[str, Any]]:
    singles: dict[str, tuple[str, FromText]] = {}
    lists: dict[str, tuple[str, FromText]] = {}
    rest: Member | None = None
    for member in members:
        shape = member.shape
        if shape.type == "list":
            lists[member.wire_name] = (member.name, _from_text(shape.member, refuse, "iso8601"))
        elif shape.type == "map":
            rest = member
        else:
            singles[member.wire_name] = (member.name, _from_text(member, refuse, "iso8601"))
    rest_of_lists = rest is not None and rest.shape.value.shape.type == "list"

    def read(query: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for key, text in parse_qsl(query, keep_blank_values=True):
            if (single := singles.get(key)) is not None:
                values.setdefault(single[0], single[1](text))
            elif (several := lists.get(key)) is not None:
                values.setdefault(several[0], []).append(several[1](text))
            elif key in fixed:
                continue
            elif rest_of_lists:
                others.setdefault(key, []).append(text)
            else:
                others.setdefault(key, text)
        if rest is not None and others:
            values[rest.name] = others
        return values

    return read


def _with_prefix(headers: Headers, prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name.startswith(prefix):
            key = name[len(prefix) :]
            found[key] = f"{found[key]},{value}" if key in found else value
    return found


def _from_header(member: Member, refuse: Refuse) -> FromText:
    shape = member.shape
    if shape.type == "list":
        element = _from_text(shape.member, refuse, "rfc822")
        return lambda text: [element(part) for part in _split_list(text)]
    return _from_text(member, refuse, "rfc822")


def _split_list(text: str) -> list[str]:
    parts = []
    position = 0
    while position < len(text):
        found = _COMMA_LIST.match(text, position)
        if found is None or found.end() == position:
            break
        quoted, bare = found.groups()
        parts.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare.strip())
        position = found.end()
    return parts


def _from_text(member: Member, refuse: Refuse, default_format: str) -> FromText:
    kind = member.shape.type
    if kind in ("string", "character"):
        return str
    parse = PARSERS.get(kind)
    if parse is None:
        raise InvariantViolated(f"{member.name} is a {kind}, which has no form as text")

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError:
            raise refuse(member, text) from None

    return convert


def compile_header_writer(shape: Shape) -> Callable[[Mapping[str, Any]], list[tuple[str, str]]]:
    """Return a function from an output to the headers that hold its members."""
    singles = [
        (member.name, member.wire_name.lower(), _to_text(member, "rfc822"))
        for member in shape.members.values()
        if member.location == "header"
    ]
    prefixed = [
        (member.name, member.wire_name.lower()) for member in shape.members.values() if member.location == "headers"
    ]

    def write(output: Mapping[str, Any]) -> list[tuple[str, str]]:
        headers = [
            (wire_name, render(value)) for name, wire_name, render in singles if (value := output.get(name)) is not None
        ]
        for name, prefix in prefixed:
            headers += [(prefix + key, value) for key, value in (output.get(name) or {}).items()]
        return headers

    return write


def _to_text(member: Member, default_format: str) -> Callable[[Any], str]:
    match member.shape.type:
        case "boolean":
            return lambda value: "true" if value else "false"
        case "timestamp":
            render = RENDERERS[timestamp_format(member, default_format)]
            return lambda value: str(render(value))
        case "list":
            element = _to_text(member.shape.member, default_format)
            return lambda values: ", ".join(element(value) for value in values)
        case _:
            return str


def find_status_member(shape: Shape) -> str | None:
    """Return the name of the member that is the HTTP status."""
    return next((member.name for member in shape.members.values() if member.location == "statusCode"), None)
