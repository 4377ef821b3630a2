"""Stages of a REST API: names that point to deployments."""

import re
from collections.abc import Mapping
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.domains import require_unmapped
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.records import get_api, get_stage
from cumulet.services.apigateway.model import DEPLOYMENTS, STAGES, Stage
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

STAGE = at("/restapis/{restApiId}/stages/{stageName}")

_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
_VARIABLE_NAME = re.compile(r"^[A-Za-z0-9_]+$")
_VARIABLE_VALUE = re.compile(r"^[A-Za-z0-9\-._~:/?#&=,]*$")


@operation(
    "CreateStage",
    action=POST,
    resource=at("/restapis/{restApiId}/stages"),
    params="restApiId stageName deploymentId description variables tags cacheClusterEnabled tracingEnabled",
    missing="canary releases, cache clusters, documentation versions, X-Ray tracing",
)
def create_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """A new stage points to a deployment."""
    for name in ("cacheClusterEnabled", "tracingEnabled"):
        if params.get(name):
            raise NotImplementedHere(f"The parameter {name} of apigateway:CreateStage")
    api = get_api(tx, call, params)
    stage_name = checked_name(params["stageName"])
    _check_deployment(tx, call, api.id, params["deploymentId"])
    if STAGES.find(tx, call.scope, api.id, stage_name) is not None:
        raise ServiceError("ConflictException", "Stage already exists")
    if sum(1 for _ in STAGES.scan(tx, call.scope, api.id)) >= limits.STAGES_PER_API_MAX:
        raise ServiceError("LimitExceededException", "Maximum number of stages for this API has been reached.")
    now_s = call.now_ms // 1000
    stage = Stage(
        name=stage_name,
        created_s=now_s,
        updated_s=now_s,
        deployment_id=params["deploymentId"],
        description=params.get("description") or None,
        variables=checked_variables(params.get("variables") or {}),
        tags=tagging.checked(params.get("tags") or {}),
    )
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
    missing="patch paths other than deploymentId, description and variables",
)
def update_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """The stage has the patched values, in force from the next request on."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.id, params["stageName"])

    def set_description(value: str | None) -> None:
        stage.description = value or None

    def set_deployment(value: str | None) -> None:
        _check_deployment(tx, call, api.id, value or "")
        stage.deployment_id = value

    patching.apply(
        params.get("patchOperations") or [],
        {"/description": set_description, "/deploymentId": set_deployment},
        {"/variables": stage.variables},
        [
            "accessLogSettings",
            "cacheClusterEnabled",
            "cacheClusterSize",
            "canarySettings",
            "clientCertificateId",
            "documentationVersion",
            "tracingEnabled",
        ],
    )
    checked_variables(stage.variables)
    stage.updated_s = call.now_ms // 1000
    STAGES.save(tx, call.scope, api.id, stage.name, record=stage)
    return show(stage)


@operation("DeleteStage", action=DELETE, resource=STAGE, params="restApiId stageName")
def delete_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """The stage is gone; its deployment stays."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.id, params["stageName"])
    require_unmapped(tx, call, api.id, stage.name)
    STAGES.delete(tx, call.scope, api.id, stage.name)
    return {}


def checked_name(name: str) -> str:
    """Return a stage's name if AWS would have it."""
    if not _NAME.match(name):
        raise ServiceError("BadRequestException", "Stage name only allows a-zA-Z0-9_-")
    return name


def checked_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return stage variables if AWS would have them.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-set-stage-variables-aws-console.html
    """
    for name, value in variables.items():
        if not _VARIABLE_NAME.match(name):
            raise ServiceError(
                "BadRequestException", f"Invalid stage variable name: {name}. Please only use A-Z, a-z, 0-9 and _"
            )
        if not _VARIABLE_VALUE.match(value):
            raise ServiceError(
                "BadRequestException",
                f"Invalid stage variable value: {value}. Please use values with alphanumeric characters and the "
                "symbols ' ', -', '.', '_', ':', '/', '?', '&', '=', and ','.",
            )
    return dict(variables)


def _check_deployment(tx: ReadTx, call: Call, api_id: str, deployment_id: str) -> None:
    if DEPLOYMENTS.find(tx, call.scope, api_id, deployment_id) is None:
        raise ServiceError("BadRequestException", "Deployment id does not exist")


def show(stage: Stage) -> dict[str, Any]:
    """Return a stage as AWS shows it."""
    shown: dict[str, Any] = {
        "stageName": stage.name,
        "deploymentId": stage.deployment_id,
        "cacheClusterEnabled": False,
        "cacheClusterStatus": "NOT_AVAILABLE",
        "methodSettings": {},
        "tracingEnabled": False,
        "createdDate": stage.created_s,
        "lastUpdatedDate": stage.updated_s,
    }
    if stage.description is not None:
        shown["description"] = stage.description
    if stage.variables:
        shown["variables"] = stage.variables
    if stage.tags:
        shown["tags"] = stage.tags
    return shown
