"""Backups: their records and their names. The copying is in `copies`.

A backup outlives its table. Its items lie under its id, its definition is the table's own record of that time. A table
with point-in-time recovery that is deleted leaves a system backup, which is its items where they lie, for 35 days.
"""

import re
from typing import NoReturn

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.chores import delete_chore, save_chore
from cumulet.services.dynamodb.core.limits import SYSTEM_BACKUP_MS
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.remains import Remains, erase
from cumulet.services.dynamodb.tables import Table, arn_of
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_BACKUP, DDB_BACKUP_ITEM, DDB_ITEM
from cumulet.store.records import Records

_BACKUP_ARN = re.compile(
    r"arn:aws[a-z-]*:dynamodb:([a-z0-9-]+):([0-9]{12}):table/([a-zA-Z0-9_.-]{1,255})/backup/([0-9]+-[0-9a-f]+)"
).fullmatch


class Backup(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is recorded about one backup."""

    id: str
    name: str
    table: Table
    """The table's record when the backup was asked for."""
    created_ms: int
    status: str
    """CREATING or AVAILABLE."""
    item_count: int = 0
    size_bytes: int = 0
    restores: int = 0
    """How many tables are being made of it."""
    kind: str = "USER"
    """USER or SYSTEM."""
    expires_ms: int = 0
    """When it goes by itself; 0 if it stays."""

    def is_gone(self, now_ms: int) -> bool:
        """Return whether the backup has expired."""
        return 0 < self.expires_ms <= now_ms

    @property
    def place(self) -> Remains:
        """Where the backup's items lie. A system backup has those of the deleted table, as they lie there."""
        return (DDB_ITEM, (self.table.table_id,)) if self.kind == "SYSTEM" else (DDB_BACKUP_ITEM, (self.id,))


BACKUPS = Records(DDB_BACKUP, Backup)


def new_backup_id(call: Call) -> str:
    """Return an id for a backup of now: in one table the order of ids is that of their times."""
    return f"{call.now_ms:014d}-{call.ids.token(8, '0123456789abcdef')}"


def backup_arn(scope: Scope, table_name: str, backup_id: str) -> str:
    """Return the ARN of a backup."""
    return f"{arn_of(scope, table_name)}/backup/{backup_id}"


def name_of_backup(call: Call, arn: str) -> tuple[str, str]:
    """Return the table's name and the backup's id that an ARN says. Raises ValidationException if it is none."""
    match = _BACKUP_ARN(arn)
    if match is None:
        invalid("Invalid Backup ARN")
    region, account, table_name, backup_id = match.groups()
    if (account, region) != call.scope:
        missing_backup(arn)
    return table_name, backup_id


def get_backup(tx: ReadTx, call: Call, arn: str) -> Backup:
    """Return the backup of that ARN. Raises BackupNotFoundException if there is none."""
    backup = BACKUPS.find(tx, call.scope, *name_of_backup(call, arn))
    if backup is None or backup.is_gone(call.now_ms):
        missing_backup(arn)
    return backup


def keep_deleted(tx: WriteTx, call: Call, record: Table, item_count: int, size_bytes: int) -> None:
    """Make a system backup of a table that is being deleted. Nothing is copied: the items stay where they are."""
    backup = Backup(
        id=new_backup_id(call),
        name=f"{record.name}$DeletedTableBackup",
        table=record,
        created_ms=call.now_ms,
        status="AVAILABLE",
        item_count=item_count,
        size_bytes=size_bytes,
        kind="SYSTEM",
        expires_ms=call.now_ms + SYSTEM_BACKUP_MS,
    )
    BACKUPS.save(tx, call.scope, record.name, backup.id, record=backup)
    save_chore(tx, "system backup", call.scope, f"{record.name}/{backup.id}")


def remove_backup(tx: WriteTx, scope: Scope, backup: Backup) -> None:
    """Remove a backup; what is large goes in the background."""
    BACKUPS.delete(tx, scope, backup.table.name, backup.id)
    erase(tx, scope, [backup.place])
    if backup.kind == "SYSTEM":
        delete_chore(tx, "system backup", scope, f"{backup.table.name}/{backup.id}")


def missing_backup(arn: str) -> NoReturn:
    """Raise what AWS says of a backup that is not there."""
    raise ServiceError("BackupNotFoundException", f"Backup not found: {arn}")


def refuse_busy_backup(arn: str) -> NoReturn:
    """Raise what AWS says of a backup that is being made, or of which a table is being made."""
    raise ServiceError("BackupInUseException", f"Backup is being used: {arn}")
