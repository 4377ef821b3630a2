"""What SSESpecification comes to: which KMS key a table is said to be encrypted with. Nothing here encrypts."""

import hashlib
from collections.abc import Mapping
from typing import Any

from cumulet.scope import Scope
from cumulet.services.dynamodb.core.values import invalid_parameter


def key_arn_of(scope: Scope, given: Mapping[str, Any] | None) -> str | None:
    """Return the ARN of the key that a specification asks for; None is the key that AWS owns, the default."""
    if given is None or not given.get("Enabled"):
        if given is not None and given.get("KMSMasterKeyId") is not None:
            invalid_parameter("KMSMasterKeyId cannot be specified when SSE is disabled")
        return None
    if given.get("SSEType") == "AES256":
        invalid_parameter("AES256 is not supported as SSEType")
    key: str | None = given.get("KMSMasterKeyId")
    if key is None or key == "alias/aws/dynamodb":
        # The key that AWS manages in an account: the same one for all its tables.
        digits = hashlib.sha256(f"dynamodb/{scope.account}/{scope.region}".encode()).hexdigest()
        key = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
    if key.startswith("arn:"):
        return key
    resource = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:aws:kms:{scope.region}:{scope.account}:{resource}"
