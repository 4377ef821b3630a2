"""What SSESpecification comes to: which KMS key a table is said to be encrypted with. Nothing here encrypts."""

import hashlib
from collections.abc import Mapping
from typing import Any

from cumulet.scope import Scope
from cumulet.services.dynamodb.core.values import invalid_parameter


def change_key(scope: Scope, current: str | None, given: Mapping[str, Any]) -> str | None:
    """Return the ARN of the key that a table has after a change. Raises ValidationException if it has it already."""
    wanted = key_arn_of(scope, given)
    if wanted == current:
        if wanted is None:
            invalid_parameter("Table is already encrypted by default")
        if given.get("KMSMasterKeyId") is not None:
            invalid_parameter(
                "Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to "
                "change Master Key"
            )
    return wanted


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
