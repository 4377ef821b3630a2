"""Freezing an HTTP API into a deployment: on request, and by itself for stages with AutoDeploy."""

from collections.abc import Mapping

from cumulet.services.apigateway.control.v2 import records
from cumulet.services.apigateway.control.v2.records import (
    AUTHORIZERS,
    INTEGRATION_TARGET,
    INTEGRATIONS,
    ROUTES,
    HttpApi,
    HttpRoute,
    Integration,
)
from cumulet.services.apigateway.model import (
    DEFAULT_ROUTE,
    DEPLOYMENTS,
    STAGES,
    Authorizer,
    Cors,
    Deployment,
    Parameters,
    PayloadFormat,
    Route,
    RouteAuthorization,
    Stage,
    Target,
    stages_on,
)
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx

AUTOMATIC = "Automatic deployment triggered by changes to the Api configuration"


def freeze(tx: ReadTx, call: Call, api: HttpApi) -> list[Route]:
    """Return the API's routes with their integrations; a route without one answers nothing, and is left out."""
    by_id = {found.integration_id: found for found in INTEGRATIONS.scan(tx, call.scope, api.api_id)}
    authorizers = {found.authorizer_id: found for found in AUTHORIZERS.scan(tx, call.scope, api.api_id)}
    routes = []
    # Of routes that differ in the names of variables alone, which AWS says nothing of, the first by its key is always
    # the one that answers: a route table keeps the last.
    for route in sorted(ROUTES.scan(tx, call.scope, api.api_id), key=lambda route: route.route_key, reverse=True):
        target = route.target if isinstance(route.target, str) else ""
        integration = by_id.get(target.removeprefix(INTEGRATION_TARGET))
        if integration is None:
            continue
        method, _, path = route.route_key.partition(" ")
        if route.route_key == DEFAULT_ROUTE:
            method = "ANY"
        asked = _authorization(route, authorizers)
        routes.append(
            Route(
                method,
                path,
                route.route_key,
                _target(integration),
                authorization=asked,
                operation_name=route.operation_name or "",
            )
        )
    return routes


def _authorization(route: HttpRoute, authorizers: Mapping[str, records.Authorizer]) -> RouteAuthorization | None:
    if route.authorization_type == "AWS_IAM":
        return RouteAuthorization("AWS_IAM")
    found = authorizers.get(route.authorizer_id) if isinstance(route.authorizer_id, str) else None
    if found is None:
        # Whatever became of its authorizer, such a route lets nobody in.
        return None if route.authorization_type == "NONE" else RouteAuthorization("CUSTOM")
    jwt, uri, credentials = found.jwt_configuration, found.authorizer_uri, found.authorizer_credentials_arn
    authorizer = Authorizer(
        authorizer_id=found.authorizer_id,
        kind="JWT" if jwt else "REQUEST",
        name=found.name,
        identity_sources=tuple(found.identity_source),
        issuer=jwt.issuer if jwt else "",
        audience=tuple(jwt.audience) if jwt else (),
        uri=uri or "",
        credentials=credentials or None,
        payload_format="1.0" if found.authorizer_payload_format_version == "1.0" else "2.0",
        simple=found.enable_simple_responses is True,
        ttl_s=found.authorizer_result_ttl_in_seconds or 0,
    )
    return RouteAuthorization("JWT" if jwt else "CUSTOM", authorizer, tuple(route.authorization_scopes or ()))


def _target(integration: Integration) -> Target:
    payload_format: PayloadFormat = "2.0" if integration.payload_format_version == "2.0" else "1.0"
    request, response = integration.request_parameters, integration.response_parameters
    parameters = Parameters(request or {}, response or {}) if request or response else None
    return Target(
        kind="HTTP_PROXY" if integration.integration_type == "HTTP_PROXY" else "AWS_PROXY",
        parameters=parameters,
        uri=integration.integration_uri,
        payload_format=payload_format,
        timeout_ms=integration.timeout_in_millis,
        http_method=integration.integration_method,
        credentials=integration.credentials_arn if isinstance(integration.credentials_arn, str) else None,
    )


def deploy(
    tx: WriteTx, call: Call, api: HttpApi, routes: list[Route], description: str | None, *, automatic: bool
) -> Deployment:
    """Save a deployment of the API and return it."""
    deployment = Deployment(
        deployment_id=call.ids.token(6),
        created_s=call.now_ms // 1000,
        routes=routes,
        description=description,
        auto_deployed=automatic,
        default_endpoint_disabled=api.disable_execute_api_endpoint,
        cors=None if not isinstance(api.cors_configuration, Cors) else api.cors_configuration,
    )
    DEPLOYMENTS.save(tx, call.scope, api.api_id, deployment.deployment_id, record=deployment)
    return deployment


def auto_deploy(tx: WriteTx, call: Call, api: HttpApi) -> None:
    """Give each stage with AutoDeploy a deployment of the API as it is now. Call it after every change of the API."""
    stages = [stage for stage in STAGES.scan(tx, call.scope, api.api_id) if stage.auto_deploy]
    for stage in stages:
        auto_deploy_stage(tx, call, api, stage)


def auto_deploy_stage(tx: WriteTx, call: Call, api: HttpApi, stage: Stage) -> None:
    """Point a stage to a new deployment and save it; its automatic predecessor goes when nothing points to it."""
    routes = freeze(tx, call, api)
    before = stage.deployment_id
    if before is None and not routes:
        STAGES.save(tx, call.scope, api.api_id, stage.name, record=stage)
        return
    stage.deployment_id = deploy(tx, call, api, routes, AUTOMATIC, automatic=True).deployment_id
    stage.updated_s = call.now_ms // 1000
    STAGES.save(tx, call.scope, api.api_id, stage.name, record=stage)
    if before is not None and not stages_on(tx, call.scope, api.api_id, before):
        old = DEPLOYMENTS.find(tx, call.scope, api.api_id, before)
        if old is not None and old.auto_deployed:
            DEPLOYMENTS.delete(tx, call.scope, api.api_id, before)
