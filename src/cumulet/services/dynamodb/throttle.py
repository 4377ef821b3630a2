"""Throttling: what a table or index may consume, as token buckets.

A bucket fills with the provisioned units per second and holds what 300 seconds give: AWS's burst capacity ("Burst and
adaptive capacity", developer guide). A request is let through while anything is in the bucket, and then takes what it
costs, which may leave a debt: AWS knows only afterwards what a read has cost. Maxima of on-demand tables are buckets of
the same kind.

A transaction's body may run more than once, and a request pays once for each thing that it asks for: what was paid is
remembered under the request and the thing, and another run pays the difference.

Buckets live in the process that serves the requests. Several processes or nodes over one store each let the whole
throughput through; a table's limit is then a limit for each of them (decision 0015).
"""

import threading
from typing import NamedTuple, NoReturn

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import Units
from cumulet.services.dynamodb.core.limits import BURST_S
from cumulet.services.dynamodb.tables import Index, OpenTable, Table
from cumulet.services.kit import Call

_BUCKETS_MAX = 10_000
_PAID_MAX = 10_000
"""So many payments are remembered: a body runs again within seconds or not at all."""


class _Bucket:
    __slots__ = ("rate", "tokens", "updated_ms")

    def __init__(self, rate: int, now_ms: int) -> None:
        self.rate = rate
        self.tokens = float(rate * BURST_S)
        self.updated_ms = now_ms

    def fill(self, rate: int, now_ms: int) -> None:
        """Add what has come since the last time. A new rate counts from now on."""
        passed_ms = max(0, now_ms - self.updated_ms)
        self.tokens = min(self.tokens + self.rate * passed_ms / 1000, float(rate * BURST_S))
        self.rate, self.updated_ms = rate, now_ms


class _Charge(NamedTuple):
    name: str
    """Of the index; empty for the table itself."""
    rate: int
    units: float


class Throttle:
    """The buckets of one process. Costs nothing for tables without limits."""

    def __init__(self, is_on: bool) -> None:
        self.is_on = is_on
        self._buckets: dict[tuple[str, str, bool], _Bucket] = {}
        self._paid: dict[tuple[str, str, bool, bytes], dict[str, float]] = {}
        """By request, table and thing, the oldest first: the units paid, by the index's name."""
        self._lock = threading.Lock()
        """With PostgreSQL, transactions run in several threads."""

    def charge(self, call: Call, table: OpenTable, units: Units, *, writes: bool, thing: bytes = b"") -> None:
        """Take what was consumed. Raises AWS's error, and takes nothing, if the table or an index has nothing left.

        A request that asks for several things of one table tells them apart by `thing`, the place of an item.
        """
        if not (self.is_on and table.metered):
            return
        record = table.record
        charges = _charges(record, units, writes)
        paying = (call.request_id, record.table_id, writes, thing)
        with self._lock:
            paid = self._paid.get(paying, {})
            buckets = [self._bucket(record.table_id, charge, writes, call.now_ms) for charge in charges]
            for charge, bucket in zip(charges, buckets, strict=True):
                if bucket.tokens <= 0 and charge.name not in paid:
                    _throttled(table, charge.name, writes)
            for charge, bucket in zip(charges, buckets, strict=True):
                bucket.tokens -= charge.units - paid.get(charge.name, 0.0)
            if paying not in self._paid and len(self._paid) >= _PAID_MAX:
                del self._paid[next(iter(self._paid))]
            self._paid[paying] = {charge.name: charge.units for charge in charges}

    def _bucket(self, table_id: str, charge: _Charge, writes: bool, now_ms: int) -> _Bucket:
        key = (table_id, charge.name, writes)
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _BUCKETS_MAX:
                self._forget_full(now_ms)
            self._buckets[key] = bucket = _Bucket(charge.rate, now_ms)
        else:
            bucket.fill(charge.rate, now_ms)
        return bucket

    def _forget_full(self, now_ms: int) -> None:
        # A full bucket is as good as none. Tables that are gone have theirs full after five minutes.
        for key, bucket in list(self._buckets.items()):
            bucket.fill(bucket.rate, now_ms)
            if bucket.tokens >= bucket.rate * BURST_S:
                del self._buckets[key]


def charge(call: Call, table: OpenTable, units: Units, *, writes: bool, thing: bytes = b"") -> None:
    """Take what was consumed from the buckets of the call's process; see `Throttle.charge`."""
    # What works without a plane is no client's request: expiry deletes items at no cost.
    if table.metered and call.plane is not None:
        call.plane.throttle.charge(call, table, units, writes=writes, thing=thing)


def _charges(record: Table, units: Units, writes: bool) -> list[_Charge]:
    charges = []
    # A local index has no capacity of its own.
    own = units.table + sum(units.local_indexes.values())
    if own and (rate := _rate(record, record, writes)) is not None:
        charges.append(_Charge("", rate, own))
    for index in record.global_indexes:
        consumed = units.global_indexes.get(index.name)
        if consumed and (rate := _rate(record, index, writes)) is not None:
            charges.append(_Charge(index.name, rate, consumed))
    return charges


def _rate(record: Table, limited: Table | Index, writes: bool) -> int | None:
    """Return the units per second of a table or index, or None if nothing limits it."""
    if record.billing_mode == "PROVISIONED":
        return limited.write_units if writes else limited.read_units
    return limited.write_limit if writes else limited.read_limit


def _throttled(table: OpenTable, index: str, writes: bool) -> NoReturn:
    what = f"{'Index' if index else 'Table'}{'Write' if writes else 'Read'}"
    resource = f"{table.arn}/index/{index}" if index else table.arn
    if table.record.billing_mode != "PROVISIONED":
        raise ServiceError(
            "ThrottlingException",
            "Throughput exceeds the maximum OnDemandThroughput configured on table or index",
            throttlingReasons=[{"reason": f"{what}MaxOnDemandThroughputExceeded", "resource": resource}],
        )
    words = (
        "one or more global secondary indexes of the table was exceeded. Consider increasing your provisioning level "
        "for the under-provisioned global secondary indexes with the UpdateTable API"
        if index
        else "the table was exceeded. Consider increasing your provisioning level with the UpdateTable API."
    )
    raise ServiceError(
        "ProvisionedThroughputExceededException",
        f"The level of configured provisioned throughput for {words}",
        ThrottlingReasons=[{"reason": f"{what}ProvisionedThroughputExceeded", "resource": resource}],
    )
