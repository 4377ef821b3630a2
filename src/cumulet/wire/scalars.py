"""Scalars as text, in headers, query strings, forms and XML. All raise ValueError for text that is no such scalar."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from cumulet.wire.timestamps import parse_timestamp

LONG_MIN, LONG_MAX = -(1 << 63), (1 << 63) - 1

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?|NaN|-?Infinity")


def parse_integer(text: str) -> int:
    """Return an integer of 64 bits; Python's own reading would take underscores and other alphabets' digits."""
    if not _INTEGER.fullmatch(text) or not LONG_MIN <= (value := int(text)) <= LONG_MAX:
        raise ValueError(text)
    return value


def parse_number(text: str) -> float:
    """Return a float, with the names that AWS has for what is not finite."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def parse_boolean(text: str) -> bool:
    """Return whether text says true, in any case."""
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def parse_blob(text: str) -> bytes:
    """Return the bytes that base64 stands for."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(text) from None


PARSERS: dict[str, Callable[[str], Any]] = {
    "integer": parse_integer,
    "long": parse_integer,
    "float": parse_number,
    "double": parse_number,
    "boolean": parse_boolean,
    "blob": parse_blob,
    "timestamp": parse_timestamp,
}
"""By the type of a shape; strings stand for themselves."""
