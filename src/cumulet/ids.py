"""The only source of chance: identifiers, tokens and secrets, with a twin that counts."""

import os
import secrets
import sys
import uuid
from functools import lru_cache
from typing import Protocol, TypeVar

T = TypeVar("T", str, bytes)

DRAW_BYTES = 4096
LOWER_ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"
UPPER_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
REQUEST_ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@lru_cache(maxsize=16)
def _byte_to_letter(alphabet: str) -> bytes:
    return bytes([ord(alphabet[byte % len(alphabet)]) for byte in range(256)])


class Ids(Protocol):
    """Fresh names. Two calls never return the same value in the lifetime of a store."""

    def uuid(self) -> str:
        """Return a lower-case UUID (36 characters)."""
        ...

    def token(self, length: int, alphabet: str = LOWER_ALPHANUMERIC) -> str:
        """Return `length` characters of `alphabet`."""
        ...

    def secret(self, length: int) -> bytes:
        """Return `length` bytes that nobody can guess."""
        ...


class _Drawn:
    """What was drawn ahead, to be taken from the end: that no other thread comes between is Python's own promise."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.uuids: list[str] = []
        self.tokens: dict[tuple[int, str], list[str]] = {}
        """By length and alphabet; there are few."""
        self.secrets: dict[int, list[bytes]] = {}


_drawn = _Drawn()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_drawn.forget)  # or both processes would give away the same secrets


class RandomIds:
    """Identifiers from the machine's entropy. Used by several threads, and by processes that were forked."""

    # Every request needs some, and to ask the kernel each time cost it 5 to 20 us. When two threads find nothing left
    # both draw, and what one of them drew is dropped before anybody had it.

    def uuid(self) -> str:
        try:
            return _drawn.uuids.pop()
        except IndexError:
            uuids = _draw_uuids()
            taken = uuids.pop()
            _drawn.uuids = uuids
            return taken

    def token(self, length: int, alphabet: str = LOWER_ALPHANUMERIC) -> str:
        try:
            return _drawn.tokens[length, alphabet].pop()
        except LookupError:
            # Where the alphabet does not divide 256 its first letters are a little likelier: identifiers can bear it.
            drawn = secrets.token_bytes(max(DRAW_BYTES, length)).translate(_byte_to_letter(alphabet))
            tokens = _pieces(drawn.decode("ascii"), length)
            taken = tokens.pop()
            _drawn.tokens[length, alphabet] = tokens
            return taken

    def secret(self, length: int) -> bytes:
        try:
            return _drawn.secrets[length].pop()
        except LookupError:
            drawn = _pieces(secrets.token_bytes(max(DRAW_BYTES, length)), length)
            taken = drawn.pop()
            _drawn.secrets[length] = drawn
            return taken


def _draw_uuids() -> list[str]:
    # Version 4 by hand, all at once: uuid.UUID takes ten times as long.
    drawn = bytearray(secrets.token_bytes(DRAW_BYTES))
    drawn[6::16] = drawn[6::16].translate(_AS_VERSION)
    drawn[8::16] = drawn[8::16].translate(_AS_VARIANT)
    return [
        f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        for digits in _pieces(drawn.hex(), 32)
    ]


_AS_VERSION = bytes([byte & 0x0F | 0x40 for byte in range(256)])
_AS_VARIANT = bytes([byte & 0x3F | 0x80 for byte in range(256)])


def _pieces(drawn: T, length: int) -> list[T]:
    return [drawn[at : at + length] for at in range(0, len(drawn) - length + 1, length)]


class CountingIds:
    """Identifiers that count up, so that a test can name them beforehand."""

    def __init__(self) -> None:
        self._count = 0

    def _next(self) -> int:
        self._count += 1
        return self._count

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._next()))

    def token(self, length: int, alphabet: str = LOWER_ALPHANUMERIC) -> str:
        number, digits = self._next(), ""
        for _ in range(length):
            number, digit = divmod(number, len(alphabet))
            digits = alphabet[digit] + digits
        return digits

    def secret(self, length: int) -> bytes:
        return self._next().to_bytes(length, "big")
