"""One request's #names and :values: checked, looked up, and in the end all used."""

import re
from collections.abc import Container, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.ast import Elements, Path, ValueRef
from cumulet.services.dynamodb.core.limits import (
    ATTRIBUTE_NAME_BYTES_MAX,
    ITEM_BYTES_MAX,
    PLACEHOLDER_BYTES_MAX,
    SUBSTITUTES_BYTES_MAX,
)
from cumulet.services.dynamodb.core.values import Value, canonical_value, invalid, text_bytes

_NAME_KEY = re.compile(r"#[A-Za-z0-9_]+").fullmatch
_VALUE_KEY = re.compile(r":[A-Za-z0-9_]+").fullmatch
_SHORT = ATTRIBUTE_NAME_BYTES_MAX // 4
"""So many characters are within the limit whatever they are."""


@lru_cache(maxsize=4096)
def _is_name_key(key: str) -> bool:
    return _NAME_KEY(key) is not None


@lru_cache(maxsize=4096)
def _is_value_key(key: str) -> bool:
    return _VALUE_KEY(key) is not None


_NO_NAMES: frozenset[str] = frozenset()


class Placeholders:
    """The names and values of one request. Looking one up marks it as used."""

    __slots__ = ("_used_values", "names", "used_names", "values")

    def __init__(self, names: Mapping[str, str] | None, values: Mapping[str, Any] | None) -> None:
        """Check what the client sent. Raises AWS's errors for bad keys, names and values."""
        self.names: Mapping[str, str] = {} if names is None else _checked_names(names)
        self.values: Mapping[str, Value] = {}
        size = 0
        if values is not None:
            self.values, size = _checked_values(values)
        if size + ATTRIBUTE_NAME_BYTES_MAX * len(self.names) > SUBSTITUTES_BYTES_MAX:
            _check_size(size, self.names)
        self.used_names = _NO_NAMES
        self._used_values: set[str] = set()

    @staticmethod
    def of_canonical(values: Mapping[str, Value]) -> "Placeholders":
        """Return placeholders for a tree that was made, not parsed: these values, and no names."""
        placeholders = Placeholders(None, None)
        placeholders.values = values
        return placeholders

    @staticmethod
    def of_names(names: Mapping[str, str]) -> "Placeholders":
        """Return placeholders for what is compiled before there are values. The names are checked already."""
        placeholders = Placeholders(None, None)
        placeholders.names = names
        return placeholders

    def elements(self, path: Path, expression: str) -> Elements:
        """Return a path with its names in place; `expression` is the parameter's name, for the error."""
        if not path.has_placeholders:
            return path.elements
        return tuple(
            [self._name(element, expression) if type(element) is str else element for element in path.elements]
        )

    def _name(self, element: str, expression: str) -> str:
        if element[0] != "#":
            return element
        name = self.names.get(element)
        if name is None:
            invalid(
                f"Invalid {expression}: An expression attribute name used in the document path is not defined; "
                f"attribute name: {element}"
            )
        self.used_names |= {element}
        return name

    def value(self, ref: ValueRef, expression: str) -> Value:
        """Return the value of a placeholder."""
        value = self.values.get(ref.name)
        if value is None:
            invalid(
                f"Invalid {expression}: An expression attribute value used in expression is not defined; "
                f"attribute value: {ref.name}"
            )
        self._used_values.add(ref.name)
        return value

    def check_all_used(self) -> None:
        """Raise ValidationException if a name or value was sent that no expression mentions."""
        if len(self.used_names) < len(self.names):
            self._unused("ExpressionAttributeNames", self.names.keys(), self.used_names)
        if len(self._used_values) < len(self.values):
            self._unused("ExpressionAttributeValues", self.values.keys(), self._used_values)

    @staticmethod
    def _unused(parameter: str, given: Any, used: Container[str]) -> NoReturn:
        unused = ", ".join(key for key in given if key not in used)
        invalid(f"Value provided in {parameter} unused in expressions: keys: {{{unused}}}")


NO_PLACEHOLDERS = Placeholders(None, None)
"""Those of every request that has none: there is nothing in them to be used up."""


def _refuse_key(parameter: str, key: str) -> NoReturn:
    if not key:
        problem = "The expression attribute map contains an empty key;"
    elif (size := text_bytes(key)) > PLACEHOLDER_BYTES_MAX:
        problem = f"The expression attribute map contains a key that is too long; key size: {size}"
    else:
        problem = f'Syntax error; key: "{key}"'
    invalid(f"{parameter} contains invalid key: {problem}")


def _checked_names(names: Mapping[str, str]) -> Mapping[str, str]:
    if not names:
        invalid("ExpressionAttributeNames must not be empty")
    for key, name in names.items():
        if len(key) > PLACEHOLDER_BYTES_MAX or not _is_name_key(key):
            _refuse_key("ExpressionAttributeNames", key)
        if not name:
            invalid(f"ExpressionAttributeNames contains invalid value: Empty attribute name; key: {key}")
        if len(name) > _SHORT and text_bytes(name) > ATTRIBUTE_NAME_BYTES_MAX:
            invalid(
                "Member must have length less than or equal to 65535, Member must have length greater than or equal to "
                f"0; ExpressionAttributeNames contains invalid value for key: {key}"
            )
    return names


def _check_size(values_bytes: int, names: Mapping[str, str]) -> None:
    size = values_bytes + sum(map(text_bytes, names.values()))
    if size > SUBSTITUTES_BYTES_MAX:
        # The quota is documented, AWS's words are not.
        invalid(
            "Aggregated size of all expression attribute names and values has exceeded the size limit of "
            f"{SUBSTITUTES_BYTES_MAX} bytes"
        )


def _checked_values(values: Mapping[str, Any]) -> tuple[dict[str, Value], int]:
    """Return the values in canonical form, and how large they are together."""
    if not values:
        invalid("ExpressionAttributeValues must not be empty")
    checked = {}
    total = 0
    for key, value in values.items():
        if len(key) > PLACEHOLDER_BYTES_MAX or not _is_value_key(key):
            _refuse_key("ExpressionAttributeValues", key)
        try:
            checked[key], size = canonical_value(value)
            if size > ITEM_BYTES_MAX:
                invalid("Item size has exceeded the maximum allowed size")
        except ServiceError as error:
            if error.code != "ValidationException":
                raise
            invalid(f"ExpressionAttributeValues contains invalid value: {error.message} for key {key}")
        total += size
    return checked, total
