"""AWS::ApiGateway::Deployment and Stage."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.resources.apigateway import lower, lowered, set_tags, text_of
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    as_objects,
    resource_type,
)

_GONE = "NotFoundException"

_STAGE = "CacheClusterEnabled CacheClusterSize DeploymentId Description DocumentationVersion TracingEnabled Variables"
METHOD_SETTINGS = {
    "CacheDataEncrypted": "caching/dataEncrypted",
    "CacheTtlInSeconds": "caching/ttlInSeconds",
    "CachingEnabled": "caching/enabled",
    "DataTraceEnabled": "logging/dataTrace",
    "LoggingLevel": "logging/loglevel",
    "MetricsEnabled": "metrics/enabled",
    "ThrottlingBurstLimit": "throttling/burstLimit",
    "ThrottlingRateLimit": "throttling/rateLimit",
}
_OF_DEPLOYMENT = "CacheClusterEnabled CacheClusterSize TracingEnabled Variables"
"""Of a StageDescription: what creating a deployment takes."""
_OF_STAGE = frozenset(
    ("AccessLogSetting", "CanarySetting", "ClientCertificateId", "DocumentationVersion", "MethodSettings")
)
"""And what is patched afterwards."""


# Deployment


async def _create_deployment(desk: Desk, properties: Properties) -> Made:
    described = dict(properties.get("StageDescription") or {})
    if described and "StageName" not in properties:
        raise ResourceFailed("StageDescription needs a StageName")
    place = {"restApiId": properties["RestApiId"], "stageName": properties.get("StageName")}
    own = {name: described.pop(name) for name in list(described) if name in METHOD_SETTINGS}
    if own:
        # What stands here by itself is meant for all methods.
        described["MethodSettings"] = [
            {"ResourcePath": "/*", "HttpMethod": "*", **own},
            *described.get("MethodSettings", ()),
        ]
    params = {
        **place,
        "description": properties.get("Description"),
        "canarySettings": lowered(properties.get("DeploymentCanarySettings")),
        "stageDescription": described.pop("Description", None),
        **{lower(name): described.pop(name, None) for name in _OF_DEPLOYMENT.split()},
    }
    tags = described.pop("Tags", None)
    if unknown := sorted(described.keys() - _OF_STAGE):
        raise ResourceFailed(f"Properties validation failed: extraneous key [{unknown[0]}] is not permitted")
    deployment_id = (await desk.make("apigateway", "CreateDeployment", params, itemgetter("id")))["id"]
    if patches := stage_patches({}, described):
        await desk.call("apigateway", "UpdateStage", {**place, "patchOperations": patches})
    if tags is not None:
        await set_tags(desk, f"/restapis/{place['restApiId']}/stages/{place['stageName']}", {}, {"Tags": tags})
    return Made(deployment_id, {"DeploymentId": deployment_id})


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
    objects="DeploymentCanarySettings StageDescription",
    properties="DeploymentCanarySettings Description RestApiId StageDescription StageName",
    required="RestApiId",
    attributes="DeploymentId",
)


# Stage


async def _create_stage(desk: Desk, properties: Properties) -> Made:
    params = {lower(name): properties.get(name) for name in _STAGE.split()}
    place = {"restApiId": properties["RestApiId"], "stageName": properties["StageName"]}
    canary = lowered(properties.get("CanarySetting"))
    tags = desk.merged_tags(properties) or None
    given = {**params, **place, "canarySettings": canary, "tags": tags}
    await desk.make("apigateway", "CreateStage", given, itemgetter("stageName"))
    # It was made with its canary and its documentation.
    if patches := stage_patches({}, {**properties, "CanarySetting": None, "DocumentationVersion": None}):
        await desk.call("apigateway", "UpdateStage", {**place, "patchOperations": patches})
    return Made(properties["StageName"])


async def _update_stage(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    patches = [
        {"op": "replace", "path": f"/{lower(member)}", "value": text_of(new.get(member))}
        for member in ("DeploymentId", "Description", "CacheClusterEnabled", "CacheClusterSize", "TracingEnabled")
        if new.get(member) != old.get(member)
    ]
    before, after = old.get("Variables") or {}, new.get("Variables") or {}
    patches += [{"op": "remove", "path": f"/variables/{name}"} for name in sorted(before.keys() - after.keys())]
    patches += [
        {"op": "replace", "path": f"/variables/{name}", "value": str(value)}
        for name, value in after.items()
        if before.get(name) != value
    ]
    patches += stage_patches(old, new)
    api_id = new["RestApiId"]
    if patches:
        params = {"restApiId": api_id, "stageName": made.physical_id, "patchOperations": patches}
        await desk.call("apigateway", "UpdateStage", params)
    await set_tags(desk, f"/restapis/{api_id}/stages/{made.physical_id}", old, new)
    return made


def stage_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    """Return what changes of a stage's canary, certificate, documentation, access log and methods."""
    return [
        *_canary_patches(old, new),
        *_named_patches(old, new),
        *_log_patches(old, new),
        *_method_patches(old, new),
    ]


def _named_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    return [
        {"op": "replace", "path": f"/{lower(name)}", "value": new.get(name) or ""}
        for name in ("ClientCertificateId", "DocumentationVersion")
        if (new.get(name) or "") != (old.get(name) or "")
    ]


def _log_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    before, after = old.get("AccessLogSetting") or {}, new.get("AccessLogSetting") or {}
    if before == after:
        return []
    if not after:
        return [{"op": "remove", "path": "/accessLogSettings"}]
    return [
        {"op": "replace", "path": f"/accessLogSettings/{lower(name)}", "value": text_of(value)}
        for name, value in after.items()
    ]


def _canary_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    before, after = old.get("CanarySetting") or {}, new.get("CanarySetting") or {}
    if before == after:
        return []
    patches = [{"op": "remove", "path": "/canarySettings"}] if before else []
    for name, value in after.items():
        members = value.items() if isinstance(value, Mapping) else [("", value)]
        patches += [
            {"op": "replace", "path": f"/canarySettings/{lower(name)}/{key}".rstrip("/"), "value": text_of(member)}
            for key, member in members
        ]
    return patches


def _method_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    before, after = _settings_by_method(old), _settings_by_method(new)
    if before == after:
        return []
    # Those for all methods first: the settings of one begin with them.
    patches = [{"op": "remove", "path": method} for method, settings in before.items() if settings]
    for method, settings in sorted(after.items(), key=lambda entry: entry[0] != "/*/*"):
        for name, value in settings.items():
            if name not in METHOD_SETTINGS:
                raise ResourceFailed(
                    f"Properties validation failed for MethodSettings: extraneous key [{name}] is not permitted"
                )
            patches.append({"op": "replace", "path": f"{method}/{METHOD_SETTINGS[name]}", "value": text_of(value)})
    return patches


def _settings_by_method(properties: Properties) -> dict[str, dict[str, Any]]:
    methods: dict[str, dict[str, Any]] = {}
    for given in as_objects(properties.get("MethodSettings"), "#/MethodSettings"):
        settings = dict(given)
        path = str(settings.pop("ResourcePath", "/*"))
        if "~1" not in path and path != "/*":
            path = "/" + path.replace("/", "~1")
        methods[f"{path}/{settings.pop('HttpMethod', '*')}"] = settings
    return methods


async def _delete_stage(desk: Desk, stage_name: str, properties: Properties) -> None:
    params = {"restApiId": properties["RestApiId"], "stageName": stage_name}
    await desk.drop("apigateway", "DeleteStage", params, _GONE)


STAGE = resource_type(
    "AWS::ApiGateway::Stage",
    objects="AccessLogSetting CanarySetting Variables",
    entries={"MethodSettings": "HttpMethod ResourcePath", "Tags": "Key Value"},
    create=_create_stage,
    update=_update_stage,
    delete=_delete_stage,
    properties=f"AccessLogSetting CanarySetting ClientCertificateId MethodSettings RestApiId StageName Tags {_STAGE}",
    required="RestApiId StageName",
    immutable="RestApiId StageName",
)
