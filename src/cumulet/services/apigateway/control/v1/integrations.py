"""The integrations of methods, and the responses of integrations."""

import re
from collections.abc import Mapping
from contextlib import suppress

from msgspec import UNSET, UnsetType

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
from cumulet.services.apigateway.mapping.parameters import check_request, check_response
from cumulet.services.apigateway.mapping.patterns import compile_pattern
from cumulet.services.apigateway.mapping.values import TemplateError
from cumulet.services.apigateway.mapping.vtl import compile_template
from cumulet.services.apigateway.model import METHODS
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

INTEGRATION = at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}/integration")
RESPONSE = at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}/integration/responses/{statusCode}")

_TYPES = ("AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK")
_STATUS = re.compile(r"^[1-5]\d\d$")
_ENDPOINT = re.compile(r"^(?:https?://|\$\{stageVariables\.)\S+$")
_PASSTHROUGH = ("WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER")


@operation(
    "PutIntegration",
    action=PUT,
    resource=INTEGRATION,
    params=(
        "restApiId resourceId httpMethod type integrationHttpMethod uri connectionType credentials passthroughBehavior "
        "cacheNamespace cacheKeyParameters timeoutInMillis responseTransferMode requestParameters requestTemplates"
    ),
    missing="AWS services other than Lambda and DynamoDB, VPC links, response streaming",
)
def put_integration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The method has this integration."""
    resource, method = get_method(tx, call, params)
    method.method_integration = integration = make_integration(params, resource.id)
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(integration)


def make_integration(params: Params, cache_namespace: str) -> Integration:
    """Return the integration that the members of PutIntegration describe."""
    kind = params["type"]
    if kind not in _TYPES:
        raise ServiceError(
            "BadRequestException",
            f"Invalid integration type: {kind}. Must be one of [HTTP, AWS, MOCK, HTTP_PROXY, AWS_PROXY].",
        )
    if params.get("connectionType") == "VPC_LINK":
        raise NotImplementedHere("The connection type VPC_LINK of API Gateway")
    if params.get("responseTransferMode") == "STREAM":
        raise NotImplementedHere("The response transfer mode STREAM of API Gateway")
    http_method = params.get("integrationHttpMethod")
    if kind != "MOCK":
        if not http_method:
            raise ServiceError("BadRequestException", "Enumeration value for HttpMethod must be non-empty")
        check_uri(kind, params.get("uri") or "")
    if http_method and http_method not in METHODS:
        raise ServiceError(
            "BadRequestException",
            "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,HEAD,OPTIONS,ANY",
        )
    timeout = params.get("timeoutInMillis") or limits.REST_TIMEOUT_MS.stop - 1
    if timeout not in limits.REST_TIMEOUT_MS:
        raise ServiceError("BadRequestException", "Timeout should be between 50 ms and 29000 ms")
    passthrough = (params.get("passthroughBehavior") or _PASSTHROUGH[0]).upper()
    if passthrough not in _PASSTHROUGH:
        raise ServiceError(
            "BadRequestException",
            f"Invalid passthrough behavior: {passthrough}. Must be one of [WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER].",
        )
    request_parameters = dict(params.get("requestParameters") or {})
    check_request(request_parameters)
    if request_parameters and kind == "AWS_PROXY":
        raise NotImplementedHere("The parameter requestParameters of an AWS_PROXY integration")
    return Integration(
        type=kind,
        uri=params.get("uri") or UNSET,
        http_method=http_method or UNSET,
        request_parameters=request_parameters or UNSET,
        request_templates=checked_templates(params.get("requestTemplates")),
        cache_namespace=params.get("cacheNamespace") or cache_namespace,
        cache_key_parameters=list(params.get("cacheKeyParameters") or []),
        timeout_in_millis=timeout,
        passthrough_behavior=passthrough,
        connection_type=params.get("connectionType") or UNSET,
        credentials=checked_credentials(params.get("credentials")) or UNSET,
    )


def check_uri(kind: str, uri: str) -> None:
    """Raise BadRequestException unless the URI is one for this type of integration."""
    if kind == "AWS_PROXY":
        lambda_uri.check(uri, function_arn_alone=False)
    elif kind == "AWS":
        lambda_uri.check_custom(uri)
    elif not _ENDPOINT.match(uri):
        raise ServiceError("BadRequestException", "Invalid HTTP endpoint specified for URI")


def checked_templates(templates: Mapping[str, str] | None) -> dict[str, str] | UnsetType:
    """Return mapping templates by media type, or UNSET. What a template asks for and is not here is refused now.

    A template that cannot be read is kept, as on AWS: requests then get a 500.
    """
    for template in (templates or {}).values():
        if len(template) > limits.TEMPLATE_CHARS_MAX:
            raise ServiceError("BadRequestException", "Template size exceeds the limit of 300 KB")
        with suppress(TemplateError):
            compile_template(template)
    return dict(templates or {}) or UNSET


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
    parameters = declared[params["statusCode"]].response_parameters
    if response.response_parameters is not UNSET:
        check_response(response.response_parameters, {} if parameters is UNSET else parameters)
    responses = {} if integration.integration_responses is UNSET else integration.integration_responses
    integration.integration_responses = {**responses, response.status_code: response}
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(response)


def make_response(params: Params) -> IntegrationResponse:
    """Return the integration response that the members of PutIntegrationResponse describe."""
    with suppress(ValueError):  # a pattern that is none matches nothing
        compile_pattern(params.get("selectionPattern") or "")
    if not _STATUS.match(params.get("statusCode") or ""):
        raise ServiceError("BadRequestException", "Invalid Response status code specified")
    return IntegrationResponse(
        status_code=params["statusCode"],
        selection_pattern=params["selectionPattern"] if params.get("selectionPattern") is not None else UNSET,
        response_parameters=dict(params.get("responseParameters") or {}) or UNSET,
        response_templates=checked_templates(params.get("responseTemplates")),
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
