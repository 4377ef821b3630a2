"""What the REST control plane keeps: APIs, and resources with their methods and integrations.

The fields have AWS's names, so that a record is rendered by listing what is set.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cumulet.errors import ServiceError
from cumulet.services.apigateway.model import DEPLOYMENTS, STAGES, Deployment, IntegrationKind, Stage
from cumulet.services.kit import Call, Params
from cumulet.store.api import ReadTx
from cumulet.store.keyspace import (
    REST_API,
    REST_AUTHORIZER,
    REST_DEFINITION,
    REST_DOCUMENTATION,
    REST_MODEL,
    REST_RESOURCE,
    REST_VALIDATOR,
)
from cumulet.store.records import Records


class MethodResponse(msgspec.Struct, rename="camel"):
    """A status code that a method declares."""

    status_code: str
    response_parameters: dict[str, bool] | UnsetType = UNSET
    response_models: dict[str, str] | UnsetType = UNSET


class IntegrationResponse(msgspec.Struct, rename="camel"):
    """How a backend's answer is mapped. Kept and shown for proxies too, which never look at it."""

    status_code: str
    selection_pattern: str | UnsetType = UNSET
    response_parameters: dict[str, str] | UnsetType = UNSET
    response_templates: dict[str, str] | UnsetType = UNSET
    content_handling: str | UnsetType = UNSET


class Integration(msgspec.Struct, rename="camel"):
    """A method's backend."""

    type: IntegrationKind
    cache_namespace: str
    timeout_in_millis: int
    passthrough_behavior: str = "WHEN_NO_MATCH"
    cache_key_parameters: list[str] = []
    uri: str | UnsetType = UNSET
    http_method: str | UnsetType = UNSET
    request_parameters: dict[str, str] | UnsetType = UNSET
    request_templates: dict[str, str] | UnsetType = UNSET
    connection_type: str | UnsetType = UNSET
    credentials: str | UnsetType = UNSET
    content_handling: str | UnsetType = UNSET
    response_transfer_mode: str | UnsetType = UNSET
    tls_config: dict[str, bool] | UnsetType = UNSET
    integration_responses: dict[str, IntegrationResponse] | UnsetType = UNSET


class Method(msgspec.Struct, rename="camel"):
    """One HTTP method of a resource."""

    http_method: str
    authorization_type: str = "NONE"
    authorizer_id: str | UnsetType = UNSET
    authorization_scopes: list[str] | UnsetType = UNSET
    request_validator_id: str | UnsetType = UNSET
    api_key_required: bool = False
    operation_name: str | UnsetType = UNSET
    request_parameters: dict[str, bool] | UnsetType = UNSET
    request_models: dict[str, str] | UnsetType = UNSET
    method_responses: dict[str, MethodResponse] | UnsetType = UNSET
    method_integration: Integration | UnsetType = UNSET


class Authorizer(msgspec.Struct, rename="camel"):
    """A Lambda function, user pools or issuers of tokens that say who calls."""

    id: str
    name: str
    type: str
    auth_type: str
    authorizer_uri: str | UnsetType = UNSET
    authorizer_result_ttl_in_seconds: int | UnsetType = UNSET
    provider_arns: list[str] | UnsetType = msgspec.field(default=UNSET, name="providerARNs")
    jwt_configuration: dict[str, Any] | UnsetType = UNSET
    identity_source: str | UnsetType = UNSET
    identity_validation_expression: str | UnsetType = UNSET
    authorizer_credentials: str | UnsetType = UNSET


class Model(msgspec.Struct, rename="camel"):
    """A schema that bodies can be held against."""

    id: str
    name: str
    content_type: str
    schema: str
    description: str | UnsetType = UNSET


class RequestValidator(msgspec.Struct, rename="camel"):
    """What of a request is checked before the integration sees it."""

    id: str
    validate_request_body: bool
    validate_request_parameters: bool
    name: str | UnsetType = UNSET


class Location(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Which entity of an API a documentation part is about."""

    type: str
    path: str = ""
    method: str = ""
    status_code: str = ""
    name: str = ""


class DocumentationPart(msgspec.Struct, rename="camel"):
    """What is written about one entity: a JSON object as text."""

    id: str
    location: Location
    properties: str


class DocumentationVersion(msgspec.Struct, rename="camel"):
    """A snapshot of an API's documentation."""

    version: str
    created_date: int
    description: str | UnsetType = UNSET
    parts: list[DocumentationPart] = []


class Resource(msgspec.Struct, rename="camel"):
    """One path. The root has neither parent nor path part."""

    id: str
    path: str
    parent_id: str | UnsetType = UNSET
    path_part: str | UnsetType = UNSET
    resource_methods: dict[str, Method] = {}


class RestApi(msgspec.Struct, rename="camel"):
    """A REST API; its resources are records of their own."""

    id: str
    name: str
    created_date: int
    root_resource_id: str
    api_key_source: str = "HEADER"
    endpoint_configuration: dict[str, Any] = {}
    disable_execute_api_endpoint: bool = False
    description: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    binary_media_types: list[str] | UnsetType = UNSET
    policy: str | UnsetType = UNSET
    minimum_compression_size: int | UnsetType = UNSET
    security_policy: str | UnsetType = UNSET
    endpoint_access_mode: str | UnsetType = UNSET
    tags: dict[str, str] = {}


class GatewayResponse(msgspec.Struct, rename="camel"):
    """One type of refusal that the API's owner has words for."""

    response_type: str
    status_code: str | UnsetType = UNSET
    response_parameters: dict[str, str] = {}
    response_templates: dict[str, str] = {}


class Definition(msgspec.Struct):
    """All that makes up an API, as it was deployed: what an export of a stage tells."""

    api: RestApi
    resources: list[Resource]
    models: list[Model]
    validators: list[RequestValidator]
    authorizers: list[Authorizer]
    gateway_responses: list[GatewayResponse] = []


APIS = Records(REST_API, RestApi)
RESOURCES = Records(REST_RESOURCE, Resource)
AUTHORIZERS = Records(REST_AUTHORIZER, Authorizer)
MODELS = Records(REST_MODEL, Model)
VALIDATORS = Records(REST_VALIDATOR, RequestValidator)
DOCUMENTATION_PARTS = Records(REST_DOCUMENTATION, DocumentationPart)
DOCUMENTATION_VERSIONS = Records(REST_DOCUMENTATION, DocumentationVersion)
PART, VERSION = "part", "version"
"""The two kinds of documentation, each with names of its own: second in their keys."""

DEFINITIONS = Records(REST_DEFINITION, Definition)


def get_api(tx: ReadTx, call: Call, params: Params) -> RestApi:
    """Return the API that `restApiId` names."""
    return get_api_by_id(tx, call, params["restApiId"])


def get_api_by_id(tx: ReadTx, call: Call, api_id: str) -> RestApi:
    """Return the API of that id in the caller's scope."""
    if (api := APIS.find(tx, call.scope, api_id)) is None:
        raise ServiceError(
            "NotFoundException", f"Invalid API identifier specified {call.scope.account}:{api_id}", status=404
        )
    return api


def get_resource(tx: ReadTx, call: Call, params: Params, member: str = "resourceId") -> Resource:
    """Return the resource that `resourceId` (or another member) names."""
    api = get_api(tx, call, params)
    if (resource := RESOURCES.find(tx, call.scope, api.id, params[member])) is None:
        raise ServiceError("NotFoundException", "Invalid Resource identifier specified")
    return resource


def get_method(tx: ReadTx, call: Call, params: Params) -> tuple[Resource, Method]:
    """Return the method that `httpMethod` names, with its resource."""
    resource = get_resource(tx, call, params)
    if (method := resource.resource_methods.get(params["httpMethod"])) is None:
        raise ServiceError("NotFoundException", "Invalid Method identifier specified")
    return resource, method


def get_integration(tx: ReadTx, call: Call, params: Params) -> tuple[Resource, Method, Integration]:
    """Return a method's integration, with the method and its resource."""
    resource, method = get_method(tx, call, params)
    if method.method_integration is UNSET:
        raise ServiceError("NotFoundException", "Invalid Integration identifier specified")
    return resource, method, method.method_integration


def get_authorizer(tx: ReadTx, call: Call, params: Params) -> Authorizer:
    """Return the authorizer that `authorizerId` names."""
    get_api(tx, call, params)
    if (authorizer := AUTHORIZERS.find(tx, call.scope, params["restApiId"], params["authorizerId"])) is None:
        raise ServiceError("NotFoundException", "Invalid Authorizer identifier specified")
    return authorizer


def get_deployment(tx: ReadTx, call: Call, api_id: str, deployment_id: str) -> Deployment:
    """Return one deployment of an API."""
    if (deployment := DEPLOYMENTS.find(tx, call.scope, api_id, deployment_id)) is None:
        raise ServiceError("NotFoundException", "Invalid Deployment identifier specified")
    return deployment


def get_stage(tx: ReadTx, call: Call, api_id: str, stage_name: str) -> Stage:
    """Return one stage of an API."""
    if (stage := STAGES.find(tx, call.scope, api_id, stage_name)) is None:
        raise ServiceError("NotFoundException", "Invalid stage identifier specified")
    return stage


def render(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record as AWS shows it: what is unset is absent."""
    rendered: dict[str, Any] = msgspec.to_builtins(record)
    return rendered
