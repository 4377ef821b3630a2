"""A stage of a REST API as an OpenAPI document."""

from time import gmtime, strftime
from typing import get_args

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.arns import GET, at
from cumulet.services.apigateway.control.openapi.writing import YAML, written
from cumulet.services.apigateway.control.v1.deployments import definition_of
from cumulet.services.apigateway.control.v1.document import Include, RestDocument
from cumulet.services.apigateway.control.v1.records import (
    DEFINITIONS,
    DOCUMENTATION_VERSIONS,
    VERSION,
    get_api,
    get_deployment,
    get_stage,
)
from cumulet.services.kit import Call, Operation, Output, Params, operation
from cumulet.store.api import ReadTx

_TYPES = ("oas20", "oas30", "swagger")
_INCLUDES: dict[str, Include] = {name: name for name in get_args(Include)}


def operations(port: int) -> list[Operation]:
    """Return the operation, whose output tells where the API answers: only the server's port says that."""

    @operation(
        "GetExport",
        action=GET,
        resource=at("/restapis/{restApiId}/stages/{stageName}/exports/{exportType}"),
        params="restApiId stageName exportType parameters accepts",
    )
    def get_export(call: Call, tx: ReadTx, params: Params) -> Output:
        """Return what is deployed to a stage, as a document that can be imported."""
        api = get_api(tx, call, params)
        stage = get_stage(tx, call, api.id, params["stageName"])
        kind = params["exportType"]
        if kind not in _TYPES:
            raise ServiceError(
                "BadRequestException", f"Invalid export type: {kind}. Must be one of [{', '.join(_TYPES)}]"
            )
        deployment = get_deployment(tx, call, api.id, stage.deployment_id or "")
        # Before definitions were kept, a deployment kept no more than its routes.
        definition = DEFINITIONS.find(tx, call.scope, api.id, deployment.deployment_id) or definition_of(tx, call, api)
        described_by = stage.documentation_version
        documentation = (
            DOCUMENTATION_VERSIONS.find(tx, call.scope, api.id, VERSION, described_by) if described_by else None
        )
        at_time = gmtime(deployment.created_s)
        document = RestDocument(
            definition=definition,
            is_v3=kind == "oas30",
            includes=_includes(params.get("parameters") or {}),
            documentation=documentation,
            host=f"{api.id}.execute-api.localhost:{port}",
            stage_name=stage.name,
            region=call.scope.region,
            version=strftime("%Y-%m-%dT%H:%M:%SZ", at_time),
        )
        media_type = YAML if "yaml" in (params.get("accepts") or "") else "application/json"
        ending = media_type.removeprefix("application/")
        name = f"{kind}_{strftime('%Y-%m-%d_%H-%M', at_time)}Z.{ending}"
        return {
            "contentType": media_type,
            "contentDisposition": f'attachment; filename="{name}"',
            "body": written(document.write(), media_type),
        }

    return [get_export]


def _includes(parameters: dict[str, str]) -> frozenset[Include]:
    includes: set[Include] = set()
    for name, value in parameters.items():
        for asked in [part.strip() for part in value.split(",")] if name == "extensions" else [""]:
            if asked not in _INCLUDES:
                raise ServiceError("BadRequestException", f"Invalid export parameter: {name}={value}")
            includes.add(_INCLUDES[asked])
    return frozenset(includes)
