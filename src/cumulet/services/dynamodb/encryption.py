"""What SSESpecification comes to: which KMS key a table is said to be encrypted with. Nothing here encrypts."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.core.limits import KEY_CHANGES_MAX, KEY_CHANGES_MS, KEY_CHANGES_PAUSE_MS
from cumulet.services.dynamodb.core.values import invalid_parameter
from cumulet.services.dynamodb.tables import Table


def change_key(scope: Scope, table: Table, given: Mapping[str, Any], now_ms: int) -> Table:
    """Return the record of a table with another key. Raises if it has that key already, or had others too lately."""
    wanted = key_arn_of(scope, given)
    if wanted == table.kms_key_arn:
        if wanted is None:
            invalid_parameter("Table is already encrypted by default")
        if given.get("KMSMasterKeyId") is not None:
            invalid_parameter(
                "Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to "
                "change Master Key"
            )
    recent = tuple([moment for moment in table.key_changes_ms if now_ms - moment < KEY_CHANGES_MS])
    if len(recent) >= KEY_CHANGES_MAX and now_ms - recent[-1] < KEY_CHANGES_PAUSE_MS:
        raise ServiceError(
            "LimitExceededException",
            f"Subscriber limit exceeded: Encryption mode changes are limited in the 24h window ending at "
            f"{_moment(recent[0] + KEY_CHANGES_MS)}. After the first {KEY_CHANGES_MAX} change, each subsequent change "
            f"in the same window can be performed at most once every {KEY_CHANGES_PAUSE_MS // 1000} seconds. Number of "
            f"updates today: {len(recent)}. Last change at {_moment(recent[-1])}. Next changes can be made at "
            f"{_moment(min(recent[-1] + KEY_CHANGES_PAUSE_MS, recent[0] + KEY_CHANGES_MS))}.",
        )
    return msgspec.structs.replace(table, kms_key_arn=wanted, key_changes_ms=(*recent, now_ms))


def _moment(moment_ms: int) -> str:
    # How AWS writes these moments is not known.
    return (datetime(1970, 1, 1) + timedelta(milliseconds=moment_ms)).isoformat(timespec="milliseconds")


def key_arn_of(scope: Scope, given: Mapping[str, Any] | None) -> str | None:
    """Return the ARN of the key that a specification asks for; None is the key that AWS owns, the default."""
    if given is None:
        return None
    kind, key = given.get("SSEType"), given.get("KMSMasterKeyId")
    enabled = given.get("Enabled")
    if enabled is False:
        for name in ("SSEType", "KMSMasterKeyId"):
            if given.get(name) is not None:
                invalid_parameter(f"{name} can not be specified if Enabled is false")
    if kind == "AES256":
        invalid_parameter("SSEType AES256 is not supported")
    if key is not None and kind is None:
        invalid_parameter("SSEType KMS is required if KMSMasterKeyId is specified")
    if not enabled and kind is None:
        return None
    if key is None or key == "alias/aws/dynamodb":
        # The key that AWS manages in an account: the same one for all its tables.
        digits = hashlib.sha256(f"dynamodb/{scope.account}/{scope.region}".encode()).hexdigest()
        key = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
    if key.startswith("arn:"):
        return key
    resource = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:aws:kms:{scope.region}:{scope.account}:{resource}"
