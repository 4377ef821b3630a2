"""REST APIs: create, show, change, delete. Their import is in `imports`."""

from typing import Any

from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.domains import require_unmapped
from cumulet.services.apigateway.control.security_policies import check_security, checked_ip_address_type
from cumulet.services.apigateway.control.v1 import condition_keys, gateway_responses, patching
from cumulet.services.apigateway.control.v1.cloning import clone
from cumulet.services.apigateway.control.v1.models import save_first_models
from cumulet.services.apigateway.control.v1.paging import page
from cumulet.services.apigateway.control.v1.records import (
    APIS,
    AUTHORIZERS,
    DEFINITIONS,
    DOCUMENTATION_PARTS,
    MODELS,
    RESOURCES,
    VALIDATORS,
    Resource,
    RestApi,
    get_api,
    render,
)
from cumulet.services.apigateway.control.v1.resource_policies import checked_policy, shown_policy
from cumulet.services.apigateway.model import claim_api_id, delete_shared
from cumulet.services.apigateway.plans import forget_stages
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

ENDPOINT_TYPES = ("EDGE", "REGIONAL")
API_KEY_SOURCES = ("AUTHORIZER", "HEADER")

PATCHES = patching.table(
    """
    /name                                    text    replace
    /description                             text    add replace remove
    /apiKeySource                            text    replace
    /binaryMediaTypes/{mediaType}            listed  add replace remove
    /disableExecuteApiEndpoint               flag    replace
    /endpointConfiguration/ipAddressType     text    replace
    /endpointConfiguration/types/{type}      listed  replace
    /endpointConfiguration/vpcEndpointIds    members add remove
    /minimumCompressionSize                  number  replace
    /policy                                  text    replace
    /securityPolicy                          text    replace
    /endpointAccessMode                      text    replace
    """
)


@operation(
    "CreateRestApi",
    action=POST,
    resource=at("/restapis"),
    params=(
        "name description version binaryMediaTypes minimumCompressionSize apiKeySource endpointConfiguration "
        "disableExecuteApiEndpoint policy tags cloneFrom securityPolicy endpointAccessMode"
    ),
    conditions=condition_keys.asked(condition_keys.API),
    missing="private endpoints; the security policy is kept, but there is no TLS",
)
def create_rest_api(call: Call, tx: WriteTx, params: Params) -> Output:
    """A REST API with its root resource exists; or one that is like the API that `cloneFrom` names."""
    if not params.get("cloneFrom"):
        return show(create(call, tx, params["name"], params))
    source = APIS.find(tx, call.scope, params["cloneFrom"])
    if source is None:
        raise ServiceError(
            "BadRequestException", f"Invalid API identifier specified {call.scope.account}:{params['cloneFrom']}"
        )
    own = {name: value for name, value in render(source).items() if name not in ("description", "policy", "tags")}
    api = create(call, tx, params["name"], {**own, **params})
    clone(call, tx, source, api)
    return show(api)


def create(call: Call, tx: WriteTx, name: str, settings: Params) -> RestApi:
    """Create an API and its root resource; `settings` has the members of CreateRestApi."""
    root = Resource(id=call.ids.token(10), path="/")
    api = RestApi(
        id=claim_api_id(tx, call.ids, call.scope, "REST"),
        name=name,
        created_date=call.now_ms // 1000,
        root_resource_id=root.id,
        tags=tagging.checked(settings.get("tags") or {}),
    )
    settle(call, api, {**settings, "name": name})
    RESOURCES.save(tx, call.scope, api.id, root.id, record=root)
    APIS.save(tx, call.scope, api.id, record=api)
    save_first_models(call, tx, api.id)
    return api


def settle(call: Call, api: RestApi, settings: Params) -> None:
    """Give an API the settings that the members of CreateRestApi describe; what they leave out is unset."""
    if not (settings.get("name") or "").strip():
        raise ServiceError("BadRequestException", "API name cannot be blank")
    source = settings.get("apiKeySource") or "HEADER"
    if source not in API_KEY_SOURCES:
        raise ServiceError(
            "BadRequestException", f"Invalid API key source: {source}. Must be one of [AUTHORIZER, HEADER]"
        )
    size = settings.get("minimumCompressionSize")
    if size is not None and size not in limits.COMPRESSION_BYTES:
        raise ServiceError(
            "BadRequestException",
            f"Invalid minimum compression size, must be between 0 and {limits.COMPRESSION_BYTES.stop - 1}",
        )
    api.name = settings["name"]
    api.description = settings.get("description") or UNSET
    api.version = settings.get("version") or UNSET
    api.api_key_source = source
    api.binary_media_types = list(settings.get("binaryMediaTypes") or ()) or UNSET
    api.minimum_compression_size = UNSET if size is None else size
    api.disable_execute_api_endpoint = bool(settings.get("disableExecuteApiEndpoint"))
    api.policy = checked_policy(settings.get("policy"), call.scope, api.id)
    api.endpoint_configuration = endpoint_configuration(settings.get("endpointConfiguration"))
    security_policy, mode = settings.get("securityPolicy"), settings.get("endpointAccessMode")
    check_security(security_policy, mode, api.endpoint_configuration["types"])
    api.security_policy, api.endpoint_access_mode = security_policy or UNSET, mode or UNSET


def endpoint_configuration(given: Any) -> dict[str, Any]:
    """Return the endpoint configuration of an API; where it is served from makes no difference on one machine."""
    given = given or {}
    if given.get("vpcEndpointIds"):
        raise NotImplementedHere("The parameter endpointConfiguration.vpcEndpointIds of API Gateway")
    types = given.get("types") or ["EDGE"]
    for endpoint_type in types:
        if endpoint_type == "PRIVATE":
            raise NotImplementedHere("The endpoint type PRIVATE of API Gateway")
        if endpoint_type not in ENDPOINT_TYPES:
            raise ServiceError("BadRequestException", f"Invalid endpoint type: {endpoint_type}")
    if len(types) != 1:
        raise ServiceError("BadRequestException", "Exactly one endpoint type must be specified")
    return {"types": list(types), "ipAddressType": checked_ip_address_type(given.get("ipAddressType"))}


@operation("GetRestApi", action=GET, resource=at("/restapis/{restApiId}"), params="restApiId")
def get_rest_api(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one API."""
    return show(get_api(tx, call, params))


@operation("GetRestApis", action=GET, resource=at("/restapis"), params="position limit")
def get_rest_apis(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the caller's APIs, a page at a time."""
    return page(
        params,
        lambda behind, limit: APIS.scan(tx, call.scope, behind=(behind,) if behind else None, limit=limit),
        lambda api: api.id,
        show,
    )


@operation(
    "UpdateRestApi",
    action=PATCH,
    resource=at("/restapis/{restApiId}"),
    params="restApiId patchOperations",
    conditions=condition_keys.patched(condition_keys.API, condition_keys.find_api),
    missing="private endpoints",
)
def update_rest_api(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has the patched values; what is deployed does not change."""
    api = get_api(tx, call, params)
    settle(call, api, patching.patched(render(api), params.get("patchOperations"), PATCHES))
    APIS.save(tx, call.scope, api.id, record=api)
    return show(api)


@operation(
    "DeleteRestApi",
    action=DELETE,
    resource=at("/restapis/{restApiId}"),
    params="restApiId",
    conditions=condition_keys.kept(condition_keys.API, condition_keys.find_api),
)
def delete_rest_api(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API and everything in it are gone."""
    api = get_api(tx, call, params)
    require_unmapped(tx, call, api.id)
    APIS.delete(tx, call.scope, api.id)
    RESOURCES.delete_all(tx, call.scope, api.id)
    for records in (AUTHORIZERS, MODELS, VALIDATORS, gateway_responses.RECORDS, DOCUMENTATION_PARTS, DEFINITIONS):
        records.delete_all(tx, call.scope, api.id)
    delete_shared(tx, call.scope, api.id)
    forget_stages(tx, call.scope, api.id)
    return {}


def show(api: RestApi) -> dict[str, Any]:
    """Return an API as AWS shows it."""
    shown = {**render(api), "apiStatus": "AVAILABLE"}
    if not api.tags:
        del shown["tags"]
    if api.policy is not UNSET:
        shown["policy"] = shown_policy(api.policy)
    return shown
