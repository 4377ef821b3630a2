"""How an item lies in the store: a version byte, its size as AWS counts it in 3 bytes, its canonical JSON.

The size is kept so that reading an item, billing it and filling a page need no decoding; the JSON is what GetItem
answers, byte for byte.
"""

import msgspec

from cumulet.errors import InvariantViolated
from cumulet.services.dynamodb.core.values import Item

_VERSION = b"\x01"
_HEADER_BYTES = 4

_encoder = msgspec.json.Encoder()
_item_decoder: msgspec.json.Decoder[Item] = msgspec.json.Decoder(dict)


def encode_item(item: Item, size: int) -> bytes:
    """Return the stored form of a canonical item of that size."""
    return _VERSION + size.to_bytes(3, "big") + _encoder.encode(item)


def decode_item(stored: bytes) -> Item:
    """Return the item. It is the caller's own and may be changed."""
    return _item_decoder.decode(stored[_HEADER_BYTES:])


def stored_json(stored: bytes) -> msgspec.Raw:
    """Return the item's JSON as it is."""
    if stored[0] != _VERSION[0]:
        raise InvariantViolated(f"an item has version {stored[0]}, this program reads {_VERSION[0]}")
    return msgspec.Raw(stored[_HEADER_BYTES:])


def stored_bytes(stored: bytes) -> int:
    """Return the item's size as AWS counts it."""
    return stored[1] << 16 | stored[2] << 8 | stored[3]
