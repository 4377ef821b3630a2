"""An integration's request for an AWS service, as the service would get it from any client, and its answer.

The integration's request is read in the service's own protocol and performed under the principal of the integration, so
that IAM decides as it does for clients.
"""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote, urlencode

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.service_uri import ServiceUri
from cumulet.services.apigateway.pipeline.exchange import Answer, Matched, Outbound
from cumulet.services.apigateway.pipeline.faults import Refused, misconfigured
from cumulet.services.kit import Ground, Principal
from cumulet.wire import faults, protocols
from cumulet.wire.message import Headers, Request, Response
from cumulet.wire.model import ServiceModel, load_service
from cumulet.wire.resolve import resolve_in

_PATH_VARIABLE = re.compile(r"\{([^{}]+?)\+?\}")
_FORM = "application/x-www-form-urlencoded"


async def ask_service(
    ground: Ground, matched: Matched, uri: ServiceUri, outbound: Outbound, principal: Principal
) -> Answer:
    """Return what a service answers, errors included. Raises NotImplementedHere for what it has not."""
    service = load_service(uri.service)
    request = service_request(service, uri, outbound, matched.route.target.http_method)
    scope = Scope(principal.account or matched.arrival.scope.account, uri.region)
    try:
        target = resolve_in(service, request)
        params = protocols.parse(target, request)
        request_id = matched.arrival.request_id
        output = await ground.operations.call(
            principal, scope, service.name, target.operation.name, params, request_id=request_id
        )
        response = protocols.serialise(target.operation, output, request_id)
    except NotImplementedHere:
        raise
    except ServiceError as error:
        response = faults.render(service, error, matched.arrival.request_id, request)
    return Answer(str(response.status), await _whole(response), response.status, response.headers)


def service_request(service: ServiceModel, uri: ServiceUri, outbound: Outbound, method: str) -> Request:
    """Return a request as the service's protocol has it."""
    headers = [(name, value) for name, values in outbound.headers.items() for value in values]
    query = urlencode(outbound.query, doseq=True)
    content_type = outbound.content_type
    if not uri.is_action:
        path = _PATH_VARIABLE.sub(lambda name: quote(outbound.path.get(name[1], ""), safe="/~"), uri.asked)
        path, _, own_query = path.partition("?")
        query = "&".join([part for part in (own_query, query) if part])
        path = f"/{path.lstrip('/')}"
        if uri.subdomain:
            path = f"/{uri.subdomain}{path}"
    elif service.protocol == "json":
        path = "/"
        content_type = f"application/x-amz-json-{service.json_version}"
        # What the URI names is done, whatever a mapping says.
        headers = [("x-amz-target", f"{service.target_prefix}.{uri.asked}"), *headers]
    else:
        path = "/"
        action = urlencode({"Action": uri.asked, "Version": service.api_version})
        query = f"{action}&{query}" if query else action
    if "content-type" not in outbound.headers:
        headers.append(("content-type", content_type))
    is_form = service.protocol == "query"
    body = b"" if is_form and not (Headers(headers).get("content-type") or "").startswith(_FORM) else outbound.body
    return Request(method, path, query, Headers(headers), body)


async def _whole(response: Response) -> bytes:
    """Return a body, which may come in pieces. Raises Refused for one that API Gateway does not take."""
    if isinstance(response.body, bytes):
        return response.body
    pieces, size = [], 0
    body: AsyncIterator[bytes] = response.body
    async for piece in body:
        size += len(piece)
        pieces.append(piece)
        if size > limits.PAYLOAD_BYTES_MAX:
            raise too_large(size)
    return b"".join(pieces)


def too_large(length: int) -> Refused:
    """Return the refusal of what a backend said at such length."""
    most = limits.PAYLOAD_BYTES_MAX
    why = f"Integration response of reported length {length} is larger than allowed maximum of {most} bytes."
    return misconfigured(why)
