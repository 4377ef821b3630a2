"""Paging tokens: a position as text that clients have no reason to look into."""

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from cumulet.errors import ServiceError

T = TypeVar("T")


def encode_token(position: Any) -> str:
    """Return the token of a position."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).decode()


def decode_token(token: str | None, kind: type[T]) -> T | None:
    """Return the position of a token, None for none. Raises InvalidParameterException if no answer ever held it."""
    if token is None:
        return None
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(token.encode()), type=kind)
    except (binascii.Error, msgspec.DecodeError, UnicodeError):
        raise invalid_token() from None


def invalid_token() -> ServiceError:
    """Return AWS's answer to a token that it did not give."""
    return ServiceError("InvalidParameterException", "The specified nextToken is invalid.")
