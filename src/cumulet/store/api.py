"""What a store is: one ordered, transactional map from bytes to bytes.

An engine knows keys and values, not AWS. A transaction body is a plain synchronous function; it may be run twice, so it
touches nothing but its transaction. Writes are buffered in the transaction (it reads its own writes) and applied when
the body returns; when the body raises, nothing happened.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")

KEY_BYTES_MAX = 8 * 1024
"""No family needs longer keys: DynamoDB's largest key is 2,048 + 1,024 bytes, escaped at worst to twice that."""

VALUE_BYTES_MAX = 8 * 1024 * 1024
"""Larger values go through `blobs`, in chunks."""


class StoreError(Exception):
    """What a store cannot do, in words for the person who runs it."""


class StoreInUse(StoreError):
    """Another process holds the data folder."""


class StoreTooNew(StoreError):
    """A newer program wrote this store."""


class StoreUnreadable(StoreError):
    """What lies in the data folder is not a store, or is damaged."""


class StoreWriteFailed(StoreError):
    """The writes of this transaction could not be made durable and are gone; the store holds what it held before."""


class StoreOverloaded(StoreError):
    """Too many transactions wait for their turn; this one was not begun."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, or did not do its work in time. Nothing of this transaction was kept."""


class StoreOutcomeUnknown(StoreError):
    """The commit was not confirmed by the database or the disk: this transaction was kept as a whole, or not at all."""


class StoreClosed(StoreError):
    """The store has been closed; this transaction was not begun."""


class ReadTx(Protocol):
    """A consistent view of the store."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of `key`, or None."""
        ...

    def scan(
        self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the pairs with `start` <= key < `end` in key order (or the reverse), at most `limit` of them.

        Writes of the same transaction made while the iterator is open need not be seen by it.
        """
        ...


class WriteTx(ReadTx, Protocol):
    """A view of the store that can be changed."""

    def put(self, key: bytes, value: bytes) -> None:
        """Make `value` the value of `key`."""
        ...

    def delete(self, key: bytes) -> None:
        """Remove `key`; nothing happens if it is absent."""
        ...

    def delete_range(self, start: bytes, end: bytes) -> None:
        """Remove every key with `start` <= key < `end`."""
        ...

    def hint(self, topic: str) -> None:
        """Wake the listeners of `topic` once this transaction is committed. A hint may be lost; listeners also poll."""
        ...


class Store(Protocol):
    """An open store."""

    @property
    def engine(self) -> str:
        """Its kind, for people: sqlite, postgres, memory."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other processes may have the same store open. If not, nobody need be told that this one lives."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why it refuses transactions, or writes, at present, in words for people; None if it does not."""
        ...

    async def read(self, fn: Callable[[ReadTx], T]) -> T:
        """Return `fn(tx)` over a consistent view. May run `fn` more than once."""
        ...

    async def write(self, fn: Callable[[WriteTx], T]) -> T:
        """Return `fn(tx)` once its writes are durable. May run `fn` more than once; raises what `fn` raises."""
        ...

    def listen(self, topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called (on the event loop, soon) after commits that hint at `topic`; return how to stop that."""
        ...

    async def close(self) -> None:
        """Finish the writes under way and let go of the store."""
        ...
