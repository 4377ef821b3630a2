"""Transactions: which items those under way hold, and the tokens of those that are done.

A transaction is under way from the moment it looks at its items until its commit is durable. Meanwhile other requests
run, and one that wants an item of it is refused, as AWS refuses it ("Transaction conflict handling in DynamoDB",
developer guide; decision 0015). What is held is known to the node that runs the transaction; transactions on different
nodes are put in order by the store.

A token makes a transaction happen once: for ten minutes the same request with the same token does nothing and succeeds.
"""

from typing import NoReturn

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM, Scope
from cumulet.services.dynamodb.core.capacity import Units
from cumulet.services.dynamodb.core.limits import TOKEN_MS, TOKENS_SWEPT_MAX
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_EXPIRING_TOKEN, DDB_TRANSACTION_TOKEN
from cumulet.store.records import Records


class TransactionsUnderWay:
    """The items and tokens of this node's transactions that are not yet durable, by who holds them.

    A holder is the id of a request. A body that runs a second time finds what it holds already.
    """

    __slots__ = ("_holders", "_places", "_tokens")

    def __init__(self) -> None:
        self._holders: dict[bytes, str] = {}
        self._places: dict[str, list[bytes]] = {}
        self._tokens: dict[tuple[Scope, str], str] = {}

    def is_held(self, place: bytes) -> bool:
        """Return whether a transaction holds this item."""
        return place in self._holders

    def check_free(self, place: bytes, holder: str) -> None:
        """Raise TransactionConflictException if the transaction of another request than `holder` holds the item."""
        if self._holders and self._holders.get(place, holder) != holder:
            raise ServiceError("TransactionConflictException", "Transaction is ongoing for the item")

    def hold(self, places: list[bytes], holder: str) -> list[bool]:
        """Take hold of the items that are free; return for each whether it is held now."""
        self._places.setdefault(holder, []).extend(places)
        # One step for each item: with an engine that runs bodies in threads two of them may come at once.
        return [self._holders.setdefault(place, holder) == holder for place in places]

    def hold_token(self, scope: Scope, token: str, holder: str) -> None:
        """Take hold of a token. Raises TransactionInProgressException if a transaction with it is under way."""
        if self._tokens.setdefault((scope, token), holder) != holder:
            raise ServiceError(
                "TransactionInProgressException", "The transaction with the given request token is already in progress."
            )

    def release(self, scope: Scope, token: str | None, holder: str) -> None:
        """Let go of all that a request holds."""
        for place in self._places.pop(holder, ()):
            if self._holders.get(place) == holder:
                del self._holders[place]
        if token is not None and self._tokens.get((scope, token)) == holder:
            del self._tokens[scope, token]


class Done(msgspec.Struct, frozen=True):
    """A transaction that has happened."""

    digest: bytes
    """Of what was asked for: with the same token it has to be the same."""
    at_ms: int
    units: list[tuple[str, float, dict[str, float], dict[str, float]]]
    """What was consumed of each table, named as the client did, and of its local and global indexes."""


_TOKENS = Records(DDB_TRANSACTION_TOKEN, Done)


def find_done(tx: ReadTx, scope: Scope, token: str, digest: bytes, now_ms: int) -> dict[str, Units] | None:
    """Return what the transaction of that token has consumed, or None if there was none in the last ten minutes.

    Raises IdempotentParameterMismatchException if it was another one.
    """
    done = _TOKENS.find(tx, scope, token)
    if done is None or now_ms - done.at_ms >= TOKEN_MS:
        return None
    if done.digest != digest:
        _mismatch()
    return {name: Units(table, local, others) for name, table, local, others in done.units}


def save_done(tx: WriteTx, scope: Scope, token: str, digest: bytes, now_ms: int, units: dict[str, Units]) -> None:
    """Remember the transaction, until `sweep_tokens` comes ten minutes later."""
    listed = [(name, used.table, used.local_indexes, used.global_indexes) for name, used in units.items()]
    _TOKENS.save(tx, scope, token, record=Done(digest, now_ms, listed))
    tx.put(DDB_EXPIRING_TOKEN.key(SYSTEM, now_ms + TOKEN_MS, *scope, token), b"")


def has_old_tokens(tx: ReadTx, now_ms: int) -> bool:
    """Return whether there are tokens that no longer count."""
    return next(iter(_old_tokens(tx, now_ms, limit=1)), None) is not None


def sweep_tokens(tx: WriteTx, now_ms: int) -> None:
    """Forget tokens that no longer count, so many at a time."""
    for key in _old_tokens(tx, now_ms, limit=TOKENS_SWEPT_MAX):
        _, account, region, token = DDB_EXPIRING_TOKEN.parts_of(key)
        scope = Scope(account, region)
        done = _TOKENS.find(tx, scope, token)
        # A token may have been used anew, and then has a later line.
        if done is not None and now_ms - done.at_ms >= TOKEN_MS:
            _TOKENS.delete(tx, scope, token)
        tx.delete(key)


def _old_tokens(tx: ReadTx, now_ms: int, limit: int) -> list[bytes]:
    start, _ = DDB_EXPIRING_TOKEN.range(SYSTEM)
    return [key for key, _ in tx.scan(start, DDB_EXPIRING_TOKEN.key(SYSTEM, now_ms + 1), limit=limit)]


def _mismatch() -> NoReturn:
    raise ServiceError(
        "IdempotentParameterMismatchException",
        "The provided client token is already in use for a request with different parameters.",
    )
