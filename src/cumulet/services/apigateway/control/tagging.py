"""Tags, as both dialects check them."""

from collections.abc import Mapping

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits


def checked(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags. Raises BadRequestException for a reserved key or for too many."""
    for key in tags:
        if key.lower().startswith("aws:"):
            raise ServiceError("BadRequestException", "Invalid tag key: aws: prefixed tag key names are not allowed")
    if len(tags) > limits.TAGS_PER_RESOURCE_MAX:
        raise ServiceError("BadRequestException", f"A resource can have at most {limits.TAGS_PER_RESOURCE_MAX} tags")
    return dict(tags)
