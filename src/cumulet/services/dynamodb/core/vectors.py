"""Vector indexes: their definitions, their entries, and how far vectors lie apart. Pure.

An index keeps a vector as 32-bit floats, beside the values of the attributes that a search may filter by; what it
projects is read from the item itself, which is written in the same transaction. A search is exact: it looks at every
vector of the index, or of the partition that an index with a HASH element names. AWS's is approximate.

Source: "Using vector indexes in DynamoDB", developer guide; the words from Parity Suite's recordings on AWS.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from operator import mul
from typing import Any, NamedTuple

import msgspec

from cumulet.services.dynamodb.core.index_diff import Image, KeyAttribute
from cumulet.services.dynamodb.core.limits import (
    VECTOR_DIMENSIONS_MAX,
    VECTOR_FILTERS_MAX,
    VECTOR_INDEXES_MAX,
    VECTOR_WRITE_BYTES_MIN,
)
from cumulet.services.dynamodb.core.values import (
    Item,
    Value,
    invalid,
    invalid_parameter,
    item_bytes,
    kind_of,
    text_bytes,
)

_VERSION = 1
_HEADER = struct.Struct("<BdH")
"""The version, the vector's length, how many bytes of filter values follow."""
_PARTITION_BYTES = 16
FLOAT_BYTES = 4
_KIND_WORDS = {"S": "string", "B": "binary"}


class VectorIndex(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is recorded about one vector index."""

    name: str
    number: int
    attribute: str
    dimensions: int
    distance: str
    """COSINE, EUCLIDEAN or DOT_PRODUCT."""
    hash_name: str | None
    filter_names: tuple[str, ...]
    projection: str
    non_key_attributes: tuple[str, ...] = ()
    filling: bool = False

    @property
    def search_names(self) -> tuple[str, ...]:
        """The attributes of the search schema."""
        return self.filter_names if self.hash_name is None else (self.hash_name, *self.filter_names)


class VectorKeys:
    """A vector index as writes and searches see it."""

    __slots__ = ("filters", "hash_key", "index", "kept", "prefix")

    def __init__(self, index: VectorIndex, prefix: bytes, kinds: Mapping[str, str], key_names: Sequence[str]) -> None:
        self.index = index
        self.prefix = prefix
        self.hash_key = None if index.hash_name is None else KeyAttribute(index.hash_name, kinds[index.hash_name])
        self.filters = tuple([KeyAttribute(name, kinds[name]) for name in index.filter_names])
        own = (*key_names, *index.search_names, index.attribute)
        self.kept = None if index.projection == "ALL" else frozenset((*own, *index.non_key_attributes))


# --- definitions


def check_vector_indexes(
    given: Sequence[Mapping[str, Any]] | None, kinds: Mapping[str, str], mode: str, others: Sequence[str], made: int
) -> list[VectorIndex]:
    """Return the vector indexes that a table is defined with. `others` are the names of its other indexes."""
    if given is None:
        return []
    if mode != "PAY_PER_REQUEST":
        invalid_parameter("Vector indexes are only supported for PAY_PER_REQUEST tables")
    names = list(others)
    indexes: list[VectorIndex] = []
    for number, definition in enumerate(given, made + 1):
        index = define_vector_index(definition, kinds, number)
        if index.name in names:
            invalid_parameter(f"Duplicate index name: {index.name}")
        names.append(index.name)
        indexes.append(index)
    check_together(indexes, kinds)
    return indexes


def define_vector_index(given: Mapping[str, Any], kinds: Mapping[str, str], number: int) -> VectorIndex:
    """Return the index that a request defines. Raises ValidationException for what cannot be one."""
    schema = given.get("SearchSchema") or ()
    if any(element["AttributeName"] not in kinds for element in schema):
        invalid_parameter("One element in SearchSchema is not defined in attribute definitions")
    hashes = [one["AttributeName"] for one in schema if one["SearchSchemaElementType"] == "HASH"]
    filters = [one["AttributeName"] for one in schema if one["SearchSchemaElementType"] == "INLINE_FILTER"]
    # AWS's documentation tells these rules and not the words.
    if len(hashes) > 1:
        invalid_parameter("SearchSchema can have at most one HASH element")
    if len({*hashes, *filters}) < len(schema):
        invalid_parameter("SearchSchema has an attribute twice")
    if len(filters) > VECTOR_FILTERS_MAX:
        invalid_parameter(f"SearchSchema exceeds the limit of {VECTOR_FILTERS_MAX} INLINE_FILTER elements")
    if given["Dimensions"] > VECTOR_DIMENSIONS_MAX:
        invalid_parameter(f"Number of dimensions must be between 1 and {VECTOR_DIMENSIONS_MAX} inclusive.")
    kind, attributes = given["Projection"].get("ProjectionType"), given["Projection"].get("NonKeyAttributes")
    if kind is None:
        invalid_parameter("Unknown ProjectionType: null")
    if kind == "INCLUDE" and attributes is None:
        invalid_parameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    if kind != "INCLUDE" and attributes is not None:
        invalid_parameter(f"ProjectionType is {kind}, but NonKeyAttributes is specified")
    return VectorIndex(
        name=given["IndexName"],
        number=number,
        attribute=given["VectorAttribute"]["AttributeName"],
        dimensions=given["Dimensions"],
        distance=given["DistanceFunction"],
        hash_name=hashes[0] if hashes else None,
        filter_names=tuple(filters),
        projection=kind,
        non_key_attributes=tuple(attributes or ()),
    )


def check_together(indexes: Sequence[VectorIndex], kinds: Mapping[str, str]) -> None:
    """Raise ValidationException for vector indexes that one table cannot have together."""
    if len(indexes) > VECTOR_INDEXES_MAX:
        invalid_parameter(f"VectorIndex count exceeds the per-table limit of {VECTOR_INDEXES_MAX}")
    dimensions: dict[str, int] = {}
    for index in indexes:
        if index.attribute in kinds or dimensions.setdefault(index.attribute, index.dimensions) != index.dimensions:
            invalid_parameter(
                f"Conflicting attribute definition for '{index.attribute}'. All VectorIndexes on the same vector "
                "attribute must use the same dimensions."
            )


def render_vector_index(index: VectorIndex) -> dict[str, Any]:
    """Return an index as a request defines it."""
    schema = [{"AttributeName": name, "SearchSchemaElementType": "INLINE_FILTER"} for name in index.filter_names]
    if index.hash_name is not None:
        schema.insert(0, {"AttributeName": index.hash_name, "SearchSchemaElementType": "HASH"})
    rendered: dict[str, Any] = {
        "IndexName": index.name,
        "VectorAttribute": {"AttributeName": index.attribute},
        "Dimensions": index.dimensions,
        "DistanceFunction": index.distance,
        "Projection": {"ProjectionType": index.projection},
    }
    if index.non_key_attributes:
        rendered["Projection"]["NonKeyAttributes"] = list(index.non_key_attributes)
    if schema:
        rendered["SearchSchema"] = schema
    return rendered


# --- entries


class VectorWrite(NamedTuple):
    """What one write does to one vector index."""

    keys: VectorKeys
    removed: bytes | None
    put: tuple[bytes, bytes] | None
    billed: float
    """VectorWriteRequestBytes; 0 if what the index shows did not change."""


def plan_vector_writes(
    vectors: Iterable[VectorKeys], suffix: bytes, before: Image | None, after: Image | None
) -> list[VectorWrite]:
    """Return what has to happen in the vector indexes. Raises ValidationException if one cannot hold the item."""
    writes = []
    for keys in vectors:
        old = None if before is None else make_vector_entry(keys, suffix, before.item)
        if after is not None:
            check_vector(keys, after.item)
        new = None if after is None else make_vector_entry(keys, suffix, after.item)
        shown = (_shown(keys, before, old), _shown(keys, after, new))
        if old == new and shown[0] == shown[1]:
            continue
        image = shown[1] if shown[1] is not None else shown[0]
        billed = max(VECTOR_WRITE_BYTES_MIN, _billed_bytes(keys.index, image or {}))
        removed = old[0] if old is not None and (new is None or new[0] != old[0]) else None
        writes.append(VectorWrite(keys, removed, new, float(billed)))
    return writes


def make_vector_entry(keys: VectorKeys, suffix: bytes, item: Mapping[str, Value]) -> tuple[bytes, bytes] | None:
    """Return the item's entry, or None if the index does not have it: without a vector, or without its partition."""
    elements = _elements(keys, item)
    if elements is None:
        return None
    head = keys.prefix
    if keys.hash_key is not None:
        partition = item.get(keys.hash_key.name)
        if partition is None or not partition.get(keys.hash_key.kind):
            return None
        head += partition_of(partition)
    vector = read_vector(elements)
    if vector is None:
        return None
    values = {name: item[name] for name, kind in keys.filters if kind in item.get(name, {})}
    filters = msgspec.json.encode(values) if values else b""
    packed = _floats(len(vector)).pack(*vector)
    length = math.hypot(*_floats(len(vector)).unpack(packed))
    return head + suffix, _HEADER.pack(_VERSION, length, len(filters)) + filters + packed


def partition_of(value: Value) -> bytes:
    """Return what the entries of a partition begin with: a digest, since its value may be long."""
    return blake2b(msgspec.json.encode(value), digest_size=_PARTITION_BYTES).digest()


def entry_suffix(keys: VectorKeys, key: bytes) -> bytes:
    """Return an entry's item key, without its table's prefix."""
    return key[len(keys.prefix) + (0 if keys.hash_key is None else _PARTITION_BYTES) :]


class Entry(NamedTuple):
    """An entry as a search sees it."""

    length: float
    filters: Mapping[str, Value]
    vector: tuple[float, ...]


def read_entry(stored: bytes) -> Entry:
    """Return what an entry holds."""
    _, length, size = _HEADER.unpack_from(stored)
    at = _HEADER.size + size
    filters: Mapping[str, Value] = msgspec.json.decode(stored[_HEADER.size : at]) if size else {}
    return Entry(length, filters, _floats((len(stored) - at) // FLOAT_BYTES).unpack_from(stored, at))


def check_vector(keys: VectorKeys, item: Mapping[str, Value]) -> None:
    """Raise ValidationException if the index cannot hold the item. What it does not have does not matter."""
    index = keys.index
    for name, kind in (*(() if keys.hash_key is None else (keys.hash_key,)), *keys.filters):
        value = item.get(name)
        if value is None:
            continue
        if kind not in value:
            invalid_parameter(
                f"Type mismatch for Index Key {name} Expected: {kind} Actual: {kind_of(value)} IndexName: {index.name}"
            )
        if name == index.hash_name and not value[kind]:
            invalid(
                "One or more parameter values are not valid. A value specified for a secondary index key is not "
                f"supported. The AttributeValue for a key attribute cannot contain an empty {_KIND_WORDS[kind]} value. "
                f"IndexName: {index.name}, IndexKey: {name}"
            )
    value = item.get(index.attribute)
    if value is None:
        return
    elements = value.get("L")
    # The full stop in place of AWS's usual colon is AWS's.
    bad = f"One or more parameter values were invalid. Invalid {{}} for parameter {index.attribute}"
    if elements is None:
        invalid(f"{bad.format('type')}, Expected: 32-bit floating point number list IndexName: {index.name}")
    if len(elements) != index.dimensions:
        invalid(f"{bad.format('size')}, Expected: {index.dimensions}, Actual: {len(elements)} IndexName: {index.name}")
    if read_vector(elements) is not None:
        return
    for at, element in enumerate(elements):
        if "N" not in element or read_vector([element]) is None:
            invalid(
                f"{bad.format('type')}[{at}], Expected: 32-bit floating point number, Actual: {kind_of(element)}. "
                f"IndexName: {index.name}"
            )


def read_vector(elements: Sequence[Value]) -> tuple[float, ...] | None:
    """Return numbers as 32-bit floats, or None if they are none."""
    try:
        floats = _floats(len(elements))
        found: tuple[float, ...] = floats.unpack(floats.pack(*[float(element["N"]) for element in elements]))
    except (KeyError, OverflowError):
        return None
    return found


def billed_item_bytes(vectors: Iterable[VectorKeys], item: Mapping[str, Value]) -> int:
    """Return as how large an item's write is billed: a vector costs four bytes a dimension, whatever numbers it holds.

    A read is billed for the numbers, and the limit of 400 KB counts them.
    """
    names = {keys.index.attribute for keys in vectors if "L" in item.get(keys.index.attribute, {})}
    rest = {name: value for name, value in item.items() if name not in names}
    return item_bytes(rest) + sum(text_bytes(name) + FLOAT_BYTES * len(item[name]["L"]) for name in names)


def _elements(keys: VectorKeys, item: Mapping[str, Value]) -> Sequence[Value] | None:
    elements: Sequence[Value] | None = item.get(keys.index.attribute, {}).get("L")
    return elements if elements is not None and len(elements) == keys.index.dimensions else None


def _shown(keys: VectorKeys, image: Image | None, entry: object | None) -> Item | None:
    """Return what the index projects of an item, or None if it does not have it."""
    if image is None or entry is None:
        return None
    return {name: value for name, value in image.item.items() if keys.kept is None or name in keys.kept}


def _billed_bytes(index: VectorIndex, shown: Item) -> int:
    rest = {name: value for name, value in shown.items() if name != index.attribute}
    return item_bytes(rest) + text_bytes(index.attribute) + FLOAT_BYTES * index.dimensions


@lru_cache(maxsize=64)
def _floats(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}f")


# --- distances

Rank = Callable[[Entry, float], float]
"""(entry, worst) -> the entry's rank: what is nearer has the smaller one. Infinity for an entry that is surely farther
than a rank of `worst`."""

# Python 3.12 has this in C; what 3.11 does instead takes some ten times as long.
_dot: Callable[[Iterable[float], Iterable[float]], float] = getattr(
    math, "sumprod", lambda left, right: sum(map(mul, left, right))
)
_ROUNDING = 1e-12
"""More than what rounding adds to any of the sums below, for vectors of up to 4,096 dimensions."""


def make_rank(distance: str, wanted: tuple[float, ...]) -> Rank:
    """Return how to rank entries by their distance to a vector. `score_of` makes the score of a rank.

    A product takes Python twice as long as a distance, which is computed in C. So the distance tells first, by the law
    of cosines and with all that rounding could have added, whether an entry can be near enough; only then it is asked
    exactly. So the answer is that of exact products.
    """
    if distance == "EUCLIDEAN":
        return lambda entry, worst: math.dist(wanted, entry.vector)
    own = math.hypot(*wanted)

    def product_max(entry: Entry) -> float:
        apart = math.dist(wanted, entry.vector)
        squares = own * own + entry.length * entry.length
        return (squares - apart * apart) / 2 + _ROUNDING * (squares + apart * apart)

    def by_product(entry: Entry, worst: float) -> float:
        return math.inf if -product_max(entry) > worst else -_dot(wanted, entry.vector)

    def by_cosine(entry: Entry, worst: float) -> float:
        lengths = own * entry.length
        # A vector of length nought has no direction; it is as far as what is at right angles.
        if not lengths:
            return 1.0
        if 1.0 - product_max(entry) / lengths > worst + _ROUNDING:
            return math.inf
        return min(2.0, max(0.0, 1.0 - _dot(wanted, entry.vector) / lengths))

    return by_product if distance == "DOT_PRODUCT" else by_cosine


def score_of(distance: str, rank: float) -> float:
    """Return the score that AWS tells: the distance, or the product itself, of which the larger is the nearer."""
    return -rank if distance == "DOT_PRODUCT" else rank


def as_float32(number: float) -> float:
    """Return the number in the precision of scores."""
    try:
        return _floats(1).unpack(_floats(1).pack(number))[0]  # type: ignore[no-any-return]
    except OverflowError:
        return math.copysign(_FLOAT32_MAX, number)


_FLOAT32_MAX = 3.4028234663852886e38


def render_float32(number: float) -> str:
    """Return the shortest decimal that names a 32-bit float, with a point."""
    for digits in range(1, 10):
        text = format(number, f".{digits}g")
        if as_float32(float(text)) == number:
            break
    plain = format(Decimal(text), "f")
    return plain if "." in plain else plain + ".0"


# --- search conditions


def check_search_vector(index: VectorIndex, given: Sequence[object]) -> tuple[float, ...]:
    """Return the vector to search for. Raises ValidationException if it is none, or of other dimensions."""
    elements = [element for element in given if isinstance(element, Mapping) and isinstance(element.get("N"), str)]
    vector = None
    if len(elements) == len(given):
        try:
            vector = read_vector(elements)
        except ValueError:
            vector = None
    if vector is None or not all(map(math.isfinite, vector)):
        invalid(
            "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point "
            "number attribute"
        )
    if len(vector) != index.dimensions:
        invalid(f"Input search vector dimension {len(vector)} does not match vector index dimension {index.dimensions}")
    return vector
