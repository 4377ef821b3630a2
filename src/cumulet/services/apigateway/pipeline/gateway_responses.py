"""Refusals in the words of a REST API's owner: status, headers and body of its gateway responses (pure).

The templates know no Velocity, only variables that stand for a value.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from cumulet.services.apigateway.model import GatewayResponse, Stage
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.context import text_of
from cumulet.services.apigateway.pipeline.exchange import Arrival, Compiled, Matched
from cumulet.services.apigateway.pipeline.faults import JSON, Refused, Words, fault_headers, render
from cumulet.services.apigateway.pipeline.rest_context import arrival_context, rest_context
from cumulet.wire.message import Response

_NAME = r"(context(?:\.[\w:]+)+|stageVariables\.\w+|method\.request\.(?:body|[a-z]+\.[\w-]+))"
_VARIABLE = re.compile(rf"\$(?:\{{{_NAME}\}}|{_NAME})")


def answer(arrival: Arrival, stage: Stage, compiled: Compiled, matched: Matched | None, refused: Refused) -> Response:
    """Return a refusal as the API's owner wants it said, else in AWS's words."""
    responses = compiled.deployment.gateway_responses
    words = refused.words(arrival)
    found = find(responses, words) if responses else None
    if found is None:
        return render(arrival, refused)
    value_of = _lookup(arrival, stage, compiled, matched, refused, words)
    headers = {name.lower(): (name, value) for name, value in fault_headers(arrival, words, refused)}
    for target, source in found.parameters.items():
        name = target.removeprefix("gatewayresponse.header.")
        value = source[1:-1] if source.startswith("'") else value_of(source)
        if value is not None and name.lower() not in events.CONNECTION_HEADERS:
            headers[name.lower()] = (name, events.one_line(value))
    if found.templates:
        kind, template = _chosen(found.templates, arrival)
        body = _VARIABLE.sub(lambda name: value_of(name[1] or name[2]) or "", template).encode()
        headers["content-type"] = ("Content-Type", kind)
    else:
        body = words.form % msgspec.json.encode(words.message)
        headers.setdefault("content-type", JSON)
    status = found.status or words.status
    return Response(status, tuple(headers.values()), b"" if status in events.BODILESS else body)


def find(responses: dict[str, GatewayResponse], words: Words) -> GatewayResponse | None:
    """Return the owner's own words for a refusal, or None."""
    return responses.get(words.response_type) or responses.get("DEFAULT_5XX" if words.status >= 500 else "DEFAULT_4XX")


def _lookup(
    arrival: Arrival, stage: Stage, compiled: Compiled, matched: Matched | None, refused: Refused, words: Words
) -> Callable[[str], str | None]:
    context = arrival_context(arrival, stage, compiled) if matched is None else rest_context(matched)
    context["error"] = {
        "message": words.message,
        "messageString": msgspec.json.encode(words.message).decode(),
        "responseType": words.response_type,
        "validationErrorString": refused.detail_string,
    }

    def find(name: str) -> str | None:
        place, _, rest = name.partition(".")
        if place == "stageVariables":
            return stage.variables.get(rest)
        if place == "method":
            return _parameter(arrival, matched, rest.removeprefix("request."))
        value: Any = context
        for part in rest.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return text_of(value)

    return find


def _parameter(arrival: Arrival, matched: Matched | None, source: str) -> str | None:
    where, _, name = source.partition(".")
    if where == "header":
        return arrival.request.headers.get(name.lower())
    if where == "querystring":
        values = events.rest_query_fields(arrival.request.query).get(name)
        return values[-1] if values else None
    if where == "path":
        return None if matched is None else matched.path_parameters.get(name)
    return arrival.request.body.decode("utf-8", "replace") if source == "body" else None


def _chosen(templates: dict[str, str], arrival: Arrival) -> tuple[str, str]:
    accepted = events.media_type(arrival.request.headers.get("accept"))
    kind = accepted if accepted in templates else JSON[1] if JSON[1] in templates else next(iter(templates))
    return kind, templates[kind]
