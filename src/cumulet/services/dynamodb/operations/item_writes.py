"""Writes of single items: what a request asks for, read and checked once, then performed in a transaction.

PutItem, UpdateItem and DeleteItem are one such write each, a TransactWriteItems is up to a hundred. `read_...` looks at
the request alone, `locate_write` at the table, `perform_write` at the item: AWS reports errors in this order.
"""

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import Units, write_units
from cumulet.services.dynamodb.core.expressions.conditions import Test
from cumulet.services.dynamodb.core.expressions.legacy import bind_attribute_updates
from cumulet.services.dynamodb.core.expressions.updates import BoundUpdate, bind_update
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes
from cumulet.services.dynamodb.core.limits import ITEM_BYTES_MAX
from cumulet.services.dynamodb.core.values import Item, canonical_item, invalid, invalid_parameter
from cumulet.services.dynamodb.index_keys import check_index_keys, check_index_paths
from cumulet.services.dynamodb.items import check_condition, locate, locate_item
from cumulet.services.dynamodb.operations.requests import (
    check_legacy_condition,
    check_return_values,
    read_condition,
    read_placeholders,
)
from cumulet.services.dynamodb.tables import OpenTable
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.dynamodb.writes import read_before, write_item
from cumulet.services.kit import Call, Params
from cumulet.store.api import WriteTx

_EXPECTED = ("Expected", "ConditionalOperator")
_CONDITION = ("ConditionExpression",)
_UPDATE_EXPECTED = ("AttributeUpdates", *_EXPECTED)
_UPDATE_CONDITION = ("UpdateExpression", *_CONDITION)


class ItemWrite(msgspec.Struct, eq=False, frozen=True):
    """One write as its request has it: a put, an update, a deletion, or only the check of a condition."""

    kind: str
    """Put, Update, Delete or ConditionCheck."""
    params: Params
    item: Item
    """The whole item of a put, the key of all others; canonical, of `size` bytes as AWS counts them."""
    size: int
    test: Test | None
    update: BoundUpdate | None = None
    creates: bool = True
    """Whether an update brings an absent item into being."""


class Outcome(msgspec.Struct, eq=False, frozen=True):
    """What a write came to."""

    old: bytes | None
    """The stored item before, None also where nobody had to know it."""
    new: bytes | None
    units: Units


def read_put(params: Params) -> ItemWrite:
    """Return the put that these parameters ask for."""
    check_legacy_condition(params, _EXPECTED, _CONDITION)
    placeholders = read_placeholders(params, "ConditionExpression")
    item, size = canonical_item(params["Item"])
    check_return_values(params)
    if size > ITEM_BYTES_MAX:
        invalid("Item size has exceeded the maximum allowed size")
    test = read_condition(params, placeholders)
    placeholders.check_all_used()
    return ItemWrite("Put", params, item, size, test)


def read_update(params: Params) -> ItemWrite:
    """Return the update that these parameters ask for. Without an expression an absent item becomes its key alone."""
    check_legacy_condition(params, _UPDATE_EXPECTED, _UPDATE_CONDITION)
    placeholders = read_placeholders(params, "UpdateExpression", "ConditionExpression")
    key, size = canonical_item(params["Key"])
    update: BoundUpdate | None = None
    if (text := params.get("UpdateExpression")) is not None:
        update = bind_update(text, placeholders)
    elif given := params.get("AttributeUpdates"):
        update = bind_attribute_updates(given)
    test = read_condition(params, placeholders)
    placeholders.check_all_used()
    return ItemWrite("Update", params, key, size, test, update, creates=update is None or update.creates)


def read_delete(params: Params) -> ItemWrite:
    """Return the deletion that these parameters ask for."""
    check_legacy_condition(params, _EXPECTED, _CONDITION)
    placeholders = read_placeholders(params, "ConditionExpression")
    key, size = canonical_item(params["Key"])
    check_return_values(params)
    test = read_condition(params, placeholders)
    placeholders.check_all_used()
    return ItemWrite("Delete", params, key, size, test)


def read_check(params: Params) -> ItemWrite:
    """Return the check of a condition, which writes nothing, that these parameters ask for."""
    placeholders = read_placeholders(params, "ConditionExpression")
    key, size = canonical_item(params["Key"])
    test = read_condition(params, placeholders)
    placeholders.check_all_used()
    return ItemWrite("ConditionCheck", params, key, size, test)


def locate_write(table: OpenTable, write: ItemWrite) -> bytes:
    """Return where the item of a write lies. Raises where the write does not fit the table's keys."""
    if write.kind == "Put":
        return locate_item(table, write.item)
    place = locate(table, write.item)
    if write.update is not None and (part_of_key := write.update.touches(table.key_names)) is not None:
        invalid_parameter(f"Cannot update attribute {part_of_key}. This attribute is part of the key")
    if table.indexes and write.update is not None:
        check_index_paths(table, write.update.paths)
    return place


def perform_write(
    tx: WriteTx, call: Call, table: OpenTable, write: ItemWrite, place: bytes, wants_old: bool
) -> Outcome:
    """Do the write if its condition holds, else raise ConditionalCheckFailedException.

    `wants_old` is for who returns or bills the item before; what the write itself needs to know it knows.
    """
    if write.kind == "Update":
        return _perform_update(tx, call, table, write, place)
    if write.kind == "ConditionCheck":
        old = tx.get(place)
        _check(call, table, write, place, old)
        return Outcome(old, old, Units(write_units(0 if old is None else stored_bytes(old), 0)))
    puts = write.kind == "Put"
    old = read_before(tx, table, place, needed=wants_old or write.test is not None or not puts)
    _check(call, table, write, place, old)
    written = write_item(tx, call, table, place, old, write.item if puts else None, write.size)
    return Outcome(old, written.stored, written.units)


def _perform_update(tx: WriteTx, call: Call, table: OpenTable, write: ItemWrite, place: bytes) -> Outcome:
    old = tx.get(place)
    item = {} if old is None else decode_item(old)
    _check(call, table, write, place, old, item)
    if old is None and not write.creates:
        units = Units(write_units(0, 0))
        charge(call, table, units, writes=True, thing=place)
        return Outcome(None, None, units)
    size = stored_bytes(old) if old is not None else write.size
    item = item or dict(write.item)
    if write.update is not None:
        size += write.update.apply(item)
    if size > ITEM_BYTES_MAX:
        invalid("Item size to update has exceeded the maximum allowed size")
    if table.indexes and write.update is not None:
        check_index_keys(table, item, {str(path[0]) for path in write.update.paths})
    written = write_item(tx, call, table, place, old, item, size)
    return Outcome(old, written.stored, written.units)


def _check(
    call: Call, table: OpenTable, write: ItemWrite, place: bytes, old: bytes | None, item: Item | None = None
) -> None:
    try:
        check_condition(write.test, old, write.params, item)
    except ServiceError:
        # A write whose condition fails costs what the item that is there would ("Conditional writes", developer guide).
        units = Units(write_units(0 if old is None else stored_bytes(old), 0))
        charge(call, table, units, writes=True, thing=place)
        raise
