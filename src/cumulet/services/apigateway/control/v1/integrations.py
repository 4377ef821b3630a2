"""The integrations of methods: Lambda proxies. The responses of an integration are kept, and a proxy ignores them."""

from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import lambda_uri
from cumulet.services.apigateway.control.arns import DELETE, GET, PUT, at
from cumulet.services.apigateway.control.v1.records import (
    RESOURCES,
    Integration,
    IntegrationResponse,
    get_integration,
    get_method,
    render,
)
from cumulet.services.apigateway.model import METHODS
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

INTEGRATION = at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}/integration")
RESPONSE = at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}/integration/responses/{statusCode}")

_OTHER_TYPES = ("AWS", "HTTP", "HTTP_PROXY", "MOCK")
_PASSTHROUGH = ("WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER")


@operation(
    "PutIntegration",
    action=PUT,
    resource=INTEGRATION,
    params=(
        "restApiId resourceId httpMethod type integrationHttpMethod uri connectionType credentials passthroughBehavior "
        "cacheNamespace cacheKeyParameters timeoutInMillis responseTransferMode"
    ),
    missing="integration types other than AWS_PROXY with Lambda, VPC links, response streaming",
)
def put_integration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The method has this integration."""
    resource, method = get_method(tx, call, params)
    method.method_integration = integration = make_integration(params, resource.id)
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(integration)


def make_integration(params: Params, cache_namespace: str) -> Integration:
    """Return the integration that the members of PutIntegration describe."""
    if params["type"] in _OTHER_TYPES:
        raise NotImplementedHere(f"The integration type {params['type']} of API Gateway")
    if params["type"] != "AWS_PROXY":
        raise ServiceError(
            "BadRequestException",
            f"Invalid integration type: {params['type']}. Must be one of [HTTP, AWS, MOCK, HTTP_PROXY, AWS_PROXY].",
        )
    if params.get("connectionType") == "VPC_LINK":
        raise NotImplementedHere("The connection type VPC_LINK of API Gateway")
    if params.get("responseTransferMode") == "STREAM":
        raise NotImplementedHere("The response transfer mode STREAM of API Gateway")
    http_method = params.get("integrationHttpMethod")
    if not http_method:
        raise ServiceError("BadRequestException", "Enumeration value for HttpMethod must be non-empty")
    if http_method not in METHODS:
        raise ServiceError(
            "BadRequestException",
            "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,HEAD,OPTIONS,ANY",
        )
    lambda_uri.check(params.get("uri") or "", function_arn_alone=False)
    timeout = params.get("timeoutInMillis") or limits.REST_TIMEOUT_MS.stop - 1
    if timeout not in limits.REST_TIMEOUT_MS:
        raise ServiceError("BadRequestException", "Timeout should be between 50 ms and 29000 ms")
    passthrough = (params.get("passthroughBehavior") or _PASSTHROUGH[0]).upper()
    if passthrough not in _PASSTHROUGH:
        raise ServiceError(
            "BadRequestException",
            f"Invalid passthrough behavior: {passthrough}. Must be one of [WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER].",
        )
    return Integration(
        type="AWS_PROXY",
        uri=params["uri"],
        http_method=http_method,
        cache_namespace=params.get("cacheNamespace") or cache_namespace,
        cache_key_parameters=list(params.get("cacheKeyParameters") or []),
        timeout_in_millis=timeout,
        passthrough_behavior=passthrough,
        connection_type=params.get("connectionType") or UNSET,
        credentials=checked_credentials(params.get("credentials")) or UNSET,
    )


def checked_credentials(arn: str | None) -> str | None:
    """Return the role that an integration assumes, or None."""
    if arn and ":user/" in arn:
        raise NotImplementedHere("An integration with the caller's credentials")
    if arn and not (arn.startswith("arn:aws") and ":role/" in arn):
        raise ServiceError("BadRequestException", "Invalid ARN specified in the request")
    return arn or None


@operation("GetIntegration", action=GET, resource=INTEGRATION, params="restApiId resourceId httpMethod")
def get_one_integration(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a method's integration."""
    *_, integration = get_integration(tx, call, params)
    return render(integration)


@operation("DeleteIntegration", action=DELETE, resource=INTEGRATION, params="restApiId resourceId httpMethod")
def delete_integration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The method has no integration."""
    resource, method, _ = get_integration(tx, call, params)
    method.method_integration = UNSET
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return {}


@operation(
    "PutIntegrationResponse",
    action=PUT,
    resource=RESPONSE,
    params="restApiId resourceId httpMethod statusCode selectionPattern responseParameters responseTemplates",
)
def put_integration_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """The integration has a response for a status code that its method declares."""
    resource, method, integration = get_integration(tx, call, params)
    declared = {} if method.method_responses is UNSET else method.method_responses
    if params["statusCode"] not in declared:
        raise ServiceError("NotFoundException", "Invalid Response status code specified")
    response = make_response(params)
    responses = {} if integration.integration_responses is UNSET else integration.integration_responses
    integration.integration_responses = {**responses, response.status_code: response}
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(response)


def make_response(params: Params) -> IntegrationResponse:
    """Return the integration response that the members of PutIntegrationResponse describe."""
    return IntegrationResponse(
        status_code=params["statusCode"],
        selection_pattern=params["selectionPattern"] if params.get("selectionPattern") is not None else UNSET,
        response_parameters=dict(params.get("responseParameters") or {}) or UNSET,
        response_templates=dict(params.get("responseTemplates") or {}) or UNSET,
    )


def _find_response(integration: Integration, status_code: str) -> IntegrationResponse:
    responses = {} if integration.integration_responses is UNSET else integration.integration_responses
    if (response := responses.get(status_code)) is None:
        raise ServiceError("NotFoundException", "Invalid Response status code specified")
    return response


@operation("GetIntegrationResponse", action=GET, resource=RESPONSE, params="restApiId resourceId httpMethod statusCode")
def get_integration_response(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one response of an integration."""
    *_, integration = get_integration(tx, call, params)
    return render(_find_response(integration, params["statusCode"]))


@operation(
    "DeleteIntegrationResponse", action=DELETE, resource=RESPONSE, params="restApiId resourceId httpMethod statusCode"
)
def delete_integration_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """The integration has no response for the status code."""
    resource, _, integration = get_integration(tx, call, params)
    _find_response(integration, params["statusCode"])
    remaining = {} if integration.integration_responses is UNSET else integration.integration_responses
    del remaining[params["statusCode"]]
    integration.integration_responses = remaining or UNSET
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return {}
