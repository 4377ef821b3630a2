"""From an access key to whoever it belongs to, for the edge to verify signatures with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from cumulet.errors import ServiceError
from cumulet.scope import GLOBAL_REGION, Scope
from cumulet.services.iam.key_ids import split_access_key_id
from cumulet.services.iam.records import ACCESS_KEYS
from cumulet.services.iam.sessions import SESSION_PREFIX, Claims, find_signing_secret, is_own_key_id, unseal
from cumulet.services.iam.standing import Standing, find_standing
from cumulet.services.kit import Principal
from cumulet.store.api import ReadTx

_REMEMBERED_CHARACTERS_MAX = 4096
"""Of a session token: strangers could fill the memory with longer ones."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The owner of an access key, and the secret that their signature must prove."""

    secret: str
    principal: Principal


class KeyIsGone(Exception):
    """The access key was issued here once, and has been deleted."""


Identify: TypeAlias = Callable[[ReadTx, str, str | None, int], Identity | None]
"""What `identify` is to the edge, which gets it handed in."""


def identify(tx: ReadTx, access_key_id: str, session_token: str | None, now_ms: int) -> Identity | None:
    """Return the owner of an access key, or None if IAM and STS never issued that key.

    Raises KeyIsGone, and ServiceError UnrecognizedClientException or ExpiredTokenException for a key of ours that must
    not be used: inactive, expired, of a role that is gone, or with a token that is not its own.
    """
    if access_key_id.startswith(SESSION_PREFIX):
        return _identify_session(tx, access_key_id, session_token or "", now_ms)
    split = split_access_key_id(access_key_id)
    if split is None:
        return None
    account = split[0]
    key = ACCESS_KEYS.find(tx, Scope(account, GLOBAL_REGION), access_key_id)
    if key is None:
        signing_secret = find_signing_secret(tx)
        if signing_secret is not None and is_own_key_id(signing_secret, access_key_id):
            raise KeyIsGone
        return None
    user = find_standing(tx, "user", account, key.user_name)
    if user is None or not key.active or session_token:
        raise _invalid()
    return _user_identity(key.secret, account, user, access_key_id)


@lru_cache(maxsize=1024)
def _user_identity(secret: str, account: str, user: Standing, access_key_id: str) -> Identity:
    named = Principal("user", account, user.arn, unique_id=user.unique_id, name=user.name, access_key_id=access_key_id)
    return Identity(secret, named)


def _identify_session(tx: ReadTx, access_key_id: str, session_token: str, now_ms: int) -> Identity | None:
    signing_secret = find_signing_secret(tx)
    if signing_secret is None:
        return None
    read = _read_session if len(session_token) <= _REMEMBERED_CHARACTERS_MAX else _read_session.__wrapped__
    session = read(signing_secret, access_key_id, session_token)
    if session is None:
        return None
    claims, identity = session
    role = find_standing(tx, "role", claims.account, claims.role_name)
    if role is None or role.unique_id != claims.role_id:
        raise _invalid()
    if now_ms >= claims.expires_ms:
        raise ServiceError("ExpiredTokenException", "The security token included in the request is expired")
    return identity


@lru_cache(maxsize=1024)
def _read_session(signing_secret: bytes, access_key_id: str, session_token: str) -> tuple[Claims, Identity] | None:
    """Return what a session token says, or None for a key that is not ours. Raises for a key of ours without its token.

    Nothing here depends on the store or the time, so a session's requests verify its token once.
    """
    if not is_own_key_id(signing_secret, access_key_id):
        return None
    unsealed = unseal(signing_secret, session_token)
    if unsealed is None or unsealed[0].access_key_id != access_key_id:
        raise _invalid()
    claims, secret = unsealed
    return claims, Identity(secret, session_principal(claims))


def session_principal(claims: Claims) -> Principal:
    """Return the principal of a role session."""
    return Principal(
        "role",
        claims.account,
        f"arn:aws:sts::{claims.account}:assumed-role/{claims.role_name}/{claims.session_name}",
        unique_id=f"{claims.role_id}:{claims.session_name}",
        name=claims.role_name,
        session_policies=claims.policies,
        access_key_id=claims.access_key_id,
        issued_ms=claims.issued_ms,
        function_arn=claims.function_arn,
    )


def _invalid() -> ServiceError:
    return ServiceError("UnrecognizedClientException", "The security token included in the request is invalid.")
