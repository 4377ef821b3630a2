"""Shapes as JSON, for the json and rest-json protocols: typed decoding of inputs, encoding of outputs.

An input's shape becomes a type that msgspec decodes to in C: known members only, their types checked, blobs decoded.
Only when that fails does Python look at the document, to find the first wrong member and AWS's words for it (or to
accept what AWS accepts and msgspec does not, such as 5.0 for an integer). After decoding, only shapes with renamed
members or textual timestamps are walked again.

For services with raw values (DynamoDB) blobs and timestamps stay as they are on the wire, and attribute values are
left to DynamoDB's own codec.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypedDict

import msgspec

from cumulet.errors import InvariantViolated, ServiceError
from cumulet.wire.model import Member, ServiceModel, Shape
from cumulet.wire.scalars import LONG_MAX, LONG_MIN, parse_blob
from cumulet.wire.timestamps import RENDERERS, parse_timestamp

Decode = Callable[[bytes], dict[str, Any]]
Convert = Callable[[Any], Any]

Integer = Annotated[int, msgspec.Meta(ge=LONG_MIN, le=LONG_MAX)]

SCALARS: dict[str, Any] = {
    "string": str,
    "character": str,
    "integer": Integer,
    "long": Integer,
    "float": float,
    "double": float,
    "boolean": bool,
}


def compile_decoder(service: ServiceModel, shape: Shape, members: Mapping[str, Member] | None = None) -> Decode:
    """Return a function from a JSON object's bytes to a structure's values by member name.

    `members` narrows the structure to those that lie in the body. The function raises a SerializationException.
    """
    described = shape.members if members is None else members
    types = _Types(service)
    narrowed = types.structure(f"{shape.name}Body" if members is not None else shape.name, described)
    decoder = msgspec.json.Decoder(narrowed)
    convert = _structure_converter(service, described) if _needs_conversion(service, described.values()) else None
    raw = service.raw_values

    def decode(body: bytes) -> dict[str, Any]:
        try:
            value = decoder.decode(body)
        except msgspec.ValidationError:
            value = _Reader(service).structure(described, shape.name, _decode_any(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _malformed() from None
        if b"null" in body:
            _drop_nulls(value, described, raw)
        made: dict[str, Any] = convert(value) if convert is not None else value
        return made

    return decode


def compile_encoder(service: ServiceModel, shape: Shape, members: Mapping[str, Member] | None = None) -> Convert:
    """Return a function from a structure's values to its JSON bytes."""
    if service.raw_values:
        return msgspec.json.encode
    described = shape.members if members is None else members
    render = _Writer(service).structure(shape, described)
    return lambda value: msgspec.json.encode(render(value))


def compile_document_encoder(service: ServiceModel, member: Member) -> Convert:
    """Return a function from the value of any member to its JSON bytes (a structure that is the whole payload)."""
    render = _Writer(service).member(member)
    return lambda value: msgspec.json.encode(render(value))


def _malformed(message: str = "") -> ServiceError:
    return ServiceError("SerializationException", message, status=400)


def _decode_any(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _malformed() from None


def is_opaque(service: ServiceModel, shape: Shape) -> bool:
    """Return whether a shape's values are passed on untouched: documents, and DynamoDB's attribute values."""
    return shape.is_document or (service.raw_values and shape.name == "AttributeValue")


def timestamp_format(member: Member, default: str) -> str:
    """Return the format of a timestamp: the model's, else the protocol's."""
    return member.timestamp_format or default


class _Types:
    """Python types that msgspec decodes a service's shapes to, made once per shape; shapes may contain themselves."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._structures: dict[str, Any] = {}

    def structure(self, name: str, members: Mapping[str, Member]) -> Any:
        made = self._structures.get(name)
        if made is None:
            made = self._structures[name] = TypedDict(name, {}, total=False)  # type: ignore[operator]
            fields = {member.wire_name: self._optional(member) for member in members.values()}
            made.__annotations__.update(fields)
            made.__optional_keys__ = frozenset(fields)
        return made

    def _optional(self, member: Member) -> Any:
        made = self._type(member)
        return made if made is Any else made | None

    def _type(self, member: Member) -> Any:
        shape = member.shape
        if is_opaque(self._service, shape):
            return Any
        match shape.type:
            case "structure":
                return self.structure(shape.name, shape.members)
            case "list":
                return list[self._optional(shape.member)]  # type: ignore[misc]
            case "map":
                return dict[str, self._optional(shape.value)]  # type: ignore[misc]
            case "blob":
                return str if self._service.raw_values else bytes
            case "timestamp":
                return float if timestamp_format(member, "unixTimestamp") == "unixTimestamp" else str
            case _:
                return SCALARS[shape.type]


def _drop_nulls(value: dict[str, Any], members: Mapping[str, Member], raw: bool) -> None:
    # AWS takes a member that is null for one that is absent. Elements of lists are left, for the constraints to refuse.
    for member in members.values():
        name = member.wire_name
        if name not in value:
            continue
        if value[name] is None:
            del value[name]
        else:
            _drop_nulls_below(value[name], member.shape, raw)


def _drop_nulls_below(value: Any, shape: Shape, raw: bool) -> None:
    if value is None or shape.is_document or (raw and shape.name == "AttributeValue"):
        return
    if shape.type == "structure":
        _drop_nulls(value, shape.members, raw)
    elif shape.type == "list":
        for element in value:
            _drop_nulls_below(element, shape.member.shape, raw)
    elif shape.type == "map":
        for element in value.values():
            _drop_nulls_below(element, shape.value.shape, raw)


def _children(shape: Shape) -> Iterator[Member]:
    if shape.type == "structure":
        yield from shape.members.values()
    elif shape.type == "list":
        yield shape.member
    elif shape.type == "map":
        yield shape.value


def _needs_conversion(service: ServiceModel, members: Any) -> bool:
    if service.raw_values:
        return False
    seen: set[str] = set()
    waiting = list(members)
    while waiting:
        member = waiting.pop()
        shape = member.shape
        if member.name != member.wire_name and member.name not in ("member", "value"):
            return True
        if shape.type == "timestamp" and timestamp_format(member, "unixTimestamp") != "unixTimestamp":
            return True
        if shape.name not in seen and not is_opaque(service, shape):
            seen.add(shape.name)
            waiting.extend(_children(shape))
    return False


def _structure_converter(service: ServiceModel, members: Mapping[str, Member]) -> Convert:
    table = [(member.wire_name, member.name, _converter(service, member)) for member in members.values()]

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        made = {}
        for wire_name, name, inner in table:
            if wire_name in value:
                found = value[wire_name]
                made[name] = inner(found) if inner is not None and found is not None else found
        return made

    return convert


def _converter(service: ServiceModel, member: Member) -> Convert | None:
    shape = member.shape
    if not _needs_conversion(service, (member,)) or is_opaque(service, shape):
        return None
    if shape.type == "timestamp":
        return _parse_moment if timestamp_format(member, "unixTimestamp") != "unixTimestamp" else None
    if shape.type == "structure":
        return _Late(lambda: _structure_converter(service, shape.members))
    if shape.type == "list":
        element = _converter(service, shape.member)
        return element and (lambda values: [None if one is None else element(one) for one in values])
    if shape.type == "map":
        inner = _converter(service, shape.value)
        return inner and (lambda values: {key: None if one is None else inner(one) for key, one in values.items()})
    return None


class _Late:
    """A function that is made on its first call, so that shapes may contain themselves."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Convert]) -> None:
        self._make = make
        self._made: Convert | None = None

    def __call__(self, value: Any) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made(value)


def _parse_moment(text: str) -> int | float:
    try:
        return parse_timestamp(text)
    except ValueError:
        raise _malformed(f"Unable to parse date: {text}") from None


class _Reader:
    """Reads a decoded document by its shape, to say in AWS's words what is wrong with it."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        # DynamoDB's front door is older than the one that its younger siblings share, and has words of its own.
        self._is_dynamodb = service.name.startswith("dynamodb")

    def structure(self, members: Mapping[str, Member], name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _malformed(self._not_a_structure(name, value))
        by_wire_name = {member.wire_name: member for member in members.values()}
        return {key: self._value(by_wire_name[key], found) for key, found in value.items() if key in by_wire_name}

    def _value(self, member: Member, value: Any) -> Any:
        shape = member.shape
        if value is None or is_opaque(self._service, shape):
            return value
        match shape.type:
            case "structure":
                return self.structure(shape.members, shape.name, value)
            case "list":
                return self._list(shape, value)
            case "map":
                return self._map(shape, value)
            case "string" | "character":
                return value if isinstance(value, str) else self._refuse(value, "String")
            case "boolean":
                return value if isinstance(value, bool) else self._refuse(value, "Boolean")
            case "integer":
                return self._integer(value, "Integer")
            case "long":
                return self._integer(value, "Long")
            case "float" | "double":
                return self._number(value, "Float" if shape.type == "float" else "Double")
            case "timestamp":
                return self._timestamp(member, value)
            case _:
                return self._blob(value)

    def _list(self, shape: Shape, value: Any) -> list[Any]:
        if isinstance(value, dict):
            raise self._map_found()
        if not isinstance(value, list):
            raise _malformed("Unexpected field type")
        return [self._value(shape.member, element) for element in value]

    def _map(self, shape: Shape, value: Any) -> dict[str, Any]:
        if isinstance(value, list):
            inner = self._java_type(shape.value.shape)
            raise _malformed(f"Unrecognized collection type java.util.Map<java.lang.String, {inner}>")
        if not isinstance(value, dict):
            raise _malformed("Unexpected field type")
        return {key: self._value(shape.value, element) for key, element in value.items()}

    def _integer(self, value: Any, java_type: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and LONG_MIN <= value <= LONG_MAX:
            return value
        refused: int = self._refuse(value, java_type)
        return refused

    def _number(self, value: Any, java_type: str) -> float:
        if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if numeric else self._refuse(value, java_type)

    def _timestamp(self, member: Member, value: Any) -> Any:
        if timestamp_format(member, "unixTimestamp") != "unixTimestamp" and isinstance(value, str):
            return value
        if isinstance(value, str):
            return _parse_moment(value)
        return self._number(value, "Date")

    def _blob(self, value: Any) -> Any:
        if not isinstance(value, str):
            return self._refuse(value, "ByteBuffer")
        if self._service.raw_values:
            return value
        try:
            return parse_blob(value)
        except ValueError:
            raise _malformed("Invalid base64-encoded value") from None

    def _not_a_structure(self, name: str, value: Any) -> str:
        if isinstance(value, list):
            return f"Unrecognized collection type class {self._java_class(name)}"
        return "Unexpected value type in payload"

    def _java_type(self, shape: Shape) -> str:
        if shape.type == "structure":
            return self._java_class(shape.name)
        if shape.type == "list":
            return f"java.util.List<{self._java_type(shape.member.shape)}>"
        return "java.lang.String"

    def _java_class(self, name: str) -> str:
        return self._service.error_namespace.rstrip("#") + "." + name if self._service.error_namespace else name

    def _map_found(self) -> ServiceError:
        stop = "" if self._is_dynamodb else "."
        return _malformed(f"Start of structure or map found where not expected{stop}")

    def _refuse(self, value: Any, java_type: str) -> Any:
        if isinstance(value, dict):
            raise self._map_found()
        if isinstance(value, list):
            raise _malformed(f"Unrecognized collection type class java.lang.{java_type}")
        if self._is_dynamodb:
            if java_type == "Boolean" and isinstance(value, str):
                raise _malformed("Unexpected token received from parser")
            raise _malformed(f"{_token(value)} cannot be converted to {java_type}")
        article = "an" if java_type[0] in "AEIOU" else "a"
        raise _malformed(f"{_token(value)} can not be converted to {article} {java_type}")


def _token(value: Any) -> str:
    if value is True:
        return "TRUE_VALUE"
    if value is False:
        return "FALSE_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    return "DECIMAL_VALUE" if isinstance(value, float) else "NUMBER_VALUE"


class _Writer:
    """Makes functions that render values for msgspec: wire names, timestamps; absent and None members left out."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service

    def structure(self, shape: Shape, members: Mapping[str, Member]) -> Convert:
        table = {name: (member.wire_name, self.member(member)) for name, member in members.items()}

        def render(value: Mapping[str, Any]) -> dict[str, Any]:
            made = {}
            for name, found in value.items():
                if found is None:
                    continue
                try:
                    wire_name, inner = table[name]
                except KeyError:
                    raise InvariantViolated(f"{shape!r} has no member {name}") from None
                made[wire_name] = found if inner is None else inner(found)
            return made

        return render

    def member(self, member: Member) -> Any:
        shape = member.shape
        if is_opaque(self._service, shape):
            return None
        if shape.type == "structure":
            return _Late(lambda: self.structure(shape, shape.members))
        if shape.type == "list":
            element = self.member(shape.member)
            return element and (lambda values: [element(one) for one in values])
        if shape.type == "map":
            inner = self.member(shape.value)
            return inner and (lambda values: {key: inner(one) for key, one in values.items()})
        if shape.type == "timestamp":
            return RENDERERS[timestamp_format(member, "unixTimestamp")]
        if shape.type == "blob":
            # msgspec writes bytes as base64.
            return lambda value: value.encode() if isinstance(value, str) else value
        return None
