"""Attribute values in their wire form: `{"S": "text"}`, exactly one type each.

A value that a client sent is made canonical once: numbers in plain notation, sets without duplicates, base64 checked.
All other code works on canonical values. The same walk measures the value, as AWS counts bytes.
"""

import binascii
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.limits import ATTRIBUTE_NAME_BYTES_MAX, NESTING_DEPTH_MAX
from cumulet.services.dynamodb.core.numbers import measure_number, number_bytes

Value: TypeAlias = Mapping[str, Any]
Item: TypeAlias = dict[str, Value]

KINDS = ("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL")
_KIND_SET = frozenset(KINDS)
_CONTAINERS = frozenset(("M", "L", "SS", "NS", "BS"))
_JAVA_STRING = "java.lang.String"
_JAVA_VALUE = "com.amazonaws.dynamodb.v20120810.AttributeValue"

CONTAINER_BYTES = 3
ELEMENT_BYTES = 1
"""A list or map costs 3 bytes and one more for each element (developer guide, "DynamoDB item sizes and formats")."""


def invalid(message: str) -> NoReturn:
    """Raise ValidationException with these words."""
    raise ServiceError("ValidationException", message)


def invalid_parameter(message: str) -> NoReturn:
    """Raise ValidationException in the words that AWS has for most bad values."""
    raise ServiceError("ValidationException", "One or more parameter values were invalid: " + message)


def _unserialisable(message: str) -> NoReturn:
    raise ServiceError("SerializationException", message)


def missing_member(path: str) -> NoReturn:
    """Raise what AWS's model check says of a member that must be there and is null."""
    invalid(
        f"1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
    )


def text_bytes(text: str) -> int:
    """Return the length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def canonical_item(item: object) -> tuple[Item, int]:
    """Return an item in canonical form, and its size as AWS counts it. Raises AWS's error for a bad value.

    The item is not changed, nor copied further than it needs to be.
    """
    if not isinstance(item, dict):
        _unserialisable("Unexpected value type in payload")
    total = 0
    canonical: Item = {}
    for name, value in item.items():
        # A short text in ASCII, which most values are, is its own canonical form.
        if type(value) is dict and len(value) == 1 and type(text := value.get("S")) is str and text.isascii():
            canonical[name] = value
            total += len(text)
        else:
            canonical[name], size = canonical_value(value)
            total += size
        # The length of a short name in ASCII, which nearly all are, is its size.
        total += len(name) if name.isascii() and 0 < len(name) < 256 else check_name(name)
    return canonical, total


def check_name(name: str) -> int:
    """Return how many bytes an attribute's name has. Raises ValidationException for one that cannot be."""
    if not name:
        invalid_parameter("Empty attribute name")
    size = text_bytes(name)
    if size > ATTRIBUTE_NAME_BYTES_MAX:
        invalid_parameter("Attribute name is too large, must be less than 65536 bytes")
    return size


def canonical_value(value: object, depth: int = 0) -> tuple[Value, int]:
    """Return a value in canonical form, and its size as AWS counts it. Raises AWS's error for a bad one."""
    if type(value) is not dict or len(value) != 1:
        value = _only_kind(value)
    (kind,) = value
    content = value[kind]
    if kind == "S":
        if type(content) is str:
            return value, len(content) if content.isascii() else len(content.encode())
        _text(content)
    if kind == "N":
        if type(content) is not str:
            _text(content)
        number, size = measure_number(content)
        return (value if number == content else {"N": number}), size
    if kind == "M":
        return _canonical_map(value, content, depth + 1)
    if kind == "L":
        return _canonical_list(value, content, depth + 1)
    if kind == "BOOL":
        if type(content) is not bool:
            _not_boolean(content)
        return value, 1
    if kind == "NULL":
        if type(content) is not bool:
            _not_boolean(content)
        if not content:
            invalid_parameter("Null attribute value types must have the value of true")
        return value, 1
    if kind == "B":
        return value, len(decode_binary(content))
    if kind not in ("SS", "NS", "BS"):
        _no_kind()
    return _canonical_set(kind, content)


def _only_kind(value: object) -> dict[str, Any]:
    """Return the value with its one type; members that are null or unknown do not count, as AWS's parser has it."""
    if not isinstance(value, dict):
        if isinstance(value, list):
            _unserialisable(f"Unrecognized collection type class {_JAVA_VALUE}")
        if value is None:
            _no_kind()
        _unserialisable("Unexpected value type in payload")
    present = {kind: content for kind, content in value.items() if content is not None and kind in _KIND_SET}
    if not present:
        _no_kind()
    if len(present) > 1:
        invalid(
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes"
        )
    return present


def _no_kind() -> NoReturn:
    invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")


def _text(content: object) -> NoReturn:
    if content is None:
        _no_kind()
    _not_text(content)


def _not_text(content: object) -> NoReturn:
    if isinstance(content, bool):
        _unserialisable(f"{'TRUE' if content else 'FALSE'}_VALUE cannot be converted to String")
    if isinstance(content, int):
        _unserialisable("NUMBER_VALUE cannot be converted to String")
    if isinstance(content, float):
        _unserialisable("DECIMAL_VALUE cannot be converted to String")
    if isinstance(content, list):
        _unserialisable(f"Unrecognized collection type class {_JAVA_STRING}")
    _unserialisable("Start of structure or map found where not expected")


def _not_boolean(content: object) -> NoReturn:
    if content is None:
        _no_kind()
    if isinstance(content, str):
        _unserialisable("Unexpected token received from parser")
    if isinstance(content, int):
        _unserialisable("NUMBER_VALUE cannot be converted to Boolean")
    if isinstance(content, float):
        _unserialisable("DECIMAL_VALUE cannot be converted to Boolean")
    if isinstance(content, list):
        _unserialisable("Unrecognized collection type class java.lang.Boolean")
    _unserialisable("Start of structure or map found where not expected")


def decode_binary(content: object) -> bytes:
    """Return the bytes of a base64 text. Raises SerializationException for what is not one."""
    if type(content) is not str:
        if content is None:
            _no_kind()
        _not_text(content)
    try:
        decoded = binascii.a2b_base64(content)
    except (binascii.Error, ValueError):
        decoded = None
    if decoded is None or binascii.b2a_base64(decoded, newline=False) != content.encode():
        _unserialisable("only base64-encoded strings are convertible to bytes")
    return decoded


def _canonical_map(value: Value, content: object, depth: int) -> tuple[Value, int]:
    if not isinstance(content, dict):
        _not_a_container(content, "Map")
    if depth >= NESTING_DEPTH_MAX:
        _too_deep()
    total = CONTAINER_BYTES
    changed: dict[str, Value] | None = None
    for name, element in content.items():
        checked, size = canonical_value(element, depth)
        if checked is not element:
            changed = changed or dict(content)
            changed[name] = checked
        total += (len(name) if name.isascii() else len(name.encode())) + size + ELEMENT_BYTES
    return (value if changed is None else {"M": changed}), total


def _canonical_list(value: Value, content: object, depth: int) -> tuple[Value, int]:
    if not isinstance(content, list):
        _not_a_container(content, "List")
    if depth >= NESTING_DEPTH_MAX:
        _too_deep()
    total = CONTAINER_BYTES
    changed: list[Value] | None = None
    for index, element in enumerate(content):
        checked, size = canonical_value(element, depth)
        if checked is not element:
            changed = changed or list(content)
            changed[index] = checked
        total += size + ELEMENT_BYTES
    return (value if changed is None else {"L": changed}), total


def _not_a_container(content: object, kind: str) -> NoReturn:
    if content is None:
        _no_kind()
    if isinstance(content, dict):
        _unserialisable("Start of structure or map found where not expected")
    if isinstance(content, list):
        _unserialisable(f"Unrecognized collection type java.util.{kind}")
    _unserialisable("Unexpected field type")


def _too_deep() -> NoReturn:
    invalid(
        "Nesting Levels have exceeded supported limits: "
        "Attributes in the item have nested levels beyond supported limit"
    )


def _canonical_set(kind: str, content: object) -> tuple[Value, int]:
    if not isinstance(content, list):
        _not_a_container(content, "List")
    if not content:
        # The two spaces and the articles are AWS's.
        if kind == "BS":
            invalid_parameter("Binary sets should not be empty")
        invalid_parameter(f"An {'string' if kind == 'SS' else 'number'} set  may not be empty")
    for element in content:
        if type(element) is not str:
            if element is None:
                invalid_parameter("Null values are not allowed in sets")
            _not_text(element)
    if kind == "SS":
        if len(set(content)) < len(content):
            invalid_parameter(f"Input collection [{', '.join(content)}] contains duplicates.")
        return {kind: in_order(kind, content)}, text_bytes("".join(content))
    if kind == "NS":
        measured = [measure_number(element) for element in content]
        numbers = [number for number, _ in measured]
        if len(set(numbers)) < len(numbers):
            invalid_parameter("Input collection contains duplicates")
        return {kind: in_order(kind, numbers)}, sum(size for _, size in measured)
    size = sum(len(decode_binary(element)) for element in content)
    if len(set(content)) < len(content):
        invalid_parameter(f"Input collection [{', '.join(content)}]of type BS contains duplicates.")
    return {kind: in_order(kind, content)}, size


def in_order(kind: str, members: Iterable[str]) -> list[str]:
    """Return the members of a set as DynamoDB returns them: texts and binaries by their bytes, numbers by value."""
    # Parity Suite, recorded on AWS. The order of UTF-8 is that of code points, which is Python's.
    if kind == "SS":
        return sorted(members)
    return sorted(members, key=Decimal if kind == "NS" else binascii.a2b_base64)


def value_bytes(value: Value) -> int:
    """Return the size of a canonical value as AWS counts it."""
    if (number := value.get("N")) is not None:
        return number_bytes(number)
    (kind,) = value
    content = value[kind]
    if kind == "S":
        return text_bytes(content)
    if kind == "M":
        return CONTAINER_BYTES + sum(
            text_bytes(name) + value_bytes(element) + ELEMENT_BYTES for name, element in content.items()
        )
    if kind == "L":
        return CONTAINER_BYTES + sum(value_bytes(element) + ELEMENT_BYTES for element in content)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "B":
        return binary_bytes(content)
    if kind == "SS":
        return text_bytes("".join(content))
    if kind == "NS":
        return sum(map(number_bytes, content))
    return sum(map(binary_bytes, content))


def item_bytes(item: Mapping[str, Value]) -> int:
    """Return the size of a canonical item as AWS counts it."""
    return sum(text_bytes(name) + value_bytes(value) for name, value in item.items())


def binary_bytes(base64_text: str) -> int:
    """Return how many bytes a canonical base64 text stands for."""
    return len(base64_text) // 4 * 3 - base64_text.count("=", -2)


def check_nesting(value: Value, depth: int = 1) -> None:
    """Raise ValidationException if an update has nested an attribute with this value too deeply."""
    (kind,) = value
    content = value[kind]
    if kind != "M" and kind != "L":
        return
    if depth >= NESTING_DEPTH_MAX:
        _too_deep()
    for element in content.values() if kind == "M" else content:
        check_nesting(element, depth + 1)


def kind_of(value: Value) -> str:
    """Return the type of a value: "S", "N", ..."""
    (kind,) = value
    return kind


def comparable(value: Value) -> tuple[str, Any] | None:
    """Return (kind, what orders it) for a string, number or binary, and None for a kind without an order."""
    (kind,) = value
    content = value[kind]
    if kind == "S":
        # UTF-8 order is code point order, which is Python's.
        return kind, content
    if kind == "N":
        return kind, Decimal(content)
    if kind == "B":
        return kind, binascii.a2b_base64(content)
    return None


def equal(left: Value, right: Value) -> bool:
    """Return whether two canonical values are the same. Sets have no order."""
    if left == right:
        return True
    ((kind, content),) = left.items()
    ((other_kind, other),) = right.items()
    if kind != other_kind or kind not in _CONTAINERS or len(content) != len(other):
        return False
    if kind == "M":
        return content.keys() == other.keys() and all(equal(content[name], other[name]) for name in content)
    if kind == "L":
        return all(map(equal, content, other))
    return set(content) == set(other)
