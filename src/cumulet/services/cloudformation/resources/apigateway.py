"""AWS::ApiGateway::RestApi, Resource, Method, Deployment and Stage."""

import json
from collections.abc import Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    own_tags,
    refuse_changes,
    resource_type,
)

_GONE = "NotFoundException"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _lowered(value: Any) -> Any:
    """Return a property's value with the member names that API Gateway's first API has: `Types` is `types` there."""
    if isinstance(value, Mapping):
        return {_lower(str(name)): _lowered(child) for name, child in value.items()}
    return [_lowered(child) for child in value] if isinstance(value, list) else value


async def _set_tags(desk: Desk, path: str, old: Properties, new: Properties) -> None:
    arn = f"arn:aws:apigateway:{desk.scope.region}::{path}"
    tags = desk.merged_tags(new)
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("apigateway", "UntagResource", {"resourceArn": arn, "tagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("apigateway", "TagResource", {"resourceArn": arn, "tags": tags})


# RestApi

_API = (
    "Name Description BinaryMediaTypes EndpointConfiguration MinimumCompressionSize ApiKeySourceType Policy"
    " DisableExecuteApiEndpoint"
)


def _body(properties: Properties) -> bytes | None:
    body = properties.get("Body")
    return None if body is None else json.dumps(body).encode()


async def _create_api(desk: Desk, properties: Properties) -> Made:
    body = _body(properties)
    name = properties.get("Name") or _title(properties)
    if name is None:
        raise ResourceFailed("Name is required unless the Body has a title")
    policy = properties.get("Policy")
    params = {
        "name": name,
        "description": properties.get("Description"),
        "binaryMediaTypes": properties.get("BinaryMediaTypes"),
        "endpointConfiguration": _lowered(properties.get("EndpointConfiguration")),
        "minimumCompressionSize": properties.get("MinimumCompressionSize"),
        "apiKeySource": properties.get("ApiKeySourceType"),
        "policy": json.dumps(policy) if isinstance(policy, Mapping) else policy,
        "disableExecuteApiEndpoint": properties.get("DisableExecuteApiEndpoint"),
        "tags": desk.merged_tags(properties) or None,
    }
    api_id = (await desk.call("apigateway", "CreateRestApi", params))["id"]
    if body is not None:
        try:
            await _put_body(desk, api_id, properties)
        except (ServiceError, ResourceFailed):
            # Its id is known to nobody yet, so it must go here.
            await desk.drop("apigateway", "DeleteRestApi", {"restApiId": api_id}, _GONE)
            raise
    return await _made_api(desk, api_id)


def _title(properties: Properties) -> str | None:
    body = properties.get("Body")
    title = (body.get("info") or {}).get("title") if isinstance(body, Mapping) else None
    return None if title is None else str(title)


async def _put_body(desk: Desk, api_id: str, properties: Properties) -> None:
    params = {
        "restApiId": api_id,
        # Over an API that has nothing yet, merging keeps the name and description that the properties gave.
        "mode": properties.get("Mode", "merge"),
        "failOnWarnings": properties.get("FailOnWarnings"),
        "parameters": properties.get("Parameters"),
        "body": _body(properties),
    }
    await desk.call("apigateway", "PutRestApi", params)


async def _made_api(desk: Desk, api_id: str) -> Made:
    resources = await desk.call("apigateway", "GetResources", {"restApiId": api_id, "limit": 500})
    root = next(item["id"] for item in resources["items"] if item["path"] == "/")
    return Made(api_id, {"RootResourceId": root, "RestApiId": api_id})


async def _update_api(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    refuse_changes(
        "AWS::ApiGateway::RestApi",
        "EndpointConfiguration MinimumCompressionSize ApiKeySourceType Policy DisableExecuteApiEndpoint",
        old,
        new,
    )
    api_id = made.physical_id
    if new.get("Body") is not None and any(new.get(member) != old.get(member) for member in ("Body", "Parameters")):
        await _put_body(desk, api_id, {"Mode": "overwrite", **new})
        # That set the name and the rest to what the document says; the properties win again below.
        old = {name: value for name, value in old.items() if name not in ("Name", "Description", "BinaryMediaTypes")}
    elif new.get("Body") is None and old.get("Body") is not None:
        raise ResourceFailed("Removing the property Body of AWS::ApiGateway::RestApi is not implemented by Cumulet.")
    patches = [
        {"op": "replace", "path": f"/{_lower(member)}", "value": new.get(member) or ""}
        for member in ("Name", "Description")
        if new.get(member) != old.get(member) and (member != "Name" or new.get(member))
    ]
    before, after = set(old.get("BinaryMediaTypes") or []), set(new.get("BinaryMediaTypes") or [])
    for op, kinds in (("remove", before - after), ("add", after - before)):
        patches += [{"op": op, "path": f"/binaryMediaTypes/{kind.replace('/', '~1')}"} for kind in sorted(kinds)]
    if patches:
        await desk.call("apigateway", "UpdateRestApi", {"restApiId": api_id, "patchOperations": patches})
    await _set_tags(desk, f"/restapis/{api_id}", old, new)
    return await _made_api(desk, api_id)


async def _delete_api(desk: Desk, api_id: str, properties: Properties) -> None:
    await desk.drop("apigateway", "DeleteRestApi", {"restApiId": api_id}, _GONE)


REST_API = resource_type(
    "AWS::ApiGateway::RestApi",
    objects="Body Parameters",
    entries={"BinaryMediaTypes": "", "Tags": "Key Value"},
    create=_create_api,
    update=_update_api,
    delete=_delete_api,
    properties=f"{_API} Body FailOnWarnings Mode Parameters Tags",
    not_built="BodyS3Location CloneFrom EndpointAccessMode SecurityPolicy",
    attributes="RestApiId RootResourceId",
)


# Resource


async def _create_resource(desk: Desk, properties: Properties) -> Made:
    output = await desk.call("apigateway", "CreateResource", _lowered(properties))
    return Made(output["id"], {"ResourceId": output["id"]})


async def _delete_resource(desk: Desk, resource_id: str, properties: Properties) -> None:
    params = {"restApiId": properties["RestApiId"], "resourceId": resource_id}
    await desk.drop("apigateway", "DeleteResource", params, _GONE)


RESOURCE = resource_type(
    "AWS::ApiGateway::Resource",
    create=_create_resource,
    update=None,
    delete=_delete_resource,
    properties="ParentId PathPart RestApiId",
    required="ParentId PathPart RestApiId",
    attributes="ResourceId",
)


# Method

_METHOD = (
    "ApiKeyRequired AuthorizationScopes AuthorizationType AuthorizerId OperationName RequestModels RequestParameters"
    " RequestValidatorId"
)
_INTEGRATION = (
    "CacheKeyParameters CacheNamespace ConnectionId ConnectionType ContentHandling Credentials PassthroughBehavior"
    " RequestParameters RequestTemplates ResponseTransferMode TimeoutInMillis Type Uri"
)


async def _put_method(desk: Desk, properties: Properties) -> Made:
    place = {_lower(name): properties[name] for name in ("RestApiId", "ResourceId", "HttpMethod")}
    method = {_lower(name): properties.get(name) for name in _METHOD.split()}
    await desk.call(
        "apigateway", "PutMethod", {**place, **method, "authorizationType": properties.get("AuthorizationType", "NONE")}
    )
    integration = dict(properties.get("Integration") or {})
    responses = integration.pop("IntegrationResponses", None) or []
    if integration:
        given = {_lower(name): integration.pop(name, None) for name in _INTEGRATION.split()}
        given["integrationHttpMethod"] = integration.pop("IntegrationHttpMethod", None)
        if integration:
            raise ResourceFailed(
                f"Properties validation failed: extraneous key [{sorted(integration)[0]}] is not permitted"
            )
        await desk.call("apigateway", "PutIntegration", {**place, **given})
    for response in properties.get("MethodResponses") or []:
        await desk.call("apigateway", "PutMethodResponse", {**place, **_response(response)})
    for response in responses:
        await desk.call("apigateway", "PutIntegrationResponse", {**place, **_response(response)})
    return Made("|".join([properties["RestApiId"], properties["ResourceId"], properties["HttpMethod"]]))


def _response(response: Mapping[str, Any]) -> dict[str, Any]:
    return {_lower(name): value for name, value in response.items()}


async def _update_method(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await _delete_method(desk, made.physical_id, new)
    return await _put_method(desk, new)


async def _delete_method(desk: Desk, physical_id: str, properties: Properties) -> None:
    place = {_lower(name): properties[name] for name in ("RestApiId", "ResourceId", "HttpMethod")}
    await desk.drop("apigateway", "DeleteMethod", place, _GONE)


METHOD = resource_type(
    "AWS::ApiGateway::Method",
    objects="Integration",
    entries={"MethodResponses": "StatusCode"},
    create=_put_method,
    update=_update_method,
    delete=_delete_method,
    properties=f"HttpMethod Integration MethodResponses ResourceId RestApiId {_METHOD}",
    required="HttpMethod ResourceId RestApiId",
    immutable="HttpMethod ResourceId RestApiId",
)


# Deployment


async def _create_deployment(desk: Desk, properties: Properties) -> Made:
    output = await desk.call("apigateway", "CreateDeployment", _lowered(properties))
    return Made(output["id"], {"DeploymentId": output["id"]})


async def _delete_deployment(desk: Desk, deployment_id: str, properties: Properties) -> None:
    api_id, stage_name = properties["RestApiId"], properties.get("StageName")
    if stage_name is not None:
        # The stage that the deployment made along with itself, unless a later deployment has taken it over.
        place = {"restApiId": api_id, "stageName": stage_name}
        try:
            stage = await desk.call("apigateway", "GetStage", place)
        except ServiceError as error:
            if error.code != _GONE:
                raise
        else:
            if stage.get("deploymentId") == deployment_id:
                await desk.drop("apigateway", "DeleteStage", place, _GONE)
    params = {"restApiId": api_id, "deploymentId": deployment_id}
    await desk.drop("apigateway", "DeleteDeployment", params, _GONE)


DEPLOYMENT = resource_type(
    "AWS::ApiGateway::Deployment",
    create=_create_deployment,
    update=None,
    delete=_delete_deployment,
    properties="Description RestApiId StageName",
    required="RestApiId",
    not_built="DeploymentCanarySettings StageDescription",
    attributes="DeploymentId",
)


# Stage

_STAGE = "CacheClusterEnabled CacheClusterSize DeploymentId Description DocumentationVersion TracingEnabled Variables"


async def _create_stage(desk: Desk, properties: Properties) -> Made:
    params = {_lower(name): properties.get(name) for name in _STAGE.split()}
    place = {"restApiId": properties["RestApiId"], "stageName": properties["StageName"]}
    await desk.call("apigateway", "CreateStage", {**params, **place, "tags": desk.merged_tags(properties) or None})
    return Made(properties["StageName"])


async def _update_stage(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    refuse_changes(
        "AWS::ApiGateway::Stage", "CacheClusterEnabled CacheClusterSize DocumentationVersion TracingEnabled", old, new
    )
    patches = [
        {"op": "replace", "path": f"/{_lower(member)}", "value": new.get(member) or ""}
        for member in ("DeploymentId", "Description")
        if new.get(member) != old.get(member)
    ]
    before, after = old.get("Variables") or {}, new.get("Variables") or {}
    patches += [{"op": "remove", "path": f"/variables/{name}"} for name in sorted(before.keys() - after.keys())]
    patches += [
        {"op": "replace", "path": f"/variables/{name}", "value": str(value)}
        for name, value in after.items()
        if before.get(name) != value
    ]
    api_id = new["RestApiId"]
    if patches:
        params = {"restApiId": api_id, "stageName": made.physical_id, "patchOperations": patches}
        await desk.call("apigateway", "UpdateStage", params)
    await _set_tags(desk, f"/restapis/{api_id}/stages/{made.physical_id}", old, new)
    return made


async def _delete_stage(desk: Desk, stage_name: str, properties: Properties) -> None:
    params = {"restApiId": properties["RestApiId"], "stageName": stage_name}
    await desk.drop("apigateway", "DeleteStage", params, _GONE)


STAGE = resource_type(
    "AWS::ApiGateway::Stage",
    objects="Variables",
    entries={"Tags": "Key Value"},
    create=_create_stage,
    update=_update_stage,
    delete=_delete_stage,
    properties=f"RestApiId StageName Tags {_STAGE}",
    required="RestApiId StageName",
    immutable="RestApiId StageName",
    not_built="AccessLogSetting CanarySetting ClientCertificateId MethodSettings",
)
