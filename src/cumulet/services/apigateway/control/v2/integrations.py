"""The integrations of an HTTP API: Lambda proxies in payload format 1.0 or 2.0, and HTTP proxies."""

import re
from typing import Any

from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import lambda_uri
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import passed_roles
from cumulet.services.apigateway.control.v1.integrations import checked_credentials
from cumulet.services.apigateway.control.v2 import websocket_only
from cumulet.services.apigateway.control.v2.deploying import auto_deploy
from cumulet.services.apigateway.control.v2.mappings import checked_request_mapping, checked_response_mapping
from cumulet.services.apigateway.control.v2.paging import page_of_api
from cumulet.services.apigateway.control.v2.records import (
    INTEGRATION_TARGET,
    INTEGRATIONS,
    ROUTES,
    Integration,
    get_api,
    get_integration,
    render,
)
from cumulet.services.apigateway.model import METHODS
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

EVERY_INTEGRATION = at("/apis/{ApiId}/integrations")
INTEGRATION = at("/apis/{ApiId}/integrations/{IntegrationId}")

_SETTINGS = (
    "IntegrationType IntegrationUri IntegrationMethod PayloadFormatVersion TimeoutInMillis Description CredentialsArn "
    "ConnectionType ConnectionId TlsConfig RequestParameters ResponseParameters IntegrationSubtype "
    "ContentHandlingStrategy PassthroughBehavior RequestTemplates TemplateSelectionExpression"
)
_WEBSOCKET_ONLY = "ContentHandlingStrategy PassthroughBehavior RequestTemplates TemplateSelectionExpression"
_MISSING = "VPC links; service integrations, since none of the services that have them is built"
_ENDPOINT = re.compile(r"^https?://[^/?#\s]+[^\s]*\Z")

SUBTYPES = frozenset(
    (
        "EventBridge-PutEvents",
        "SQS-SendMessage",
        "SQS-ReceiveMessage",
        "SQS-DeleteMessage",
        "SQS-PurgeQueue",
        "AppConfig-GetConfiguration",
        "Kinesis-PutRecord",
        "StepFunctions-StartExecution",
        "StepFunctions-StartSyncExecution",
        "StepFunctions-StopExecution",
    )
)
"""All that HTTP APIs have.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-aws-services-reference.html
"""


@operation(
    "CreateIntegration",
    action=POST,
    resource=EVERY_INTEGRATION,
    params=f"ApiId {_SETTINGS}",
    demands=passed_roles.demanding(POST, EVERY_INTEGRATION, passed_roles.named_by("CredentialsArn")),
    missing=_MISSING,
)
def create_integration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has one more integration, to which routes can point."""
    api = get_api(tx, call, params)
    if sum(1 for _ in INTEGRATIONS.scan(tx, call.scope, api.api_id)) >= limits.INTEGRATIONS_PER_API_MAX:
        raise ServiceError("TooManyRequestsException", "Maximum number of integrations for this API has been reached.")
    integration = make_integration(call, params)
    INTEGRATIONS.save(tx, call.scope, api.api_id, integration.integration_id, record=integration)
    return render(integration)


def make_integration(call: Call, params: Params, before: Integration | None = None) -> Integration:
    """Return the integration that the members of CreateIntegration describe, over what it was `before`."""
    old: dict[str, Any] = render(before) if before is not None else {}
    given = {**old, **{name: value for name, value in params.items() if value is not None}}
    kind = given["IntegrationType"]
    if kind not in ("AWS_PROXY", "HTTP_PROXY"):
        # https://github.com/aws/aws-cli/issues/6363
        raise ServiceError(
            "BadRequestException",
            "Currently, an API with a protocol type of HTTP may only be associated with proxy integrations (AWS_PROXY, "
            "HTTP_PROXY)",
        )
    if given.get("IntegrationSubtype"):
        raise _refused_subtype(given["IntegrationSubtype"])
    if given.get("ConnectionType") == "VPC_LINK":
        raise NotImplementedHere("The connection type VPC_LINK of API Gateway")
    websocket_only.refuse(params, _WEBSOCKET_ONLY)
    for name in ("ConnectionId", "TlsConfig"):
        if given.get(name):
            raise ServiceError("BadRequestException", f"{name} is only supported for the connection type VPC_LINK")
    payload_format = _checked_proxy(given) if kind == "HTTP_PROXY" else _checked_function(given)
    timeout = given.get("TimeoutInMillis") or limits.HTTP_TIMEOUT_MS.stop - 1
    if timeout not in limits.HTTP_TIMEOUT_MS:
        raise ServiceError("BadRequestException", "Timeout should be between 50 ms and 30000 ms")
    request, response = _parameters(params, before)
    return Integration(
        integration_id=before.integration_id if before is not None else call.ids.token(7),
        integration_type=kind,
        integration_uri=given["IntegrationUri"],
        payload_format_version=payload_format,
        timeout_in_millis=timeout,
        integration_method=given.get("IntegrationMethod") or "POST",
        connection_type=given.get("ConnectionType") or "INTERNET",
        description=given.get("Description") or UNSET,
        credentials_arn=checked_credentials(given.get("CredentialsArn")) or UNSET,
        request_parameters=request or UNSET,
        response_parameters=response or UNSET,
        api_gateway_managed=before.api_gateway_managed if before is not None else UNSET,
    )


def _refused_subtype(subtype: str) -> Exception:
    if subtype in SUBTYPES:
        return NotImplementedHere(f"The integration subtype {subtype} of API Gateway")
    return ServiceError("BadRequestException", f"Unsupported IntegrationSubtype specified: {subtype}")


def _checked_function(given: Params) -> str:
    uri = given.get("IntegrationUri")
    if not uri:
        raise ServiceError("BadRequestException", "IntegrationUri is a required parameter for AWS_PROXY integrations")
    lambda_uri.check(uri, function_arn_alone=True)
    payload_format = given.get("PayloadFormatVersion")
    if not payload_format:
        raise ServiceError("BadRequestException", "PayloadFormatVersion is a required parameter for integration")
    if payload_format not in ("1.0", "2.0"):
        raise ServiceError(
            "BadRequestException", f"Invalid PayloadFormatVersion {payload_format}: must be one of [1.0, 2.0]"
        )
    return str(payload_format)


def _checked_proxy(given: Params) -> str:
    uri, method = given.get("IntegrationUri"), given.get("IntegrationMethod")
    if not uri:
        raise ServiceError("BadRequestException", "IntegrationUri is a required parameter for HTTP_PROXY integrations")
    if not _ENDPOINT.match(uri):
        raise ServiceError("BadRequestException", "Invalid HTTP endpoint specified for URI")
    if not method:
        raise ServiceError(
            "BadRequestException", "IntegrationMethod is a required parameter for HTTP_PROXY integrations"
        )
    if method not in METHODS:
        raise ServiceError("BadRequestException", f"Invalid HTTP method specified: {method}")
    if given.get("CredentialsArn"):
        raise ServiceError(
            "BadRequestException", "Credentials are not supported for HTTP_PROXY integrations of an HTTP API"
        )
    if (payload_format := given.get("PayloadFormatVersion") or "1.0") != "1.0":
        raise ServiceError(
            "BadRequestException", f"Invalid PayloadFormatVersion {payload_format}: must be one of [1.0]"
        )
    return "1.0"


def _parameters(params: Params, before: Integration | None) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return both mappings; an update adds to what was there, and takes away what it gives as empty."""
    request = dict(before.request_parameters or {}) if before is not None else {}
    response = dict(before.response_parameters or {}) if before is not None else {}
    given = params.get("RequestParameters") or {}
    checked_request_mapping({key: value for key, value in given.items() if value or key.startswith("remove:")})
    request.update(given)
    for status, mapping in (params.get("ResponseParameters") or {}).items():
        checked_response_mapping(status, mapping)
        response[status] = mapping
    kept = {key: value for key, value in request.items() if value or key.startswith("remove:")}
    return kept, {status: mapping for status, mapping in response.items() if mapping}


@operation("GetIntegration", action=GET, resource=INTEGRATION, params="ApiId IntegrationId")
def get_one_integration(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one integration."""
    return render(get_integration(tx, call, params))


@operation("GetIntegrations", action=GET, resource=EVERY_INTEGRATION, params="ApiId MaxResults NextToken")
def get_integrations(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's integrations."""
    api = get_api(tx, call, params)
    return page_of_api(
        tx, call, params, api.api_id, INTEGRATIONS, lambda integration: integration.integration_id, render
    )


@operation(
    "UpdateIntegration",
    action=PATCH,
    resource=INTEGRATION,
    params=f"ApiId IntegrationId {_SETTINGS}",
    demands=passed_roles.demanding(PATCH, INTEGRATION, passed_roles.named_by("CredentialsArn")),
    missing=_MISSING,
)
def update_integration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The integration has the given values; stages with AutoDeploy follow."""
    api = get_api(tx, call, params)
    integration = make_integration(call, params, get_integration(tx, call, params))
    INTEGRATIONS.save(tx, call.scope, api.api_id, integration.integration_id, record=integration)
    auto_deploy(tx, call, api)
    return render(integration)


@operation("DeleteIntegration", action=DELETE, resource=INTEGRATION, params="ApiId IntegrationId")
def delete_integration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The integration is gone. Refused while a route points to it."""
    api = get_api(tx, call, params)
    integration = get_integration(tx, call, params)
    if integration.api_gateway_managed is True:
        # The model says so: it can be updated, but not deleted.
        raise ServiceError("BadRequestException", "An integration that quick create made cannot be deleted")
    target = f"{INTEGRATION_TARGET}{integration.integration_id}"
    if routes := [route.route_id for route in ROUTES.scan(tx, call.scope, api.api_id) if route.target == target]:
        # https://github.com/milliHQ/terraform-aws-next-js/issues/247
        raise ServiceError(
            "ConflictException",
            f"Cannot delete Integration because it is referenced by the following Routes with Ids: "
            f"[{', '.join(routes)}]",
        )
    INTEGRATIONS.delete(tx, call.scope, api.api_id, integration.integration_id)
    return {}
