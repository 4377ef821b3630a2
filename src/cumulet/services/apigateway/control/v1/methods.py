"""The methods of a resource, and the responses that they declare."""

from typing import Any

from msgspec import UNSET

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, PUT, at
from cumulet.services.apigateway.control.v1 import condition_keys, patching
from cumulet.services.apigateway.control.v1.records import (
    AUTHORIZERS,
    MODELS,
    RESOURCES,
    VALIDATORS,
    Method,
    MethodResponse,
    get_method,
    get_resource,
    render,
)
from cumulet.services.apigateway.model import METHODS
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

METHOD = at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}")
RESPONSE = at("/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}/responses/{statusCode}")

PATCHES = patching.table(
    """
    /apiKeyRequired                 flag    replace
    /authorizationScopes            members add remove
    /authorizationType              text    replace
    /authorizerId                   text    replace
    /operationName                  text    replace
    /requestModels/{contentType}    texts   add replace remove
    /requestParameters/{parameter}  flags   add replace remove
    /requestValidatorId             text    replace
    """
)
RESPONSE_PATCHES = patching.table(
    """
    /responseModels/{contentType}   texts   add replace remove
    /responseParameters/{parameter} flags   add replace remove
    """
)

_AUTHORIZER_TYPES = {
    "CUSTOM": ("TOKEN", "REQUEST"),
    "COGNITO_USER_POOLS": ("COGNITO_USER_POOLS",),
    "JWT": ("JWT",),
}
"""Of authorization types that need an authorizer: the types that it may have."""
_NO_AUTHORIZER = (
    "Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid "
    "authorizer."
)
_MODELS = ("Empty", "Error")
"""The models that every API has from its beginning."""


@operation(
    "PutMethod",
    action=PUT,
    resource=METHOD,
    params=(
        "restApiId resourceId httpMethod authorizationType apiKeyRequired operationName requestParameters "
        "requestModels authorizerId requestValidatorId authorizationScopes"
    ),
    conditions=condition_keys.asked(condition_keys.METHOD),
)
def put_method(call: Call, tx: WriteTx, params: Params) -> Output:
    """The resource has a new method, without an integration."""
    resource = get_resource(tx, call, params)
    if params["httpMethod"] in resource.resource_methods:
        raise ServiceError("ConflictException", "Method already exists for this resource")
    method = checked_method(tx, call, params["restApiId"], params)
    resource.resource_methods[method.http_method] = method
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(method)


def checked_method(tx: ReadTx, call: Call, api_id: str, given: Params) -> Method:
    """Return the method that the members of PutMethod describe. Raises BadRequestException if it names what is not."""
    method = make_method(given)
    if method.authorizer_id is not UNSET:
        authorizer = AUTHORIZERS.find(tx, call.scope, api_id, method.authorizer_id)
        if authorizer is None or authorizer.type not in _AUTHORIZER_TYPES[method.authorization_type]:
            raise ServiceError("BadRequestException", _NO_AUTHORIZER)
    method.request_models = checked_models(tx, call, api_id, given.get("requestModels"))
    if validator_id := given.get("requestValidatorId"):
        if VALIDATORS.find(tx, call.scope, api_id, validator_id) is None:
            raise ServiceError("BadRequestException", "Invalid Request Validator identifier specified")
        method.request_validator_id = validator_id
    return method


def make_method(params: Params) -> Method:
    """Return the method that the members of PutMethod describe."""
    http_method, authorization_type = params["httpMethod"], params["authorizationType"]
    if http_method not in METHODS:
        raise ServiceError(
            "BadRequestException",
            "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,HEAD,OPTIONS,ANY",
        )
    needs_authorizer = authorization_type in _AUTHORIZER_TYPES
    if not needs_authorizer and authorization_type not in ("NONE", "AWS_IAM"):
        raise ServiceError(
            "BadRequestException",
            f"Invalid authorization type: {authorization_type}. Must be one of "
            "[CUSTOM, AWS_IAM, NONE, COGNITO_USER_POOLS].",
        )
    authorizer_id = params.get("authorizerId")
    if needs_authorizer and not authorizer_id:
        raise ServiceError("BadRequestException", _NO_AUTHORIZER)
    scopes = list(params.get("authorizationScopes") or ())
    if scopes and authorization_type not in ("COGNITO_USER_POOLS", "JWT"):
        raise ServiceError(
            "BadRequestException",
            "Invalid Method authorization type specified. Authorization Scopes are only valid for COGNITO_USER_POOLS "
            "authorization type",
        )
    return Method(
        http_method=http_method,
        authorization_type=authorization_type,
        # As on AWS, an authorizer without its authorization type is not kept.
        authorizer_id=authorizer_id if authorizer_id and needs_authorizer else UNSET,
        authorization_scopes=scopes or UNSET,
        api_key_required=bool(params.get("apiKeyRequired")),
        operation_name=params.get("operationName") or UNSET,
        request_parameters=checked_parameters(params.get("requestParameters"), "request"),
    )


def checked_parameters(parameters: Any, side: str) -> Any:
    """Return the declared parameters (method.request.path.id: true), or UNSET if there are none."""
    if not parameters:
        return UNSET
    places = ("path", "querystring", "header") if side == "request" else ("header",)
    for name in parameters:
        parts = name.split(".", 3)
        if len(parts) < 4 or parts[:2] != ["method", side] or parts[2] not in places or not parts[3]:
            raise ServiceError(
                "BadRequestException",
                "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
                f"[Invalid mapping expression parameter specified: {name}]",
            )
    return dict(parameters)


def checked_models(tx: ReadTx, call: Call, api_id: str, models: Any) -> Any:
    """Return the models by content type, or UNSET if there are none. Raises BadRequestException for unknown ones."""
    if not models:
        return UNSET
    for name in models.values():
        if name not in _MODELS and MODELS.find(tx, call.scope, api_id, name) is None:
            raise ServiceError("BadRequestException", f"Invalid model identifier specified: {name}")
    return dict(models)


@operation("GetMethod", action=GET, resource=METHOD, params="restApiId resourceId httpMethod")
def get_one_method(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a method with its integration and responses."""
    _, method = get_method(tx, call, params)
    return render(method)


@operation(
    "UpdateMethod",
    action=PATCH,
    resource=METHOD,
    params="restApiId resourceId httpMethod patchOperations",
    conditions=condition_keys.patched(condition_keys.METHOD, condition_keys.find_method),
)
def update_method(call: Call, tx: WriteTx, params: Params) -> Output:
    """The method has the patched values; its integration and its responses stay."""
    resource, method = get_method(tx, call, params)
    given = patching.patched(render(method), params.get("patchOperations"), PATCHES)
    changed = checked_method(tx, call, params["restApiId"], given)
    changed.method_responses, changed.method_integration = method.method_responses, method.method_integration
    resource.resource_methods[method.http_method] = changed
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(changed)


@operation(
    "DeleteMethod",
    action=DELETE,
    resource=METHOD,
    params="restApiId resourceId httpMethod",
    conditions=condition_keys.kept(condition_keys.METHOD, condition_keys.find_method),
)
def delete_method(call: Call, tx: WriteTx, params: Params) -> Output:
    """The method is gone from its resource."""
    resource, method = get_method(tx, call, params)
    del resource.resource_methods[method.http_method]
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return {}


@operation(
    "PutMethodResponse",
    action=PUT,
    resource=RESPONSE,
    params="restApiId resourceId httpMethod statusCode responseParameters responseModels",
)
def put_method_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """The method declares one more status code."""
    resource, method = get_method(tx, call, params)
    responses = {} if method.method_responses is UNSET else method.method_responses
    if params["statusCode"] in responses:
        raise ServiceError("ConflictException", "Response already exists for this resource")
    responses[params["statusCode"]] = response = make_response(tx, call, params["restApiId"], params)
    method.method_responses = responses
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(response)


def make_response(tx: ReadTx, call: Call, api_id: str, given: Params) -> MethodResponse:
    """Return the method response that the members of PutMethodResponse describe."""
    return MethodResponse(
        status_code=given["statusCode"],
        response_parameters=checked_parameters(given.get("responseParameters"), "response"),
        response_models=checked_models(tx, call, api_id, given.get("responseModels")),
    )


def _find_response(method: Method, status_code: str) -> MethodResponse:
    responses = {} if method.method_responses is UNSET else method.method_responses
    if (response := responses.get(status_code)) is None:
        raise ServiceError("NotFoundException", "Invalid Response status code specified")
    return response


@operation("GetMethodResponse", action=GET, resource=RESPONSE, params="restApiId resourceId httpMethod statusCode")
def get_method_response(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one declared status code of a method."""
    _, method = get_method(tx, call, params)
    return render(_find_response(method, params["statusCode"]))


@operation(
    "UpdateMethodResponse",
    action=PATCH,
    resource=RESPONSE,
    params="restApiId resourceId httpMethod statusCode patchOperations",
)
def update_method_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """The declared status code has the patched parameters and models."""
    resource, method = get_method(tx, call, params)
    response = _find_response(method, params["statusCode"])
    given = patching.patched(render(response), params.get("patchOperations"), RESPONSE_PATCHES)
    changed = make_response(tx, call, params["restApiId"], given)
    method.method_responses = {**(method.method_responses or {}), params["statusCode"]: changed}
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return render(changed)


@operation(
    "DeleteMethodResponse", action=DELETE, resource=RESPONSE, params="restApiId resourceId httpMethod statusCode"
)
def delete_method_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """The method no longer declares the status code."""
    resource, method = get_method(tx, call, params)
    _find_response(method, params["statusCode"])
    remaining = {} if method.method_responses is UNSET else method.method_responses
    del remaining[params["statusCode"]]
    method.method_responses = remaining or UNSET
    RESOURCES.save(tx, call.scope, params["restApiId"], resource.id, record=resource)
    return {}
