"""CORS of HTTP APIs: API Gateway answers preflights itself, and its headers replace the function's (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
"""

from msgspec import UNSET

from cumulet.services.apigateway.model import Cors
from cumulet.services.apigateway.pipeline.exchange import Arrival
from cumulet.services.apigateway.pipeline.faults import own_headers
from cumulet.wire.message import Headers, Request, Response

_PREFIX = "access-control-"


def is_preflight(request: Request) -> bool:
    """Tell whether a request is a browser's question before the real one."""
    return (
        request.method == "OPTIONS"
        and "origin" in request.headers
        and ("access-control-request-method" in request.headers)
    )


def answer_preflight(arrival: Arrival, cors: Cors) -> Response:
    """Return the answer to a preflight; one from a foreign origin gets no permission."""
    headers = [*own_headers(arrival), *_shared(cors, arrival.request.headers)]
    if len(headers) > len(own_headers(arrival)):
        for name, values in (("methods", cors.allow_methods), ("headers", cors.allow_headers)):
            if values is not UNSET and values:
                headers.append((f"access-control-allow-{name}", ",".join(values)))
        if cors.max_age is not UNSET:
            headers.append(("access-control-max-age", str(cors.max_age)))
    return Response(204, tuple(headers))


def with_cors(response: Response, cors: Cors, request_headers: Headers) -> Response:
    """Return an answer with the API's CORS headers in place of any that the function gave."""
    if "origin" not in request_headers:
        return response
    kept = [pair for pair in response.headers if not pair[0].lower().startswith(_PREFIX)]
    shared = _shared(cors, request_headers)
    if shared and cors.expose_headers is not UNSET and cors.expose_headers:
        shared.append(("access-control-expose-headers", ",".join(cors.expose_headers)))
    return Response(response.status, (*kept, *shared), response.body)


def _shared(cors: Cors, request_headers: Headers) -> list[tuple[str, str]]:
    origin = request_headers.get("origin") or ""
    origins = [] if cors.allow_origins is UNSET else cors.allow_origins
    if "*" in origins:
        allowed = "*"
    elif origin in origins or any(_covers(pattern, origin) for pattern in origins):
        allowed = origin
    else:
        return []
    headers = [("access-control-allow-origin", allowed)]
    if cors.allow_credentials is True:
        headers.append(("access-control-allow-credentials", "true"))
    if allowed != "*":
        headers.append(("vary", "origin"))
    return headers


def _covers(pattern: str, origin: str) -> bool:
    # https://* and http://* stand for every origin of that scheme.
    return pattern in ("https://*", "http://*") and origin.startswith(pattern[:-1])
