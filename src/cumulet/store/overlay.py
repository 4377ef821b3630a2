"""The buffer in which a write transaction keeps its changes until its body has returned.

Reads see the buffer over its base: the engine's committed view, or another buffer. Ranges are deleted first, then
`changes` are applied (None means deleted): a `delete_range` drops the buffered changes inside it, so later puts win and
earlier ones are gone.
"""

from collections.abc import Iterator

from cumulet.store.api import KEY_BYTES_MAX, VALUE_BYTES_MAX, ReadTx

_NO_HINTS: frozenset[str] = frozenset()


class OverlayTx:
    """A `WriteTx` over any `ReadTx`. Engines read `changes`, `deleted_ranges` and `hints` when the body returned."""

    __slots__ = ("base", "changes", "deleted_ranges", "hints")

    def __init__(self, base: ReadTx) -> None:
        self.base = base
        self.changes: dict[bytes, bytes | None] = {}
        self.deleted_ranges: list[tuple[bytes, bytes]] = []
        self.hints = _NO_HINTS

    def get(self, key: bytes) -> bytes | None:
        if key in self.changes:
            return self.changes[key]
        if self.deleted_ranges and self._in_deleted_range(key):
            return None
        return self.base.get(key)

    def scan(
        self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        ours = [key for key in self.changes if start <= key < end]
        if not ours and not self.deleted_ranges:
            return self.base.scan(start, end, limit=limit, reverse=reverse)
        ours.sort(reverse=not reverse)  # the next one is popped from the end
        return self._merged(ours, start, end, limit, reverse)

    def put(self, key: bytes, value: bytes) -> None:
        if len(key) > KEY_BYTES_MAX:
            raise ValueError(f"a key has at most {KEY_BYTES_MAX} bytes, not {len(key)}")
        if len(value) > VALUE_BYTES_MAX:
            raise ValueError(f"a value has at most {VALUE_BYTES_MAX} bytes, not {len(value)}; larger ones are blobs")
        self.changes[key] = value

    def delete(self, key: bytes) -> None:
        self.changes[key] = None

    def delete_range(self, start: bytes, end: bytes) -> None:
        for key in [key for key in self.changes if start <= key < end]:
            del self.changes[key]
        self.deleted_ranges.append((start, end))

    def absorb(self, tx: "OverlayTx") -> None:
        """Take over what another buffer over this one has changed, as if it had been changed here."""
        for start, end in tx.deleted_ranges:
            self.delete_range(start, end)
        self.changes.update(tx.changes)

    def hint(self, topic: str) -> None:
        self.hints = self.hints | {topic}

    def _in_deleted_range(self, key: bytes) -> bool:
        return any(start <= key < end for start, end in self.deleted_ranges)

    def _merged(
        self, ours: list[bytes], start: bytes, end: bytes, limit: int | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        left = limit
        # Without a limit of its own: buffered deletions may hide any number of the engine's pairs.
        theirs = self.base.scan(start, end, reverse=reverse)
        pair = next(theirs, None)
        while (pair or ours) and (left is None or left > 0):
            if pair is None or (ours and (ours[-1] >= pair[0] if reverse else ours[-1] <= pair[0])):
                key = ours.pop()
                value = self.changes.get(key)
                if pair is not None and pair[0] == key:
                    pair = next(theirs, None)
            else:
                key, value = pair
                pair = next(theirs, None)
                if self._in_deleted_range(key):
                    value = None
            if value is not None:
                yield key, value
                left = None if left is None else left - 1
