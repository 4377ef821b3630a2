"""AWS::ApiGatewayV2::Api, Integration, Route and Stage."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from cumulet.services.cloudformation.resources.apigateway import has_document, read_document
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    as_objects,
    as_text,
    mistyped,
    own_tags,
    resource_type,
)

_GONE = "NotFoundException"


async def _call(desk: Desk, operation: str, params: Properties) -> Any:
    return await desk.call("apigatewayv2", operation, params)


async def _make(desk: Desk, operation: str, params: Properties, identity: str) -> Any:
    return await desk.make("apigatewayv2", operation, params, itemgetter(identity))


async def _set_tags(desk: Desk, path: str, old: Properties, new: Properties) -> None:
    arn = f"arn:aws:apigateway:{desk.scope.region}::{path}"
    tags = desk.merged_tags(new)
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await _call(desk, "UntagResource", {"ResourceArn": arn, "TagKeys": removed})
    if tags and tags != own_tags(old):
        await _call(desk, "TagResource", {"ResourceArn": arn, "Tags": tags})


def _without(properties: Properties, *names: str) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in names}


def _emptied(old: Any, new: Any, empty: Any = "") -> dict[str, Any]:
    """Return a map for an update, which adds to what was there: what is gone stands in it as empty."""
    after = _map(new)
    return {**dict.fromkeys(sorted(_map(old).keys() - after.keys()), empty), **after}


def _map(value: Any) -> Mapping[str, Any]:
    """Return a map; what is none is refused by the operation that gets it."""
    return value if isinstance(value, Mapping) else {}


# Api

_API = (
    "ApiKeySelectionExpression CorsConfiguration CredentialsArn Description DisableExecuteApiEndpoint"
    " DisableSchemaValidation IpAddressType Name ProtocolType RouteKey RouteSelectionExpression Target Version"
)


_TYPE = "AWS::ApiGatewayV2::Api"
_DOCUMENT = ("BasePath", "Body", "BodyS3Location")
"""Properties that an import depends on."""
_QUICK = ("CredentialsArn", "RouteKey", "Target")
"""Properties of quick create, which makes what a document describes."""
_QUICK_DEFAULTS = {"CredentialsArn": "", "RouteKey": "$default"}


async def _import_params(desk: Desk, properties: Properties) -> dict[str, Any]:
    try:
        body = (await read_document(desk, _TYPE, properties)).decode()
    except UnicodeDecodeError:
        raise ResourceFailed("Invalid OpenAPI input.") from None
    return {
        "Body": body,
        "FailOnWarnings": properties.get("FailOnWarnings"),
        "Basepath": properties.get("BasePath"),
    }


async def _create_api(desk: Desk, properties: Properties) -> Made:
    tags = desk.merged_tags(properties)
    if not has_document(properties):
        if properties.get("Name") is None or properties.get("ProtocolType") is None:
            raise ResourceFailed("Name and ProtocolType are required unless there is a Body")
        given = _without(properties, "FailOnWarnings", "BasePath", "Tags")
        output = await _make(desk, "CreateApi", {**given, "Tags": tags or None}, "ApiId")
        return _made_api(output)
    if beside := [name for name in _QUICK if properties.get(name) is not None]:
        raise ResourceFailed(f"The property {beside[0]} beside a Body is not implemented by Cumulet.")
    made = _made_api(await _make(desk, "ImportApi", await _import_params(desk, properties), "ApiId"))
    await _set_beside_body(desk, made.physical_id, {}, properties)
    await _set_tags(desk, f"/apis/{made.physical_id}", {}, properties)
    return made


def _made_api(output: Any) -> Made:
    return Made(output["ApiId"], {"ApiEndpoint": output["ApiEndpoint"], "ApiId": output["ApiId"]})


async def _set_beside_body(desk: Desk, api_id: str, old: Properties, new: Properties) -> None:
    beside = [name for name in _API.split() if name not in ("ProtocolType", *_QUICK)]
    changed = {name: new.get(name) for name in beside if new.get(name) != old.get(name)}
    if "CorsConfiguration" in changed and changed["CorsConfiguration"] is None:
        await _call(desk, "DeleteCorsConfiguration", {"ApiId": api_id})
        del changed["CorsConfiguration"]
    if gone := sorted(
        name for name, value in changed.items() if value is None and name not in ("Description", "Version")
    ):
        raise ResourceFailed(
            f"Removing the property {gone[0]} of AWS::ApiGatewayV2::Api is not implemented by Cumulet."
        )
    if changed:
        given = {name: "" if value is None else value for name, value in changed.items()}
        await _call(desk, "UpdateApi", {"ApiId": api_id, **given})


async def _update_quick(desk: Desk, api_id: str, old: Properties, new: Properties) -> None:
    """Change what quick create made. That it made something cannot be undone, nor done later, as AWS has it."""
    changed = {name: new.get(name) for name in _QUICK if new.get(name) != old.get(name)}
    if new.get("Target") is None and changed:
        made = await _call(desk, "GetIntegrations", {"ApiId": api_id})
        if any(one.get("ApiGatewayManaged") for one in made["Items"]):
            raise ResourceFailed("The property Target of AWS::ApiGatewayV2::Api cannot be removed.")
    elif changed:
        given = {name: _QUICK_DEFAULTS.get(name) if value is None else value for name, value in changed.items()}
        await _call(desk, "UpdateApi", {"ApiId": api_id, **given})


async def _update_api(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    api_id = made.physical_id
    if has_document(new) != has_document(old):
        raise ResourceFailed("Adding or removing Body of AWS::ApiGatewayV2::Api is not implemented by Cumulet.")
    await _update_quick(desk, api_id, old, new)
    if has_document(new) and any(new.get(name) != old.get(name) for name in _DOCUMENT):
        await _call(desk, "ReimportApi", {"ApiId": api_id, **await _import_params(desk, new)})
        # That set the name and the rest to what the document says; the properties win again.
        await _set_beside_body(desk, api_id, {}, new)
    else:
        await _set_beside_body(desk, api_id, old, new)
    await _set_tags(desk, f"/apis/{api_id}", old, new)
    return made


async def _delete_api(desk: Desk, api_id: str, properties: Properties) -> None:
    await desk.drop("apigatewayv2", "DeleteApi", {"ApiId": api_id}, _GONE)


API = resource_type(
    _TYPE,
    objects="Body BodyS3Location Tags",
    create=_create_api,
    update=_update_api,
    delete=_delete_api,
    properties=f"BasePath Body BodyS3Location FailOnWarnings Tags {_API}",
    immutable="ProtocolType",
    attributes="ApiEndpoint ApiId",
)


# Integration and Route: the properties are the operation's own members, but for what is made of responses.


def _integration(properties: Properties) -> Properties:
    by_status = properties.get("ResponseParameters")
    if not isinstance(by_status, Mapping):
        return properties
    return {
        **properties,
        "ResponseParameters": {
            status: _response_parameters(given, f"#/ResponseParameters/{status}") for status, given in by_status.items()
        },
    }


def _response_parameters(given: Any, path: str) -> dict[str, Any]:
    """Return as the API has it, as a map, what templates have as a list.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-apigatewayv2-integration-responseparameter.html
    """
    if not isinstance(given, Mapping):
        raise mistyped(path, "JSONObject", given)
    if extra := sorted(given.keys() - {"ResponseParameters"}):
        raise ResourceFailed(
            f"Properties validation failed with message:\n{path}: extraneous key [{extra[0]}] is not permitted"
        )
    path = f"{path}/ResponseParameters"
    found = {}
    for index, one in enumerate(as_objects(given.get("ResponseParameters"), path)):
        for key in ("Destination", "Source"):
            if key not in one:
                raise ResourceFailed(
                    f"Properties validation failed with message:\n{path}/{index}: required key [{key}] not found"
                )
        found[as_text(one["Destination"], f"{path}/{index}/Destination")] = one["Source"]
    return found


_INTEGRATION_DEFAULTS: dict[str, Any] = {"CredentialsArn": "", "Description": "", "TimeoutInMillis": 30_000}
_ROUTE_DEFAULTS: dict[str, Any] = {"AuthorizationScopes": [], "AuthorizationType": "NONE", "OperationName": ""}
"""What an update says of properties that a template no longer has."""


async def _create_integration(desk: Desk, properties: Properties) -> Made:
    integration_id = (await _make(desk, "CreateIntegration", _integration(properties), "IntegrationId"))[
        "IntegrationId"
    ]
    return Made(integration_id, {"IntegrationId": integration_id})


async def _update_integration(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    before, given = _integration(old), dict(_integration(new))
    for name, empty in (("RequestParameters", ""), ("ResponseParameters", {})):
        if mapped := _emptied(before.get(name), given.get(name), empty):
            given[name] = mapped
    gone = [name for name in _INTEGRATION_DEFAULTS if name in before and name not in given]
    given |= {name: _INTEGRATION_DEFAULTS[name] for name in gone}
    await _call(desk, "UpdateIntegration", {**given, "IntegrationId": made.physical_id})
    return made


async def _delete_integration(desk: Desk, integration_id: str, properties: Properties) -> None:
    params = {"ApiId": properties["ApiId"], "IntegrationId": integration_id}
    await desk.drop("apigatewayv2", "DeleteIntegration", params, _GONE)


INTEGRATION = resource_type(
    "AWS::ApiGatewayV2::Integration",
    create=_create_integration,
    update=_update_integration,
    delete=_delete_integration,
    properties="ApiId ConnectionId ConnectionType ContentHandlingStrategy CredentialsArn Description IntegrationMethod"
    " IntegrationSubtype IntegrationType IntegrationUri PassthroughBehavior PayloadFormatVersion RequestParameters"
    " RequestTemplates ResponseParameters TemplateSelectionExpression TimeoutInMillis TlsConfig",
    required="ApiId IntegrationType",
    immutable="ApiId",
    attributes="IntegrationId",
)


async def _create_route(desk: Desk, properties: Properties) -> Made:
    route_id = (await _make(desk, "CreateRoute", properties, "RouteId"))["RouteId"]
    return Made(route_id, {"RouteId": route_id})


async def _update_route(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    gone = old.keys() - new.keys()
    if "Target" in gone:
        raise ResourceFailed("Removing the property Target of AWS::ApiGatewayV2::Route is not implemented by Cumulet.")
    defaults = {name: value for name, value in _ROUTE_DEFAULTS.items() if name in gone}
    await _call(desk, "UpdateRoute", {**defaults, **new, "RouteId": made.physical_id})
    return made


async def _delete_route(desk: Desk, route_id: str, properties: Properties) -> None:
    await desk.drop("apigatewayv2", "DeleteRoute", {"ApiId": properties["ApiId"], "RouteId": route_id}, _GONE)


ROUTE = resource_type(
    "AWS::ApiGatewayV2::Route",
    create=_create_route,
    update=_update_route,
    delete=_delete_route,
    properties="ApiId ApiKeyRequired AuthorizationScopes AuthorizationType AuthorizerId ModelSelectionExpression"
    " OperationName RequestModels RequestParameters RouteKey RouteResponseSelectionExpression Target",
    required="ApiId RouteKey",
    immutable="ApiId",
    attributes="RouteId",
)


# Stage


async def _create_stage(desk: Desk, properties: Properties) -> Made:
    given = _without(properties, "Tags")
    await _make(desk, "CreateStage", {**given, "Tags": desk.merged_tags(properties) or None}, "StageName")
    return Made(properties["StageName"])


async def _update_stage(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    given, before = _without(new, "Tags"), _without(old, "Tags")
    at = {"ApiId": new["ApiId"], "StageName": made.physical_id}
    gone = before.keys() - given.keys()
    if lasting := sorted(gone - {"AccessLogSettings", "Description", "RouteSettings", "StageVariables"}):
        raise ResourceFailed(
            f"Removing the property {lasting[0]} of AWS::ApiGatewayV2::Stage is not implemented by Cumulet."
        )
    if "AccessLogSettings" in gone:
        await _call(desk, "DeleteAccessLogSettings", at)
    for key, settings in _map(before.get("RouteSettings")).items():
        if _map(given.get("RouteSettings")).get(key) != settings:
            # An update of them would keep the members that are gone.
            await desk.drop("apigatewayv2", "DeleteRouteSettings", {**at, "RouteKey": key}, _GONE)
    if given != before:
        if "Description" in gone:
            given["Description"] = ""
        if variables := _emptied(before.get("StageVariables"), given.get("StageVariables")):
            given["StageVariables"] = variables
        await _call(desk, "UpdateStage", given)
    await _set_tags(desk, f"/apis/{new['ApiId']}/stages/{made.physical_id}", old, new)
    return made


async def _delete_stage(desk: Desk, stage_name: str, properties: Properties) -> None:
    params = {"ApiId": properties["ApiId"], "StageName": stage_name}
    await desk.drop("apigatewayv2", "DeleteStage", params, _GONE)


STAGE = resource_type(
    "AWS::ApiGatewayV2::Stage",
    objects="Tags",
    create=_create_stage,
    update=_update_stage,
    delete=_delete_stage,
    properties="ApiId AutoDeploy ClientCertificateId DefaultRouteSettings DeploymentId Description RouteSettings"
    " StageName StageVariables AccessLogSettings Tags",
    required="ApiId StageName",
    immutable="ApiId StageName",
    not_built="AccessPolicyId",
)
