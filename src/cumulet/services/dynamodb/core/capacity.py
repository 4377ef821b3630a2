"""What operations cost, as AWS bills them.

Source: "Read and write operations", developer guide. A read unit is 4 KB read consistently, half a unit the same read
eventually consistently; a write unit is 1 KB of the larger of the images before and after. What is not there costs the
minimum.
"""

from typing import Any

import msgspec

from cumulet.services.dynamodb.core.limits import READ_UNIT_BYTES, WRITE_UNIT_BYTES


def read_units(size: int, consistent: bool) -> float:
    """Return the units of reading `size` bytes: of one item, or of all that a Query or Scan page went through."""
    blocks = -(-size // READ_UNIT_BYTES) or 1
    return float(blocks) if consistent else blocks / 2


def write_units(before: int, after: int) -> float:
    """Return the units of a write that found `before` bytes and left `after`."""
    # AWS bills the larger image, so shrinking an item still costs its old size.
    larger = before if before > after else after
    return float(-(-larger // WRITE_UNIT_BYTES) or 1)


class Units(msgspec.Struct, eq=False):
    """What requests consumed of one table and, by name, of its indexes. Adds up over the requests of a batch."""

    table: float = 0.0
    local_indexes: dict[str, float] = {}
    global_indexes: dict[str, float] = {}
    vector_indexes: dict[str, float] = {}
    """In bytes: vector indexes are not billed in units."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.table + sum(self.local_indexes.values()) + sum(self.global_indexes.values())

    def add(self, more: "Units") -> None:
        """Add what another request consumed."""
        self.table += more.table
        for mine, others in (
            (self.local_indexes, more.local_indexes),
            (self.global_indexes, more.global_indexes),
            (self.vector_indexes, more.vector_indexes),
        ):
            for name, units in others.items():
                mine[name] = mine.get(name, 0.0) + units

    def times(self, factor: int) -> "Units":
        """Return the same, so many times: a transaction pays twice."""
        return Units(
            self.table * factor,
            {name: units * factor for name, units in self.local_indexes.items()},
            {name: units * factor for name, units in self.global_indexes.items()},
            {name: units * factor for name, units in self.vector_indexes.items()},
        )


def render_capacity(level: str | None, table_name: str, units: Units | float) -> dict[str, Any] | None:
    """Return ConsumedCapacity as ReturnConsumedCapacity asks for it, or None. A bare number is the table's units.

    `table_name` is as the client gave it: a name or an ARN.
    """
    if level != "TOTAL" and level != "INDEXES":
        return None
    if not isinstance(units, Units):
        units = Units(units)
    rendered: dict[str, Any] = {"TableName": table_name, "CapacityUnits": units.total}
    if level == "INDEXES":
        rendered["Table"] = {"CapacityUnits": units.table}
        for member, indexes in (
            ("LocalSecondaryIndexes", units.local_indexes),
            ("GlobalSecondaryIndexes", units.global_indexes),
        ):
            if indexes:
                rendered[member] = {name: {"CapacityUnits": consumed} for name, consumed in indexes.items()}
        if units.vector_indexes:
            rendered["VectorIndexes"] = {
                name: {"VectorWriteRequestBytes": written} for name, written in units.vector_indexes.items()
            }
    return rendered


def partition_count(billing_mode: str, read_units_provisioned: int, write_units_provisioned: int) -> int:
    """Return over how many partitions AWS spreads a table that has never grown: a Scan bills each one it touches.

    A partition serves 3,000 read or 1,000 write units ("Partitions and data distribution"); a new on-demand table is
    made for 12,000 and 4,000 ("On-demand capacity mode"), hence a Scan of one small item costs four times a half.
    """
    if billing_mode == "PAY_PER_REQUEST":
        return 4
    return max(1, -(-(read_units_provisioned + 3 * write_units_provisioned) // 3000))
