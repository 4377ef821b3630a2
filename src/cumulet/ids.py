"""The only source of chance: identifiers, tokens and secrets, with a twin that counts."""

import secrets
import uuid
from functools import lru_cache
from typing import Protocol

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


class RandomIds:
    """Identifiers from the machine's entropy."""

    def uuid(self) -> str:
        return str(uuid.uuid4())

    def token(self, length: int, alphabet: str = LOWER_ALPHANUMERIC) -> str:
        # One read of the machine's entropy; `secrets.choice` per character would cost every request 50 us. Where the
        # alphabet does not divide 256 its first letters are a little likelier, which identifiers can bear.
        return secrets.token_bytes(length).translate(_byte_to_letter(alphabet)).decode("ascii")

    def secret(self, length: int) -> bytes:
        return secrets.token_bytes(length)


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
