"""Copies under way: backups that are being made, and tables that are being restored.

A copy goes in steps, each a transaction of its own, the first one in the transaction that asks for it: so what is small
is done at once. A sweep does the others. How far a copy has come is in its chore, written with what was copied; so a
copy that a kill cut short goes on where it was.

While a table is copied it counts its copies, keeps its change log, and cannot be deleted.
"""

import msgspec

from cumulet.services.dynamodb.backups import BACKUPS, Backup
from cumulet.services.dynamodb.change_log import Piece, end_log, read_as_of
from cumulet.services.dynamodb.chores import Chore, delete_chore, save_chore
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes
from cumulet.services.dynamodb.core.limits import COPY_STEP_BYTES_MAX, COPY_STEP_ITEMS_MAX
from cumulet.services.dynamodb.quotas import check_restore
from cumulet.services.dynamodb.tables import TABLES, OpenTable, Table, TableRestore, find_table
from cumulet.services.dynamodb.writes import write_item
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_BACKUP_ITEM
from cumulet.store.tuples import after

COPIES_TOPIC = "dynamodb-copies"
"""Hints that there is a copy to go on with."""

RESTORING_MS = 1 << 62
"""Until when a table is CREATING that is being restored: nobody knows."""


def begin_backup(tx: WriteTx, call: Call, table: OpenTable, backup: Backup) -> Backup:
    """Record a backup of a table as it is now, and make as much of it as one step does."""
    count_copies(tx, call, table, 1)
    BACKUPS.save(tx, call.scope, backup.table.name, backup.id, record=backup)
    back_up_step(tx, call, Chore(*call.scope, f"backup/{backup.table.name}/{backup.id}"))
    return BACKUPS.find(tx, call.scope, backup.table.name, backup.id) or backup


def begin_restore(tx: WriteTx, call: Call, record: Table, source: TableRestore) -> Table:
    """Record a table that comes from elsewhere, and restore as much of it as one step does."""
    check_restore(tx, call, record)
    record = msgspec.structs.replace(record, restore=source, ready_ms=RESTORING_MS)
    TABLES.save(tx, call.scope, record.name, record=record)
    if source.backup_id:
        _count_restores(tx, call, source, 1)
    elif (table := _find_source(tx, call, source)) is not None:
        count_copies(tx, call, table, 1)
    # What is restored consumes nothing of the new table's capacity: no plane, no throttling.
    restore_step(tx, msgspec.structs.replace(call, plane=None), Chore(*call.scope, f"table/{record.name}"))
    return TABLES.find(tx, call.scope, record.name) or record


def copy_step(tx: WriteTx, call: Call, chore: Chore) -> bool:
    """Do a copy's next step; return whether there is more to copy."""
    step = back_up_step if chore.subject.startswith("backup/") else restore_step
    return step(tx, call, chore)


def back_up_step(tx: WriteTx, call: Call, chore: Chore) -> bool:
    """Copy the next items of a table into its backup; return whether there are more."""
    _, table_name, backup_id = chore.subject.split("/")
    backup = BACKUPS.find(tx, call.scope, table_name, backup_id)
    table = find_table(tx, call, table_name)
    if backup is None or table is None or table.record.table_id != backup.table.table_id:
        delete_chore(tx, "copy", call.scope, chore.subject)
        return False
    piece = read_as_of(tx, table, backup.created_ms, call.now_ms, chore.position)
    head = DDB_BACKUP_ITEM.key(call.scope, backup.id)
    for suffix, stored in piece.items:
        tx.put(head + suffix, stored)
    backup = msgspec.structs.replace(
        backup,
        item_count=backup.item_count + len(piece.items),
        size_bytes=backup.size_bytes + sum(stored_bytes(stored) for _, stored in piece.items),
        status="AVAILABLE" if piece.behind is None else "CREATING",
    )
    BACKUPS.save(tx, call.scope, table_name, backup_id, record=backup)
    if piece.behind is None:
        count_copies(tx, call, table, -1)
    return _leave(tx, call, chore, piece)


def restore_step(tx: WriteTx, call: Call, chore: Chore) -> bool:
    """Copy the next items into a restored table; return whether there are more."""
    target = find_table(tx, call, chore.subject.partition("/")[2])
    source = None if target is None else target.record.restore
    if target is None or source is None or not source.in_progress:
        delete_chore(tx, "copy", call.scope, chore.subject)
        return False
    piece = _read_source(tx, call, source, chore.position)
    for suffix, stored in piece.items:
        write_item(tx, call, target, target.prefix + suffix, None, decode_item(stored), stored_bytes(stored))
    if piece.behind is None:
        # The record may have been changed since: by an update of its tags, say.
        record = msgspec.structs.replace(
            target.record, ready_ms=0, restore=msgspec.structs.replace(source, in_progress=False)
        )
        TABLES.save(tx, call.scope, record.name, record=record)
        if source.backup_id:
            _count_restores(tx, call, source, -1)
        elif (table := _find_source(tx, call, source)) is not None:
            count_copies(tx, call, table, -1)
    return _leave(tx, call, chore, piece)


def _leave(tx: WriteTx, call: Call, chore: Chore, piece: Piece) -> bool:
    if piece.behind is None:
        delete_chore(tx, "copy", call.scope, chore.subject)
        return False
    save_chore(tx, "copy", call.scope, chore.subject, piece.behind)
    tx.hint(COPIES_TOPIC)
    return True


def _read_source(tx: ReadTx, call: Call, source: TableRestore, position: bytes) -> Piece:
    if not source.backup_id:
        table = _find_source(tx, call, source)
        return Piece([], None) if table is None else read_as_of(tx, table, source.at_ms, call.now_ms, position)
    backup = BACKUPS.find(tx, call.scope, source.source_table, source.backup_id)
    if backup is None:
        return Piece([], None)
    family, parts = backup.place
    head = family.key(call.scope, *parts)
    items: list[tuple[bytes, bytes]] = []
    size = 0
    start = head + position + b"\x00" if position else head
    for key, stored in tx.scan(start, after(head), limit=COPY_STEP_ITEMS_MAX):
        items.append((key[len(head) :], stored))
        size += len(stored)
        if size >= COPY_STEP_BYTES_MAX:
            return Piece(items, items[-1][0])
    return Piece(items, items[-1][0] if len(items) == COPY_STEP_ITEMS_MAX else None)


def _find_source(tx: ReadTx, call: Call, source: TableRestore) -> OpenTable | None:
    table = find_table(tx, call, source.source_table)
    return table if table is not None and table.record.table_id == source.source_id else None


def count_copies(tx: WriteTx, call: Call, table: OpenTable, change: int) -> None:
    """Count the copies of a table that are under way; with the last one the log that only they needed goes."""
    record = msgspec.structs.replace(table.record, copies=table.record.copies + change)
    if not (record.copies or record.recovery_since_ms):
        record = end_log(tx, call.scope, record)
    TABLES.save(tx, call.scope, record.name, record=record)


def _count_restores(tx: WriteTx, call: Call, source: TableRestore, change: int) -> None:
    backup = BACKUPS.find(tx, call.scope, source.source_table, source.backup_id)
    if backup is not None:
        counted = msgspec.structs.replace(backup, restores=backup.restores + change)
        BACKUPS.save(tx, call.scope, source.source_table, source.backup_id, record=counted)
