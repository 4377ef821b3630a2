"""Items in the store: their keys, and the checks that make a key fit its table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.conditions import Test
from cumulet.services.dynamodb.core.expressions.key_conditions import KeyCondition
from cumulet.services.dynamodb.core.index_diff import IndexKeys, KeyAttribute, entry_key, partition_head
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_json
from cumulet.services.dynamodb.core.key_codec import encode_key, hash_of
from cumulet.services.dynamodb.core.limits import HASH_KEY_BYTES_MAX, RANGE_KEY_BYTES_MAX
from cumulet.services.dynamodb.core.values import Item, Value, invalid, invalid_parameter, kind_of
from cumulet.services.dynamodb.index_keys import check_index_keys
from cumulet.services.dynamodb.tables import OpenTable, Source
from cumulet.services.kit import Params
from cumulet.store.tuples import after, pack, pack_bytes

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


def key_range(source: Source, partition: Value, sort: KeyCondition | None) -> KeyRange:
    """Return the range of stored keys that a key condition selects. Raises if its values do not fit the key schema."""
    return key_range_of(source, (partition,), () if sort is None else (sort,))


def key_range_of(source: Source, partition: Sequence[Value], sorts: Sequence[KeyCondition]) -> KeyRange:
    """Return the range for a value of each partition key attribute, and conditions on the sort key's first ones.

    All conditions but the last are equalities.
    """
    is_index = isinstance(source, IndexKeys)
    hash_parts = tuple(
        [_condition_bytes(source, key, value) for key, value in zip(source.hash_keys, partition, strict=True)]
    )
    if sum(map(len, hash_parts)) > HASH_KEY_BYTES_MAX:
        _long_hash()
    head = source.prefix + partition_head(hash_parts)
    if not sorts:
        # In a table without a sort key the partition is one item, and its key the head itself.
        is_item = not is_index and not source.range_keys
        return KeyRange(head, head, head + b"\x00" if is_item else after(head))
    bounds = [
        [_condition_bytes(source, source.range_keys[at], value) for value in sort.values]
        for at, sort in enumerate(sorts)
    ]
    if sum(max(map(len, parts)) for parts in bounds) > RANGE_KEY_BYTES_MAX:
        _long_range()
    prefix = head if len(bounds) == 1 else head + pack(tuple([parts[0] for parts in bounds[:-1]]))
    low = prefix + pack((bounds[-1][0],))
    high = low if len(bounds[-1]) == 1 else prefix + pack((bounds[-1][1],))
    # Behind the last attribute a table's key ends; an index's goes on.
    behind_low, behind_high = (after(low), after(high)) if is_index else (low + b"\x00", high + b"\x00")
    start, end = prefix, after(prefix)
    match sorts[-1].operator:
        case "=":
            start, end = low, behind_low
        case "<":
            end = low
        case "<=":
            end = behind_low
        case ">":
            start = behind_low
        case ">=":
            start = low
        case "BETWEEN":
            start, end = low, behind_high
        case "begins_with":
            # Without its terminator a packed text is the prefix of all that begin with it.
            start, end = low[:-1], _past_prefix(low[:-1])
    return KeyRange(head, start, end)


def _past_prefix(prefix: bytes) -> bytes:
    """Return the first bytes behind all that begin with these, whatever follows: a binary goes on with FF, too."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1])


def _condition_bytes(source: Source, key: KeyAttribute, value: Value) -> bytes:
    if key.kind not in value:
        invalid_parameter("Condition parameter type does not match schema type")
    if isinstance(source, IndexKeys) and not value[key.kind]:
        invalid(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            f"empty {_KIND_WORDS[key.kind]} value. IndexName: {source.name}, IndexKey: {key.name}"
        )
    return key_bytes(key.name, key.kind, value)


def locate_entry(table: OpenTable, index: IndexKeys, key: Mapping[str, Value]) -> bytes:
    """Return where the entry with this key lies in an index: the index's key attributes and the table's, no others."""
    if key.keys() != set(index.key_names) or any(kind not in key[name] for name, kind in index.keys):
        _mismatch()
    place = locate(table, {name: key[name] for name in table.key_names})
    hash_parts = tuple([key_bytes(name, kind, key[name]) for name, kind in index.hash_keys])
    range_parts = tuple([key_bytes(name, kind, key[name]) for name, kind in index.range_keys])
    if sum(map(len, hash_parts)) > HASH_KEY_BYTES_MAX:
        _long_hash()
    if sum(map(len, range_parts)) > RANGE_KEY_BYTES_MAX:
        _long_range()
    return entry_key(index, hash_parts, range_parts, place[len(table.prefix) :])


def key_attributes(source: Source, item: Mapping[str, Value]) -> dict[str, Value]:
    """Return an item's key, as LastEvaluatedKey shows it: in an index also the index's."""
    return {name: item[name] for name in source.key_names}


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
        _long_hash()
    if range_value is None:
        return table.prefix + pack_bytes(hash_of(partition), partition)
    sort = key_bytes(table.range_name, table.range_kind, range_value)
    if len(sort) > RANGE_KEY_BYTES_MAX:
        _long_range()
    return table.prefix + pack_bytes(hash_of(partition), partition, sort)


def key_bytes(name: str | None, kind: str | None, value: Value) -> bytes:
    """Return the ordered bytes of one key attribute of the right type. Raises ValidationException if it is empty."""
    content: Any = value[kind]  # type: ignore[index]
    if not content:
        invalid(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            f"empty {_KIND_WORDS[kind]} value. Key: {name}"  # type: ignore[index]
        )
    return content.encode() if kind == "S" else encode_key(kind, content)  # type: ignore[arg-type]


def _key_value(item: Mapping[str, Value], name: str, kind: str) -> Value:
    value = item.get(name)
    if value is None:
        invalid_parameter(f"Missing the key {name} in the item")
    if kind not in value:
        invalid_parameter(f"Type mismatch for key {name} expected: {kind} actual: {kind_of(value)}")
    return value


def _mismatch() -> NoReturn:
    invalid("The provided key element does not match the schema")


def _long_hash() -> NoReturn:
    # The missing space is AWS's.
    invalid_parameter(f"Size of hashkey has exceeded the maximum size limit of{HASH_KEY_BYTES_MAX} bytes")


def _long_range() -> NoReturn:
    invalid_parameter(f"Aggregated size of all range keys has exceeded the size limit of {RANGE_KEY_BYTES_MAX} bytes")
