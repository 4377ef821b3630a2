"""Shapes as XML, for the query and rest-xml protocols: rendering of outputs, reading of inputs.

A shape's writer is compiled once to functions that append text to a list; members are written in the model's order,
which is AWS's. What is None is left out.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from cumulet.errors import InvariantViolated
from cumulet.wire.json_values import timestamp_format
from cumulet.wire.model import Member, Shape
from cumulet.wire.scalars import PARSERS
from cumulet.wire.timestamps import RENDERERS, render_iso8601_millis
from cumulet.wire.xml_text import escape

Write = Callable[[list[str], Any], None]
Read = Callable[[list[Element]], Any]


def compile_children_writer(shape: Shape, members: Mapping[str, Member], *, millis: bool = False) -> Write:
    """Return a function that appends a structure's members without an element around them."""
    table = [(member.name, _member_writer(member, millis)) for member in members.values()]
    known = frozenset(members)

    def write(out: list[str], value: Mapping[str, Any]) -> None:
        if not known.issuperset(value):
            raise InvariantViolated(f"{shape!r} has no member {sorted(set(value) - known)[0]}")
        for name, inner in table:
            if (found := value.get(name)) is not None:
                inner(out, found)

    return write


def compile_element_writer(member: Member, name: str, namespace: str = "", *, millis: bool = False) -> Write:
    """Return a function that appends one element of the given name, with a default namespace if there is one."""
    return _writer(member, name, f' xmlns="{namespace}"' if namespace else "", millis)


def _member_writer(member: Member, millis: bool) -> Write:
    name = member.wire_name
    if member.shape.type == "list" and member.flattened and member.shape.member.location_name:
        name = member.shape.member.location_name
    return _writer(member, name, _namespace_text(member), millis)


def _namespace_text(member: Member) -> str:
    declared = member.xml_namespace
    if declared is None:
        return ""
    prefix = f":{declared.prefix}" if declared.prefix else ""
    return f' xmlns{prefix}="{declared.uri}"'


def _writer(member: Member, name: str, attributes: str, millis: bool) -> Write:
    match member.shape.type:
        case "structure":
            return _Late(lambda: _structure_writer(member.shape, name, attributes, millis))
        case "list":
            return _list_writer(member, name, attributes, millis)
        case "map":
            return _map_writer(member, name, attributes, millis)
    to_text = _to_text(member, millis)
    start, end = f"<{name}{attributes}>", f"</{name}>"
    return lambda out, value: out.append(f"{start}{to_text(value)}{end}")


def _structure_writer(shape: Shape, name: str, attributes: str, millis: bool) -> Write:
    in_tag = [member for member in shape.members.values() if member.xml_attribute]
    inner = {name: member for name, member in shape.members.items() if not member.xml_attribute}
    write_children = compile_children_writer(shape, inner, millis=millis)
    end = f"</{name}>"

    def write(out: list[str], value: Mapping[str, Any]) -> None:
        tag = f"<{name}{attributes}"
        if in_tag:
            for member in in_tag:
                if (found := value.get(member.name)) is not None:
                    tag += f' {member.wire_name}="{escape(str(found))}"'
            value = {key: found for key, found in value.items() if key in inner}
        out.append(tag + ">")
        write_children(out, value)
        out.append(end)

    return write


def _list_writer(member: Member, name: str, attributes: str, millis: bool) -> Write:
    element = member.shape.member
    if member.flattened:
        write_flat = _writer(element, name, attributes, millis)

        def write_elements(out: list[str], values: Any) -> None:
            for value in values:
                write_flat(out, value)

        return write_elements
    write_one = _writer(element, element.location_name or "member", "", millis)
    start, end = f"<{name}{attributes}>", f"</{name}>"

    def write(out: list[str], values: Any) -> None:
        out.append(start)
        for value in values:
            write_one(out, value)
        out.append(end)

    return write


def _map_writer(member: Member, name: str, attributes: str, millis: bool) -> Write:
    shape = member.shape
    write_key = _writer(shape.key, shape.key.location_name or "key", "", millis)
    write_value = _writer(shape.value, shape.value.location_name or "value", "", millis)
    entry = name if member.flattened else "entry"
    start, end = ("", "") if member.flattened else (f"<{name}{attributes}>", f"</{name}>")

    def write(out: list[str], values: Mapping[str, Any]) -> None:
        out.append(start)
        for key, value in values.items():
            out.append(f"<{entry}>")
            write_key(out, key)
            write_value(out, value)
            out.append(f"</{entry}>")
        out.append(end)

    return write


def _to_text(member: Member, millis: bool) -> Callable[[Any], str]:
    match member.shape.type:
        case "string" | "character":
            return lambda value: escape(str(value))
        case "boolean":
            return lambda value: "true" if value else "false"
        case "blob":
            return lambda value: base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
        case "timestamp":
            named = timestamp_format(member, "iso8601")
            render = render_iso8601_millis if millis and named == "iso8601" else RENDERERS[named]
            return lambda value: str(render(value))
        case _:
            return str


class _Late:
    """A writer that is made on its first use, so that shapes may contain themselves."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Write]) -> None:
        self._make = make
        self._made: Write | None = None

    def __call__(self, out: list[str], value: Any) -> None:
        if self._made is None:
            self._made = self._make()
        self._made(out, value)


class MalformedXml(ValueError):
    """Bytes that are not XML, or not of the shape that was asked for."""


def parse_document(body: bytes) -> Element:
    """Return the root of a document. Raises MalformedXml; a document type declaration is refused, as AWS does."""
    parser = XMLParser(target=_WithoutDoctype())
    try:
        parser.feed(body)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError) as problem:
        # Besides ParseError there are an encoding that Python does not know, and one that its parser cannot read.
        raise MalformedXml(str(problem)) from None
    return root


class _WithoutDoctype(TreeBuilder):
    def doctype(self, name: str, pubid: str, system: str) -> None:
        raise MalformedXml("document type declarations are not allowed")


def compile_structure_reader(shape: Shape) -> Callable[[Element], dict[str, Any]]:
    """Return a function from an element to a structure's values. Unknown elements are passed over."""
    table: dict[str, tuple[str, Read]] = {}
    attributes = {member.wire_name.rpartition(":")[2]: member.name for member in shape.members.values()}
    in_tag = {name for name, member in shape.members.items() if member.xml_attribute}
    for member in shape.members.values():
        if member.xml_attribute or member.location is not None:
            continue
        entry = (member.name, _reader(member))
        table[member.wire_name] = entry
        if member.shape.type == "list" and member.flattened and member.shape.member.location_name:
            table.setdefault(member.shape.member.location_name, entry)

    def read(node: Element) -> dict[str, Any]:
        groups: dict[str, list[Element]] = {}
        for child in node:
            groups.setdefault(local_name(child.tag), []).append(child)
        values = {table[tag][0]: table[tag][1](found) for tag, found in groups.items() if tag in table}
        if in_tag:
            for key, text in node.attrib.items():
                if (name := attributes.get(local_name(key))) in in_tag and name is not None:
                    values[name] = text
        return values

    return read


def _reader(member: Member) -> Read:
    shape = member.shape
    match shape.type:
        case "structure":
            read_structure = _LateReader(shape)
            return lambda nodes: read_structure(nodes[0])
        case "list":
            read_element = _reader(shape.member)
            if member.flattened:
                return lambda nodes: [read_element([node]) for node in nodes]
            name = shape.member.location_name or "member"
            return lambda nodes: [read_element([node]) for node in nodes[0] if local_name(node.tag) == name]
        case "map":
            return _map_reader(member)
    from_text = compile_text_reader(member)
    return lambda nodes: from_text(nodes[0].text or "")


def _map_reader(member: Member) -> Read:
    shape = member.shape
    key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"
    read_value = _reader(shape.value)
    flattened = member.flattened

    def read(nodes: list[Element]) -> dict[str, Any]:
        made = {}
        for entry in nodes if flattened else nodes[0]:
            parts = {local_name(part.tag): part for part in entry}
            if key_name not in parts or value_name not in parts:
                raise MalformedXml("an entry lacks its key or value")
            made[parts[key_name].text or ""] = read_value([parts[value_name]])
        return made

    return read


class _LateReader:
    __slots__ = ("_made", "_shape")

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._made: Callable[[Element], dict[str, Any]] | None = None

    def __call__(self, node: Element) -> dict[str, Any]:
        if self._made is None:
            self._made = compile_structure_reader(self._shape)
        return self._made(node)


def compile_text_reader(member: Member) -> Callable[[str], Any]:
    """Return a function from text to a scalar. Raises MalformedXml."""
    kind = member.shape.type
    if kind in ("string", "character"):
        return str
    parse = PARSERS[kind]

    def read(text: str) -> Any:
        try:
            return parse(text.strip())
        except ValueError:
            raise MalformedXml(f"{text!r} is no {kind}") from None

    return read


def local_name(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rpartition("}")[2]
