"""What may be mapped where, as an integration is created: RequestParameters and ResponseParameters."""

from collections.abc import Mapping

from cumulet.errors import ServiceError
from cumulet.services.apigateway.pipeline.parameters import (
    KEY,
    RESERVED,
    RESERVED_PREFIXES,
    STATUS,
    expressions_of,
    is_expression,
)


def checked_request_mapping(mapping: Mapping[str, str]) -> None:
    """Raise BadRequestException unless requests can be mapped so."""
    for key, value in mapping.items():
        if key != "overwrite:path":
            _check_key(key, "Request", ("header", "querystring"))
        _check_value(key, value, "request")


def checked_response_mapping(status: str, mapping: Mapping[str, str]) -> None:
    """Raise BadRequestException unless answers with this status code can be mapped so."""
    if not STATUS.match(status):
        raise _invalid(f"Invalid status code specified: {status}")
    for key, value in mapping.items():
        if key != "overwrite:statuscode":
            _check_key(key, "Response", ("header",))
        elif not value.startswith("$") and not STATUS.match(value):
            raise _invalid(f"Invalid status code specified: {value}")
        _check_value(key, value, "response")


def _check_key(key: str, side: str, places: tuple[str, ...]) -> None:
    found = KEY.match(key)
    if found is None or found[2] not in places:
        raise _invalid(f"Invalid {side} Actioned Parameter: {key}")
    name = found[3].lower()
    if found[2] == "header" and (name in RESERVED or name.startswith(RESERVED_PREFIXES)):
        raise _invalid(f"Operations on header {found[3]} are restricted")


def _check_value(key: str, value: str, side: str) -> None:
    for expression in expressions_of(value):
        if not is_expression(expression, side):
            raise _invalid(f"Invalid source: {value} specified for destination: {key}")


def _invalid(what: str) -> ServiceError:
    return ServiceError(
        "BadRequestException",
        f"Invalid mapping expression specified: Validation Result: warnings : [], errors : [{what}]",
    )
