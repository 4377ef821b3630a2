"""What a REST API's integration maps: the method's request to the backend's, and the backend's answer to the method's.

Pure. Lambda proxies never come here: their request is an event, their answer a response.
https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-data-transformations.html
"""

from collections.abc import AsyncIterator, Iterable
from collections.abc import Mapping as Lookup
from typing import Any

from cumulet.services.apigateway.mapping import parameters, patterns, variables
from cumulet.services.apigateway.mapping.effort import TemplateError
from cumulet.services.apigateway.mapping.values import text
from cumulet.services.apigateway.mapping.variables import Body, UnreadableBody
from cumulet.services.apigateway.mapping.vtl import compile_template
from cumulet.services.apigateway.model import Mapping, Reply
from cumulet.services.apigateway.pipeline import encodings, events
from cumulet.services.apigateway.pipeline.exchange import Answer, Matched, Outbound
from cumulet.services.apigateway.pipeline.faults import Refused, misconfigured, own_headers
from cumulet.services.apigateway.pipeline.rest_context import rest_context
from cumulet.wire.message import Response

_JSON = "application/json"
_STATUS = range(200, 600)

_REMAPPED = frozenset(
    [
        "authorization",
        "connection",
        "content-length",
        "content-md5",
        "date",
        "host",
        "max-forwards",
        "server",
        "user-agent",
        "www-authenticate",
        "x-amzn-requestid",
    ]
)
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html, the table of headers."""

_NOT_RELAYED = events.CONNECTION_HEADERS | {"x-amz-apigw-id"}
"""The last is API Gateway's own: nobody else can give it, nor an API that is the backend of this one."""

_PROXY_DROPPED = frozenset(("host", "content-length", "connection", "expect", "te", "trailer", "transfer-encoding"))


class Overrides(dict[str, Any]):
    """What a template puts in place of what is mapped: of each name once, else the request ends with a 500.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-override-request-response-parameters.html
    """

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(self.get(name), Overrides | None):
            raise TemplateError(f"{name} is overridden twice")
        super().__setitem__(name, value)


def map_request(matched: Matched, mapping: Mapping) -> Outbound:
    """Return the backend's request. Raises Refused for a media type without a template, or a template that fails."""
    request = matched.arrival.request
    context = rest_context(matched)
    # What is not known of a caller is an empty text for templates, where events have null.
    context["identity"] = {name: "" if value is None else value for name, value in context["identity"].items()}
    context["requestOverride"] = {name: Overrides() for name in ("path", "querystring", "header")}
    query = events.rest_query_fields(request.query)
    fields = events.integration_fields(matched)
    given = {
        "path": dict(matched.path_parameters),
        "querystring": events.last_values(query),
        "header": events.last_values(events.sent_names(fields, request.headers)),
    }
    is_proxy = matched.route.target.kind == "HTTP_PROXY"
    handling = mapping.content_handling
    body = Body(encodings.request_to_text(matched, handling, request.body))
    content_type = request.headers.get("content-type")
    outbound = Outbound(
        body=encodings.request_to_binary(
            matched, handling, body.raw if is_proxy else _mapped_body(matched, mapping, body, given, context)
        ),
        content_type=content_type or _JSON,
        path=dict(matched.path_parameters) if is_proxy else {},
        query=query if is_proxy else {},
        headers={name: values for name, values in fields.items() if name not in _PROXY_DROPPED} if is_proxy else {},
        context=context,
        parameters=given,
    )
    places: dict[str, Any] = {"path": outbound.path, "querystring": outbound.query, "header": outbound.headers}
    _place_mapped(places, matched, mapping.request_parameters, query, fields, body, context)
    override: Any = context.get("requestOverride")
    for where in places if isinstance(override, dict) else ():
        for name, value in _texts(override.get(where), "request"):
            _place(places, where, name, [value])
    return outbound


def mapped_headers(matched: Matched, mappings: Lookup[str, str]) -> dict[str, list[str]]:
    """Return the headers that mappings make of a request, by their names in lower case."""
    places: dict[str, Any] = {"header": {}}
    request = matched.arrival.request
    query, fields = events.rest_query_fields(request.query), events.integration_fields(matched)
    _place_mapped(places, matched, mappings, query, fields, Body(request.body), rest_context(matched))
    headers: dict[str, list[str]] = places["header"]
    return headers


def _place_mapped(
    places: dict[str, Any],
    matched: Matched,
    mappings: Lookup[str, str],
    query: dict[str, list[str]],
    fields: dict[str, list[str]],
    body: Body,
    context: dict[str, Any],
) -> None:
    """Put the values of mapping expressions where the backend's request has them."""

    def find(where: str, name: str) -> list[str] | None:
        if where == "path":
            return [matched.path_parameters[name]] if name in matched.path_parameters else None
        if where.endswith("querystring"):
            values = query.get(name)
        else:
            values = fields.get(name.lower())
        return values if values is None or where.startswith("multivalue") else values[-1:]

    for target, source in mappings.items():
        where, _, name = target.removeprefix("integration.request.").partition(".")
        values = _values_of(source, find, body, context, matched)
        if values is not None:
            _place(places, where, name, values)


def _values_of(source: str, find: Any, body: Body, context: dict[str, Any], matched: Matched) -> list[str] | None:
    if source.startswith("method.request.multivalue"):
        where, _, name = source.removeprefix("method.request.").partition(".")
        found: list[str] | None = find(where, name)
        return found

    def single(where: str, name: str) -> str | None:
        values = find(where, name)
        return values[-1] if values else None

    try:
        value = parameters.value_of(source, single, body, context, matched.stage.variables)
    except (UnreadableBody, TemplateError):
        return None
    return None if value is None else [value]


def _place(places: dict[str, Any], where: str, name: str, values: list[str]) -> None:
    if where == "path":
        places["path"][name] = values[-1]
    elif where == "header":
        if name.lower() not in events.CONNECTION_HEADERS:
            places["header"][name.lower()] = [events.one_line(value) for value in values]
    else:
        places["querystring"][name] = values


def _mapped_body(
    matched: Matched, mapping: Mapping, body: Body, given: dict[str, dict[str, str]], context: dict[str, Any]
) -> bytes:
    """Return the body that the template for the request's media type makes, or the client's own.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/integration-passthrough-behaviors.html
    """
    media_type = events.media_type(matched.arrival.request.headers.get("content-type")) or _JSON
    template = next((text for kind, text in mapping.request_templates.items() if kind.lower() == media_type), None)
    if template is None:
        if mapping.passthrough == "NEVER" or (mapping.passthrough == "WHEN_NO_TEMPLATES" and mapping.request_templates):
            raise Refused("unmapped_type")
        return body.raw
    if encodings.stays_binary(matched, mapping.content_handling):
        raise misconfigured("Unable to transform request")
    # What no body is for $input.body, as measured on AWS: https://github.com/localstack/localstack/pull/12413.
    seen = body if body.raw else Body(b"{}")
    return _render("request", template, seen, given, context, matched.stage.variables).encode()


def _render(
    what: str,
    template: str,
    body: Body,
    given: dict[str, dict[str, str]],
    context: dict[str, Any],
    stage_variables: Lookup[str, str],
) -> str:
    try:
        return compile_template(template).render(variables.names(body, given, context, stage_variables))
    except UnreadableBody:
        raise Refused("unreadable_body") from None
    except TemplateError:
        raise misconfigured(f"Unable to transform {what}") from None


def map_response(matched: Matched, mapping: Mapping, outbound: Outbound, answer: Answer) -> Response:
    """Return the method's answer. Raises Refused if no reply is for the backend's answer, or its template fails."""
    if matched.route.target.kind == "HTTP_PROXY":
        content = encodings.answer_to_text(matched, "", answer.body, _content_type_of(answer))
        return relayed(matched, answer.status, answer.headers, content)
    reply = _select(mapping.replies, answer)
    context = outbound.context
    context["responseOverride"] = Overrides(header=Overrides())
    given_type = _content_type_of(answer)
    body = Body(encodings.answer_to_text(matched, reply.content_handling, answer.body, given_type))
    is_binary = encodings.answer_stays_binary(matched, reply.content_handling, given_type)
    content_type, content = _mapped_answer(matched, reply, body, outbound, is_binary=is_binary)
    content = encodings.answer_to_binary(matched, reply.content_handling, content, given_type)

    def find(where: str, name: str) -> str | None:
        values = [value for key, value in answer.headers if key.lower() == name.lower()]
        if not values:
            return None
        return ",".join(values) if where == "multivalueheader" else values[-1]

    headers: dict[str, tuple[str, str]] = {}
    for target, source in reply.parameters.items():
        name = target.removeprefix("method.response.header.")
        try:
            value = parameters.value_of(source, find, body, context, matched.stage.variables)
        except (UnreadableBody, TemplateError):
            value = None
        if value is not None and name.lower() not in events.CONNECTION_HEADERS:
            headers[name.lower()] = (name, events.one_line(value))
    override: Any = context.get("responseOverride")
    status = reply.status
    if isinstance(override, dict):
        status = _status(override.get("status"), status)
        for name, value in _texts(override.get("header"), "response"):
            if events.is_token(name) and name.lower() not in events.CONNECTION_HEADERS:
                headers[name.lower()] = (name, events.one_line(value))
    headers.setdefault("content-type", ("Content-Type", content_type))
    return Response(
        status, (*own_headers(matched.arrival), *headers.values()), b"" if status in events.BODILESS else content
    )


def _texts(overrides: Any, what: str) -> list[tuple[str, str]]:
    """Return what a template put in place of something. Raises Refused for a value too large to be a text."""
    try:
        return [(name, text(value)) for name, value in overrides.items()] if isinstance(overrides, dict) else []
    except (TemplateError, RecursionError):
        raise misconfigured(f"Unable to transform {what}") from None


def relayed(
    matched: Matched, status: int, headers: Iterable[tuple[str, str]], body: bytes | AsyncIterator[bytes]
) -> Response:
    """Return a proxied server's answer as it is, but for the headers that belong to its connection, or are our own."""
    kept = [(remapped(name), value) for name, value in headers if name.lower() not in _NOT_RELAYED]
    if status in events.BODILESS and isinstance(body, bytes):
        body = b""
    return Response(status, (*own_headers(matched.arrival), *kept), body)


def remapped(name: str) -> str:
    """Return the name that a backend's header has in an answer, where API Gateway says things of its own."""
    return f"x-amzn-Remapped-{name}" if name.lower() in _REMAPPED else name


def _status(given: Any, default: int) -> int:
    try:
        status = int(given)
    except (TypeError, ValueError, OverflowError):
        return default
    return status if status in _STATUS else default


def _select(replies: list[Reply], answer: Answer) -> Reply:
    """Return a reply whose pattern covers the answer's subject, or one without a pattern.

    Of several it is the one for the backend's own status: https://github.com/ministackorg/ministack/pull/1756.
    """
    found = [reply for reply in replies if reply.pattern and _covers(reply.pattern, answer.subject)]
    found = found or [reply for reply in replies if not reply.pattern]
    if found:
        return next((reply for reply in found if reply.status == answer.status), found[0])
    raise misconfigured(
        "No match for output mapping and no default output mapping configured. "
        f"Endpoint Response Status Code: {answer.status}"
    )


def _covers(pattern: str, subject: str) -> bool:
    try:
        return bool(subject) and patterns.matches(subject, pattern)
    except ValueError:
        return False


def _content_type_of(answer: Answer) -> str:
    return next((value for name, value in answer.headers if name.lower() == "content-type"), _JSON)


def _mapped_answer(
    matched: Matched, reply: Reply, body: Body, outbound: Outbound, *, is_binary: bool
) -> tuple[str, bytes]:
    """Return media type and content: of the template that the client accepts, or else of the first for JSON.

    Without templates it is the models of the method's response that tell the type; the backend's own is a header like
    any other, which only a mapping passes on: https://github.com/maingi4/APIGatewayS3Proxy/issues/1.
    """
    templates = reply.templates
    types = tuple(templates) or reply.media_types or (_JSON,)
    accepted = events.media_type(matched.arrival.request.headers.get("accept"))
    chosen = accepted if accepted in types else _JSON if _JSON in types else types[0]
    if not templates.get(chosen):
        return chosen, body.raw
    if is_binary:
        raise misconfigured("Unable to transform response")
    template, stage_variables = templates[chosen], matched.stage.variables
    rendered = _render("response", template, body, outbound.parameters, outbound.context, stage_variables)
    return chosen, rendered.encode()
