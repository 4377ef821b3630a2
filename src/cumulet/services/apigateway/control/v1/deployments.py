"""Deployments of a REST API: each freezes what the API's resources are at that moment."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import condition_keys, gateway_responses, patching
from cumulet.services.apigateway.control.v1.authorizers import freeze_authorization
from cumulet.services.apigateway.control.v1.models import VALIDATING, flattened
from cumulet.services.apigateway.control.v1.paging import page_of_api
from cumulet.services.apigateway.control.v1.records import (
    AUTHORIZERS,
    DEFINITIONS,
    MODELS,
    RESOURCES,
    VALIDATORS,
    Definition,
    Integration,
    Method,
    MethodResponse,
    Resource,
    RestApi,
    get_api,
    get_deployment,
)
from cumulet.services.apigateway.control.v1.stage_settings import (
    checked_variables,
    make_canary,
    set_cache,
)
from cumulet.services.apigateway.control.v1.stages import check_count, checked_name
from cumulet.services.apigateway.mapping.parameters import speaks_to_lambda
from cumulet.services.apigateway.model import (
    DEPLOYMENTS,
    STAGES,
    Deployment,
    Mapping,
    Reply,
    RestValidation,
    Route,
    Stage,
    Target,
    stages_on,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

PATCHES = patching.table("/description text replace")

_OF_STAGE = (
    "stageDescription",
    "variables",
    "cacheClusterEnabled",
    "cacheClusterSize",
    "canarySettings",
    "tracingEnabled",
)

DEPLOYMENT = at("/restapis/{restApiId}/deployments/{deploymentId}")


@operation(
    "CreateDeployment",
    action=POST,
    resource=at("/restapis/{restApiId}/deployments"),
    params=(
        "restApiId stageName stageDescription description variables cacheClusterEnabled cacheClusterSize "
        "canarySettings tracingEnabled"
    ),
    conditions=condition_keys.asked(condition_keys.DEPLOYMENT),
    missing="traces are passed on, but kept nowhere",
)
def create_deployment(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API as it is now is frozen; the stage that `stageName` names points to it, made if it did not exist."""
    api = get_api(tx, call, params)
    for member in _OF_STAGE if not params.get("stageName") else ():
        if params.get(member) is not None:
            raise ServiceError("BadRequestException", f"{member} cannot be specified without stageName")
    deployment = freeze_api(tx, call, api, freeze(tx, call, api), params.get("description") or None)
    DEPLOYMENTS.save(tx, call.scope, api.id, deployment.deployment_id, record=deployment)
    DEFINITIONS.save(tx, call.scope, api.id, deployment.deployment_id, record=definition_of(tx, call, api))
    if params.get("stageName"):
        _point_stage(tx, call, api.id, deployment.deployment_id, params)
    return show(deployment)


def definition_of(tx: ReadTx, call: Call, api: RestApi) -> Definition:
    """Return what makes up an API now."""
    return Definition(
        api,
        list(RESOURCES.scan(tx, call.scope, api.id)),
        list(MODELS.scan(tx, call.scope, api.id)),
        list(VALIDATORS.scan(tx, call.scope, api.id)),
        list(AUTHORIZERS.scan(tx, call.scope, api.id)),
        list(gateway_responses.RECORDS.scan(tx, call.scope, api.id)),
    )


def freeze_api(tx: ReadTx, call: Call, api: RestApi, routes: list[Route], description: str | None = None) -> Deployment:
    """Return a deployment of these routes, with what else the API is now."""
    return Deployment(
        deployment_id=call.ids.token(6),
        created_s=call.now_ms // 1000,
        routes=routes,
        description=description,
        default_endpoint_disabled=api.disable_execute_api_endpoint,
        policy=None if api.policy is UNSET else api.policy,
        gateway_responses=gateway_responses.freeze(tx, call, api.id),
        binary_media_types=[] if api.binary_media_types is UNSET else api.binary_media_types,
        compress_from=None if api.minimum_compression_size is UNSET else api.minimum_compression_size,
        key_from_authorizer=api.api_key_source == "AUTHORIZER",
    )


def freeze(tx: ReadTx, call: Call, api: RestApi) -> list[Route]:
    """Return the API's methods as routes. Raises BadRequestException if it has none, or one without integration."""
    routes = [
        freeze_method(tx, call, api.id, resource, method)
        for resource in RESOURCES.scan(tx, call.scope, api.id)
        for method in resource.resource_methods.values()
    ]
    if not routes:
        raise ServiceError("BadRequestException", "The REST API doesn't contain any methods")
    return routes


def freeze_method(tx: ReadTx, call: Call, api_id: str, resource: Resource, method: Method) -> Route:
    """Return a method as the pipeline has it. Raises BadRequestException for one without an integration."""
    integration = method.method_integration
    if integration is UNSET:
        raise ServiceError("BadRequestException", "No integration defined for method")
    return Route(
        method.http_method,
        resource.path,
        method.http_method,
        freeze_target(integration, method.method_responses or {}),
        resource.id,
        authorization=freeze_authorization(tx, call, api_id, method),
        rest_validation=freeze_validation(tx, call, api_id, method),
        api_key_required=method.api_key_required,
        cache_namespace=integration.cache_namespace,
        cache_key_parameters=tuple(integration.cache_key_parameters),
    )


def freeze_validation(tx: ReadTx, call: Call, api_id: str, method: Method) -> RestValidation | None:
    """Return what a method's validator asks, or None."""
    if method.request_validator_id is UNSET:
        return None
    validator = VALIDATORS.find(tx, call.scope, api_id, method.request_validator_id)
    if validator is None:
        raise ServiceError("BadRequestException", "Invalid Request Validator identifier specified")
    required: list[str] = []
    if validator.validate_request_parameters and method.request_parameters is not UNSET:
        required = [name for name, needed in method.request_parameters.items() if needed]
    schemas: dict[str, str] = {}
    if validator.validate_request_body and method.request_models is not UNSET:
        for media_type, name in method.request_models.items():
            model = MODELS.find(tx, call.scope, api_id, name)
            if model is not None and model.content_type in VALIDATING:
                schemas[media_type.lower()] = flattened(call, tx, api_id, model)
    return RestValidation(required, schemas)


def freeze_target(integration: Integration, declared: dict[str, MethodResponse]) -> Target:
    """Return an integration as the pipeline has it, for a method that declares these responses."""
    responses = {} if integration.integration_responses is UNSET else integration.integration_responses
    mapping = Mapping(
        request_parameters=_map_or_none(integration.request_parameters),
        request_templates=_map_or_none(integration.request_templates),
        passthrough=integration.passthrough_behavior,
        content_handling=integration.content_handling or "",
        replies=[
            Reply(
                status=int(response.status_code),
                pattern="" if response.selection_pattern is UNSET else response.selection_pattern,
                parameters=_map_or_none(response.response_parameters),
                templates=_map_or_none(response.response_templates),
                content_handling=response.content_handling or "",
                media_types=_media_types(declared.get(response.status_code)),
            )
            for response in responses.values()
        ],
    )
    is_proxy = integration.type == "AWS_PROXY"
    parameters = mapping.request_parameters
    return Target(
        uri="" if integration.uri is UNSET else integration.uri,
        payload_format="rest",
        timeout_ms=integration.timeout_in_millis,
        http_method="POST" if integration.http_method is UNSET else integration.http_method,
        credentials=None if integration.credentials is UNSET else integration.credentials,
        kind=integration.type,
        mapping=None if is_proxy else mapping,
        streams=integration.response_transfer_mode == "STREAM",
        insecure=(integration.tls_config or {}).get("insecureSkipVerification", False),
        invoke_parameters={to: parameters[to] for to in parameters if is_proxy and speaks_to_lambda(to)},
    )


def _media_types(response: MethodResponse | None) -> tuple[str, ...]:
    return () if response is None else tuple(response.response_models or ())


def _map_or_none(given: dict[str, str] | UnsetType) -> dict[str, str]:
    return {} if given is UNSET else given


def _point_stage(tx: WriteTx, call: Call, api_id: str, deployment_id: str, params: Params) -> None:
    name = checked_name(params["stageName"])
    now_s = call.now_ms // 1000
    stage = STAGES.find(tx, call.scope, api_id, name)
    canary = params.get("canarySettings")
    if stage is None:
        if canary is not None:
            raise ServiceError("NotFoundException", "Invalid stage identifier specified")
        check_count(tx, call, api_id)
        stage = Stage(name=name, created_s=now_s, updated_s=now_s)
    if canary is not None or stage.canary is not None:
        # While a stage has a canary, what is deployed to it goes there.
        before = {} if stage.canary is None else msgspec.to_builtins(stage.canary)
        given = {**before, **(canary or {}), "deploymentId": deployment_id}
        stage.canary = make_canary(tx, call, api_id, given)
    else:
        stage.deployment_id = deployment_id
    stage.updated_s = now_s
    if params.get("variables") is not None:
        stage.variables = checked_variables(params["variables"])
    if params.get("stageDescription"):
        stage.description = params["stageDescription"]
    if params.get("tracingEnabled") is not None:
        stage.tracing = params["tracingEnabled"]
    enabled, size = params.get("cacheClusterEnabled"), params.get("cacheClusterSize")
    set_cache(stage, stage.cache_enabled if enabled is None else enabled, size or stage.cache_size, call.now_ms)
    STAGES.save(tx, call.scope, api_id, name, record=stage)


@operation("GetDeployment", action=GET, resource=DEPLOYMENT, params="restApiId deploymentId embed")
def get_one_deployment(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one deployment; `embed` may ask for its apisummary."""
    api = get_api(tx, call, params)
    embed = params.get("embed") or ()
    for name in embed:
        if name != "apisummary":
            raise ServiceError("BadRequestException", f"Invalid embed specified: {name}. Must be one of [apisummary]")
    return show(get_deployment(tx, call, api.id, params["deploymentId"]), with_summary=bool(embed))


@operation(
    "GetDeployments", action=GET, resource=at("/restapis/{restApiId}/deployments"), params="restApiId position limit"
)
def get_deployments(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's deployments, a page at a time."""
    api = get_api(tx, call, params)
    return page_of_api(tx, call, params, api.id, DEPLOYMENTS, lambda deployment: deployment.deployment_id, show)


@operation("UpdateDeployment", action=PATCH, resource=DEPLOYMENT, params="restApiId deploymentId patchOperations")
def update_deployment(call: Call, tx: WriteTx, params: Params) -> Output:
    """The deployment has another description."""
    api = get_api(tx, call, params)
    deployment = get_deployment(tx, call, api.id, params["deploymentId"])
    given = patching.patched({"description": deployment.description}, params.get("patchOperations"), PATCHES)
    changed = replace(deployment, description=given["description"])
    DEPLOYMENTS.save(tx, call.scope, api.id, changed.deployment_id, record=changed)
    return show(changed)


@operation("DeleteDeployment", action=DELETE, resource=DEPLOYMENT, params="restApiId deploymentId")
def delete_deployment(call: Call, tx: WriteTx, params: Params) -> Output:
    """The deployment is gone. Refused while a stage points to it."""
    api = get_api(tx, call, params)
    deployment = get_deployment(tx, call, api.id, params["deploymentId"])
    if stages_on(tx, call.scope, api.id, deployment.deployment_id):
        raise ServiceError("BadRequestException", "Active stages pointing to this deployment must be moved or deleted")
    DEPLOYMENTS.delete(tx, call.scope, api.id, deployment.deployment_id)
    DEFINITIONS.delete(tx, call.scope, api.id, deployment.deployment_id)
    return {}


def show(deployment: Deployment, *, with_summary: bool = False) -> dict[str, Any]:
    """Return a deployment as AWS shows it."""
    shown: dict[str, Any] = {"id": deployment.deployment_id, "createdDate": deployment.created_s}
    if deployment.description is not None:
        shown["description"] = deployment.description
    if with_summary:
        summary: dict[str, Any] = {}
        for route in deployment.routes:
            methods = summary.setdefault(route.path, {})
            methods[route.method] = {
                "authorizationType": "NONE" if route.authorization is None else route.authorization.kind,
                "apiKeyRequired": route.api_key_required,
            }
        shown["apiSummary"] = summary
    return shown
