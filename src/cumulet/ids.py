"""The only source of chance: identifiers, tokens and secrets, with a twin that counts."""

import os
import secrets
import sys
import threading
import uuid
from functools import lru_cache
from typing import Protocol

DRAW_BYTES = 1024
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


class _Drawn(threading.local):
    """What this thread has drawn ahead: two threads that shared it could be given the same bytes."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.rest = b""
        self.letters: dict[str, str] = {}
        """By alphabet; there are few."""


_drawn = _Drawn()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_drawn.forget)  # or both processes would give away the same secrets


class RandomIds:
    """Identifiers from the machine's entropy. Used by several threads, and by processes that were forked."""

    def uuid(self) -> str:
        # Version 4 by hand: uuid.UUID takes six times as long, and every request has several.
        drawn = self.secret(16)
        digits = drawn.hex()
        variant = "89ab"[drawn[8] >> 6]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def token(self, length: int, alphabet: str = LOWER_ALPHANUMERIC) -> str:
        # Where the alphabet does not divide 256 its first letters are a little likelier, which identifiers can bear.
        letters = _drawn.letters
        rest = letters.get(alphabet, "")
        if len(rest) < length:
            rest = secrets.token_bytes(max(DRAW_BYTES, length)).translate(_byte_to_letter(alphabet)).decode("ascii")
        letters[alphabet] = rest[length:]
        return rest[:length]

    def secret(self, length: int) -> bytes:
        # Every request needs some bytes, and asking the kernel for them each time cost it 5 to 20 us.
        rest = _drawn.rest
        if len(rest) < length:
            rest = secrets.token_bytes(max(DRAW_BYTES, length))
        _drawn.rest = rest[length:]
        return rest[:length]


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
