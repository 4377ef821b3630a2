"""CloudFormation's one error for a template or a request that makes no sense."""

from cumulet.errors import ServiceError


def validation_error(message: str) -> ServiceError:
    """Return the ValidationError that says `message`."""
    return ServiceError("ValidationError", message, status=400)
