"""TestInvokeMethod and TestInvokeAuthorizer: what an API has now is tried, whether it is deployed or not."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.arns import POST, at
from cumulet.services.apigateway.control.v1.authorizers import freeze_authorizer
from cumulet.services.apigateway.control.v1.client_certificates import get_certificate
from cumulet.services.apigateway.control.v1.deployments import freeze_api, freeze_method
from cumulet.services.apigateway.control.v1.plane import RestPlane
from cumulet.services.apigateway.control.v1.records import get_api, get_authorizer, get_resource
from cumulet.services.apigateway.control.v1.stage_settings import checked_variables
from cumulet.services.apigateway.model import ANY, Authorizer, Deployment
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx

if TYPE_CHECKING:
    from cumulet.services.apigateway.rehearsal import Attempt


@operation(
    "TestInvokeMethod",
    action=POST,
    resource=at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}"),
    params=(
        "restApiId resourceId httpMethod pathWithQueryString body headers multiValueHeaders stageVariables "
        "clientCertificateId"
    ),
)
async def test_invoke_method(call: Call, plane: RestPlane, params: Params) -> Output:
    """Return what the method answers, and the log of how. Its authorizer and its API key are not asked for."""
    http_method = params["httpMethod"]
    # ANY stands for every method; one has to be sent.
    sent = "GET" if http_method == ANY else http_method
    deployment = await plane.ground.store.read(lambda tx: _freeze(tx, call, params, sent))
    attempt = _attempt(sent, deployment.routes[0].path, params)
    return await plane.rehearsals.rehearse(call, params["restApiId"], deployment, attempt)


@operation(
    "TestInvokeAuthorizer",
    action=POST,
    resource=at("/restapis/{restApiId}/authorizers/{authorizerId}"),
    params="restApiId authorizerId headers multiValueHeaders pathWithQueryString body stageVariables additionalContext",
)
async def test_invoke_authorizer(call: Call, plane: RestPlane, params: Params) -> Output:
    """Return what the authorizer says of a request, and the log of how it was asked."""

    def find(tx: ReadTx) -> Authorizer:
        get_api(tx, call, params)
        return freeze_authorizer(get_authorizer(tx, call, params))

    authorizer = await plane.ground.store.read(find)
    return await plane.auditions.hear(call, params["restApiId"], authorizer, _attempt("GET", "/", params))


def _attempt(method: str, path: str, params: Params) -> "Attempt":
    """Return the request that the params describe."""
    from cumulet.services.apigateway.rehearsal import Attempt

    path, _, query = (params.get("pathWithQueryString") or path).partition("?")
    many = params.get("multiValueHeaders") or {}
    named = {name.lower() for name in many}
    headers = [pair for pair in (params.get("headers") or {}).items() if pair[0].lower() not in named]
    headers += [(name, value) for name, values in many.items() for value in values]
    return Attempt(
        method,
        # What may stand in no path is encoded; what is encoded stays so.
        quote(path if path.startswith("/") else f"/{path}", safe="/%:@!$&'()*+,;=~-._"),
        query,
        headers,
        (params.get("body") or "").encode(),
        checked_variables(params.get("stageVariables") or {}),
        params.get("clientCertificateId"),
        params.get("additionalContext") or {},
    )


def _freeze(tx: ReadTx, call: Call, params: Params, http_method: str) -> Deployment:
    """Return a deployment of the one method."""
    api, resource = get_api(tx, call, params), get_resource(tx, call, params)
    if params.get("clientCertificateId") is not None:
        get_certificate(tx, call, params["clientCertificateId"])
    methods = resource.resource_methods
    if (method := methods.get(http_method) or methods.get(ANY)) is None:
        raise ServiceError("NotFoundException", "Invalid Method identifier specified")
    return freeze_api(tx, call, api, [freeze_method(tx, call, api.id, resource, method)])
