"""DynamoDB's background work: expired items, streams that nobody reads, copies and indexes under way, old changes.

What there is to do stands in `chores`. Everything goes in bounded steps, each a transaction of its own under the lease
of its loop, and each finds out anew what is left: so a step may be lost or done twice.
"""

from collections.abc import Callable
from functools import partial

from cumulet.scope import Scope
from cumulet.services.dynamodb import index_filling
from cumulet.services.dynamodb.backups import BACKUPS, remove_backup
from cumulet.services.dynamodb.change_log import has_trimmable, trim_log
from cumulet.services.dynamodb.chores import Kind, delete_chore, find_chore, scan_chores
from cumulet.services.dynamodb.copies import COPIES_TOPIC, copy_step
from cumulet.services.dynamodb.core.limits import (
    EXPIRY_SWEEP_S,
    RECOVERY_SWEEP_S,
    STREAM_SWEEP_S,
    TOKENS_SWEEP_S,
    TRANSFER_S,
)
from cumulet.services.dynamodb.expiry import INDEXED, find_expired, has_expired, index_step, open_expiring
from cumulet.services.dynamodb.exports import TRANSFERS_TOPIC
from cumulet.services.dynamodb.operations.recovery import earliest_ms
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.remains import REMAINS_TOPIC, erase_remains
from cumulet.services.dynamodb.resource_policies import POLICIES
from cumulet.services.dynamodb.stream_log import (
    EXPIRY_PRINCIPAL,
    delete_log,
    has_arrivals,
    has_trimmable_records,
    settle,
    trim,
)
from cumulet.services.dynamodb.streams import STREAMS, Stream
from cumulet.services.dynamodb.tables import OpenTable, find_table
from cumulet.services.dynamodb.transactions import has_old_tokens, sweep_tokens
from cumulet.services.dynamodb.transfers import Transfers
from cumulet.services.dynamodb.vector_filling import VECTOR_FILLING_TOPIC, fill_vector_indexes
from cumulet.services.dynamodb.writes import write_item
from cumulet.services.kit import Call, Ground, Loop, Principal
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.leases import Lease

_DAY_MS = 24 * 60 * 60 * 1000
SUBJECTS_PER_READ = 100
HasWork = Callable[[Call, str, ReadTx], bool]


class SweepingPlane(DynamoDbPlane):
    """The plane of a service that also does what no request waits for."""

    async def start(self) -> None:
        """Begin the loops; they end with the server."""
        sweeps = Sweeps(self.ground)
        for loop in (
            Loop("dynamodb: expired items", sweeps.expire, EXPIRY_SWEEP_S),
            Loop("dynamodb: streams", sweeps.tend_streams, STREAM_SWEEP_S),
            Loop("dynamodb: copies", sweeps.copy, RECOVERY_SWEEP_S, COPIES_TOPIC),
            Loop("dynamodb: indexes", sweeps.fill_indexes, RECOVERY_SWEEP_S, index_filling.HINT),
            Loop("dynamodb: old changes", sweeps.trim_changes, RECOVERY_SWEEP_S),
            Loop("dynamodb: remains of what was deleted", sweeps.erase_remains, RECOVERY_SWEEP_S, REMAINS_TOPIC),
            Loop("dynamodb: transaction tokens", sweeps.forget_tokens, TOKENS_SWEEP_S),
            Loop("dynamodb: vector indexes", sweeps.fill_vectors, RECOVERY_SWEEP_S, VECTOR_FILLING_TOPIC),
            Loop("dynamodb: exports and imports", Transfers(self.ground).round, TRANSFER_S, TRANSFERS_TOPIC),
        ):
            self.ground.workers.run(loop)


class Sweeps:
    """The rounds of the loops."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._store = ground.store

    async def expire(self, lease: Lease) -> None:
        """Delete the items that are due, and look for expiring ones in tables whose TTL is new."""
        for call, name in await self._find_work("expiry", _has_expiry_work):
            while await self._store.read(partial(_has_expiry_work, call, name)):
                await lease.write(partial(_expire_step, call, name))

    async def tend_streams(self, lease: Lease) -> None:
        """Put arrivals in order, remove records older than 24 hours and streams that have ended that long ago."""
        for call, subject in await self._find_work("stream", _has_stream_work):
            while await self._store.read(partial(_has_stream_work, call, subject)):
                await lease.write(partial(_stream_step, call, subject))

    async def copy(self, lease: Lease) -> None:
        """Go on with backups and restores."""
        for chore in await self._store.read(lambda tx: list(scan_chores(tx, "copy"))):
            call = self._call(chore.scope)
            while await lease.write(partial(_copy_step, call, chore.subject)):
                pass

    async def fill_indexes(self, lease: Lease) -> None:
        """Put items into indexes that are younger than they."""
        await index_filling.fill_indexes(self._store, lease.write)

    async def fill_vectors(self, lease: Lease) -> None:
        """Put vectors into indexes that are younger than they."""
        await fill_vector_indexes(self._store, lease)

    async def trim_changes(self, lease: Lease) -> None:
        """Remove what no moment of a recovery window needs, and backups that have expired."""
        for call, subject in await self._find_work("system backup", _has_expired_backup):
            await lease.write(partial(_expire_backup, call, subject))
        for call, name in await self._find_work("change log", _has_old_changes):
            while await self._store.read(partial(_has_old_changes, call, name)):
                await lease.write(partial(_trim_changes, call, name))

    async def erase_remains(self, lease: Lease) -> None:
        """Remove what is left of what was deleted."""
        await erase_remains(self._store, lease)

    async def forget_tokens(self, lease: Lease) -> None:
        """Forget the tokens of transactions that no longer count."""
        now_ms = self._ground.clock.now_ms()
        while await self._store.read(partial(has_old_tokens, now_ms=now_ms)):
            await lease.write(partial(sweep_tokens, now_ms=now_ms))

    async def _find_work(self, kind: Kind, has_work: HasWork) -> list[tuple[Call, str]]:
        """Return the subjects of one kind for which there is something to do, many of them looked at in one read."""
        chores = await self._store.read(lambda tx: list(scan_chores(tx, kind)))
        subjects = [(self._call(chore.scope), chore.subject) for chore in chores]
        found: list[tuple[Call, str]] = []
        for first in range(0, len(subjects), SUBJECTS_PER_READ):
            looked_at = subjects[first : first + SUBJECTS_PER_READ]
            found += await self._store.read(partial(_with_work, has_work, looked_at))
        return found

    def _call(self, scope: Scope) -> Call:
        return Call(
            scope=scope,
            principal=Principal.service(EXPIRY_PRINCIPAL),
            request_id="",
            now_ms=self._ground.clock.now_ms(),
            ids=self._ground.ids,
        )


def _has_expiry_work(call: Call, name: str, tx: ReadTx) -> bool:
    chore, table = find_chore(tx, "expiry", call.scope, name), open_expiring(tx, call, name)
    return chore is not None and (table is None or chore.position != INDEXED or has_expired(tx, table, call.now_ms))


def _expire_step(call: Call, name: str, tx: WriteTx) -> None:
    chore, table = find_chore(tx, "expiry", call.scope, name), open_expiring(tx, call, name)
    if chore is None or table is None:
        delete_chore(tx, "expiry", call.scope, name)
        return
    if chore.position != INDEXED:
        index_step(tx, table, chore.position)
    for entry, place in find_expired(tx, table, call.now_ms):
        tx.delete(entry)  # `write_item` does so too; a sweep must not depend on it, or it would never end
        write_item(tx, call, table, place, tx.get(place), None)


def _with_work(has_work: HasWork, subjects: list[tuple[Call, str]], tx: ReadTx) -> list[tuple[Call, str]]:
    return [(call, subject) for call, subject in subjects if has_work(call, subject, tx)]


def _has_stream_work(call: Call, subject: str, tx: ReadTx) -> bool:
    if find_chore(tx, "stream", call.scope, subject) is None:
        return False
    stream = STREAMS.find(tx, call.scope, *subject.split("/"))
    if stream is None or stream.is_gone(call.now_ms):
        return True
    return any(_has_shard_work(call, stream, shard, tx) for shard in range(stream.shards))


def _has_shard_work(call: Call, stream: Stream, shard: int, tx: ReadTx) -> bool:
    return has_arrivals(tx, call.scope, stream, shard) or has_trimmable_records(
        tx, call.scope, stream, shard, call.now_ms
    )


def _stream_step(call: Call, subject: str, tx: WriteTx) -> None:
    stream = STREAMS.find(tx, call.scope, *subject.split("/"))
    if stream is None or stream.is_gone(call.now_ms):
        delete_chore(tx, "stream", call.scope, subject)
        if stream is not None:
            delete_log(tx, call.scope, stream)
            POLICIES.delete(tx, call.scope, stream.id)
            STREAMS.delete(tx, call.scope, stream.table_name, stream.label)
        return
    for shard in range(stream.shards):
        if _has_shard_work(call, stream, shard, tx):
            settle(tx, call.scope, stream, shard)
            trim(tx, call.scope, stream, shard, call.now_ms)
            return  # the next shard is the next step: what one transaction does is bounded


def _copy_step(call: Call, subject: str, tx: WriteTx) -> bool:
    chore = find_chore(tx, "copy", call.scope, subject)
    return chore is not None and copy_step(tx, call, chore)


def _recovering(tx: ReadTx, call: Call, name: str) -> OpenTable | None:
    table = find_table(tx, call, name)
    return table if table is not None and table.record.recovery_since_ms else None


def _has_old_changes(call: Call, name: str, tx: ReadTx) -> bool:
    if find_chore(tx, "change log", call.scope, name) is None:
        return False
    table = _recovering(tx, call, name)
    return table is None or has_trimmable(tx, table, _kept_since_ms(call, table))


def _trim_changes(call: Call, name: str, tx: WriteTx) -> None:
    table = _recovering(tx, call, name)
    if table is None:
        delete_chore(tx, "change log", call.scope, name)
        return
    trim_log(tx, table, _kept_since_ms(call, table))


def _has_expired_backup(call: Call, subject: str, tx: ReadTx) -> bool:
    backup = BACKUPS.find(tx, call.scope, *subject.split("/"))
    return backup is not None and backup.is_gone(call.now_ms) and not backup.restores


def _expire_backup(call: Call, subject: str, tx: WriteTx) -> None:
    backup = BACKUPS.find(tx, call.scope, *subject.split("/"))
    if backup is not None and not backup.restores:
        remove_backup(tx, call.scope, backup)


def _kept_since_ms(call: Call, table: OpenTable) -> int:
    # A day more, for restores that are under way.
    return earliest_ms(table.record, call.now_ms) - _DAY_MS
