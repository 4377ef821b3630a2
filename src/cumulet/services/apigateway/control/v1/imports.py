"""REST APIs from OpenAPI documents: a new one, or an existing one merged with or overwritten by a document."""

from typing import Any

from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control import openapi, tagging
from cumulet.services.apigateway.control.arns import POST, PUT, at
from cumulet.services.apigateway.control.v1 import apis, integrations, methods
from cumulet.services.apigateway.control.v1.records import (
    APIS,
    RESOURCES,
    Integration,
    Method,
    MethodResponse,
    Resource,
    RestApi,
    get_api,
)
from cumulet.services.apigateway.control.v1.resources import add_resource
from cumulet.services.apigateway.pipeline.routes import split_path
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx


@operation(
    "ImportRestApi",
    action=POST,
    resource=at("/restapis"),
    params="body failOnWarnings parameters",
    missing="authorizers, models, validators, gateway responses",
)
def import_rest_api(call: Call, tx: WriteTx, params: Params) -> Output:
    """An API as the document describes it exists. There are no warnings, so failOnWarnings has nothing to act on."""
    plan = openapi.plan_api(params["body"])
    settings = _import_settings(params)
    settings["version"], settings["description"] = plan.version, plan.description
    settings["tags"] = plan.tags
    api = apis.create(call, tx, plan.title, settings)
    _apply(call, tx, api, plan)
    return apis.show(api)


@operation(
    "PutRestApi",
    action=PUT,
    resource=at("/restapis/{restApiId}"),
    params="restApiId mode body failOnWarnings parameters",
    missing="the same as for ImportRestApi",
)
def put_rest_api(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API is what the document describes (overwrite), or has it beside what it had (merge, the default)."""
    api = get_api(tx, call, params)
    plan = openapi.plan_api(params["body"])
    settings = _import_settings(params)
    if settings.get("endpointConfiguration"):
        api.endpoint_configuration = apis.endpoint_configuration(settings["endpointConfiguration"])
    if params.get("mode") == "overwrite":
        _keep_only(call, tx, api, plan)
        api.name, api.version = plan.title, plan.version or UNSET
        api.description = plan.description or UNSET
        api.binary_media_types = UNSET
    api.tags = tagging.checked({**api.tags, **plan.tags})
    _apply(call, tx, api, plan)
    return apis.show(api)


def _import_settings(params: Params) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in (params.get("parameters") or {}).items():
        if name == "endpointConfigurationTypes":
            settings["endpointConfiguration"] = {"types": value.split(",")}
        elif not (name == "basepath" and value == "ignore"):
            raise NotImplementedHere(f"The import parameter {name}={value} of API Gateway")
    return settings


def _keep_only(call: Call, tx: WriteTx, api: RestApi, plan: openapi.ApiPlan) -> None:
    """Remove the resources that the document does not lead to, and every method; kept resources keep their ids."""
    wanted = {"/"}
    for path in plan.paths:
        segments = split_path(path)
        wanted.update("/" + "/".join(segments[: depth + 1]) for depth in range(len(segments)))
    for resource in list(RESOURCES.scan(tx, call.scope, api.id)):
        if resource.path in wanted:
            resource.resource_methods = {}
            RESOURCES.save(tx, call.scope, api.id, resource.id, record=resource)
        else:
            RESOURCES.delete(tx, call.scope, api.id, resource.id)


def _apply(call: Call, tx: WriteTx, api: RestApi, plan: openapi.ApiPlan) -> None:
    """Save the plan's resources and methods into the API."""
    resources = list(RESOURCES.scan(tx, call.scope, api.id))
    by_path = {resource.path: resource for resource in resources}
    for path in plan.paths:
        _ensure_resource(call, tx, api, path, resources, by_path)
    for planned in plan.methods:
        resource = by_path[_normal(planned.path)]
        resource.resource_methods[planned.method] = _method(planned, resource)
    for resource in by_path.values():
        RESOURCES.save(tx, call.scope, api.id, resource.id, record=resource)
    if plan.binary_media_types:
        known = [] if api.binary_media_types is UNSET else api.binary_media_types
        api.binary_media_types = list(dict.fromkeys([*known, *plan.binary_media_types]))
    APIS.save(tx, call.scope, api.id, record=api)


def _ensure_resource(
    call: Call, tx: WriteTx, api: RestApi, path: str, resources: list[Resource], by_path: dict[str, Resource]
) -> None:
    parent = by_path["/"]
    for part in split_path(_normal(path)):
        below = f"{parent.path.rstrip('/')}/{part}"
        if below not in by_path:
            try:
                by_path[below] = add_resource(call, tx, api.id, parent, part, resources)
            except ServiceError as error:
                raise _import_error(f"Unable to create resource at path '{path}': {error.message}") from None
        parent = by_path[below]


def _normal(path: str) -> str:
    """Return a document's path as resources have it: with a slash before and none behind."""
    return "/" + path.strip("/")


def _method(planned: openapi.PlannedMethod, resource: Resource) -> Method:
    method = methods.make_method(
        {
            "httpMethod": planned.method,
            "authorizationType": "NONE",
            "operationName": planned.operation_name,
            "requestParameters": planned.request_parameters,
        }
    )
    if planned.responses:
        method.method_responses = {
            status: MethodResponse(
                status_code=status, response_parameters=methods.checked_parameters(parameters, "response")
            )
            for status, parameters in planned.responses.items()
        }
    if planned.integration is not None:
        try:
            method.method_integration = _integration(planned, planned.integration, resource)
        except NotImplementedHere:
            raise
        except ServiceError as error:
            raise _import_error(
                f"Unable to put integration on '{planned.method}' for resource at path '{planned.path}': "
                f"{error.message}"
            ) from None
    return method


def _integration(planned: openapi.PlannedMethod, given: Any, resource: Resource) -> Integration:
    integration = integrations.make_integration(
        {
            "type": (given.get("type") or "").upper(),
            "integrationHttpMethod": given.get("httpMethod"),
            "uri": given.get("uri"),
            "connectionType": given.get("connectionType"),
            "credentials": given.get("credentials"),
            "passthroughBehavior": given.get("passthroughBehavior"),
            "cacheNamespace": given.get("cacheNamespace"),
            "cacheKeyParameters": given.get("cacheKeyParameters"),
            "timeoutInMillis": given.get("timeoutInMillis"),
            "responseTransferMode": given.get("responseTransferMode"),
            "requestParameters": given.get("requestParameters"),
            "requestTemplates": given.get("requestTemplates"),
        },
        resource.id,
    )
    responses = {}
    for pattern, response in given.get("responses", {}).items():
        made = integrations.make_response(
            {
                "statusCode": response.get("statusCode") or pattern,
                "selectionPattern": None if pattern == "default" else pattern,
                "responseParameters": response.get("responseParameters"),
                "responseTemplates": response.get("responseTemplates"),
            }
        )
        responses[made.status_code] = made
    if responses:
        integration.integration_responses = responses
    return integration


def _import_error(what: str) -> ServiceError:
    return ServiceError("BadRequestException", f"Errors found during import:\n\t{what}")
