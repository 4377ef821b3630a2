"""Stages and deployments of an HTTP API."""

import re
from typing import Any

from msgspec.structs import replace

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.domains import require_unmapped
from cumulet.services.apigateway.control.v1.stage_settings import checked_variables
from cumulet.services.apigateway.control.v2 import websocket_only
from cumulet.services.apigateway.control.v2.deploying import auto_deploy_stage, deploy, freeze
from cumulet.services.apigateway.control.v2.paging import page_of_api
from cumulet.services.apigateway.control.v2.records import ROUTES, HttpApi, get_api, get_stage, render
from cumulet.services.apigateway.control.v2.stage_settings import make_access_log, merged_settings
from cumulet.services.apigateway.model import (
    DEFAULT_STAGE,
    DEPLOYMENTS,
    STAGES,
    Deployment,
    RouteSettings,
    Stage,
    stages_on,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

STAGE = at("/apis/{ApiId}/stages/{StageName}")
DEPLOYMENT = at("/apis/{ApiId}/deployments/{DeploymentId}")

_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}\Z")
_SETTINGS = (
    "StageName DeploymentId AutoDeploy Description StageVariables AccessLogSettings DefaultRouteSettings RouteSettings "
    "ClientCertificateId"
)
_MISSING = "access logs to Firehose; detailed metrics can be asked for, but nothing keeps metrics"


@operation(
    "CreateStage",
    action=POST,
    resource=at("/apis/{ApiId}/stages"),
    params=f"ApiId {_SETTINGS} Tags",
    missing=_MISSING,
)
def create_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """A new stage; with AutoDeploy it points to a deployment at once."""
    api = get_api(tx, call, params)
    name = params["StageName"]
    if name != DEFAULT_STAGE and not _NAME.match(name):
        raise ServiceError("BadRequestException", "Stage name only allows a-zA-Z0-9_- or $default")
    if STAGES.find(tx, call.scope, api.api_id, name) is not None:
        raise ServiceError("ConflictException", "Stage already exists")
    if sum(1 for _ in STAGES.scan(tx, call.scope, api.api_id)) >= limits.STAGES_PER_API_MAX:
        raise ServiceError("TooManyRequestsException", "Maximum number of stages for this API has been reached.")
    now_s = call.now_ms // 1000
    tags = tagging.checked(params.get("Tags") or {})
    stage = Stage(name=name, created_s=now_s, updated_s=now_s, tags=tags)
    _set(tx, call, api, stage, params)
    return show(stage)


def _set(tx: WriteTx, call: Call, api: HttpApi, stage: Stage, params: Params) -> None:
    """Give a stage the values that are in `params`, and save it."""
    websocket_only.refuse(params, "ClientCertificateId")
    if params.get("AutoDeploy") is not None:
        stage.auto_deploy = params["AutoDeploy"]
    if params.get("Description") is not None:
        stage.description = params["Description"] or None
    if params.get("StageVariables") is not None:
        # An empty value takes a variable away; what is not given stays. So Terraform's provider knows it of AWS.
        merged = {**stage.variables, **params["StageVariables"]}
        stage.variables = checked_variables({name: value for name, value in merged.items() if value})
    if params.get("DeploymentId") is not None:
        if stage.auto_deploy:
            raise ServiceError("BadRequestException", "Deployment ID cannot be set on a stage with AutoDeploy enabled")
        _get_deployment(tx, call, api, params["DeploymentId"])
        stage.deployment_id = params["DeploymentId"]
    if params.get("DefaultRouteSettings") is not None:
        stage.default_route_settings = merged_settings(stage.default_route_settings, params["DefaultRouteSettings"])
    if params.get("RouteSettings") is not None:
        keys = {route.route_key for route in ROUTES.scan(tx, call.scope, api.api_id)}
        for key, given in params["RouteSettings"].items():
            if key not in keys:
                raise ServiceError(
                    "NotFoundException", f"Unable to find Route by key {key} within the provided RouteSettings"
                )
            stage.route_settings[key] = merged_settings(stage.route_settings.get(key), given)
    if params.get("AccessLogSettings") is not None:
        stage.access_log = make_access_log(stage.access_log, params["AccessLogSettings"])
    stage.updated_s = call.now_ms // 1000
    if stage.auto_deploy:
        auto_deploy_stage(tx, call, api, stage)
    else:
        STAGES.save(tx, call.scope, api.api_id, stage.name, record=stage)


@operation("GetStage", action=GET, resource=STAGE, params="ApiId StageName")
def get_one_stage(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one stage."""
    api = get_api(tx, call, params)
    return show(get_stage(tx, call, api.api_id, params["StageName"]))


@operation("GetStages", action=GET, resource=at("/apis/{ApiId}/stages"), params="ApiId MaxResults NextToken")
def get_stages(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's stages."""
    api = get_api(tx, call, params)
    return page_of_api(tx, call, params, api.api_id, STAGES, lambda stage: stage.name, show)


@operation("UpdateStage", action=PATCH, resource=STAGE, params=f"ApiId {_SETTINGS}", missing=_MISSING)
def update_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """The stage has the given values, in force from the next request on."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.api_id, params["StageName"])
    _set(tx, call, api, stage, params)
    return show(stage)


@operation("DeleteStage", action=DELETE, resource=STAGE, params="ApiId StageName")
def delete_stage(call: Call, tx: WriteTx, params: Params) -> Output:
    """The stage is gone."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.api_id, params["StageName"])
    require_unmapped(tx, call, api.api_id, stage.name)
    STAGES.delete(tx, call.scope, api.api_id, stage.name)
    return {}


@operation(
    "CreateDeployment",
    action=POST,
    resource=at("/apis/{ApiId}/deployments"),
    params="ApiId Description StageName",
)
def create_deployment(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API as it is now is frozen; the stage that `StageName` names points to it."""
    api = get_api(tx, call, params)
    routes = freeze(tx, call, api)
    if not routes:
        raise ServiceError("BadRequestException", "At least one route is required before deploying the Api.")
    deployment = deploy(tx, call, api, routes, params.get("Description") or None, automatic=False)
    if params.get("StageName"):
        stage = get_stage(tx, call, api.api_id, params["StageName"])
        stage.deployment_id = deployment.deployment_id
        stage.updated_s = call.now_ms // 1000
        STAGES.save(tx, call.scope, api.api_id, stage.name, record=stage)
    return show_deployment(deployment)


def _get_deployment(tx: ReadTx, call: Call, api: HttpApi, deployment_id: str) -> Deployment:
    if (deployment := DEPLOYMENTS.find(tx, call.scope, api.api_id, deployment_id)) is None:
        raise ServiceError("NotFoundException", "Invalid Deployment identifier specified")
    return deployment


@operation("GetDeployment", action=GET, resource=DEPLOYMENT, params="ApiId DeploymentId")
def get_one_deployment(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one deployment."""
    return show_deployment(_get_deployment(tx, call, get_api(tx, call, params), params["DeploymentId"]))


@operation("GetDeployments", action=GET, resource=at("/apis/{ApiId}/deployments"), params="ApiId MaxResults NextToken")
def get_deployments(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's deployments."""
    api = get_api(tx, call, params)
    return page_of_api(
        tx, call, params, api.api_id, DEPLOYMENTS, lambda deployment: deployment.deployment_id, show_deployment
    )


@operation("UpdateDeployment", action=PATCH, resource=DEPLOYMENT, params="ApiId DeploymentId Description")
def update_deployment(call: Call, tx: WriteTx, params: Params) -> Output:
    """The deployment has the given description."""
    api = get_api(tx, call, params)
    deployment = _get_deployment(tx, call, api, params["DeploymentId"])
    if (description := params.get("Description")) is not None:
        deployment = replace(deployment, description=description or None)
        DEPLOYMENTS.save(tx, call.scope, api.api_id, deployment.deployment_id, record=deployment)
    return show_deployment(deployment)


@operation("DeleteDeployment", action=DELETE, resource=DEPLOYMENT, params="ApiId DeploymentId")
def delete_deployment(call: Call, tx: WriteTx, params: Params) -> Output:
    """The deployment is gone. Refused while a stage points to it."""
    api = get_api(tx, call, params)
    deployment = _get_deployment(tx, call, api, params["DeploymentId"])
    if stages_on(tx, call.scope, api.api_id, deployment.deployment_id):
        raise ServiceError("BadRequestException", "Active stages pointing to this deployment must be moved or deleted")
    DEPLOYMENTS.delete(tx, call.scope, api.api_id, deployment.deployment_id)
    return {}


def show(stage: Stage) -> dict[str, Any]:
    """Return a stage as AWS shows it."""
    shown: dict[str, Any] = {
        "StageName": stage.name,
        "AutoDeploy": stage.auto_deploy,
        "CreatedDate": stage.created_s,
        "LastUpdatedDate": stage.updated_s,
        "DefaultRouteSettings": render(stage.default_route_settings or RouteSettings()),
        "RouteSettings": {key: render(settings) for key, settings in stage.route_settings.items()},
        "StageVariables": stage.variables,
        "Tags": stage.tags,
    }
    if stage.deployment_id is not None:
        shown["DeploymentId"] = stage.deployment_id
        if stage.auto_deploy:
            shown["LastDeploymentStatusMessage"] = (
                f"Successfully deployed stage with deployment ID '{stage.deployment_id}'"
            )
    if stage.access_log is not None:
        shown["AccessLogSettings"] = render(stage.access_log)
    if stage.description is not None:
        shown["Description"] = stage.description
    if stage.managed:
        shown["ApiGatewayManaged"] = True
    return shown


def show_deployment(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as AWS shows it."""
    shown: dict[str, Any] = {
        "DeploymentId": deployment.deployment_id,
        "DeploymentStatus": "DEPLOYED",
        "AutoDeployed": deployment.auto_deployed,
        "CreatedDate": deployment.created_s,
    }
    if deployment.description is not None:
        shown["Description"] = deployment.description
    return shown
