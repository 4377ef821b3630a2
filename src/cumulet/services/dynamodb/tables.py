"""Tables: their record, how a request names one, and what item operations need of it.

A table's data lies under its id, not its name: a table that is deleted and made anew shares nothing with the old one.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NoReturn, TypeAlias

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.core.index_diff import IndexKeys, KeyAttribute
from cumulet.services.dynamodb.core.limits import (
    ITEM_COLLECTION_BYTES_MAX,
    TABLE_NAME_CHARACTERS_MAX,
    TABLE_NAME_CHARACTERS_MIN,
)
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.core.vectors import VectorIndex, VectorKeys
from cumulet.services.dynamodb.remains import erase
from cumulet.services.kit import Call, Params
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import (
    DDB_CHANGE,
    DDB_EXPIRING,
    DDB_INDEX_ENTRY,
    DDB_ITEM,
    DDB_ITEM_COLLECTION,
    DDB_RESOURCE_POLICY,
    DDB_SIZE,
    DDB_TABLE,
    DDB_VECTOR,
)
from cumulet.store.records import Records

TABLE_NAME_PATTERN = "[a-zA-Z0-9_.-]+"
_TABLE_NAME = re.compile(TABLE_NAME_PATTERN).fullmatch
_TABLE_ARN = re.compile(r"arn:aws[a-z-]*:dynamodb:([a-z0-9-]+):([0-9]{12}):table/([a-zA-Z0-9_.-]+)").fullmatch


class Index(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is recorded about one secondary index."""

    name: str
    number: int
    """Its own in the table for ever: where its entries lie."""
    hash_names: tuple[str, ...]
    range_names: tuple[str, ...]
    projection: str
    """ALL, KEYS_ONLY or INCLUDE."""
    non_key_attributes: tuple[str, ...] = ()
    read_units: int = 0
    write_units: int = 0
    increased_ms: int | None = None
    decreased_ms: int | None = None
    decreases: int = 0
    read_limit: int | None = None
    write_limit: int | None = None
    warm_read: int = 0
    warm_write: int = 0
    ready_ms: int = 0
    """Until when it is CREATING."""
    filling: bool = False
    """Whether items that lay in the table before the index was made are still being put into it."""
    gone_ms: int = 0
    """Until when it is DELETING; 0 if it stays."""

    @property
    def key_names(self) -> tuple[str, ...]:
        """The attributes of the index's own key."""
        return self.hash_names + self.range_names

    def status(self, now_ms: int) -> str:
        """Return the index's status."""
        if self.gone_ms:
            return "DELETING"
        return "CREATING" if self.filling or self.ready_ms > now_ms else "ACTIVE"


class TableStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a table knows of its latest stream."""

    id: str
    label: str
    view: str
    shards: int
    enabled: bool = True


class Insights(msgspec.Struct, frozen=True, omit_defaults=True):
    """The contributor insights setting of a table or an index."""

    mode: str
    changed_ms: int
    enabled: bool = True


class TableRestore(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a restored table comes from."""

    source_table: str
    source_id: str
    at_ms: int
    backup_id: str = ""
    """Of a backup of the source; empty if the table itself was read as it was at that time."""
    in_progress: bool = True


class Table(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is recorded about one table."""

    name: str
    table_id: str
    created_ms: int
    hash_name: str
    range_name: str | None
    attributes: dict[str, str]
    """The attribute definitions, in the order in which they were given."""
    billing_mode: str
    read_units: int = 0
    write_units: int = 0
    increased_ms: int | None = None
    decreased_ms: int | None = None
    decreases: int = 0
    """How often the throughput was lowered on the day of `decreased_ms`."""
    on_demand_since_ms: int | None = None
    """When the table became PAY_PER_REQUEST. A table that never was has no BillingModeSummary."""
    deletion_protection: bool = False
    table_class: str | None = None
    """As the client set it; AWS describes the class only then."""
    table_class_since_ms: int | None = None
    class_changes_ms: tuple[int, ...] = ()
    """When the class was changed in the last 30 days."""
    tags: dict[str, str] = {}
    local_indexes: tuple[Index, ...] = ()
    global_indexes: tuple[Index, ...] = ()
    indexes_made: int = 0
    """How many indexes the table ever had: the last number given."""
    vector_indexes: tuple[VectorIndex, ...] = ()
    switches_ms: tuple[int, ...] = ()
    """When the table was made PAY_PER_REQUEST in the last day."""
    read_limit: int | None = None
    """The most that the table takes on demand, in units per second; None is AWS's own limit."""
    write_limit: int | None = None
    warm_read: int = 0
    warm_write: int = 0
    kms_key_arn: str | None = None
    """The KMS key with which the table is said to be encrypted; None is AWS's own key, of which nothing is told."""
    key_changes_ms: tuple[int, ...] = ()
    """When the key was changed in the last 24 hours."""
    collection_bytes_max: int = ITEM_COLLECTION_BYTES_MAX
    ready_ms: int = 0
    """Until when the table is CREATING."""
    updated_ms: int = 0
    """Until when it is UPDATING."""
    gone_ms: int = 0
    """Until when it is DELETING; 0 if it stays. What lay in it is gone from the beginning."""
    stream: TableStream | None = None
    expiry_attribute: str | None = None
    """The attribute with the time at which an item expires (TTL)."""
    expiry_busy_ms: int = 0
    """Until when TTL is ENABLING or DISABLING, and cannot be changed again."""
    expiries: int = 0
    """How often TTL was disabled: the next index of expiring items has another id."""
    recovery_since_ms: int = 0
    """Since when every moment of the table can be restored; 0 if none can."""
    recovery_days: int = 0
    copies: int = 0
    """How many copies are being made of the table: backups, and restores of a moment."""
    logs: int = 0
    """How many logs of changes have ended: the next one has another id."""
    restore: TableRestore | None = None
    insights: dict[str, Insights] = {}
    """Contributor insights, by the index's name; the table's own under the empty name."""
    policy_revision: str = ""
    """Of the table's resource policy; empty if it has none."""

    def status(self, now_ms: int) -> str:
        """Return the table's status."""
        if self.gone_ms:
            return "DELETING"
        if self.ready_ms > now_ms:
            return "CREATING"
        return "UPDATING" if self.updated_ms > now_ms else "ACTIVE"

    @property
    def log_id(self) -> str:
        """Under what the table's log of changes lies."""
        return f"{self.table_id}-{self.logs}" if self.logs else self.table_id

    @property
    def expiry_id(self) -> str:
        """Under what the table's index of expiring items lies."""
        return f"{self.table_id}-{self.expiries}" if self.expiries else self.table_id


class OpenTable:
    """A table as item operations see it: its record, its keys, and where its items lie."""

    __slots__ = (
        "hash_keys",
        "hash_kind",
        "hash_name",
        "indexes",
        "indexes_by_name",
        "key_names",
        "logs_changes",
        "metered",
        "prefix",
        "range_keys",
        "range_kind",
        "range_name",
        "record",
        "scope",
        "stream",
        "stream_arn",
        "vectors",
        "watched",
    )

    def __init__(self, scope: Scope, record: Table) -> None:
        self.scope = scope
        self.record = record
        self.hash_name = record.hash_name
        self.hash_kind = record.attributes[record.hash_name]
        self.range_name = record.range_name
        self.range_kind = record.attributes[record.range_name] if record.range_name is not None else None
        self.key_names = (self.hash_name,) if self.range_name is None else (self.hash_name, self.range_name)
        self.hash_keys = (KeyAttribute(self.hash_name, self.hash_kind),)
        self.range_keys: tuple[KeyAttribute, ...] = ()
        if self.range_name is not None and self.range_kind is not None:
            self.range_keys = (KeyAttribute(self.range_name, self.range_kind),)
        self.prefix = DDB_ITEM.key(scope, record.table_id)
        self.indexes: Mapping[str, IndexKeys] = {
            index.name: _open_index(scope, record, self.key_names, index, is_local)
            for is_local, indexes in ((True, record.local_indexes), (False, record.global_indexes))
            for index in indexes
            if not index.gone_ms
        }
        self.indexes_by_name = tuple([self.indexes[name] for name in sorted(self.indexes)])
        """In the order in which AWS looks for what is wrong with an item."""
        self.stream = record.stream if record.stream is not None and record.stream.enabled else None
        self.stream_arn = "" if self.stream is None else f"{self.arn}/stream/{self.stream.label}"
        self.logs_changes = record.recovery_since_ms > 0 or record.copies > 0
        """Whether the images that writes replace are kept."""
        self.vectors = tuple(
            [
                VectorKeys(
                    index, DDB_VECTOR.key(scope, record.table_id, index.number), record.attributes, self.key_names
                )
                for index in record.vector_indexes
            ]
        )
        self.watched = bool(
            self.indexes
            or self.vectors
            or self.stream is not None
            or record.expiry_attribute is not None
            or self.logs_changes
        )
        """Whether a write changes more than the item: `writes.write_item` then needs the item's old image."""
        limited: tuple[Table | Index, ...] = (record, *record.global_indexes)
        self.metered = record.billing_mode == "PROVISIONED" or any(
            one.read_limit is not None or one.write_limit is not None for one in limited
        )
        """Whether anything limits what may be consumed: `throttle.charge` then has to know it."""

    @property
    def arn(self) -> str:
        """The table's ARN."""
        return arn_of(self.scope, self.record.name)


Source: TypeAlias = OpenTable | IndexKeys
"""What Query and Scan read: a table, or one of its indexes."""

TABLES = Records(DDB_TABLE, Table)


def arn_of(scope: Scope, name: str) -> str:
    """Return the ARN of a table."""
    return f"arn:aws:dynamodb:{scope.region}:{scope.account}:table/{name}"


def transfer_arns(kind: str) -> Callable[[Call, Params], str]:
    """Return what a listing of exports or imports is about: those of the table that `TableArn` names, or all."""

    def arns(call: Call, params: Params) -> str:
        return f"{params.get('TableArn') or arn_of(call.scope, '*')}/{kind}/*"

    return arns


def table_arn(call: Call, params: Params) -> str:
    """Return the ARN of the table that a request is about; it need not exist, nor be well named."""
    given = params["TableName"]
    return given if given.startswith("arn:") else arn_of(call.scope, given)


def source_arn(call: Call, params: Params) -> str:
    """Return the ARN of the index that a request reads, or of the table: indexes have permissions of their own."""
    index = params.get("IndexName")
    return table_arn(call, params) if index is None else f"{table_arn(call, params)}/index/{index}"


def name_of(call: Call, given: str) -> str:
    """Return the table's name, given that or its ARN. Raises for what can be neither."""
    if len(given) <= TABLE_NAME_CHARACTERS_MAX and _is_name(given):
        if len(given) < TABLE_NAME_CHARACTERS_MIN:
            invalid(
                f"TableName must be at least {TABLE_NAME_CHARACTERS_MIN} characters long "
                f"and at most {TABLE_NAME_CHARACTERS_MAX} characters long"
            )
        return given
    match = _TABLE_ARN(given)
    if match is None:
        check_name(given, characters_min=1)
        invalid(f"Invalid TableArn: {given}")
    region, account, name = match.groups()
    if account != call.scope.account:
        raise ServiceError(
            "AccessDeniedException",
            f"User: {call.principal.arn} is not authorized to access the resource {given} because no resource-based "
            "policy allows it",
        )
    if region != call.scope.region:
        invalid(f"1 validation error detected: Invalid AWS region in '{given}'")
    return name


def check_name(given: str, characters_min: int) -> None:
    """Raise ValidationException, in the words of AWS's model check, for what cannot be a table's name."""
    problems = []
    if not _TABLE_NAME(given):
        problems.append(f"Member must satisfy regular expression pattern: {TABLE_NAME_PATTERN}")
    if len(given) < characters_min:
        problems.append(f"Member must have length greater than or equal to {characters_min}")
    if len(given) > TABLE_NAME_CHARACTERS_MAX:
        problems.append(f"Member must have length less than or equal to {TABLE_NAME_CHARACTERS_MAX}")
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        details = [f"Value '{given}' at 'tableName' failed to satisfy constraint: {problem}" for problem in problems]
        invalid(f"{len(problems)} validation {noun} detected: {'; '.join(details)}")


def open_table(tx: ReadTx, call: Call, given: str) -> OpenTable:
    """Return the table that an item operation names. Raises ResourceNotFoundException if there is none."""
    table = find_table(tx, call, name_of(call, given))
    if table is None or table.record.gone_ms or table.record.ready_ms > call.now_ms:
        missing_item_table()
    return table


def find_table(tx: ReadTx, call: Call, name: str) -> OpenTable | None:
    """Return the table of that name, whatever its status, or None."""
    value = tx.get(_table_key(call.scope, name))
    if value is None:
        return None
    table = _open(call.scope, value)
    # The record of a deleted table outlives its DELETING, until another takes its name.
    return None if 0 < table.record.gone_ms <= call.now_ms else table


def erase_table_data(tx: WriteTx, table: OpenTable, *, keeps_items: bool) -> None:
    """Remove all that lies under a table's ids, but for the items if they are kept; large ranges go by and by."""
    record = table.record
    families = (DDB_RESOURCE_POLICY, DDB_SIZE, *(() if keeps_items else (DDB_ITEM,)), DDB_INDEX_ENTRY, DDB_VECTOR)
    ranges = [(family, (record.table_id,)) for family in families]
    named = ((DDB_EXPIRING, (record.expiry_id,)), (DDB_CHANGE, (record.log_id,)))
    erase(tx, table.scope, [*ranges, (DDB_ITEM_COLLECTION, (record.table_id,)), *named])


def refuse_in_use(record: Table, now_ms: int) -> NoReturn:
    """Raise what AWS says of a table that it still works on."""
    doing = {"CREATING": "created", "DELETING": "deleted"}.get(record.status(now_ms), "updated")
    raise ServiceError(
        "ResourceInUseException",
        f"Attempt to change a resource which is still in use: Table is being {doing}: {record.name}",
    )


def missing_item_table() -> NoReturn:
    """Raise what item operations say of a table that is not there."""
    raise ServiceError("ResourceNotFoundException", "Requested resource not found")


def missing_table(name: str) -> NoReturn:
    """Raise what the control plane says of a table that is not there."""
    raise ServiceError("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")


def _open_index(
    scope: Scope, record: Table, table_key_names: tuple[str, ...], index: Index, is_local: bool
) -> IndexKeys:
    return IndexKeys(
        index.name,
        DDB_INDEX_ENTRY.key(scope, record.table_id, index.number),
        tuple([KeyAttribute(name, record.attributes[name]) for name in index.hash_names]),
        tuple([KeyAttribute(name, record.attributes[name]) for name in index.range_names]),
        table_key_names,
        is_local,
        None if index.projection == "ALL" else index.non_key_attributes,
    )


@lru_cache(maxsize=1024)
def _is_name(given: str) -> bool:
    return _TABLE_NAME(given) is not None


@lru_cache(maxsize=1024)
def _table_key(scope: Scope, name: str) -> bytes:
    return DDB_TABLE.key(scope, name)


@lru_cache(maxsize=1024)
def _open(scope: Scope, value: bytes) -> OpenTable:
    # Cached by the record's own bytes: a changed record is another key, so this can never be stale.
    return OpenTable(scope, TABLES.decode(value))
