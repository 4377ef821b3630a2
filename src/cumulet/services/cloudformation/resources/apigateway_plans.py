"""What of API Gateway belongs to an account: ApiKey, UsagePlan, UsagePlanKey, ClientCertificate and Account."""

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from cumulet.services.cloudformation.resources.apigateway import lower, lowered, set_tags, text_of
from cumulet.services.cloudformation.resources.kit import Desk, Made, Properties, resource_type

_GONE = "NotFoundException"


# ApiKey


async def _create_key(desk: Desk, properties: Properties) -> Made:
    params = {
        **lowered({name: value for name, value in properties.items() if name != "Tags"}),
        "name": properties.get("Name") or desk.name,
        "tags": desk.merged_tags(properties) or None,
    }
    key_id = (await desk.make("apigateway", "CreateApiKey", params, itemgetter("id")))["id"]
    return Made(key_id, {"APIKeyId": key_id})


async def _update_key(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    patches = [
        {"op": "replace", "path": f"/{lower(name)}", "value": text_of(new.get(name))}
        for name in ("CustomerId", "Description", "Enabled")
        if new.get(name) != old.get(name)
    ]
    before, after = _stage_keys(old), _stage_keys(new)
    for op, stages in (("remove", before - after), ("add", after - before)):
        patches += [{"op": op, "path": "/stages", "value": stage} for stage in sorted(stages)]
    if patches:
        params = {"apiKey": made.physical_id, "patchOperations": patches}
        await desk.call("apigateway", "UpdateApiKey", params)
    await set_tags(desk, f"/apikeys/{made.physical_id}", old, new)
    return made


def _stage_keys(properties: Properties) -> set[str]:
    return {f"{stage.get('RestApiId')}/{stage.get('StageName')}" for stage in properties.get("StageKeys") or ()}


async def _delete_key(desk: Desk, key_id: str, properties: Properties) -> None:
    await desk.drop("apigateway", "DeleteApiKey", {"apiKey": key_id}, _GONE)


API_KEY = resource_type(
    "AWS::ApiGateway::ApiKey",
    entries={"StageKeys": "RestApiId StageName", "Tags": "Key Value"},
    create=_create_key,
    update=_update_key,
    delete=_delete_key,
    properties="CustomerId Description Enabled GenerateDistinctId Name StageKeys Tags Value",
    immutable="GenerateDistinctId Name Value",
    attributes="APIKeyId",
)


# UsagePlan


async def _create_plan(desk: Desk, properties: Properties) -> Made:
    params = {
        "name": properties.get("UsagePlanName") or desk.name,
        "description": properties.get("Description"),
        "apiStages": lowered(properties.get("ApiStages")),
        "throttle": lowered(properties.get("Throttle")),
        "quota": lowered(properties.get("Quota")),
        "tags": desk.merged_tags(properties) or None,
    }
    plan_id = (await desk.make("apigateway", "CreateUsagePlan", params, itemgetter("id")))["id"]
    return Made(plan_id, {"Id": plan_id})


async def _update_plan(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    patches = []
    if new.get("UsagePlanName") != old.get("UsagePlanName"):
        patches.append({"op": "replace", "path": "/name", "value": new.get("UsagePlanName") or desk.name})
    if new.get("Description") != old.get("Description"):
        patches.append({"op": "replace", "path": "/description", "value": new.get("Description") or ""})
    for name in ("Throttle", "Quota"):
        if new.get(name) != old.get(name):
            path = f"/{lower(name)}"
            patches.append({"op": "remove", "path": path})
            patches += [
                {"op": "replace", "path": f"{path}/{lower(member)}", "value": text_of(value)}
                for member, value in (new.get(name) or {}).items()
            ]
    patches += _stage_patches(_stages(old), _stages(new))
    if patches:
        params = {"usagePlanId": made.physical_id, "patchOperations": patches}
        await desk.call("apigateway", "UpdateUsagePlan", params)
    await set_tags(desk, f"/usageplans/{made.physical_id}", old, new)
    return made


def _stages(properties: Properties) -> dict[str, Mapping[str, Any]]:
    """Return the throttling of a plan's stages, by api:stage."""
    return {
        f"{stage.get('ApiId')}:{stage.get('Stage')}": lowered(stage.get("Throttle") or {})
        for stage in properties.get("ApiStages") or ()
    }


def _stage_patches(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, str]]:
    patches = [{"op": "remove", "path": "/apiStages", "value": stage} for stage in sorted(before.keys() - after.keys())]
    for stage, throttle in after.items():
        if stage not in before:
            patches.append({"op": "add", "path": "/apiStages", "value": stage})
        if throttle != before.get(stage, {}):
            patches.append({"op": "replace", "path": f"/apiStages/{stage}/throttle", "value": json.dumps(throttle)})
    return patches


async def _delete_plan(desk: Desk, plan_id: str, properties: Properties) -> None:
    # A plan that has stages cannot be deleted. One by one: those that are gone have left the plan by themselves.
    for patch in _stage_patches(_stages(properties), {}):
        params = {"usagePlanId": plan_id, "patchOperations": [patch]}
        await desk.drop("apigateway", "UpdateUsagePlan", params, _GONE)
    await desk.drop("apigateway", "DeleteUsagePlan", {"usagePlanId": plan_id}, _GONE)


USAGE_PLAN = resource_type(
    "AWS::ApiGateway::UsagePlan",
    objects="Quota Throttle",
    entries={"ApiStages": "ApiId Stage", "Tags": "Key Value"},
    create=_create_plan,
    update=_update_plan,
    delete=_delete_plan,
    properties="ApiStages Description Quota Tags Throttle UsagePlanName",
    attributes="Id",
)


# UsagePlanKey


async def _create_plan_key(desk: Desk, properties: Properties) -> Made:
    physical_id = f"{properties['KeyId']}:{properties['UsagePlanId']}"
    await desk.make("apigateway", "CreateUsagePlanKey", lowered(properties), lambda _: physical_id)
    return Made(physical_id, {"Id": physical_id})


async def _delete_plan_key(desk: Desk, physical_id: str, properties: Properties) -> None:
    params = {"usagePlanId": properties["UsagePlanId"], "keyId": properties["KeyId"]}
    await desk.drop("apigateway", "DeleteUsagePlanKey", params, _GONE)


USAGE_PLAN_KEY = resource_type(
    "AWS::ApiGateway::UsagePlanKey",
    create=_create_plan_key,
    update=None,
    delete=_delete_plan_key,
    properties="KeyId KeyType UsagePlanId",
    required="KeyId KeyType UsagePlanId",
    attributes="Id",
)


# ClientCertificate


async def _create_certificate(desk: Desk, properties: Properties) -> Made:
    params = {"description": properties.get("Description"), "tags": desk.merged_tags(properties) or None}
    certificate_id = (await desk.call("apigateway", "GenerateClientCertificate", params))["clientCertificateId"]
    return Made(certificate_id, {"ClientCertificateId": certificate_id})


async def _update_certificate(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    if new.get("Description") != old.get("Description"):
        patches = [{"op": "replace", "path": "/description", "value": new.get("Description") or ""}]
        params = {"clientCertificateId": made.physical_id, "patchOperations": patches}
        await desk.call("apigateway", "UpdateClientCertificate", params)
    await set_tags(desk, f"/clientcertificates/{made.physical_id}", old, new)
    return made


async def _delete_certificate(desk: Desk, certificate_id: str, properties: Properties) -> None:
    await desk.drop("apigateway", "DeleteClientCertificate", {"clientCertificateId": certificate_id}, _GONE)


CLIENT_CERTIFICATE = resource_type(
    "AWS::ApiGateway::ClientCertificate",
    entries={"Tags": "Key Value"},
    create=_create_certificate,
    update=_update_certificate,
    delete=_delete_certificate,
    properties="Description Tags",
    attributes="ClientCertificateId",
)


# Account


async def _set_account(desk: Desk, properties: Properties) -> Made:
    role = properties.get("CloudWatchRoleArn") or ""
    patches = [{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}]
    await desk.call("apigateway", "UpdateAccount", {"patchOperations": patches})
    return Made(desk.name, {"Id": desk.name})


async def _update_account(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await _set_account(desk, new)
    return made


async def _leave_account(desk: Desk, physical_id: str, properties: Properties) -> None:
    """Deleting the resource changes nothing: other stacks of the account may write logs with the same role."""


ACCOUNT = resource_type(
    "AWS::ApiGateway::Account",
    create=_set_account,
    update=_update_account,
    delete=_leave_account,
    properties="CloudWatchRoleArn",
    attributes="Id",
)
