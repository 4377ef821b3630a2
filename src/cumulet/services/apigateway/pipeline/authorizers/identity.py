"""What a request says of its caller: the identity sources of an authorizer, in the words of both dialects (pure)."""

from typing import Any

from cumulet.services.apigateway.model import Authorizer
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.parameters import request_lookup
from cumulet.services.apigateway.pipeline.rest_context import rest_context


def find_identity(matched: Matched, authorizer: Authorizer) -> tuple[str, ...] | None:
    """Return the values of the identity sources; None if one is missing."""
    if matched.arrival.is_rest:
        values = [_source_value(matched, source) for source in authorizer.identity_sources]
    else:
        lookup = request_lookup(matched)
        values = [lookup(source[1:]) for source in authorizer.identity_sources]
    found = tuple([value for value in values if value])
    return found if len(found) == len(values) else None


def _source_value(matched: Matched, source: str) -> str | None:
    request = matched.arrival.request
    place, _, name = source.partition(".")
    if place == "stageVariables":
        return matched.stage.variables.get(name)
    if place == "context":
        found: Any = rest_context(matched)
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return None if found is None else str(found)
    where, _, name = source.removeprefix("method.request.").partition(".")
    if where == "header":
        return request.headers.get(name.lower())
    if where == "querystring":
        values = events.query_fields(request.query).get(name)
        return values[-1] if values else None
    return matched.path_parameters.get(name)
