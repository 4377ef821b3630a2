"""OpenAPI 2 and 3 documents with API Gateway's extensions, read into a plan (pure).

What a document asks for and Cumulet does not have is refused by its name: a REST API's authorizers, models, validators,
gateway responses, policies. What API Gateway itself ignores (hosts, schemes, examples, summaries) is ignored.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.model import ANY

INTEGRATION = "x-amazon-apigateway-integration"
ANY_METHOD = "x-amazon-apigateway-any-method"
BINARY_MEDIA_TYPES = "x-amazon-apigateway-binary-media-types"
AUTHORIZER = "x-amazon-apigateway-authorizer"
CORS = "x-amazon-apigateway-cors"
TAG_VALUE = "x-amazon-apigateway-tag-value"

_EXTENSION = "x-amazon-apigateway-"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_NOT_MODELLED = ("definitions", "securityDefinitions")
_IN = {"path": "path", "query": "querystring", "header": "header"}

_INTEGRATION_TEXTS = frozenset(
    (
        "type",
        "uri",
        "httpMethod",
        "credentials",
        "passthroughBehavior",
        "cacheNamespace",
        "connectionType",
        "payloadFormatVersion",
        "responseTransferMode",
    )
)


@dataclass(frozen=True, slots=True)
class PlannedMethod:
    """One operation of a path."""

    path: str
    method: str
    integration: Mapping[str, Any] | None
    operation_name: str | None
    request_parameters: Mapping[str, bool]
    responses: Mapping[str, Mapping[str, bool]]
    """The declared status codes, each with its response parameters."""
    security: tuple[str, tuple[str, ...]] | None
    """The security scheme that an HTTP API's route asks, and the scopes that it wants."""


@dataclass(frozen=True, slots=True)
class ApiPlan:
    """An API as a document describes it."""

    title: str
    version: str | None
    description: str | None
    paths: tuple[str, ...]
    methods: tuple[PlannedMethod, ...]
    binary_media_types: tuple[str, ...]
    cors: Mapping[str, Any]
    tags: Mapping[str, str]
    authorizers: Mapping[str, Mapping[str, Any]]
    """The security schemes' x-amazon-apigateway-authorizer, by the schemes' names."""


def plan_api(body: bytes | str, *, is_http: bool = False) -> ApiPlan:
    """Return what a document describes. Raises BadRequestException if it is none, NotImplementedHere for its extras.

    Security schemes and parameter mappings are planned for HTTP APIs only.
    """
    document = _parse(body)
    _refuse_extras(document, "", {BINARY_MEDIA_TYPES, CORS, f"{_EXTENSION}importexport-version"})
    for name in _NOT_MODELLED:
        if document.get(name):
            raise NotImplementedHere(f"The section {name} of an OpenAPI document")
    for name, section in _mapping(document.get("components"), "components").items():
        if section and not (is_http and name == "securitySchemes"):
            raise NotImplementedHere(f"The section components.{name} of an OpenAPI document")
    info = _mapping(document.get("info"), "info")
    title = _text(info.get("title"), "title")
    if not title:
        raise ServiceError("BadRequestException", "Unable to parse API definition because of a missing title")
    paths = _mapping(document.get("paths"), "paths")
    return ApiPlan(
        title=title,
        version=_text(info.get("version"), "version"),
        description=_text(info.get("description"), "description"),
        paths=tuple(paths),
        methods=tuple(_plan_methods(paths, is_http, document.get("security"))),
        binary_media_types=tuple(_texts(document.get(BINARY_MEDIA_TYPES), BINARY_MEDIA_TYPES)),
        cors=_mapping(document.get(CORS), CORS),
        tags=dict(_plan_tags(document.get("tags"))),
        authorizers=dict(_plan_authorizers(document)) if is_http else {},
    )


def _plan_authorizers(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    schemes = _mapping(_mapping(document.get("components"), "components").get("securitySchemes"), "securitySchemes")
    for name, given in schemes.items():
        scheme = _mapping(given, name)
        if AUTHORIZER not in scheme:
            raise NotImplementedHere(f"The security scheme {name} without {AUTHORIZER} in an OpenAPI document")
        yield name, _mapping(scheme[AUTHORIZER], name)


def _parse(body: bytes | str) -> Mapping[str, Any]:
    if len(body) > limits.DEFINITION_BYTES_MAX:
        raise ServiceError("BadRequestException", "The API definition is larger than 6 MB")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = _parse_yaml(body)
    except RecursionError:
        raise ServiceError("BadRequestException", "Invalid OpenAPI input.") from None
    if not isinstance(document, dict) or not ("swagger" in document or "openapi" in document):
        raise ServiceError("BadRequestException", "Invalid OpenAPI input.")
    return _mapping(document, "document")


def _parse_yaml(body: bytes | str) -> Any:
    import yaml

    try:
        return yaml.load(body, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ServiceError("BadRequestException", "Invalid OpenAPI input.") from None


def _plan_tags(tags: Any) -> Iterator[tuple[str, str]]:
    for tag in _objects(tags, "tags"):
        name, value = _text(tag.get("name"), "tag"), _text(tag.get(TAG_VALUE), "tag")
        if name is not None and value is not None:
            yield name, value


def _plan_methods(paths: Mapping[str, Any], is_http: bool, security: Any) -> Iterator[PlannedMethod]:
    for path, item in paths.items():
        operations = _mapping(item, path)
        _refuse_extras(operations, f" of {path}", {ANY_METHOD})
        shared = _objects(operations.get("parameters"), f"parameters of {path}")
        for name, operation in operations.items():
            if name in _METHODS or name == ANY_METHOD:
                method = ANY if name == ANY_METHOD else name.upper()
                yield _plan_method(path, method, _mapping(operation, f"{method} {path}"), shared, is_http, security)


def _plan_method(
    path: str,
    method: str,
    operation: Mapping[str, Any],
    shared: list[dict[str, Any]],
    is_http: bool,
    security: Any,
) -> PlannedMethod:
    where = f" of {method} {path}"
    _refuse_extras(operation, where, {INTEGRATION})
    if operation.get("security") and not is_http:
        raise NotImplementedHere(f"The member security{where} in an OpenAPI document")
    for content in _mapping(_mapping(operation.get("requestBody"), where).get("content"), where).values():
        if isinstance(content, dict) and content.get("schema"):
            raise NotImplementedHere(f"The model in requestBody{where} in an OpenAPI document")
    parameters: dict[str, bool] = {}
    for parameter in [*shared, *_objects(operation.get("parameters"), f"parameters{where}")]:
        place = _text(parameter.get("in"), f"parameters{where}")
        if place not in _IN:
            raise NotImplementedHere(f"The parameter in {place or '$ref'}{where} in an OpenAPI document")
        parameters[f"method.request.{_IN[place]}.{parameter.get('name')}"] = bool(parameter.get("required"))
    return PlannedMethod(
        path,
        method,
        None if operation.get(INTEGRATION) is None else _plan_integration(operation[INTEGRATION], where, is_http),
        _text(operation.get("operationId"), f"operationId{where}"),
        parameters,
        dict(_plan_responses(operation, where)),
        _plan_security(operation.get("security", security), where) if is_http else None,
    )


def _plan_security(given: Any, where: str) -> tuple[str, tuple[str, ...]] | None:
    asked = [(name, scopes) for one in _objects(given, f"security{where}") for name, scopes in one.items()]
    if len(asked) > 1:
        raise ServiceError("BadRequestException", f"Only one authorizer is supported{where}")
    return (asked[0][0], tuple(_texts(asked[0][1], f"security{where}"))) if asked else None


def _plan_integration(given: Any, where: str, is_http: bool) -> dict[str, Any]:
    """Return an integration with members of the right types, its responses by pattern."""
    integration = _mapping(given, f"integration{where}")
    malformed = f"integration{where}"
    planned: dict[str, Any] = {}
    for name, value in integration.items():
        if name == "timeoutInMillis":
            if not isinstance(value, int):
                raise _malformed(malformed)
            planned[name] = value
        elif name == "cacheKeyParameters":
            planned[name] = _texts(value, malformed)
        elif name in ("requestParameters", "requestTemplates"):
            planned[name] = _text_map(value, malformed)
        elif name == "responseParameters" and is_http:
            planned[name] = {
                status: _text_map(mapping, malformed) for status, mapping in _mapping(value, malformed).items()
            }
        elif name == "responses":
            planned[name] = {
                pattern: _plan_integration_response(response, malformed)
                for pattern, response in _mapping(value, malformed).items()
            }
        elif name in _INTEGRATION_TEXTS:
            planned[name] = _text(value, malformed)
        elif value:
            raise NotImplementedHere(f"The member {name} of the integration{where} in an OpenAPI document")
    return planned


def _plan_integration_response(given: Any, malformed: str) -> dict[str, Any]:
    response = _mapping(given, malformed)
    for name, value in response.items():
        if name not in ("statusCode", "responseParameters", "responseTemplates") and value:
            raise NotImplementedHere(f"The member {name} of an integration's response in an OpenAPI document")
    return {
        "statusCode": _text(response.get("statusCode"), malformed),
        "responseParameters": _text_map(response.get("responseParameters"), malformed),
        "responseTemplates": _text_map(response.get("responseTemplates"), malformed),
    }


def _plan_responses(operation: Mapping[str, Any], where: str) -> Iterator[tuple[str, dict[str, bool]]]:
    for status, given in _mapping(operation.get("responses"), where).items():
        response = _mapping(given, f"responses{where}")
        if response.get("schema") or any(
            isinstance(content, dict) and content.get("schema")
            for content in _mapping(response.get("content"), where).values()
        ):
            raise NotImplementedHere(f"The model in the response {status}{where} in an OpenAPI document")
        headers = _mapping(response.get("headers"), where)
        if str(status) != "default":
            yield str(status), {f"method.response.header.{name}": False for name in headers}


def _mapping(value: Any, where: str) -> dict[str, Any]:
    """Return an object of the document; YAML may have given it keys that are numbers."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _malformed(where)
    return {str(name): member for name, member in value.items()}


def _objects(value: Any, where: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _malformed(where)
    return [_mapping(member, where) for member in value]


def _text(value: Any, where: str) -> str | None:
    """Return a text of the document; YAML reads a version as a number, which is text all the same."""
    if isinstance(value, dict | list):
        raise _malformed(where)
    return None if value is None else str(value)


def _texts(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(member, str) for member in value):
        raise _malformed(where)
    return value


def _text_map(value: Any, where: str) -> dict[str, str]:
    members = _mapping(value, where)
    if not all(isinstance(member, str) for member in members.values()):
        raise _malformed(where)
    return members


def _malformed(where: str) -> ServiceError:
    return ServiceError("BadRequestException", f"Unable to parse API definition because of a malformed {where}")


def _refuse_extras(section: Mapping[str, Any], where: str, known: set[str]) -> None:
    for name, value in section.items():
        if str(name).startswith(_EXTENSION) and name not in known and value:
            raise NotImplementedHere(f"The extension {name}{where} in an OpenAPI document")
