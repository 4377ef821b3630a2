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
        # The last, as events show a header or parameter that stands there twice: what is checked is what they read.
        values = [given[-1] if given else None for given in source_values(matched, authorizer)]
    else:
        lookup = request_lookup(matched)
        values = [lookup(source[1:]) for source in authorizer.identity_sources]
    found = tuple([value for value in values if value])
    return found if len(found) == len(values) else None


def source_values(matched: Matched, authorizer: Authorizer) -> tuple[tuple[str, ...], ...]:
    """Return all values of each of a REST API's identity sources: a function may have looked at any of them."""
    return tuple([_values_of(matched, source) for source in authorizer.identity_sources])


def _values_of(matched: Matched, source: str) -> tuple[str, ...]:
    request = matched.arrival.request
    place, _, name = source.partition(".")
    if place == "stageVariables":
        return _one(matched.stage.variables.get(name))
    if place == "context":
        found: Any = rest_context(matched)
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return _one(found)
    where, _, name = source.removeprefix("method.request.").partition(".")
    if where == "header":
        return tuple(request.headers.get_all(name.lower()))
    if where == "querystring":
        return tuple(events.rest_query_fields(request.query).get(name, ()))
    return _one(matched.path_parameters.get(name))


def _one(value: Any) -> tuple[str, ...]:
    return () if value is None else (str(value),)
