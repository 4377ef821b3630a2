"""AWS::ApiGateway::RestApi, Resource and Method."""

import asyncio
import json
from collections.abc import Mapping
from operator import itemgetter
from time import gmtime, strftime
from typing import Any

from cumulet.services.cloudformation.limits import DEFINITION_BYTES_MAX
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    as_objects,
    as_text,
    own_tags,
    refuse_changes,
    resource_type,
)

_GONE = "NotFoundException"


def lower(name: str) -> str:
    """Return a member's name as API Gateway's first API has it."""
    return name[:1].lower() + name[1:]


def lowered(value: Any) -> Any:
    """Return a property's value with the member names that API Gateway's first API has: `Types` is `types` there."""
    if isinstance(value, Mapping):
        return {lower(str(name)): lowered(child) for name, child in value.items()}
    return [lowered(child) for child in value] if isinstance(value, list) else value


def text_of(value: Any) -> str:
    """Return a property's value as a patch has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


async def set_tags(desk: Desk, path: str, old: Properties, new: Properties) -> None:
    """Give what lies at a path its new tags, and the stack's."""
    arn = f"arn:aws:apigateway:{desk.scope.region}::{path}"
    tags = desk.merged_tags(new)
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("apigateway", "UntagResource", {"resourceArn": arn, "tagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("apigateway", "TagResource", {"resourceArn": arn, "tags": tags})


# RestApi

_API = (
    "Name Description BinaryMediaTypes EndpointConfiguration MinimumCompressionSize ApiKeySourceType Policy"
    " DisableExecuteApiEndpoint EndpointAccessMode SecurityPolicy"
)


_PATCHED = {
    "Name": "/name",
    "Description": "/description",
    "MinimumCompressionSize": "/minimumCompressionSize",
    "ApiKeySourceType": "/apiKeySource",
    "Policy": "/policy",
    "DisableExecuteApiEndpoint": "/disableExecuteApiEndpoint",
    "EndpointAccessMode": "/endpointAccessMode",
    "SecurityPolicy": "/securityPolicy",
}
"""Properties that are one value, with the paths of patches that change them."""


_TYPE = "AWS::ApiGateway::RestApi"
_DOCUMENT = ("Body", "BodyS3Location", "Parameters")
"""Properties that an import depends on."""


def has_document(properties: Properties) -> bool:
    """Return whether an API is described by a document."""
    return properties.get("Body") is not None or properties.get("BodyS3Location") is not None


async def read_document(desk: Desk, type_name: str, properties: Properties) -> bytes:
    """Return an API's document, from the template or from S3."""
    if properties.get("Body") is not None:
        if properties.get("BodyS3Location") is not None:
            raise ResourceFailed("Body and BodyS3Location cannot both be specified")
        return json.dumps(properties["Body"]).encode()
    location = properties["BodyS3Location"]
    if not {"Bucket", "Key"} <= location.keys():
        raise ResourceFailed("Properties validation failed: #/BodyS3Location: Bucket and Key are required")
    for name in sorted(location.keys() - {"Bucket", "Key", "ETag", "Etag"}):
        raise ResourceFailed(f"The property BodyS3Location.{name} of {type_name} is not implemented by Cumulet.")
    etag = location.get("ETag", location.get("Etag"))  # the two versions of API Gateway write it differently
    params = {"Bucket": location["Bucket"], "Key": location["Key"], "IfMatch": etag}
    body: bytes = (await desk.call("s3", "GetObject", params))["Body"]
    if len(body) > DEFINITION_BYTES_MAX:
        raise ResourceFailed("The API definition is larger than 6 MB")
    return body


async def _create_api(desk: Desk, properties: Properties) -> Made:
    name = properties.get("Name") or await _title(desk, properties)
    if name is None and not has_document(properties):
        raise ResourceFailed("Name is required unless there is a Body")
    policy = properties.get("Policy")
    params = {
        # As an import calls an API whose document has no title.
        "name": name or strftime("Imported on %Y-%m-%dT%H:%M:%SZ", gmtime(desk.clock.now_ms() // 1000)),
        "description": properties.get("Description"),
        "binaryMediaTypes": properties.get("BinaryMediaTypes"),
        "endpointConfiguration": lowered(properties.get("EndpointConfiguration")),
        "minimumCompressionSize": properties.get("MinimumCompressionSize"),
        "apiKeySource": properties.get("ApiKeySourceType"),
        "policy": json.dumps(policy) if isinstance(policy, Mapping) else policy,
        "disableExecuteApiEndpoint": properties.get("DisableExecuteApiEndpoint"),
        "endpointAccessMode": properties.get("EndpointAccessMode"),
        "securityPolicy": properties.get("SecurityPolicy"),
        "cloneFrom": properties.get("CloneFrom"),
        "tags": desk.merged_tags(properties) or None,
    }
    api_id = (await desk.make("apigateway", "CreateRestApi", params, itemgetter("id")))["id"]
    if has_document(properties):
        await _put_body(desk, api_id, properties)
        if properties.get("Description") is not None:  # which a document's own does not replace
            patches = [{"op": "replace", "path": "/description", "value": properties["Description"]}]
            await desk.call("apigateway", "UpdateRestApi", {"restApiId": api_id, "patchOperations": patches})
    return await _made_api(desk, api_id)


async def _title(desk: Desk, properties: Properties) -> str | None:
    body = properties.get("Body")
    if body is None and has_document(properties):
        import yaml  # which reads JSON as well

        document = await read_document(desk, _TYPE, properties)
        try:
            # A large one takes seconds; other requests go on meanwhile.
            body = await asyncio.to_thread(yaml.load, document, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ResourceFailed("Invalid OpenAPI input.") from None
    info = body.get("info") if isinstance(body, Mapping) else None
    title = info.get("title") if isinstance(info, Mapping) else None
    return str(title) if title else None


async def _put_body(desk: Desk, api_id: str, properties: Properties) -> None:
    params = {
        "restApiId": api_id,
        # Over an API that has nothing yet, merging keeps the name that the properties gave.
        "mode": properties.get("Mode", "merge"),
        "failOnWarnings": properties.get("FailOnWarnings"),
        "parameters": properties.get("Parameters"),
        "body": await read_document(desk, _TYPE, properties),
    }
    await desk.call("apigateway", "PutRestApi", params)


async def _made_api(desk: Desk, api_id: str) -> Made:
    resources = await desk.call("apigateway", "GetResources", {"restApiId": api_id, "limit": 500})
    root = next(item["id"] for item in resources["items"] if item["path"] == "/")
    return Made(api_id, {"RootResourceId": root, "RestApiId": api_id})


async def _update_api(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    refuse_changes("AWS::ApiGateway::RestApi", "CloneFrom", old, new)
    api_id = made.physical_id
    if has_document(new) and any(new.get(member) != old.get(member) for member in _DOCUMENT):
        await _put_body(desk, api_id, {"Mode": "overwrite", **new})
        # That set the name and the rest to what the document says; the properties win again below.
        old = {name: value for name, value in old.items() if name not in (*_PATCHED, "BinaryMediaTypes")}
    elif has_document(old) and not has_document(new):
        raise ResourceFailed("Removing the property Body of AWS::ApiGateway::RestApi is not implemented by Cumulet.")
    patches = [
        {"op": "replace", "path": path, "value": text_of(_patch_value(new.get(member)))}
        for member, path in _PATCHED.items()
        if new.get(member) != old.get(member) and (member != "Name" or new.get(member))
    ]
    patches += _endpoint_patches(old, new)
    before, after = set(old.get("BinaryMediaTypes") or []), set(new.get("BinaryMediaTypes") or [])
    for op, kinds in (("remove", before - after), ("add", after - before)):
        patches += [{"op": op, "path": f"/binaryMediaTypes/{kind.replace('/', '~1')}"} for kind in sorted(kinds)]
    if patches:
        await desk.call("apigateway", "UpdateRestApi", {"restApiId": api_id, "patchOperations": patches})
    await set_tags(desk, f"/restapis/{api_id}", old, new)
    return await _made_api(desk, api_id)


def _endpoint_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    before, after = old.get("EndpointConfiguration") or {}, new.get("EndpointConfiguration") or {}
    if before.get("VpcEndpointIds") != after.get("VpcEndpointIds"):
        raise ResourceFailed(
            "Changing the property EndpointConfiguration.VpcEndpointIds of AWS::ApiGateway::RestApi is not implemented "
            "by Cumulet."
        )
    patches = []
    if (types := after.get("Types") or ["EDGE"]) != (before.get("Types") or ["EDGE"]):
        patches.append({"op": "replace", "path": "/endpointConfiguration/types/0", "value": str(types[0])})
    if (kind := after.get("IpAddressType") or "ipv4") != (before.get("IpAddressType") or "ipv4"):
        patches.append({"op": "replace", "path": "/endpointConfiguration/ipAddressType", "value": str(kind)})
    return patches


def _patch_value(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, Mapping) else value


async def _delete_api(desk: Desk, api_id: str, properties: Properties) -> None:
    await desk.drop("apigateway", "DeleteRestApi", {"restApiId": api_id}, _GONE)


REST_API = resource_type(
    _TYPE,
    objects="Body BodyS3Location Parameters",
    entries={"BinaryMediaTypes": "", "Tags": "Key Value"},
    create=_create_api,
    update=_update_api,
    delete=_delete_api,
    properties=f"{_API} Body BodyS3Location CloneFrom FailOnWarnings Mode Parameters Tags",
    attributes="RestApiId RootResourceId",
)


# Resource


async def _create_resource(desk: Desk, properties: Properties) -> Made:
    output = await desk.make("apigateway", "CreateResource", lowered(properties), itemgetter("id"))
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
    place = _place(properties)
    method = {lower(name): properties.get(name) for name in _METHOD.split()}
    physical_id = "|".join(place.values())
    params = {**place, **method, "authorizationType": properties.get("AuthorizationType", "NONE")}
    await desk.make("apigateway", "PutMethod", params, lambda _: physical_id)
    integration = dict(properties.get("Integration") or {})
    responses = as_objects(integration.pop("IntegrationResponses", None), "#/Integration/IntegrationResponses")
    if integration:
        given = {lower(name): integration.pop(name, None) for name in _INTEGRATION.split()}
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
    return Made(physical_id)


def _place(properties: Properties) -> dict[str, str]:
    return {lower(name): as_text(properties[name], f"#/{name}") for name in ("RestApiId", "ResourceId", "HttpMethod")}


def _response(response: Mapping[str, Any]) -> dict[str, Any]:
    return {lower(name): value for name, value in response.items()}


async def _update_method(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await _delete_method(desk, made.physical_id, new)
    return await _put_method(desk, new)


async def _delete_method(desk: Desk, physical_id: str, properties: Properties) -> None:
    place = _place(properties)
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
