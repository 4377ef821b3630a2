"""The tags that a request gives or takes away, as policies of every service see them.

IAM user guide, "Controlling access during AWS requests". Services write tags as a list of Key and Value or as a map,
and their members with a capital or without.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def tag_keys(params: Mapping[str, Any]) -> dict[str, str | Sequence[str]]:
    """Return aws:RequestTag/... of the tags to add, and aws:TagKeys of these and of those to remove."""
    given = params.get("Tags") or params.get("tags") or {}
    tags = given if isinstance(given, Mapping) else {tag["Key"]: tag["Value"] for tag in given}
    keys = [*tags, *(params.get("TagKeys") or params.get("tagKeys") or ())]
    found: dict[str, str | Sequence[str]] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if keys:
        found["aws:TagKeys"] = keys
    return found
