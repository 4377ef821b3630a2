"""Temporary credentials that no record stands behind: the session token carries what it says, authenticated.

A token is MessagePack claims and an HMAC under the installation's signing secret, so any node can verify it and issuing
one writes nothing (docs/decisions/0004). The secret access key is derived from the same secret and the token's HMAC.
What a token says is checked against the role as it is now: a role deleted, or made anew under its old name, has no
sessions.
"""

import base64
import hmac
from typing import NamedTuple

import msgspec

from cumulet.ids import Ids
from cumulet.scope import SYSTEM
from cumulet.services.iam.key_ids import PREFIX_CHARACTERS, TAIL_BITS, access_key_id, split_access_key_id
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import STORE_META

SESSION_PREFIX = "ASIA"
TOKEN_VERSION = b"\x01"
MAC_BYTES = 32
SECRET_BYTES = 30
"""Forty characters of base64, as AWS's secret access keys have."""

CHECK_BITS = 20
NONCE_BITS = TAIL_BITS - CHECK_BITS
"""An access key id proves itself: so a foreign one (of a real AWS account) is told from one of ours that is no more."""

_SIGNING_SECRET = STORE_META.key(SYSTEM, "signing secret")
SIGNING_SECRET_BYTES = 32


class Claims(msgspec.Struct, array_like=True, frozen=True):
    """What a session token says."""

    access_key_id: str
    account: str
    role_name: str
    role_id: str
    session_name: str
    issued_ms: int
    expires_ms: int
    policies: tuple[str, ...] = ()
    """Policies that narrow the session: a document, or the ARN of a managed policy."""
    function_arn: str = ""
    """Of a function's execution role: the function that it was assumed for, without a version."""


class SessionCredentials(NamedTuple):
    """What AssumeRole hands out."""

    access_key_id: str
    secret: str
    token: str


def find_signing_secret(tx: ReadTx) -> bytes | None:
    """Return the installation's signing secret, or None before its first use."""
    return tx.get(_SIGNING_SECRET)


def load_signing_secret(tx: WriteTx, ids: Ids) -> bytes:
    """Return the installation's signing secret, made on first use."""
    secret = tx.get(_SIGNING_SECRET)
    if secret is None:
        tx.put(_SIGNING_SECRET, secret := ids.secret(SIGNING_SECRET_BYTES))
    return secret


def new_key_id(signing_secret: bytes, prefix: str, account: str, ids: Ids) -> str:
    """Return a fresh access key id, of which this installation can tell that it is its own."""
    nonce = int.from_bytes(ids.secret(4), "big") % (1 << NONCE_BITS)
    return access_key_id(prefix, account, nonce << CHECK_BITS | _check(signing_secret, prefix, account, nonce))


def is_own_key_id(signing_secret: bytes, key_id: str) -> bool:
    """Tell whether an access key id was made by `new_key_id` under this secret."""
    split = split_access_key_id(key_id)
    if split is None:
        return False
    account, tail = split
    nonce, check = divmod(tail, 1 << CHECK_BITS)
    return check == _check(signing_secret, key_id[:PREFIX_CHARACTERS], account, nonce)


def seal(signing_secret: bytes, claims: Claims) -> SessionCredentials:
    """Return the credentials of a session that these claims describe."""
    body = TOKEN_VERSION + msgspec.msgpack.encode(claims)
    mac = _mac(signing_secret, b"token", body)
    token = base64.b64encode(body + mac).decode()
    return SessionCredentials(claims.access_key_id, _secret(signing_secret, mac), token)


def unseal(signing_secret: bytes, token: str) -> tuple[Claims, str] | None:
    """Return a token's claims and its secret access key, or None for a token that was not sealed with this secret."""
    try:
        sealed = base64.b64decode(token, validate=True)
    except ValueError:
        return None
    body, mac = sealed[:-MAC_BYTES], sealed[-MAC_BYTES:]
    if body[:1] != TOKEN_VERSION or not hmac.compare_digest(mac, _mac(signing_secret, b"token", body)):
        return None
    return msgspec.msgpack.decode(body[1:], type=Claims), _secret(signing_secret, mac)


def _secret(signing_secret: bytes, mac: bytes) -> str:
    return base64.b64encode(_mac(signing_secret, b"secret", mac)[:SECRET_BYTES]).decode()


def _check(signing_secret: bytes, prefix: str, account: str, nonce: int) -> int:
    # Session keys were the first to have a check, and their prefix is not in it.
    named = "" if prefix == SESSION_PREFIX else f"{prefix}:"
    digest = _mac(signing_secret, b"key id", f"{named}{account}:{nonce}".encode())
    return int.from_bytes(digest[:4], "big") % (1 << CHECK_BITS)


def _mac(signing_secret: bytes, purpose: bytes, message: bytes) -> bytes:
    return hmac.digest(signing_secret, purpose + b"\x00" + message, "sha256")
