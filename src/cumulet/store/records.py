"""Typed records over a key family: a `msgspec.Struct` in, a version byte and MessagePack out.

The version byte is the family's own: a family whose struct changes in a way that msgspec's defaults cannot bridge gets
the next version and an upgrade function here.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec

from cumulet.errors import InvariantViolated
from cumulet.scope import Scope
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import Family
from cumulet.store.tuples import Element

R = TypeVar("R", bound=msgspec.Struct)

RECORD_VERSION = 1


class Records(Generic[R]):
    """Load and save one family's records. Every method needs a transaction and touches nothing else.

    `cached` keeps that many decoded records by their bytes, for families that each request reads: the same bytes then
    give the same object, which nobody may change.
    """

    def __init__(self, family: Family, kind: type[R], version: int = RECORD_VERSION, cached: int = 0) -> None:
        self.family = family
        self._version = bytes([version])
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._encoder = msgspec.msgpack.Encoder()
        self._decode: Callable[[bytes], R] = (
            lru_cache(maxsize=cached)(self._decode_anew) if cached else self._decode_anew
        )

    def decode(self, value: bytes) -> R:
        """Return the record that a stored value holds."""
        return self._decode(value)

    def find(self, tx: ReadTx, scope: Scope, *parts: Element) -> R | None:
        """Return the record, or None."""
        value = tx.get(self.family.key(scope, *parts))
        return None if value is None else self._decode(value)

    def save(self, tx: WriteTx, scope: Scope, *parts: Element, record: R) -> None:
        """Make `record` the record of that key."""
        tx.put(self.family.key(scope, *parts), self._version + self._encoder.encode(record))

    def delete(self, tx: WriteTx, scope: Scope, *parts: Element) -> None:
        """Remove the record if it is there."""
        tx.delete(self.family.key(scope, *parts))

    def delete_all(self, tx: WriteTx, scope: Scope, *parts: Element) -> None:
        """Remove every record whose key begins with `parts`."""
        tx.delete_range(*self.family.range(scope, *parts))

    def scan(
        self,
        tx: ReadTx,
        scope: Scope,
        *parts: Element,
        behind: tuple[Element, ...] | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[R]:
        """Yield the records whose key begins with `parts`, in key order.

        `behind` (the full parts of a record) starts after that record, or before it when `reverse` is set: the way to
        page.
        """
        start, end = self.family.range(scope, *parts)
        if behind is not None:
            if reverse:
                end = self.family.key(scope, *behind)
            else:
                start = self.family.key(scope, *behind) + b"\x00"
        for _, value in tx.scan(start, end, limit=limit, reverse=reverse):
            yield self._decode(value)

    def _decode_anew(self, value: bytes) -> R:
        if value[:1] != self._version:
            raise InvariantViolated(
                f"a record of family '{self.family.name}' has version {value[0]}, this program reads {self._version[0]}"
            )
        return self._decoder.decode(memoryview(value)[1:])
