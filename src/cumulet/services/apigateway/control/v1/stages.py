"""Stages of a REST API: names that point to deployments."""

import re
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.domains import require_unmapped
from cumulet.services.apigateway.control.v1 import condition_keys, stage_patches
from cumulet.services.apigateway.control.v1.client_certificates import get_certificate
from cumulet.services.apigateway.control.v1.documentation import check_version
from cumulet.services.apigateway.control.v1.records import get_api, get_stage
from cumulet.services.apigateway.control.v1.stage_settings import (
    check_logging,
    checked_variables,
    make_canary,
    make_log,
    make_method_settings,
    set_cache,
)
from cumulet.services.apigateway.model import DEPLOYMENTS, STAGES, Stage
from cumulet.services.apigateway.plans import forget_stages
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

STAGE = at("/restapis/{restApiId}/stages/{stageName}")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


@operation(
    "CreateStage",
    action=POST,
    resource=at("/restapis/{restApiId}/stages"),
    params=(
        "restApiId stageName deploymentId description variables tags cacheClusterEnabled cacheClusterSize "
        "canarySettings documentationVersion tracingEnabled"
    ),
    missing="traces are passed on, but kept nowhere",
)
def create_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """A new stage points to a deployment."""
    api = get_api(tx, call, params)
    stage_name = checked_name(params["stageName"])
    _check_deployment(tx, call, api.id, params["deploymentId"])
    if STAGES.find(tx, call.scope, api.id, stage_name) is not None:
        raise ServiceError("ConflictException", "Stage already exists")
    check_count(tx, call, api.id)
    now_s = call.now_ms // 1000
    stage = Stage(
        name=stage_name,
        created_s=now_s,
        updated_s=now_s,
        deployment_id=params["deploymentId"],
        description=params.get("description") or None,
        variables=checked_variables(params.get("variables") or {}),
        tags=tagging.checked(params.get("tags") or {}),
        documentation_version=check_version(tx, call, api.id, params.get("documentationVersion")),
        tracing=bool(params.get("tracingEnabled")),
    )
    set_cache(stage, bool(params.get("cacheClusterEnabled")), params.get("cacheClusterSize"), call.now_ms)
    if (canary := params.get("canarySettings")) is not None:
        stage.canary = make_canary(tx, call, api.id, {"deploymentId": stage.deployment_id, **canary})
    STAGES.save(tx, call.scope, api.id, stage_name, record=stage)
    return show(stage)


@operation("GetStage", action=GET, resource=STAGE, params="restApiId stageName")
def get_one_stage(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one stage."""
    api = get_api(tx, call, params)
    return show(get_stage(tx, call, api.id, params["stageName"]))


@operation("GetStages", action=GET, resource=at("/restapis/{restApiId}/stages"), params="restApiId deploymentId")
def get_stages(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's stages, or those that point to one deployment."""
    api = get_api(tx, call, params)
    wanted = params.get("deploymentId")
    stages = STAGES.scan(tx, call.scope, api.id)
    return {"item": [show(stage) for stage in stages if wanted is None or stage.deployment_id == wanted]}


@operation(
    "UpdateStage",
    action=PATCH,
    resource=STAGE,
    params="restApiId stageName patchOperations",
    conditions=condition_keys.patched(condition_keys.STAGE, condition_keys.find_stage),
    missing="access logs to Firehose; metrics/enabled is kept, but there are no metrics; traces are kept nowhere",
)
def update_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """The stage has the patched values, in force from the next request on."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.id, params["stageName"])

    members = stage_patches.patched(_members(stage), params.get("patchOperations"))
    if members["deploymentId"] != stage.deployment_id:
        _check_deployment(tx, call, api.id, members["deploymentId"] or "")
    logged = (stage.access_log, stage.method_settings)
    stage.description, stage.deployment_id = members["description"], members["deploymentId"]
    if members["documentationVersion"] != stage.documentation_version:
        stage.documentation_version = check_version(tx, call, api.id, members["documentationVersion"])
    stage.variables = checked_variables(members["variables"])
    if len(members["methodSettings"]) > limits.METHOD_SETTINGS_MAX:
        raise ServiceError(
            "LimitExceededException", "Maximum number of method settings for this stage has been reached."
        )
    stage.method_settings = {key: make_method_settings(given) for key, given in members["methodSettings"].items()}
    canary = members["canarySettings"]
    stage.canary = None if canary is None else make_canary(tx, call, api.id, canary)
    set_cache(stage, members["cacheClusterEnabled"], members["cacheClusterSize"], call.now_ms)
    stage.access_log = make_log(members["accessLogSettings"])
    stage.tracing = members["tracingEnabled"]
    if members["clientCertificateId"] is not None:
        get_certificate(tx, call, members["clientCertificateId"])
    stage.client_certificate_id = members["clientCertificateId"]
    if logged != (stage.access_log, stage.method_settings):
        check_logging(tx, call, stage)
    stage.updated_s = call.now_ms // 1000
    STAGES.save(tx, call.scope, api.id, stage.name, record=stage)
    return show(stage)


def _members(stage: Stage) -> dict[str, Any]:
    """Return what patches can change of a stage."""
    log = stage.access_log
    return {
        "description": stage.description,
        "deploymentId": stage.deployment_id,
        "documentationVersion": stage.documentation_version,
        "variables": dict(stage.variables),
        "methodSettings": msgspec.to_builtins(stage.method_settings),
        "canarySettings": msgspec.to_builtins(stage.canary),
        "cacheClusterEnabled": stage.cache_enabled,
        "cacheClusterSize": stage.cache_size,
        "accessLogSettings": None if log is None else {"destinationArn": log.destination_arn, "format": log.format},
        "clientCertificateId": stage.client_certificate_id,
        "tracingEnabled": stage.tracing,
    }


@operation(
    "DeleteStage",
    action=DELETE,
    resource=STAGE,
    params="restApiId stageName",
    conditions=condition_keys.kept(condition_keys.STAGE, condition_keys.find_stage),
)
def delete_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """The stage is gone, from usage plans too; its deployment stays."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.id, params["stageName"])
    require_unmapped(tx, call, api.id, stage.name)
    STAGES.delete(tx, call.scope, api.id, stage.name)
    forget_stages(tx, call.scope, api.id, stage.name)
    return {}


@operation(
    "FlushStageCache",
    action=DELETE,
    resource=at("/restapis/{restApiId}/stages/{stageName}/cache/data"),
    params="restApiId stageName",
)
def flush_stage_cache(call: Call, tx: WriteTx, params: Params) -> Output:
    """What the stage has cached is forgotten, by every process with its next request."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.id, params["stageName"])
    stage.cache_flushed_ms = max(call.now_ms, stage.cache_flushed_ms + 1)
    STAGES.save(tx, call.scope, api.id, stage.name, record=stage)
    return {}


def check_count(tx: ReadTx, call: Call, api_id: str) -> None:
    """Raise LimitExceededException unless an API may have one more stage."""
    if sum(1 for _ in STAGES.scan(tx, call.scope, api_id)) >= limits.STAGES_PER_API_MAX:
        raise ServiceError("LimitExceededException", "Maximum number of stages for this API has been reached.")


def checked_name(name: str) -> str:
    """Return a stage's name if AWS would have it."""
    if not _NAME.fullmatch(name):
        raise ServiceError("BadRequestException", "Stage name only allows a-zA-Z0-9_-")
    return name


def _check_deployment(tx: ReadTx, call: Call, api_id: str, deployment_id: str) -> None:
    if DEPLOYMENTS.find(tx, call.scope, api_id, deployment_id) is None:
        raise ServiceError("BadRequestException", "Deployment id does not exist")


def show(stage: Stage) -> dict[str, Any]:
    """Return a stage as AWS shows it."""
    shown: dict[str, Any] = {
        **_members(stage),
        "stageName": stage.name,
        "cacheClusterStatus": "AVAILABLE" if stage.cache_enabled else "NOT_AVAILABLE",
        "createdDate": stage.created_s,
        "lastUpdatedDate": stage.updated_s,
        "variables": stage.variables or None,
        "tags": stage.tags or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
