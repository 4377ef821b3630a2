"""An HTTP API, or what is deployed to a stage of it, as an OpenAPI 3 document."""

from time import gmtime, strftime

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.arns import GET, at
from cumulet.services.apigateway.control.openapi import extensions, writing
from cumulet.services.apigateway.control.v2 import document as documents
from cumulet.services.apigateway.control.v2.deploying import freeze
from cumulet.services.apigateway.control.v2.records import get_api, get_stage
from cumulet.services.apigateway.model import DEFAULT_STAGE, DEPLOYMENTS, Cors
from cumulet.services.kit import Call, Operation, Output, Params, operation
from cumulet.store.api import ReadTx

_MEDIA_TYPES = {"JSON": "application/json", "YAML": writing.YAML}


def operations(port: int) -> list[Operation]:
    """Return the operation, whose output tells where the API answers: only the server's port says that."""

    @operation(
        "ExportApi",
        action=GET,
        resource=at("/apis/{ApiId}/exports/{Specification}"),
        params="ApiId Specification OutputType IncludeExtensions StageName ExportVersion",
    )
    def export_api(call: Call, tx: ReadTx, params: Params) -> Output:
        """Return the API as it is now, or as it is deployed to a stage, as a document that can be imported."""
        api = get_api(tx, call, params)
        if params["Specification"] != "OAS30":
            raise _bad(f"Invalid specification: {params['Specification']}. Must be one of [OAS30]")
        if params["OutputType"] not in _MEDIA_TYPES:
            raise _bad(f"Invalid output type: {params['OutputType']}. Must be one of [JSON, YAML]")
        if (version := params.get("ExportVersion")) not in (None, documents.EXPORT_VERSION):
            raise _bad(f"Invalid export version: {version}. Must be one of [{documents.EXPORT_VERSION}]")
        routes, cors, made_s = freeze(tx, call, api), api.cors_configuration, api.created_date
        base_path = ""
        if (stage_name := params.get("StageName")) is not None:
            stage = get_stage(tx, call, api.api_id, stage_name)
            deployment = DEPLOYMENTS.find(tx, call.scope, api.api_id, stage.deployment_id or "")
            if deployment is None:
                raise _bad(f"The stage {stage_name} has no deployment")
            routes, made_s = deployment.routes, deployment.created_s
            cors = deployment.cors if deployment.cors is not None else cors
            base_path = "" if stage_name == DEFAULT_STAGE else stage_name
        made = strftime("%Y-%m-%d %H:%M:%SUTC", gmtime(made_s))
        info = writing.given_only(
            {"title": api.name, "description": api.description or None, "version": api.version or made}
        )
        with_extensions = params.get("IncludeExtensions") is not False
        server = writing.server(f"http://{api.api_id}.execute-api.localhost:{port}", base_path)
        endpoint = writing.given_only(
            {
                "disableExecuteApiEndpoint": api.disable_execute_api_endpoint or None,
                "ipAddressType": api.ip_address_type if api.ip_address_type != "ipv4" else None,
            }
        )
        if with_extensions and endpoint:
            server[extensions.ENDPOINT_CONFIGURATION] = endpoint
        shared = cors if isinstance(cors, Cors) else None
        document = documents.write(info, server, routes, shared, api.tags, with_extensions=with_extensions)
        return {"body": writing.written(document, _MEDIA_TYPES[params["OutputType"]])}

    return [export_api]


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
