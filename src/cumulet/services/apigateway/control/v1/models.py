"""The models of a REST API (JSON Schema, draft 4), and the validators that hold requests against them."""

import re
from typing import Any

import msgspec
from msgspec import UNSET

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.paging import page_of_api
from cumulet.services.apigateway.control.v1.records import (
    MODELS,
    RESOURCES,
    VALIDATORS,
    Model,
    RequestValidator,
    get_api,
    render,
)
from cumulet.services.apigateway.control.v1.schema_keywords import unknown_keywords
from cumulet.services.apigateway.mapping import schemas
from cumulet.services.apigateway.mapping.samples import sample_template
from cumulet.services.apigateway.model import ANY_TYPE
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

MODEL = at("/restapis/{restApiId}/models/{modelName}")
VALIDATOR = at("/restapis/{restApiId}/requestvalidators/{requestValidatorId}")

MODEL_PATCHES = patching.table(
    """
    /description text replace
    /schema      text replace
    """
)
VALIDATOR_PATCHES = patching.table(
    """
    /name                      text replace
    /validateRequestParameters flag replace
    /validateRequestBody       flag replace
    """
)

_JSON = "application/json"
VALIDATING = (_JSON, ANY_TYPE)
"""The types of models that bodies are held against; others are kept as text."""
_NAME = re.compile(r"^[A-Za-z0-9]{1,64}\Z")
_DRAFT = "http://json-schema.org/draft-04/schema#"
_EMPTY = f'{{\n  "$schema": "{_DRAFT}",\n  "title" : "Empty Schema",\n  "type" : "object"\n}}'
_ERROR = (
    f'{{\n  "$schema" : "{_DRAFT}",\n  "title" : "Error Schema",\n  "type" : "object",\n'
    '  "properties" : {\n    "message" : { "type" : "string" }\n  }\n}'
)
_BEGINNING = (
    ("Empty", "This is a default empty schema model", _EMPTY),
    ("Error", "This is a default error schema model", _ERROR),
)


def save_first_models(call: Call, tx: WriteTx, api_id: str) -> None:
    """Give a new API the two models that every API begins with."""
    for name, description, schema in _BEGINNING:
        model = Model(call.ids.token(6), name, _JSON, schema, description)
        MODELS.save(tx, call.scope, api_id, name, record=model)


@operation(
    "CreateModel",
    action=POST,
    resource=at("/restapis/{restApiId}/models"),
    params="restApiId name description schema contentType",
)
def create_model(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has one more model, which methods can name."""
    api = get_api(tx, call, params)
    name = checked_name(params["name"])
    if MODELS.find(tx, call.scope, api.id, name) is not None:
        raise ServiceError("ConflictException", "Model name already exists for this REST API")
    schema = checked_schema(params.get("schema") or "{}", params["contentType"])
    _check_keywords(schema, params["contentType"])
    _check_references(call, tx, api.id, schema, params["contentType"])
    description = params.get("description") or UNSET
    model = Model(call.ids.token(6), name, params["contentType"], schema, description)
    MODELS.save(tx, call.scope, api.id, name, record=model)
    return render(model)


def checked_name(name: str) -> str:
    """Return a model's name if AWS would have it."""
    if not _NAME.match(name):
        raise _bad(f"Model name must be alphanumeric: {name}")
    return name


def _check_keywords(schema: str, content_type: str) -> None:
    """Raise BadRequestException for keywords that draft 4 does not have. Documents may have them: see `imports`."""
    if content_type in VALIDATING and (unknown := unknown_keywords(msgspec.json.decode(schema))):
        named = ", ".join([f'"{keyword}"' for keyword in sorted(unknown)])
        raise _invalid(f"Invalid model schema specified. Unsupported keyword(s): [{named}]")


def _check_references(call: Call, tx: ReadTx, api_id: str, schema: str, content_type: str) -> None:
    for name in schemas.models_in(schema) if content_type in VALIDATING else ():
        if MODELS.find(tx, call.scope, api_id, name) is None:
            raise _invalid(f"Invalid model reference specified: {schemas.model_url(api_id, name)}")


def models_in(model: Model) -> list[str]:
    """Return the names of the other models that a model refers to."""
    return schemas.models_in(model.schema) if model.content_type in VALIDATING else []


def _invalid(error: str) -> ServiceError:
    return _bad(f"Invalid model specified: Validation Result: warnings : [], errors : [{error}]")


def checked_schema(schema: str, content_type: str) -> str:
    """Return a schema that can be held against bodies. Raises BadRequestException, or NotImplementedHere."""
    if len(schema) > limits.SCHEMA_CHARS_MAX:
        raise _bad("Model size exceeds the limit of 400 KB")
    if content_type not in VALIDATING:
        return schema  # AWS keeps others as text, and validates nothing with them
    try:
        schemas.check(schema)
    except schemas.BadSchema as error:
        raise _invalid(f"Invalid model schema specified. {error}") from None
    return schema


def get_model(tx: ReadTx, call: Call, params: Params) -> Model:
    """Return the model that `modelName` names."""
    api = get_api(tx, call, params)
    if (model := MODELS.find(tx, call.scope, api.id, params["modelName"])) is None:
        raise ServiceError("NotFoundException", f"Invalid model name specified: {params['modelName']}")
    return model


@operation("GetModel", action=GET, resource=MODEL, params="restApiId modelName flatten")
def get_one_model(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one model; `flatten` asks for the models that it refers to inside it."""
    model = get_model(tx, call, params)
    if params.get("flatten"):
        model.schema = flattened(call, tx, params["restApiId"], model)
    return render(model)


def flattened(call: Call, tx: ReadTx, api_id: str, model: Model) -> str:
    """Return a model's schema together with those that it refers to, so that it stands alone."""

    def find(name: str) -> str:
        found = MODELS.find(tx, call.scope, api_id, name)
        return "{}" if found is None else found.schema

    return schemas.flattened(model.schema, find) if model.content_type in VALIDATING else model.schema


@operation(
    "GetModelTemplate",
    action=GET,
    resource=at("/restapis/{restApiId}/models/{modelName}/default_template"),
    params="restApiId modelName",
)
def get_model_template(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a mapping template that makes a payload of the model's shape, to begin with."""
    model = get_model(tx, call, params)
    return {"value": sample_template(flattened(call, tx, params["restApiId"], model))}


@operation("GetModels", action=GET, resource=at("/restapis/{restApiId}/models"), params="restApiId position limit")
def get_models(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's models, a page at a time."""
    api = get_api(tx, call, params)
    return page_of_api(tx, call, params, api.id, MODELS, lambda model: model.name, render)


@operation("UpdateModel", action=PATCH, resource=MODEL, params="restApiId modelName patchOperations")
def update_model(call: Call, tx: WriteTx, params: Params) -> Output:
    """The model has the patched values; what is deployed does not change."""
    model = get_model(tx, call, params)
    given = patching.patched(render(model), params.get("patchOperations"), MODEL_PATCHES)
    if not given["schema"]:
        raise _bad("Model schema must have at least 1 property or array items defined")
    model.description = given.get("description") or UNSET
    changed = given["schema"] != model.schema
    model.schema = checked_schema(given["schema"], model.content_type)
    if changed:
        _check_keywords(model.schema, model.content_type)
    _check_references(call, tx, params["restApiId"], model.schema, model.content_type)
    MODELS.save(tx, call.scope, params["restApiId"], model.name, record=model)
    return render(model)


@operation("DeleteModel", action=DELETE, resource=MODEL, params="restApiId modelName")
def delete_model(call: Call, tx: WriteTx, params: Params) -> Output:
    """The model is gone. Refused while a method names it."""
    model = get_model(tx, call, params)
    for resource in RESOURCES.scan(tx, call.scope, params["restApiId"]):
        for method in resource.resource_methods.values():
            named: list[Any] = [method.request_models]
            if method.method_responses is not UNSET:
                named += [response.response_models for response in method.method_responses.values()]
            if any(models is not UNSET and model.name in models.values() for models in named):
                raise ServiceError(
                    "ConflictException", f"Cannot delete model '{model.name}', is referenced in method request/response"
                )
    for other in MODELS.scan(tx, call.scope, params["restApiId"]):
        if other.name != model.name and model.name in models_in(other):
            raise ServiceError(
                "ConflictException", f"Cannot delete model '{model.name}', is referenced in model '{other.name}'"
            )
    MODELS.delete(tx, call.scope, params["restApiId"], model.name)
    return {}


@operation(
    "CreateRequestValidator",
    action=POST,
    resource=at("/restapis/{restApiId}/requestvalidators"),
    params="restApiId name validateRequestBody validateRequestParameters",
)
def create_request_validator(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has one more validator, to which methods can point."""
    api = get_api(tx, call, params)
    validator = make_validator(call.ids.token(6), params)
    VALIDATORS.save(tx, call.scope, api.id, validator.id, record=validator)
    return render(validator)


def make_validator(validator_id: str, given: Params) -> RequestValidator:
    """Return the validator that the members of CreateRequestValidator describe."""
    return RequestValidator(
        id=validator_id,
        name=given.get("name") or UNSET,
        validate_request_body=bool(given.get("validateRequestBody")),
        validate_request_parameters=bool(given.get("validateRequestParameters")),
    )


def get_validator(tx: ReadTx, call: Call, params: Params) -> RequestValidator:
    """Return the validator that `requestValidatorId` names."""
    api = get_api(tx, call, params)
    if (validator := VALIDATORS.find(tx, call.scope, api.id, params["requestValidatorId"])) is None:
        raise ServiceError("NotFoundException", "Invalid Request Validator identifier specified")
    return validator


@operation("GetRequestValidator", action=GET, resource=VALIDATOR, params="restApiId requestValidatorId")
def get_one_request_validator(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one validator."""
    return render(get_validator(tx, call, params))


@operation(
    "GetRequestValidators",
    action=GET,
    resource=at("/restapis/{restApiId}/requestvalidators"),
    params="restApiId position limit",
)
def get_request_validators(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's validators, a page at a time."""
    api = get_api(tx, call, params)
    return page_of_api(tx, call, params, api.id, VALIDATORS, lambda validator: validator.id, render)


@operation(
    "UpdateRequestValidator",
    action=PATCH,
    resource=VALIDATOR,
    params="restApiId requestValidatorId patchOperations",
)
def update_request_validator(call: Call, tx: WriteTx, params: Params) -> Output:
    """The validator has the patched values; what is deployed does not change."""
    validator = get_validator(tx, call, params)
    given = patching.patched(render(validator), params.get("patchOperations"), VALIDATOR_PATCHES)
    if given.get("name", "") is None:
        raise _bad("Request Validator name cannot be blank")
    validator = make_validator(validator.id, given)
    VALIDATORS.save(tx, call.scope, params["restApiId"], validator.id, record=validator)
    return render(validator)


@operation("DeleteRequestValidator", action=DELETE, resource=VALIDATOR, params="restApiId requestValidatorId")
def delete_request_validator(call: Call, tx: WriteTx, params: Params) -> Output:
    """The validator is gone. Refused while a method points to it."""
    validator = get_validator(tx, call, params)
    for resource in RESOURCES.scan(tx, call.scope, params["restApiId"]):
        if any(method.request_validator_id == validator.id for method in resource.resource_methods.values()):
            raise ServiceError(
                "ConflictException",
                f"Cannot delete request validator '{validator.id}', is referenced in a method",
            )
    VALIDATORS.delete(tx, call.scope, params["restApiId"], validator.id)
    return {}


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
