"""What an account may have: so much throughput, and so many tables at once on which AWS works.

The numbers are AWS's defaults ("Quotas in Amazon DynamoDB", developer guide), which it raises when asked. A table that
has more, from before, keeps it: only what grows is refused. What is asked for is looked at last, when nothing else is
wrong with a request.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, NoReturn

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core import limits
from cumulet.services.dynamodb.provisioning import warm_units
from cumulet.services.dynamodb.tables import TABLES, Index, Table
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx

_ASK = "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."


class _Share(NamedTuple):
    """What a table, or one of its global indexes, has of one kind of units."""

    kind: str
    """Read or Write."""
    of_index: str
    """The index's name; empty for the table itself."""
    units: int
    limit: int
    warm: int
    is_warm: int
    """What it serves at once, asked for or not."""


def check_new_table(tx: ReadTx, call: Call, table: Table) -> None:
    """Raise LimitExceededException if an account may not have this table besides those that it has."""
    _check_new(_tables(tx, call), call, table)


def check_restore(tx: ReadTx, call: Call, table: Table) -> None:
    """Raise LimitExceededException if an account may not have this table restored."""
    tables = _tables(tx, call)
    restores = sum(other.restore is not None and other.restore.in_progress for other in tables)
    if restores >= limits.RESTORES_AT_ONCE_MAX:
        _exceeded(
            f"Subscriber limit exceeded: Only {limits.RESTORES_AT_ONCE_MAX} restore operations can be done "
            "simultaneously"
        )
    _check_new(tables, call, table)


def check_changed_table(tx: ReadTx, call: Call, table: Table, before: Table) -> None:
    """Raise LimitExceededException if an account may not change its table to this one.

    The other tables are looked at only if it matters: most changes take no time, and ask for no more units.
    """
    if table.updated_ms > call.now_ms:
        _check_work(_tables(tx, call), call)
    _check_throughput(lambda: _tables(tx, call), call, table, before)


def check_deletion(tx: ReadTx, call: Call) -> None:
    """Raise LimitExceededException if an account may not delete a table now, which takes time."""
    _check_work(_tables(tx, call), call)


def _tables(tx: ReadTx, call: Call) -> list[Table]:
    return [table for table in TABLES.scan(tx, call.scope) if not 0 < table.gone_ms <= call.now_ms]


def _check_new(tables: Sequence[Table], call: Call, table: Table) -> None:
    if len(tables) >= limits.TABLES_MAX:
        _exceeded(f"Subscriber limit exceeded: There is a limit of {limits.TABLES_MAX} tables per subscriber")
    _check_work(tables, call)
    _check_throughput(lambda: tables, call, table, None)


def _check_work(tables: Iterable[Table], call: Call) -> None:
    if sum(table.status(call.now_ms) != "ACTIVE" for table in tables) >= limits.TABLES_CHANGED_AT_ONCE_MAX:
        _exceeded(
            f"Subscriber limit exceeded: Only {limits.TABLES_CHANGED_AT_ONCE_MAX} tables can be created, updated, or "
            "deleted simultaneously"
        )


def _check_throughput(
    find_tables: Callable[[], Sequence[Table]], call: Call, table: Table, before: Table | None
) -> None:
    old = [] if before is None else _shares(before)
    old_by_part = {(share.kind, share.of_index): share for share in old}
    new = _shares(table)
    for share in new:
        _check_share(call, share, old_by_part.get((share.kind, share.of_index)) or _Share(*share[:2], 0, 0, 0, 0))
    for kind in ("Read", "Write"):
        wanted, had = _reserved(new, kind), _reserved(old, kind)
        if wanted <= had:
            continue
        if wanted > limits.TABLE_UNITS_MAX:
            _above(call, kind, "", wanted, "table")
        current = sum(_reserved(_shares(other), kind) for other in find_tables() if not other.gone_ms)
        if current + wanted - had > limits.ACCOUNT_UNITS_MAX:
            _exceeded(
                f"This request would have caused the {kind}CapacityUnits limit to be exceeded for the account in "
                f"{call.scope.region}. Current {kind}CapacityUnits reserved by the account: {current}. Limit: "
                f"{limits.ACCOUNT_UNITS_MAX}. Requested: {wanted - had}. {_ASK}"
            )


def _shares(table: Table) -> list[_Share]:
    shares = []
    parts: list[tuple[str, Table | Index]] = [("", table), *[(index.name, index) for index in table.global_indexes]]
    for name, part in parts:
        warm = warm_units(part, table.billing_mode)
        shares += [
            _Share("Read", name, part.read_units, part.read_limit or 0, part.warm_read, warm["ReadUnitsPerSecond"]),
            _Share(
                "Write", name, part.write_units, part.write_limit or 0, part.warm_write, warm["WriteUnitsPerSecond"]
            ),
        ]
    return shares


def _reserved(shares: Iterable[_Share], kind: str) -> int:
    return sum(share.units for share in shares if share.kind == kind)


def _check_share(call: Call, new: _Share, old: _Share) -> None:
    kind, index, most = new.kind, new.of_index, limits.TABLE_UNITS_MAX
    if new.units > max(most, old.units):
        _above(call, kind, f" for index {index}" if index else "", new.units, "index" if index else "table")
    if new.limit > max(most, old.limit):
        _above_quota(
            call, kind, f"Max{kind}RequestUnits for OnDemandThroughput", f"index : {index}" if index else "table"
        )
    if new.warm > max(most, old.is_warm):
        _above_quota(call, kind, f"{kind}UnitsPerSecond for WarmThroughput", f"index {index}" if index else "table")


def _above(call: Call, kind: str, subject: str, units: int, of: str) -> NoReturn:
    _exceeded(
        f"The requested {kind}CapacityUnits{subject}, {units}, is above the per {of} maximum for the account in "
        f"{call.scope.region}. Per {of} maximum: {limits.TABLE_UNITS_MAX}. {_ASK}"
    )


def _above_quota(call: Call, kind: str, what: str, subject: str) -> NoReturn:
    _exceeded(
        f"Subscriber limit exceeded: Requested {what} for {subject} exceeds TableMax{kind}CapacityUnits of the account "
        f"in region {call.scope.region}"
    )


def _exceeded(message: str) -> NoReturn:
    raise ServiceError("LimitExceededException", message)
