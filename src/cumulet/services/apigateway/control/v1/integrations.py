"""The integrations of methods, and the responses of integrations."""

import re
from collections.abc import Mapping
from contextlib import suppress

from msgspec import UNSET, UnsetType

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import lambda_uri, service_uri
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, PUT, at
from cumulet.services.apigateway.control.v1 import passed_roles, patching
from cumulet.services.apigateway.control.v1.records import (
    RESOURCES,
    Integration,
    IntegrationResponse,
    Method,
    Resource,
    get_integration,
    get_method,
    render,
)
from cumulet.services.apigateway.mapping.effort import TemplateError
from cumulet.services.apigateway.mapping.parameters import check_request, check_response, invalid
from cumulet.services.apigateway.mapping.patterns import compile_pattern
from cumulet.services.apigateway.mapping.vtl import compile_template
from cumulet.services.apigateway.model import CALLER, METHODS
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

INTEGRATION = at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}/integration")
RESPONSE = at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}/integration/responses/{statusCode}")

PATCHES = patching.table(
    """
    /cacheKeyParameters/{parameter}     listed  add replace remove
    /cacheNamespace                     text    replace
    /connectionId                       refused replace
    /connectionType                     text    replace
    /contentHandling                    text    replace
    /credentials                        text    replace
    /httpMethod                         text    replace
    /integrationTarget                  refused replace
    /passthroughBehavior                text    replace
    /requestParameters/{parameter}      texts   add replace remove
    /requestTemplates/{contentType}     texts   add replace remove
    /responseTransferMode               text    replace
    /timeoutInMillis                    number  replace
    /tlsConfig/insecureSkipVerification flag    replace
    /uri                                text    replace
    """
)
_PATCHES_OF_MOCK = tuple([line for line in PATCHES if line.path not in ("/httpMethod", "/uri")])
RESPONSE_PATCHES = patching.table(
    """
    /contentHandling                    text    replace
    /responseParameters/{parameter}     texts   add replace remove
    /responseTemplates/{contentType}    texts   add replace remove
    /selectionPattern                   text    replace
    """
)
CONTENT_HANDLING = ("CONVERT_TO_BINARY", "CONVERT_TO_TEXT")

_TYPES = ("AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK")
_STATUS = re.compile(r"^[1-5]\d\d\Z")
_ENDPOINT = re.compile(r"^(?:https?://|\$\{stageVariables\.)\S+\Z")
_DECLARABLE = re.compile(r"^method\.request\.(?:multivalue)?(?:path|querystring|header)\.")
_CACHE_KEY = re.compile(r"^(?:method|integration)\.request\.(?:path|querystring|header)\.\S+\Z")
_PASSTHROUGH = ("WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER")


@operation(
    "PutIntegration",
    action=PUT,
    resource=INTEGRATION,
    params=(
        "restApiId resourceId httpMethod type integrationHttpMethod uri connectionType credentials passthroughBehavior "
        "cacheNamespace cacheKeyParameters contentHandling timeoutInMillis responseTransferMode requestParameters "
        "requestTemplates tlsConfig"
    ),
    demands=passed_roles.demanding(PUT, INTEGRATION, passed_roles.named_by("credentials")),
    missing="AWS services that are not built, VPC links",
)
def put_integration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The method has this integration."""
    resource, method = get_method(tx, call, params)
    method.method_integration = integration = make_integration(params, resource.id)
    check_declared(integration, method)
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
    for name in ("connectionId", "integrationSubtype", "integrationTarget"):
        if params.get(name):
            raise NotImplementedHere(f"The parameter {name} of an integration of a REST API")
    mode = _checked_mode(kind, params)
    http_method = params.get("integrationHttpMethod")
    if kind != "MOCK":
        if not http_method:
            raise ServiceError("BadRequestException", "Enumeration value for HttpMethod must be non-empty")
        check_uri(kind, params.get("uri") or "", params.get("credentials"))
    if http_method and http_method not in METHODS:
        raise ServiceError(
            "BadRequestException",
            "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,HEAD,OPTIONS,ANY",
        )
    timeout = params.get("timeoutInMillis")
    timeout = limits.REST_TIMEOUT_MS.stop - 1 if timeout is None else timeout
    timeouts = limits.REST_STREAM_TIMEOUT_MS if mode == "STREAM" else limits.REST_TIMEOUT_MS
    if timeout not in timeouts:
        raise ServiceError("BadRequestException", f"Timeout should be between 50 ms and {timeouts.stop - 1} ms")
    passthrough = (params.get("passthroughBehavior") or _PASSTHROUGH[0]).upper()
    if passthrough not in _PASSTHROUGH:
        raise ServiceError(
            "BadRequestException",
            f"Invalid passthrough behavior: {passthrough}. Must be one of [WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER].",
        )
    request_parameters = dict(params.get("requestParameters") or {})
    check_request(request_parameters)
    return Integration(
        type=kind,
        uri=params.get("uri") or UNSET,
        http_method=http_method or UNSET,
        request_parameters=request_parameters or UNSET,
        request_templates=checked_templates(params.get("requestTemplates")),
        cache_namespace=params.get("cacheNamespace") or cache_namespace,
        cache_key_parameters=_checked_cache_key(params.get("cacheKeyParameters")),
        timeout_in_millis=timeout,
        passthrough_behavior=passthrough,
        connection_type=params.get("connectionType") or UNSET,
        credentials=checked_credentials(params.get("credentials")) or UNSET,
        content_handling=checked_handling(params.get("contentHandling")),
        response_transfer_mode=mode or UNSET,
        tls_config=_checked_tls(kind, params.get("tlsConfig")),
    )


def _checked_mode(kind: str, params: Params) -> str | None:
    """Return how an integration's answers go to the client: as they come, or (None too) when they are whole."""
    mode = params.get("responseTransferMode") or None
    if mode not in (None, "BUFFERED", "STREAM"):
        raise ServiceError("BadRequestException", f"Invalid response transfer mode specified: {mode}")
    if mode == "STREAM" and kind not in ("AWS_PROXY", "HTTP_PROXY"):
        raise ServiceError(
            "BadRequestException",
            "Response transfer mode STREAM is only supported for AWS_PROXY and HTTP_PROXY integrations",
        )
    if kind in ("AWS", "AWS_PROXY") and (mode == "STREAM") != lambda_uri.is_streaming(params.get("uri") or ""):
        raise ServiceError(
            "BadRequestException",
            "Response transfer mode STREAM goes with a URI that ends in /response-streaming-invocations, and only it",
        )
    return mode


def _checked_tls(kind: str, given: Mapping[str, bool] | None) -> dict[str, bool] | UnsetType:
    """Return how the certificate of an integration's server is looked at, or UNSET if strictly."""
    if not given:
        return UNSET
    if kind not in ("HTTP", "HTTP_PROXY"):
        raise ServiceError("BadRequestException", "TlsConfig is only supported for HTTP and HTTP_PROXY integrations")
    return {"insecureSkipVerification": bool(given.get("insecureSkipVerification"))}


def _checked_cache_key(names: list[str] | None) -> list[str]:
    for name in names or ():
        if not _CACHE_KEY.match(name):
            raise invalid(name)
    return list(names or ())


def check_declared(integration: Integration, method: Method) -> None:
    """Raise BadRequestException for a parameter of the request that is used and that the method does not declare."""
    declared = method.request_parameters or {}
    for source in [*(integration.request_parameters or {}).values(), *integration.cache_key_parameters]:
        if _DECLARABLE.match(source) and source.replace(".multivalue", ".", 1) not in declared:
            raise invalid(source)


def checked_handling(given: str | None) -> str | UnsetType:
    """Return a contentHandling, or UNSET if bodies pass as they are."""
    if given and given not in CONTENT_HANDLING:
        raise ServiceError("BadRequestException", f"Invalid content handling strategy specified: {given}")
    return given or UNSET


def check_uri(kind: str, uri: str, credentials: str | None) -> None:
    """Raise BadRequestException unless the URI is one for this type of integration."""
    if kind == "AWS_PROXY":
        lambda_uri.check(uri, function_arn_alone=False)
    elif kind == "AWS":
        service_uri.check(uri, credentials)
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
    """Return the role that an integration assumes, or CALLER, or None."""
    if arn and arn != CALLER and not (arn.startswith("arn:aws") and ":role/" in arn):
        raise ServiceError("BadRequestException", "Invalid ARN specified in the request")
    return arn or None


@operation("GetIntegration", action=GET, resource=INTEGRATION, params="restApiId resourceId httpMethod")
def get_one_integration(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a method's integration."""
    *_, integration = get_integration(tx, call, params)
    return render(integration)


@operation(
    "UpdateIntegration",
    action=PATCH,
    resource=INTEGRATION,
    params="restApiId resourceId httpMethod patchOperations",
    demands=passed_roles.demanding(PATCH, INTEGRATION, passed_roles.named_by("credentials")),
)
def update_integration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The integration has the patched values; its responses stay."""
    resource, method, integration = get_integration(tx, call, params)
    lines = _PATCHES_OF_MOCK if integration.type == "MOCK" else PATCHES
    given = patching.patched(render(integration), params.get("patchOperations"), lines)
    given["integrationHttpMethod"] = given.get("httpMethod")
    changed = make_integration(given, resource.id)
    check_declared(changed, method)
    changed.integration_responses = integration.integration_responses
    method.method_integration = changed
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(changed)


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
    params=(
        "restApiId resourceId httpMethod statusCode selectionPattern responseParameters responseTemplates "
        "contentHandling"
    ),
)
def put_integration_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """The integration has a response for a status code that its method declares."""
    resource, method, integration = get_integration(tx, call, params)
    response = _save_response(tx, call, params["restApiId"], resource, method, integration, params)
    return render(response)


def _save_response(
    tx: WriteTx, call: Call, api_id: str, resource: Resource, method: Method, integration: Integration, given: Params
) -> IntegrationResponse:
    declared = method.method_responses or {}
    if given["statusCode"] not in declared:
        raise ServiceError("NotFoundException", "Invalid Response status code specified")
    response = make_response(given)
    if response.response_parameters is not UNSET:
        check_response(response.response_parameters, declared[given["statusCode"]].response_parameters or {})
    responses = integration.integration_responses or {}
    integration.integration_responses = {**responses, response.status_code: response}
    RESOURCES.save(tx, call.scope, api_id, resource.id, record=resource)
    return response


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
        content_handling=checked_handling(params.get("contentHandling")),
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
    "UpdateIntegrationResponse",
    action=PATCH,
    resource=RESPONSE,
    params="restApiId resourceId httpMethod statusCode patchOperations",
)
def update_integration_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """The response of the integration has the patched values."""
    resource, method, integration = get_integration(tx, call, params)
    response = _find_response(integration, params["statusCode"])
    given = patching.patched(render(response), params.get("patchOperations"), RESPONSE_PATCHES)
    return render(_save_response(tx, call, params["restApiId"], resource, method, integration, given))


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
