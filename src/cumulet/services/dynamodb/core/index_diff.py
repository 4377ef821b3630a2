"""What one write changes in the secondary indexes. Pure: two images of an item in, entries to remove and to put out.

An entry's key is (hash, partition key attributes..., sort key attributes..., what tells items with equal index keys
apart); its value is the projected item in the stored form of items. So an index is read exactly as a table is, and a
query over it touches nothing but its entries.

An index holds only items that have all of its key attributes (it is sparse). Cost, as AWS bills it ("Global secondary
indexes", "Storage considerations" and "Write capacity units", developer guide): an entry that comes or goes is one
write; one that stays in its place and changes is one write of its larger image; one whose key changes is a delete and
a put; one that stays as it is costs nothing.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from cumulet.services.dynamodb.core.capacity import write_units
from cumulet.services.dynamodb.core.item_codec import encode_item, stored_bytes
from cumulet.services.dynamodb.core.key_codec import encode_key, hash_of
from cumulet.services.dynamodb.core.limits import HASH_KEY_BYTES_MAX, RANGE_KEY_BYTES_MAX
from cumulet.services.dynamodb.core.values import Item, Value, item_bytes
from cumulet.store.tuples import pack

_SUFFIX_BYTES_MAX = 1024
_DIGEST_BYTES = 32


class KeyAttribute(NamedTuple):
    """One attribute of a key and its type."""

    name: str
    kind: str


class IndexKeys:
    """An index as writes and reads see it: its keys, what it projects, and where its entries lie."""

    __slots__ = (
        "hash_keys",
        "is_local",
        "kept",
        "key_names",
        "keys",
        "name",
        "prefix",
        "range_keys",
        "table_key_names",
    )

    def __init__(
        self,
        name: str,
        prefix: bytes,
        hash_keys: tuple[KeyAttribute, ...],
        range_keys: tuple[KeyAttribute, ...],
        table_key_names: tuple[str, ...],
        is_local: bool,
        projected: Iterable[str] | None,
    ) -> None:
        """`projected` are the attributes besides the keys; None is all of them."""
        self.name = name
        self.prefix = prefix
        self.hash_keys = hash_keys
        self.range_keys = range_keys
        self.keys = hash_keys + range_keys
        self.table_key_names = table_key_names
        self.is_local = is_local
        self.key_names = tuple(dict.fromkeys([*(key.name for key in self.keys), *table_key_names]))
        """The attributes of a LastEvaluatedKey of this index."""
        self.kept = None if projected is None else frozenset((*self.key_names, *projected))

    @property
    def hash_name(self) -> str:
        """The partition key's first attribute."""
        return self.hash_keys[0].name

    @property
    def hash_kind(self) -> str:
        """Its type."""
        return self.hash_keys[0].kind

    @property
    def range_name(self) -> str | None:
        """The sort key's first attribute, if there is one."""
        return self.range_keys[0].name if self.range_keys else None

    @property
    def range_kind(self) -> str | None:
        """Its type."""
        return self.range_keys[0].kind if self.range_keys else None

    def misses(self, attributes: Iterable[str]) -> list[str]:
        """Return those of the attributes that the index does not project."""
        return [] if self.kept is None else [name for name in attributes if name not in self.kept]


class Image(NamedTuple):
    """An item at one moment."""

    item: Item
    stored: bytes


class Entry(NamedTuple):
    """An item's entry in one index."""

    key: bytes
    value: bytes


class IndexWrite(NamedTuple):
    """What one write does to one index. It costs `units`, and changes the index's size by `grown` bytes."""

    keys: IndexKeys
    removed: bytes | None
    put: Entry | None
    units: float
    grown: int


def plan_index_writes(
    indexes: Iterable[IndexKeys], suffix: bytes, before: Image | None, after: Image | None
) -> list[IndexWrite]:
    """Return what has to happen in the indexes when the image `before` becomes `after`.

    `suffix` is the item's key in its table, without what all keys of the table begin with.
    """
    writes = []
    for index in indexes:
        old = None if before is None else make_entry(index, suffix, before)
        new = None if after is None else make_entry(index, suffix, after)
        if old == new:
            continue
        old_bytes = 0 if old is None else stored_bytes(old.value)
        new_bytes = 0 if new is None else stored_bytes(new.value)
        if old is not None and new is not None and old.key != new.key:
            units = write_units(old_bytes, 0) + write_units(0, new_bytes)
        else:
            units = write_units(old_bytes, new_bytes)
        removed = old.key if old is not None and (new is None or new.key != old.key) else None
        writes.append(IndexWrite(index, removed, new, units, new_bytes - old_bytes))
    return writes


def make_entry(index: IndexKeys, suffix: bytes, image: Image) -> Entry | None:
    """Return the item's entry in the index, or None if it lacks a key attribute."""
    hash_parts = _key_parts(index.hash_keys, image.item, HASH_KEY_BYTES_MAX)
    range_parts = _key_parts(index.range_keys, image.item, RANGE_KEY_BYTES_MAX)
    if hash_parts is None or range_parts is None:
        return None
    return Entry(entry_key(index, hash_parts, range_parts, suffix), project(index, image))


def _key_parts(keys: tuple[KeyAttribute, ...], item: Mapping[str, Value], bytes_max: int) -> tuple[bytes, ...] | None:
    parts = []
    for name, kind in keys:
        value = item.get(name)
        # What no index key can be is older than the index: writes refuse it, and a backfill passes over it.
        if value is None or kind not in value or not value[kind]:
            return None
        parts.append(encode_key(kind, value[kind]))
    return None if sum(map(len, parts)) > bytes_max else tuple(parts)


def entry_key(index: IndexKeys, hash_parts: tuple[bytes, ...], range_parts: tuple[bytes, ...], suffix: bytes) -> bytes:
    """Return the key of the entry with these key attributes, of the item with this suffix."""
    if len(suffix) > _SUFFIX_BYTES_MAX:
        # Both keys at their longest, zeros escaped, would not fit into a key of the store. The suffix only has to tell
        # items apart.
        suffix = pack((blake2b(suffix, digest_size=_DIGEST_BYTES).digest(),))
    return index.prefix + partition_head(hash_parts) + pack(range_parts) + suffix


def partition_head(hash_parts: tuple[bytes, ...]) -> bytes:
    """Return what the keys of one partition begin with: the hash of its key attributes, then these."""
    hashed = hash_parts[0] if len(hash_parts) == 1 else pack(hash_parts)
    return pack((hash_of(hashed), *hash_parts))


def project(index: IndexKeys, image: Image) -> bytes:
    """Return the stored form of what the index keeps of an item."""
    kept = index.kept
    if kept is None:
        return image.stored
    part: dict[str, Value] = {name: value for name, value in image.item.items() if name in kept}
    return image.stored if len(part) == len(image.item) else encode_item(part, item_bytes(part))


def key_of(index: IndexKeys, item: Mapping[str, Value]) -> dict[str, Value]:
    """Return the LastEvaluatedKey of an entry: the index's key attributes and the table's."""
    return {name: item[name] for name in index.key_names}
