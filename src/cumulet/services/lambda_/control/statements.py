"""Statements in the policies of functions and layers."""

from collections.abc import Mapping
from typing import Any

from cumulet.errors import ServiceError


def refuse_same_id(policy: Mapping[str, Any], statement_id: str) -> None:
    """Raise ResourceConflictException if a resource's policy has a statement of that id."""
    if any(statement["Sid"] == statement_id for statement in policy["Statement"]):
        raise ServiceError(
            "ResourceConflictException",
            f"The statement id ({statement_id}) provided already exists. Please provide a new statement id, "
            "or remove the existing statement.",
            Type="User",
        )
