"""The key attributes of secondary indexes in items that are written: what an index cannot hold is refused.

An item without such an attribute is fine: the index does not have it then. With one of another type, an empty one or
too long a one it is refused, though the table itself could hold it. An update is judged by what it touches only: what
lay in the item before the index was made does not stand in the way of other changes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from cumulet.services.dynamodb.core.expressions.ast import Elements
from cumulet.services.dynamodb.core.index_diff import IndexKeys, KeyAttribute
from cumulet.services.dynamodb.core.key_codec import encode_key
from cumulet.services.dynamodb.core.limits import HASH_KEY_BYTES_MAX, RANGE_KEY_BYTES_MAX
from cumulet.services.dynamodb.core.values import Value, invalid, invalid_parameter, kind_of
from cumulet.services.dynamodb.tables import OpenTable

_KIND_WORDS = {"S": "string", "B": "binary"}


def check_index_keys(table: OpenTable, item: Mapping[str, Value], touched: Collection[str] | None = None) -> None:
    """Raise ValidationException if an index cannot hold the item.

    `touched` are the top-level attributes that an update changed, whose outcome `item` is; None if it was sent whole.
    """
    for index in table.indexes_by_name:
        if touched is not None and not any(key.name in touched for key in index.keys):
            continue
        for name, kind in index.keys:
            value = item.get(name)
            if value is None or (touched is not None and name not in touched):
                continue
            if kind not in value:
                invalid_parameter(
                    f"Type mismatch for Index Key {name} Expected: {kind} Actual: {kind_of(value)} "
                    f"IndexName: {index.name}"
                )
            if not value[kind]:
                _refuse_empty(index, name, kind, updated=touched is not None)
        _check_length(index, item)


def check_index_paths(table: OpenTable, paths: Iterable[Elements]) -> None:
    """Raise ValidationException if an update reaches into a key attribute of an index, which can only be a scalar."""
    nested = {str(path[0]) for path in paths if len(path) > 1}
    for index in table.indexes_by_name:
        for key in index.keys:
            if key.name in nested:
                invalid(
                    "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
                    f"IndexKey: {key.name}"
                )


def _refuse_empty(index: IndexKeys, name: str, kind: str, updated: bool) -> None:
    what = f"The AttributeValue for a key attribute cannot contain an empty {_KIND_WORDS[kind]} value."
    if updated:
        invalid(
            "One or more parameter values are not valid. The update expression attempted to update a secondary index "
            f"key to a value that is not supported. {what}"
        )
    invalid(
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
        f"{what} IndexName: {index.name}, IndexKey: {name}"
    )


def _check_length(index: IndexKeys, item: Mapping[str, Value]) -> None:
    if _length(index.hash_keys, item) > HASH_KEY_BYTES_MAX:
        # The missing space is AWS's.
        invalid_parameter(f"Size of hashkey has exceeded the maximum size limit of{HASH_KEY_BYTES_MAX} bytes")
    if _length(index.range_keys, item) > RANGE_KEY_BYTES_MAX:
        invalid_parameter(
            f"Aggregated size of all range keys has exceeded the size limit of {RANGE_KEY_BYTES_MAX} bytes"
        )


def _length(keys: Sequence[KeyAttribute], item: Mapping[str, Value]) -> int:
    values = [(kind, item.get(name)) for name, kind in keys]
    return sum(len(encode_key(kind, value[kind])) for kind, value in values if value is not None and kind in value)
