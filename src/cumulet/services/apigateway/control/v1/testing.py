"""TestInvokeMethod: a method is tried as it is now, whether it is deployed or not."""

from urllib.parse import quote

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.arns import POST, at
from cumulet.services.apigateway.control.v1.deployments import freeze_api, freeze_method
from cumulet.services.apigateway.control.v1.plane import RestPlane
from cumulet.services.apigateway.control.v1.records import get_api, get_resource
from cumulet.services.apigateway.control.v1.stage_settings import checked_variables
from cumulet.services.apigateway.model import ANY, Deployment
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx


@operation(
    "TestInvokeMethod",
    action=POST,
    resource=at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}"),
    params="restApiId resourceId httpMethod pathWithQueryString body headers multiValueHeaders stageVariables",
)
async def test_invoke_method(call: Call, plane: RestPlane, params: Params) -> Output:
    """Return what the method answers, and the log of how. Its authorizer and its API key are not asked for."""
    from cumulet.services.apigateway.rehearsal import Attempt

    http_method = params["httpMethod"]
    # ANY stands for every method; one has to be sent.
    sent = "GET" if http_method == ANY else http_method
    deployment = await plane.ground.store.read(lambda tx: _freeze(tx, call, params, sent))
    path, _, query = (params.get("pathWithQueryString") or deployment.routes[0].path).partition("?")
    many = params.get("multiValueHeaders") or {}
    named = {name.lower() for name in many}
    headers = [pair for pair in (params.get("headers") or {}).items() if pair[0].lower() not in named]
    headers += [(name, value) for name, values in many.items() for value in values]
    attempt = Attempt(
        sent,
        # What may stand in no path is encoded; what is encoded stays so.
        quote(path if path.startswith("/") else f"/{path}", safe="/%:@!$&'()*+,;=~-._"),
        query,
        headers,
        (params.get("body") or "").encode(),
        checked_variables(params.get("stageVariables") or {}),
    )
    return await plane.rehearsals.rehearse(call, params["restApiId"], deployment, attempt)


def _freeze(tx: ReadTx, call: Call, params: Params, http_method: str) -> Deployment:
    """Return a deployment of the one method."""
    api, resource = get_api(tx, call, params), get_resource(tx, call, params)
    methods = resource.resource_methods
    if (method := methods.get(http_method) or methods.get(ANY)) is None:
        raise ServiceError("NotFoundException", "Invalid Method identifier specified")
    return freeze_api(tx, call, api, [freeze_method(tx, call, api.id, resource, method)])
