"""Tags of IAM resources. Their keys are compared without regard to case, as IAM alone does."""

from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.iam.limits import TAGS_MAX


def add_tags(tags: Mapping[str, str], given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the tags with more of them; a key that differs only in case is replaced."""
    given = list(given)
    keys = {tag["Key"].lower() for tag in given}
    if len(keys) < len(given):
        raise ServiceError(
            "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", status=400
        )
    for tag in given:
        if tag["Key"].lower().startswith("aws:"):
            raise ServiceError(
                "InvalidInput", "Invalid tag: aws: prefixed tag key names are not allowed for external use.", status=400
            )
    merged = {key: value for key, value in tags.items() if key.lower() not in keys}
    merged.update((tag["Key"], tag["Value"]) for tag in given)
    if len(merged) > TAGS_MAX:
        raise ServiceError("LimitExceeded", "The number of tags has reached the maximum limit.")
    return merged


def remove_tags(tags: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Return the tags without those of these keys."""
    removed = {key.lower() for key in keys}
    return {key: value for key, value in tags.items() if key.lower() not in removed}


def render_tags(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return tags as the API lists them, in the order of their keys."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags, key=str.lower)]
