"""Access key ids, which carry their account as AWS's own do: whoever has one can tell whose it is.

After the four letters of the prefix come sixteen base32 characters: a bit that is set, 40 bits of account number, and
39 bits that tell the account's keys apart.
"""

import base64
from functools import lru_cache
from typing import Final

TAIL_BITS: Final = 39
ACCOUNT_BITS: Final = 40
PREFIX_CHARACTERS: Final = 4
KEY_ID_CHARACTERS: Final = 20


def access_key_id(prefix: str, account: str, tail: int) -> str:
    """Return the access key id of an account's key."""
    bits = 1 << (ACCOUNT_BITS + TAIL_BITS) | int(account) << TAIL_BITS | tail
    return prefix + base64.b32encode(bits.to_bytes(10, "big")).decode()


def split_access_key_id(key_id: str) -> tuple[str, int] | None:
    """Return the account and the tail of an access key id, or None for what cannot be one of ours."""
    return _split(key_id) if len(key_id) == KEY_ID_CHARACTERS else None


@lru_cache(maxsize=1024)
def _split(key_id: str) -> tuple[str, int] | None:
    try:
        bits = int.from_bytes(base64.b32decode(key_id[PREFIX_CHARACTERS:]), "big")
    except ValueError:
        return None
    account = bits >> TAIL_BITS & (1 << ACCOUNT_BITS) - 1
    return f"{account:012}", bits & (1 << TAIL_BITS) - 1
