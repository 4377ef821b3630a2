"""Items in the store: their keys, and the checks that make a key fit its table."""

from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.conditions import Test
from cumulet.services.dynamodb.core.expressions.key_conditions import KeyCondition
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_json
from cumulet.services.dynamodb.core.key_codec import encode_key, hash_of
from cumulet.services.dynamodb.core.limits import HASH_KEY_BYTES_MAX, RANGE_KEY_BYTES_MAX
from cumulet.services.dynamodb.core.values import Item, Value, invalid, invalid_parameter, kind_of
from cumulet.services.dynamodb.index_keys import check_index_keys
from cumulet.services.dynamodb.tables import OpenTable
from cumulet.services.kit import Params
from cumulet.store.tuples import after, pack

_KIND_WORDS = {"S": "string", "B": "binary"}


def locate(table: OpenTable, key: Mapping[str, Value]) -> bytes:
    """Return where the item with this key lies. Raises unless the key has exactly the table's key attributes."""
    if len(key) != len(table.key_names):
        _mismatch()
    hash_value = key.get(table.hash_name)
    if hash_value is None or table.hash_kind not in hash_value:
        _mismatch()
    if table.range_name is None:
        return _item_key(table, hash_value, None)
    range_value = key.get(table.range_name)
    if range_value is None or table.range_kind not in range_value:
        _mismatch()
    return _item_key(table, hash_value, range_value)


def locate_item(table: OpenTable, item: Mapping[str, Value]) -> bytes:
    """Return where this whole item belongs. Raises unless it has the table's key attributes, in their types."""
    hash_value = _key_value(item, table.hash_name, table.hash_kind)
    range_value = None
    if table.range_name is not None and table.range_kind is not None:
        range_value = _key_value(item, table.range_name, table.range_kind)
    place = _item_key(table, hash_value, range_value)
    if table.indexes:
        check_index_keys(table, item)
    return place


class KeyRange(NamedTuple):
    """Where the items that a key condition asks for lie."""

    partition: bytes
    """What every key of the partition begins with."""
    start: bytes
    end: bytes


def key_range(table: OpenTable, partition: Value, sort: KeyCondition | None) -> KeyRange:
    """Return the range of stored keys that a key condition selects. Raises if its values do not fit the key schema."""
    head = _item_key(table, _condition_value(table.hash_kind, partition), None)
    if sort is None:
        # In a table without a sort key the partition is one item, and its key the head itself.
        return KeyRange(head, head, head + b"\x00" if table.range_name is None else after(head))
    bounds = [
        head + pack((key_bytes(table.range_name, table.range_kind, _condition_value(table.range_kind, value)),))
        for value in sort.values
    ]
    start, end = head, after(head)
    bound = bounds[0]
    match sort.operator:
        case "=":
            start, end = bound, bound + b"\x00"
        case "<":
            end = bound
        case "<=":
            end = bound + b"\x00"
        case ">":
            start = bound + b"\x00"
        case ">=":
            start = bound
        case "BETWEEN":
            start, end = bound, bounds[1] + b"\x00"
        case "begins_with":
            # Without its terminator a packed text is the prefix of all that begin with it.
            start, end = bound[:-1], after(bound[:-1])
    return KeyRange(head, start, end)


def _condition_value(kind: str | None, value: Value) -> Value:
    if kind not in value:
        invalid_parameter("Condition parameter type does not match schema type")
    return value


def key_attributes(table: OpenTable, item: Mapping[str, Value]) -> dict[str, Value]:
    """Return an item's key, as LastEvaluatedKey shows it."""
    return {name: item[name] for name in table.key_names}


def check_condition(test: Test | None, stored: bytes | None, params: Params, decoded: Item | None = None) -> None:
    """Raise ConditionalCheckFailedException unless the item meets the condition. An absent item has no attributes.

    `decoded` is the stored item, where the caller has it already.
    """
    if test is None:
        return
    if decoded is None:
        decoded = {} if stored is None else decode_item(stored)
    if test(decoded):
        return
    if stored is not None and params.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
        raise ServiceError(
            "ConditionalCheckFailedException", "The conditional request failed", Item=stored_json(stored)
        )
    raise ServiceError("ConditionalCheckFailedException", "The conditional request failed")


def _item_key(table: OpenTable, hash_value: Value, range_value: Value | None) -> bytes:
    partition = key_bytes(table.hash_name, table.hash_kind, hash_value)
    if len(partition) > HASH_KEY_BYTES_MAX:
        # The missing space is AWS's.
        invalid_parameter(f"Size of hashkey has exceeded the maximum size limit of{HASH_KEY_BYTES_MAX} bytes")
    if range_value is None:
        return table.prefix + pack((hash_of(partition), partition))
    sort = key_bytes(table.range_name, table.range_kind, range_value)
    if len(sort) > RANGE_KEY_BYTES_MAX:
        invalid_parameter(
            f"Aggregated size of all range keys has exceeded the size limit of {RANGE_KEY_BYTES_MAX} bytes"
        )
    return table.prefix + pack((hash_of(partition), partition, sort))


def key_bytes(name: str | None, kind: str | None, value: Value) -> bytes:
    """Return the ordered bytes of one key attribute of the right type. Raises ValidationException if it is empty."""
    content: Any = value[kind]  # type: ignore[index]
    if not content:
        invalid(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            f"empty {_KIND_WORDS[kind]} value. Key: {name}"  # type: ignore[index]
        )
    return encode_key(kind, content)  # type: ignore[arg-type]


def _key_value(item: Mapping[str, Value], name: str, kind: str) -> Value:
    value = item.get(name)
    if value is None:
        invalid_parameter(f"Missing the key {name} in the item")
    if kind not in value:
        invalid_parameter(f"Type mismatch for key {name} expected: {kind} actual: {kind_of(value)}")
    return value


def _mismatch() -> NoReturn:
    invalid("The provided key element does not match the schema")
