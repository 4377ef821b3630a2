"""Paging tokens: a position as text that clients have no reason to look into."""

import base64
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from cumulet.errors import ServiceError

T = TypeVar("T")


def encode_token(position: Any) -> str:
    """Return the token of a position."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).decode()


def decode_token(token: str | None, kind: type[T], refusal: Callable[[], ServiceError]) -> T | None:
    """Return the position of a token, None for none. Raises the service's `refusal` if no answer ever held it."""
    if token is None:
        return None
    try:
        position = msgspec.msgpack.decode(base64.urlsafe_b64decode(token.encode()), type=kind)
    except (ValueError, msgspec.DecodeError):
        raise refusal() from None
    # Python's decoder passes over whatever is not base64.
    if encode_token(position) != token:
        raise refusal()
    return position
