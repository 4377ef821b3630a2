"""Values of settled families as they were in one generation of them, kept in this node's memory.

Every transaction that changes a record of a settled family gives the store a new generation: a random token, written in
that very transaction. So values that were read together with a token are true wherever that token is read again, on
whatever node; the engine reads the token in the first round trip of each transaction, in the same snapshot as all else.
"""

import threading
from typing import Final

VALUE_BYTES_MAX = 256 * 1024
"""Larger values are read each time."""

BYTES_MAX = 64 * 1024 * 1024
"""When so much is kept, all of it is dropped; what is needed comes back at once."""

_RECORD_OVERHEAD_BYTES = 200


class Absent:
    """The type of ABSENT."""


ABSENT: Final = Absent()
"""Says that a key is not kept, where None says that it is known to have no value."""


class Generation:
    """What is known of one generation."""

    __slots__ = ("_bytes", "_values", "token")

    def __init__(self, token: bytes) -> None:
        self.token = token
        self._values: dict[bytes, bytes | None] = {}
        self._bytes = 0

    def find(self, key: bytes) -> bytes | Absent | None:
        """Return the value of a key in this generation, None if it has none, ABSENT if that is not known."""
        return self._values.get(key, ABSENT)

    def keep(self, key: bytes, value: bytes | None) -> None:
        """Remember what was read together with this generation's token."""
        size = len(value or b"")
        if size > VALUE_BYTES_MAX:
            return
        # Two threads may lose count against each other, by little and only towards keeping less or more of the same.
        self._bytes += size + len(key) + _RECORD_OVERHEAD_BYTES
        if self._bytes > BYTES_MAX:
            self._values.clear()
            self._bytes = 0
        self._values[key] = value


class Settled:
    """The generation that was seen last. Used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.last = Generation(b"")

    def at(self, token: bytes) -> Generation:
        """Return what is known of a generation; it is the last one from now on."""
        last = self.last
        if last.token == token:
            return last
        with self._lock:
            if self.last.token != token:
                self.last = Generation(token)
            return self.last
