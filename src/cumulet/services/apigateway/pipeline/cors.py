"""CORS of HTTP APIs: API Gateway answers preflights itself, and its headers replace the function's (pure).

A preflight needs no route, but one that there is for it asks its authorizer even so, which browsers never satisfy:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html has it of $default, and users found it
of ANY (anomalyco/sst#5493).
"""

from msgspec import UNSET, UnsetType

from cumulet.services.apigateway.model import Cors
from cumulet.wire.message import Headers, Request, Response

_PREFIX = "access-control-"


def is_preflight(request: Request) -> bool:
    """Tell whether a request is a browser's question before the real one."""
    return (
        request.method == "OPTIONS"
        and "origin" in request.headers
        and ("access-control-request-method" in request.headers)
    )


def with_cors(response: Response, cors: Cors, request: Request) -> Response:
    """Return an answer with the API's CORS headers in place of any that the function gave.

    What API Gateway itself refuses has them as well: of a preflight that is refused, browsers tell but the status.
    """
    kept = [pair for pair in response.headers if not pair[0].lower().startswith(_PREFIX)]
    shared = _shared(cors, request.headers) if "origin" in request.headers else []
    if not shared:
        # An origin that is not allowed gets no permission, whatever it asks for; without one there is nobody to get it.
        return Response(response.status, tuple(kept), response.body)
    listed: tuple[tuple[str, list[str] | UnsetType], ...] = (("expose-headers", cors.expose_headers),)
    if is_preflight(request):
        listed = (("allow-methods", cors.allow_methods), ("allow-headers", cors.allow_headers))
        if cors.max_age is not UNSET:
            shared.append((f"{_PREFIX}max-age", str(cors.max_age)))
    shared += [(f"{_PREFIX}{name}", ",".join(values)) for name, values in listed if values]
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
