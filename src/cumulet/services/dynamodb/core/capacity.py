"""What operations cost, as AWS bills them.

Source: "Read and write operations", developer guide. A read unit is 4 KB read consistently, half a unit the same read
eventually consistently; a write unit is 1 KB of the larger of the images before and after. What is not there costs the
minimum.
"""

from typing import Any

from cumulet.services.dynamodb.core.limits import READ_UNIT_BYTES, WRITE_UNIT_BYTES


def read_units(size: int, consistent: bool) -> float:
    """Return the units of reading `size` bytes: of one item, or of all that a Query or Scan page went through."""
    blocks = max(1, -(-size // READ_UNIT_BYTES))
    return float(blocks) if consistent else blocks / 2


def write_units(before: int, after: int) -> float:
    """Return the units of a write that found `before` bytes and left `after`."""
    # AWS bills the larger image, so shrinking an item still costs its old size.
    return float(max(1, -(-max(before, after) // WRITE_UNIT_BYTES)))


def render_capacity(level: str | None, table_name: str, units: float) -> dict[str, Any] | None:
    """Return ConsumedCapacity as ReturnConsumedCapacity asks for it, or None.

    `table_name` is as the client gave it: a name or an ARN.
    """
    if level == "TOTAL":
        return {"TableName": table_name, "CapacityUnits": units}
    if level == "INDEXES":
        return {"TableName": table_name, "CapacityUnits": units, "Table": {"CapacityUnits": units}}
    return None


def partition_count(billing_mode: str, read_units_provisioned: int, write_units_provisioned: int) -> int:
    """Return over how many partitions AWS spreads a table that has never grown: a Scan bills each one it touches.

    A partition serves 3,000 read or 1,000 write units ("Partitions and data distribution"); a new on-demand table is
    made for 12,000 and 4,000 ("On-demand capacity mode"), hence a Scan of one small item costs four times a half.
    """
    if billing_mode == "PAY_PER_REQUEST":
        return 4
    return max(1, -(-(read_units_provisioned + 3 * write_units_provisioned) // 3000))
