"""The Query protocol (IAM, STS, CloudFormation): a form with dotted names in, XML out.

`Tags.member.1.Key=a` is read into a tree first, and the tree by the input's shape.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.wire.message import Request, Response
from cumulet.wire.model import Member, OperationModel, Shape
from cumulet.wire.resolve import query_form
from cumulet.wire.xml_text import readable
from cumulet.wire.xml_values import MalformedXml, compile_children_writer, compile_text_reader

Tree = dict[str, Any]
"""Parts of dotted names to subtrees; a name's own text lies under the empty string."""

Read = Callable[[Tree], Any]

_INDEX = re.compile(r"[0-9]{1,4}")
"""A longer index is a mistake or an attack: no list of these services comes near it."""


def compile_parser(operation: OperationModel) -> Callable[[Request, Mapping[str, str]], dict[str, Any]]:
    """Return a function from a request to params."""
    shape = operation.input
    if shape is None:
        return lambda request, labels: {}
    read = _structure_reader(shape)

    def parse(request: Request, labels: Mapping[str, str]) -> dict[str, Any]:
        params: dict[str, Any] = read(_tree(query_form(request)))
        return params

    return parse


def _tree(form: Mapping[str, str]) -> Tree:
    root: Tree = {}
    for name, text in form.items():
        node = root
        parts = name.split(".")
        if "" in parts:
            continue  # no member has such a name, and AWS passes over names that it does not know
        for part in parts:
            node = node.setdefault(part, {})
        node[""] = text
    return root


def _malformed(message: str) -> ServiceError:
    return ServiceError("MalformedInput", message, status=400)


def _structure_reader(shape: Shape) -> Read:
    table = [(member.name, _name_in_form(member), _reader(member)) for member in shape.members.values()]

    def read(tree: Tree) -> dict[str, Any]:
        return {name: inner(tree[wire_name]) for name, wire_name, inner in table if wire_name in tree}

    return read


def _name_in_form(member: Member) -> str:
    if member.shape.type == "list" and member.flattened and member.shape.member.location_name:
        return member.shape.member.location_name
    return member.wire_name


def _reader(member: Member) -> Read:
    shape = member.shape
    match shape.type:
        case "structure":
            return _Late(shape)
        case "list":
            return _list_reader(member)
        case "map":
            return _map_reader(member)
    from_text = compile_text_reader(member)

    def read(tree: Tree) -> Any:
        if "" not in tree:
            raise _malformed("Unexpected complex element termination")
        try:
            return from_text(tree[""])
        except MalformedXml:
            raise _malformed(f"Invalid value for {member.wire_name}: {tree['']}") from None

    return read


def _list_reader(member: Member) -> Read:
    read_element = _reader(member.shape.member)
    inner_name = None if member.flattened else member.shape.member.location_name or "member"

    def read(tree: Tree) -> list[Any]:
        # An empty list is sent as its bare name.
        below = tree if inner_name is None else tree.get(inner_name, {})
        return [read_element(element) for element in _in_order(below)]

    return read


def _map_reader(member: Member) -> Read:
    shape = member.shape
    read_key, read_value = _reader(shape.key), _reader(shape.value)
    key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"
    flattened = member.flattened

    def read(tree: Tree) -> dict[str, Any]:
        entries = _in_order(tree if flattened else tree.get("entry", {}))
        return {
            read_key(entry.get(key_name, {})): read_value(entry[value_name]) for entry in entries if value_name in entry
        }

    return read


def _in_order(tree: Tree) -> list[Tree]:
    numbered = []
    for part, subtree in tree.items():
        if part == "":
            continue
        if not _INDEX.fullmatch(part):
            raise _malformed(f"{part} is not a valid index")
        numbered.append((int(part), subtree))
    return [subtree for _, subtree in sorted(numbered, key=lambda pair: pair[0])]


class _Late:
    """A reader that is made on its first use, so that shapes may contain themselves."""

    __slots__ = ("_made", "_shape")

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._made: Read | None = None

    def __call__(self, tree: Tree) -> Any:
        if self._made is None:
            self._made = _structure_reader(self._shape)
        return self._made(tree)


def compile_serialiser(operation: OperationModel) -> Callable[[Mapping[str, Any], str], Response]:
    """Return a function from an output and a request id to the answer."""
    name, shape = operation.name, operation.output
    start = f'<{name}Response xmlns="{operation.service.xml_namespace}">'
    wrapper = operation.result_wrapper
    open_result, close_result = (f"<{wrapper}>", f"</{wrapper}>") if wrapper else ("", "")
    write = compile_children_writer(shape, shape.members) if shape is not None else None

    def serialise(output: Mapping[str, Any], request_id: str) -> Response:
        out = [start, open_result]
        if write is not None:
            write(out, output)
        out.append(
            f"{close_result}<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
        )
        headers = (("x-amzn-requestid", request_id), ("content-type", "text/xml"))
        return Response(operation.success_status, headers, readable("".join(out)).encode())

    return serialise
