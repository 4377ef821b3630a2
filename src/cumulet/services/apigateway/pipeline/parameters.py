"""Parameter mapping of HTTP APIs: what the backend sees of a request, and the client of an answer (pure).

    append|overwrite|remove:header.NAME, append|overwrite|remove:querystring.NAME, overwrite:path, overwrite:statuscode

A value is one expression ($request.header.x, $context.requestId), or text in which ${...} stand for expressions. Both
are parsed where they are kept, so that what is deployed can be run.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-parameter-mapping.html
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

import msgspec

from cumulet.services.apigateway.mapping import jsonpath
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.context import matched_values, text_of
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.paths import shown_http_path
from cumulet.wire.message import Headers, Request, Response

JSON_PATH_BYTES_MAX = 100 * 1024
"""Of a body that a JSON path is applied to: AWS cuts it there."""

RESERVED_PREFIXES = ("access-control-", "apigw-", "x-amz-", "x-amzn-")
RESERVED = frozenset(
    (
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-location",
        "forwarded",
        "keep-alive",
        "origin",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "via",
    )
)

KEY = re.compile(r"^(append|overwrite|remove):(header|querystring)\.([A-Za-z0-9!#$%&'*+.^_`|~-]{1,128})\Z")
STATUS = re.compile(r"[2-5][0-9]{2}\Z")
_EXPRESSION = re.compile(r"\$\{([^}]*)\}")
_BODY_PATH = re.compile(r"^(?:\.[A-Za-z0-9_$@-]+|\.\*|\[\d+\]|\[\*\]|\['[^']*'\]|\[\"[^\"]*\"\])+\Z")
"""AWS excludes descent and filters."""

Lookup = Callable[[str], str | None]


def expressions_of(value: str) -> list[str]:
    """Return the expressions in a mapping's value, without their dollar signs; none in a constant."""
    if value.startswith("$") and not value.startswith("${"):
        return [value[1:]]
    return _EXPRESSION.findall(value)


def is_expression(expression: str, side: str) -> bool:
    """Tell whether an expression of `side` (request or response) is one that AWS knows."""
    for prefix in ("header", *(("querystring", "path") if side == "request" else ())):
        if expression.startswith(f"{side}.{prefix}.") and len(expression) > len(f"{side}.{prefix}."):
            return True
    if expression == f"{side}.body" or (side == "request" and expression == "request.path"):
        return True
    if expression.startswith(f"{side}.body"):
        return bool(_BODY_PATH.match(expression.removeprefix(f"{side}.body")))
    return bool(re.match(r"^(context|stageVariables)\.[A-Za-z0-9_.:-]+$", expression))


def map_request(matched: Matched) -> Matched:
    """Return the request as the integration's parameter mapping makes it; REST APIs map in `rest_mapping`."""
    mapping = matched.route.target.parameters
    if mapping is None or not mapping.request:
        return matched
    arrival = matched.arrival
    request = arrival.request
    lookup = request_lookup(matched)
    # The client's Host is for this API; but it is no reserved header, so a mapping may say another for a server.
    to_server = matched.route.target.kind == "HTTP_PROXY"
    headers = [pair for pair in request.headers.items if not to_server or pair[0] != "host"]
    query = [(name, value) for name, values in events.query_fields(request.query).items() for value in values]
    query_changed, path = False, arrival.path
    for key, expression in mapping.request.items():
        value = _evaluate(expression, lookup)
        if key == "overwrite:path":
            if value is not None:
                path = quote(value if value.startswith("/") else f"/{value}", safe="/:@!$&'()*+,;=~")
            continue
        action, place, name = _split(key)
        if place == "header":
            headers = _changed(headers, action, name.lower(), _one_line(value), str.lower)
        else:
            query_changed = True
            query = _changed(query, action, name, value, str)
    changed = Request(
        request.method,
        request.path,
        urlencode(query) if query_changed else request.query,
        Headers.of_lower_case(tuple(headers)),
        request.body,
        request.scheme,
        request.client_ip,
        request.http_version,
    )
    moved = path if path != arrival.path or "overwrite:path" in mapping.request else None
    return msgspec.structs.replace(
        matched, arrival=msgspec.structs.replace(arrival, request=changed, path=path), overwritten_path=moved
    )


def map_response(matched: Matched, response: Response, by_status: Mapping[str, Mapping[str, str]]) -> Response:
    """Return an integration's answer as the client is to see it."""
    parameters = by_status.get(str(response.status))
    if not parameters or not isinstance(response.body, bytes):
        return response
    lookup = _response_lookup(matched, response, response.body)
    status, headers = response.status, list(response.headers)
    for key, expression in parameters.items():
        value = _evaluate(expression, lookup)
        if key == "overwrite:statuscode":
            if value is not None and STATUS.match(value):
                status = int(value)
            continue
        action, _, name = _split(key)
        headers = _changed(headers, action, name, _one_line(value), str.lower)
    return Response(status, tuple(headers), b"" if status in (204, 304) else response.body)


def _split(key: str) -> tuple[str, str, str]:
    action, _, rest = key.partition(":")
    place, _, name = rest.partition(".")
    return action, place, name


def _changed(
    pairs: list[tuple[str, str]], action: str, name: str, value: str | None, fold: Callable[[str], str]
) -> list[tuple[str, str]]:
    kept = [pair for pair in pairs if fold(pair[0]) != fold(name)]
    if action == "remove":
        return kept
    if value is None:
        return pairs  # a variable that has no value changes nothing
    return [*(pairs if action == "append" else kept), (name, value)]


def _one_line(value: str | None) -> str | None:
    # What a client sent, even in a body or in an encoded query, must not become a second header.
    if value is None:
        return None
    return "".join(char if " " <= char < "\x7f" or char == "\t" else " " for char in value).strip(" \t")


def _evaluate(value: str, lookup: Lookup) -> str | None:
    if value.startswith("$") and not value.startswith("${"):
        return lookup(value[1:])
    if "${" not in value:
        return value
    return _EXPRESSION.sub(lambda found: lookup(found[1]) or "", value)


def request_lookup(matched: Matched) -> Lookup:
    """Return what finds the value of an expression (without its dollar sign) in a request."""
    arrival = matched.arrival
    request = arrival.request

    def find(expression: str) -> str | None:
        kind, _, name = expression.removeprefix("request.").partition(".")
        if not expression.startswith("request."):
            return _shared(matched, expression)
        if kind == "header":
            return ",".join(request.headers.get_all(name.lower())) if name.lower() in request.headers else None
        if kind == "querystring":
            values = events.query_fields(request.query).get(name)
            return ",".join(values) if values is not None else None
        if kind == "path":
            return matched.path_parameters.get(name) if name else shown_http_path(arrival.path)
        return _from_body(request.body, expression.removeprefix("request.body"))

    return find


def _response_lookup(matched: Matched, response: Response, body: bytes) -> Lookup:
    def find(expression: str) -> str | None:
        if not expression.startswith("response."):
            return _shared(matched, expression)
        if expression.startswith("response.header."):
            name = expression.removeprefix("response.header.").lower()
            values = [value for key, value in response.headers if key.lower() == name]
            return ",".join(values) if values else None
        return _from_body(body, expression.removeprefix("response.body"))

    return find


def _shared(matched: Matched, expression: str) -> str | None:
    if expression.startswith("stageVariables."):
        return matched.stage.variables.get(expression.removeprefix("stageVariables."))
    return text_of(matched_values(matched).get(expression.removeprefix("context.")))


def _from_body(body: bytes, path: str) -> str | None:
    if not path:
        return body.decode("utf-8", "replace")
    try:
        return text_of(jsonpath.find(f"${path}", msgspec.json.decode(body[:JSON_PATH_BYTES_MAX])))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
