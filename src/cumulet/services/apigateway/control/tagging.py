"""Tags, as both dialects check them."""

from collections.abc import Mapping

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits


def checked(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags. Raises BadRequestException for a reserved key, for one too long, or for too many."""
    for key, value in tags.items():
        if not 1 <= len(key) <= limits.TAG_KEY_CHARS_MAX or len(value) > limits.TAG_VALUE_CHARS_MAX:
            raise ServiceError(
                "BadRequestException", f"Invalid tag: {key}. A key has 1 to 128 characters, and a value at most 256"
            )
        if key.lower().startswith("aws:"):
            raise ServiceError("BadRequestException", "Invalid tag key: aws: prefixed tag key names are not allowed")
    if len(tags) > limits.TAGS_PER_RESOURCE_MAX:
        raise ServiceError("BadRequestException", f"A resource can have at most {limits.TAGS_PER_RESOURCE_MAX} tags")
    return dict(tags)
