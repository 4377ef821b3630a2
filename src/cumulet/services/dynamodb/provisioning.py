"""What tables and global indexes are provisioned with, or may take on demand: how it is set, changed and described.

A table and an index have the same fields for it, so everything here takes either.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.limits import (
    BILLING_SWITCHES_PER_DAY_MAX,
    DECREASES_PER_DAY_MAX,
    ON_DEMAND_READ_UNITS,
    ON_DEMAND_WRITE_UNITS,
)
from cumulet.services.dynamodb.core.schema import UNITS_MAX
from cumulet.services.dynamodb.core.values import invalid, invalid_parameter
from cumulet.services.dynamodb.tables import Index, Table

R = TypeVar("R", Table, Index)

_DAY_MS = 24 * 60 * 60 * 1000
_HOUR_MS = 60 * 60 * 1000
_UNLIMITED = -1
"""How a request takes an on-demand limit away."""
_TOO_COLD = {
    "": "current WarmThroughput, decreasing WarmThroughput is not supported",
    "PROVISIONED": "{}CapacityUnits of ProvisionedThroughput",
    "PAY_PER_REQUEST": "initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/"
    "developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial",
}
"""What warm throughput may not be lower than: of what is there, and of what is made in a billing mode."""


def provision(record: R, throughput: Mapping[str, int] | None) -> R:
    """Return a record with this throughput; None is none."""
    units = throughput or {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    for name in ("ReadCapacityUnits", "WriteCapacityUnits"):
        _check_bound(record, name, units[name])
    return msgspec.structs.replace(
        record, read_units=units["ReadCapacityUnits"], write_units=units["WriteCapacityUnits"]
    )


def _check_bound(record: Table | Index, name: str, units: int) -> None:
    if units > UNITS_MAX:
        where = "" if isinstance(record, Table) else f" for index {record.name}"
        invalid(f"Given value {units} for {name} is out of bounds{where}")


def keep_warm(record: R, mode: str) -> R:
    """Return a record that will remember what it can serve at once now: warm throughput never sinks."""
    units = warm_units(record, mode)
    return msgspec.structs.replace(
        record, warm_read=units["ReadUnitsPerSecond"], warm_write=units["WriteUnitsPerSecond"]
    )


def change_throughput(record: R, throughput: Mapping[str, int], now_ms: int) -> R:
    """Return a provisioned record with other throughput. Raises where AWS does not let it change so."""
    read, write = throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]
    if (read, write) == (record.read_units, record.write_units):
        kind, subject = ("table", "table") if isinstance(record, Table) else ("index", f"index {record.name}")
        invalid(
            f"The provisioned throughput for the {subject} will not change. "
            "The requested value equals the current value. "
            f"Current ReadCapacityUnits provisioned for the {kind}: {read}. Requested ReadCapacityUnits: {read}. "
            f"Current WriteCapacityUnits provisioned for the {kind}: {write}. Requested WriteCapacityUnits: {write}. "
            "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
        )
    changed = provision(keep_warm(record, "PROVISIONED"), throughput)
    if read > record.read_units or write > record.write_units:
        changed = msgspec.structs.replace(changed, increased_ms=now_ms)
    if read < record.read_units or write < record.write_units:
        today = decreases_today(record, now_ms)
        _check_decrease(record, today, now_ms)
        changed = msgspec.structs.replace(changed, decreased_ms=now_ms, decreases=today + 1)
    return changed


def decreases_today(record: Table | Index, now_ms: int) -> int:
    """Return how often the throughput was lowered on this day (UTC)."""
    same_day = record.decreased_ms is not None and record.decreased_ms // _DAY_MS == now_ms // _DAY_MS
    return record.decreases if same_day else 0


def _check_decrease(record: Table | Index, today: int, now_ms: int) -> None:
    last = record.decreased_ms
    if last is None or today < DECREASES_PER_DAY_MAX or now_ms - last >= _HOUR_MS:
        return
    midnight = (last // _DAY_MS + 1) * _DAY_MS
    raise ServiceError(
        "LimitExceededException",
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
        f"first {DECREASES_PER_DAY_MAX} decreases, each subsequent decrease in the same UTC day can be performed at "
        f"most once every 3600 seconds. Number of decreases today: {today}. Last decrease at {_moment(last)}. Next "
        f"decrease can be made at {_moment(min(last + _HOUR_MS, midnight))}.",
    )


def switch_to_on_demand(table: Table, now_ms: int) -> Table:
    """Return the table as PAY_PER_REQUEST, its indexes with it. AWS allows that four times in 24 hours."""
    recent = tuple([moment for moment in table.switches_ms if now_ms - moment < _DAY_MS])
    if len(recent) >= BILLING_SWITCHES_PER_DAY_MAX:
        raise ServiceError(
            "LimitExceededException",
            "Subscriber limit exceeded: Update to PayPerRequest mode are limited to "
            f"{BILLING_SWITCHES_PER_DAY_MAX} times in 1 day(s). Last update at {_moment(recent[-1])}. Next update can "
            f"be made at {_moment(recent[0] + _DAY_MS)}",
        )
    return msgspec.structs.replace(
        provision(keep_warm(table, "PROVISIONED"), None),
        billing_mode="PAY_PER_REQUEST",
        on_demand_since_ms=now_ms,
        switches_ms=(*recent, now_ms),
        global_indexes=tuple([provision(keep_warm(index, "PROVISIONED"), None) for index in table.global_indexes]),
    )


def limit_on_demand(record: R, given: Mapping[str, int] | None, mode: str, *, creating: bool) -> R:
    """Return the record with the on-demand limits of a request; what it does not name stays."""
    if given is None:
        return record
    subject = "" if isinstance(record, Table) else f" for index : {record.name}"
    limits = {"MaxReadRequestUnits": record.read_limit, "MaxWriteRequestUnits": record.write_limit}
    for name in limits:
        units = given.get(name)
        if units is None:
            continue
        if mode != "PAY_PER_REQUEST":
            when = "table BillingMode is PROVISIONED." if creating else "the table BillingMode is PROVISIONED"
            invalid_parameter(f"{name} for OnDemandThroughput{subject} cannot be specified when {when}")
        if units < 1 and (creating or units != _UNLIMITED):
            invalid_parameter(
                f"Requested {name} for OnDemandThroughput{subject or ' for table'} is outside of valid range"
            )
        limits[name] = None if units == _UNLIMITED else units
    return msgspec.structs.replace(
        record, read_limit=limits["MaxReadRequestUnits"], write_limit=limits["MaxWriteRequestUnits"]
    )


def warm(record: R, given: Mapping[str, int] | None, mode: str, *, creating: bool) -> R:
    """Return the record with the warm throughput of a request, which can only grow."""
    if given is None:
        return record
    if not creating and all(units is None for units in given.values()):
        invalid_parameter("At least one of ReadUnitsPerSecond or WriteUnitsPerSecond is required in WarmThroughput")
    now = warm_units(record, mode)
    subject = "table" if isinstance(record, Table) else f"index {record.name}"
    wanted = {}
    for name, units in now.items():
        wanted[name] = units if given.get(name) is None else given[name]
        if wanted[name] < units:
            than = _TOO_COLD["" if not creating else mode].format(name.removesuffix("UnitsPerSecond"))
            invalid_parameter(f"Requested {name} for WarmThroughput for {subject} is lower than {than}")
    return msgspec.structs.replace(
        record, warm_read=wanted["ReadUnitsPerSecond"], warm_write=wanted["WriteUnitsPerSecond"]
    )


def warm_units(record: Table | Index, mode: str) -> dict[str, int]:
    """Return what the record can serve at once: what was asked for, or what comes with its billing."""
    # "Understanding DynamoDB warm throughput", developer guide: a new on-demand table begins with 12,000 and 4,000.
    read, write = record.read_units, record.write_units
    if mode == "PAY_PER_REQUEST":
        read, write = ON_DEMAND_READ_UNITS, ON_DEMAND_WRITE_UNITS
    return {"ReadUnitsPerSecond": max(record.warm_read, read), "WriteUnitsPerSecond": max(record.warm_write, write)}


def render_throughput(record: Table | Index, now_ms: int) -> dict[str, Any]:
    """Return ProvisionedThroughput as AWS describes it; zeros on demand."""
    throughput: dict[str, Any] = {
        "NumberOfDecreasesToday": decreases_today(record, now_ms),
        "ReadCapacityUnits": record.read_units,
        "WriteCapacityUnits": record.write_units,
    }
    if record.increased_ms is not None:
        throughput["LastIncreaseDateTime"] = record.increased_ms / 1000
    if record.decreased_ms is not None:
        throughput["LastDecreaseDateTime"] = record.decreased_ms / 1000
    return throughput


def render_on_demand(record: Table | Index) -> dict[str, int] | None:
    """Return OnDemandThroughput as AWS describes it, or None where nothing is limited."""
    limits = {"MaxReadRequestUnits": record.read_limit, "MaxWriteRequestUnits": record.write_limit}
    return {name: units for name, units in limits.items() if units is not None} or None


def _moment(moment_ms: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment:%A, %B} {moment.day}, {moment.year} at {hour}:{moment:%M:%S} {half} Coordinated Universal Time"
