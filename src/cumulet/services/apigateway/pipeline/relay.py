"""HTTP proxy integrations of HTTP APIs: the client's request goes to a URL, and the answer comes back as it is.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-http.html
"""

import re
from urllib.parse import quote

from cumulet.services.apigateway.control.lambda_uri import fill_stage_variables
from cumulet.services.apigateway.model import DEFAULT_ROUTE
from cumulet.services.apigateway.pipeline.exchange import Matched, Relayed
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.http_client import BadUrl, Unreachable, exchange
from cumulet.services.apigateway.pipeline.neighbours import find_gate
from cumulet.services.apigateway.pipeline.paths import climbs, shown_http_path
from cumulet.services.kit import Ground

_PATH_VARIABLE = re.compile(r"\{([a-zA-Z0-9._:-]+)\+?\}")

_URL_SAFE = "".join([chr(code) for code in range(0x21, 0x7F) if chr(code) != "#"])

_NOT_RELAYED = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


async def relay(ground: Ground, matched: Matched) -> Relayed:
    """Return the backend's answer. Raises Refused if its URL is none, or nobody answers there."""
    request, method = matched.arrival.request, matched.route.target.http_method
    method = request.method if method == "ANY" else method
    url = backend_url(matched)
    gate = await find_gate(ground, url)
    try:
        return await exchange(method, url, _headers(matched), request.body, gate=gate)
    except BadUrl as error:
        raise Refused("misconfigured") from error
    except Unreachable as error:
        raise Refused("unreachable") from error


def backend_url(matched: Matched) -> str:
    """Return where a request goes: the integration's URI with its variables filled in, and the client's query.

    Behind the URI of the $default route stands the whole path of the request, without its stage. Raises Refused for a
    path that would lead out of what the integration names.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html#http-api-develop-routes.default
    """
    uri = fill_stage_variables(matched.route.target.uri, matched.stage.variables)
    uri, _, own_query = uri.partition("?")
    scheme, _, rest = uri.partition("://")
    authority, slash, path = rest.partition("/")
    # Path variables stand behind the host alone, so that no client chooses where its request goes.
    path = slash + _PATH_VARIABLE.sub(lambda found: _encoded(matched.path_parameters.get(found[1], "")), path)
    if matched.overwritten_path is not None:
        path = matched.overwritten_path
    elif matched.route.key == DEFAULT_ROUTE:
        path = path.removesuffix("/") + _encoded(shown_http_path(matched.arrival.path))
    if climbs(path):
        raise Refused("bad_path")
    # As it came, but for what no URL may hold.
    given = quote(matched.arrival.request.query, safe=_URL_SAFE, encoding="latin-1", errors="replace")
    query = "&".join([part for part in (own_query, given) if part])
    return f"{scheme}://{authority}{path}" + (f"?{query}" if query else "")


def _encoded(value: str) -> str:
    return quote(value, safe="/:@!$&'()*+,;=~")


def _headers(matched: Matched) -> list[tuple[str, str]]:
    arrival = matched.arrival
    request = arrival.request
    headers = [pair for pair in request.headers.items if pair[0] not in _NOT_RELAYED and pair[0] != "via"]
    headers = [pair for pair in headers if pair[0] != "x-amzn-trace-id"]
    mapped = matched.route.target.parameters
    if mapped is not None and mapped.request and (host := request.headers.get("host")):
        headers.append(("host", host))  # what a mapping says
    # An HTTP API says who asked in the header of RFC 7239, where a REST API has X-Forwarded-*.
    by = f"for={request.client_ip};host={arrival.domain_name};proto={request.scheme}"
    earlier = request.headers.get("forwarded")
    headers.append(("forwarded", f"{earlier}, {by}" if earlier else by))
    headers.append(("via", "HTTP/1.1 AmazonAPIGateway"))
    headers.append(("x-amzn-trace-id", arrival.trace_id))
    return headers
