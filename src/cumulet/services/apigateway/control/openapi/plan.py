"""What a document describes, as a plan that the control planes carry out.

What a document asks for and Cumulet does not have is refused by its name. What API Gateway itself ignores (hosts,
schemes, examples, summaries, a REST API's root-level security) is ignored.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control.openapi import extensions
from cumulet.services.apigateway.control.openapi.integrations import plan_integration
from cumulet.services.apigateway.control.openapi.reading import (
    Object,
    flag,
    followed,
    malformed,
    mapping,
    number,
    objects,
    refuse_extras,
    text,
    text_map,
    texts,
)
from cumulet.services.apigateway.model import ANY

JSON = "application/json"
BASE_PATHS = ("ignore", "prepend", "split")

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_STATUS = re.compile(r"^[1-5]\d\d\Z")
_IN = {"path": "path", "query": "querystring", "header": "header"}
_SCHEMAS = ("#/definitions/", "#/components/schemas/")
_DOCUMENT_EXTENSIONS = (
    extensions.API_KEY_SOURCE,
    extensions.BINARY_MEDIA_TYPES,
    extensions.CORS,
    extensions.DOCUMENTATION,
    extensions.ENDPOINT_CONFIGURATION,
    extensions.GATEWAY_RESPONSES,
    extensions.MINIMUM_COMPRESSION_SIZE,
    extensions.POLICY,
    extensions.SECURITY_POLICY,
    extensions.ENDPOINT_ACCESS_MODE,
    extensions.REQUEST_VALIDATOR,
    extensions.REQUEST_VALIDATORS,
    extensions.VERSION,
)

ModelUse = str | Object
"""The name of a model, or a schema that stands where it is used."""


@dataclass(frozen=True, slots=True)
class PlannedResponse:
    """A status code that an operation declares."""

    parameters: Mapping[str, bool]
    models: Mapping[str, ModelUse]


@dataclass(frozen=True, slots=True)
class PlannedMethod:
    """One operation of a path."""

    path: str
    method: str
    integration: Mapping[str, Any] | None
    operation_name: str | None
    request_parameters: Mapping[str, bool]
    request_models: Mapping[str, ModelUse]
    responses: Mapping[str, PlannedResponse]
    security: tuple[tuple[str, tuple[str, ...]], ...]
    """The security schemes that are asked, each with the scopes that are wanted."""
    auth: str
    """The type in x-amazon-apigateway-auth, in capitals; empty if there is none."""
    validator: str | None
    """The name of the request validator."""


SchemeKind = Literal["authorizer", "iam", "api_key", "other"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """A security scheme, as far as API Gateway looks at it."""

    kind: SchemeKind
    authtype: str | None
    header: str | None
    """The name of the header that holds the secret, if it is one."""
    issuer: str | None
    """The issuer that an openIdConnectUrl stands for."""
    authorizer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApiPlan:
    """An API as a document describes it."""

    title: str
    """May be empty, but for an HTTP API."""
    version: str | None
    description: str | None
    paths: tuple[str, ...]
    methods: tuple[PlannedMethod, ...]
    schemes: Mapping[str, Scheme]
    models: Mapping[str, Object]
    validators: Mapping[str, tuple[bool, bool]]
    """By name: whether the body and whether the parameters are validated."""
    gateway_responses: Mapping[str, Object]
    cors: Mapping[str, Any]
    tags: Mapping[str, str]
    settings: Mapping[str, Any]
    """The members of CreateRestApi that the extensions give."""
    documentation: tuple[tuple[dict[str, str], str], ...]
    documentation_version: str | None
    warnings: list[str] = field(default_factory=list)


def plan_api(document: Object, *, is_http: bool = False, base_path: str = "ignore") -> ApiPlan:
    """Return what a document describes. Raises BadRequestException, or NotImplementedHere for its extras."""
    refuse_extras(document, "", *_DOCUMENT_EXTENSIONS)
    components = mapping(document.get("components"), "components")
    refuse_extras(components, " of components", extensions.INTEGRATIONS)
    info = mapping(document.get("info"), "info")
    refuse_extras(info, " of info")
    title = text(info.get("title"), "title")
    if not title and is_http:
        raise ServiceError("BadRequestException", "Unable to parse API definition because of a missing title")
    prefix = _prefix(document, base_path)
    paths = {
        f"{prefix}{path}" if prefix else path: item for path, item in mapping(document.get("paths"), "paths").items()
    }
    warnings: list[str] = []
    settings = _plan_settings(document)
    if not is_http and settings.pop("ipAddressType", None) is not None:
        warnings.append("ipAddressType is only supported for HTTP APIs, it is ignored")
    for name, holder in () if is_http else ((extensions.CORS, document), (extensions.INTEGRATIONS, components)):
        if holder.get(name):
            warnings.append(f"{name} is only supported for HTTP APIs, it is ignored")
    if isinstance(document.get("servers"), dict):
        warnings.append("servers is not of type array, it is ignored")
    documentation = mapping(document.get(extensions.DOCUMENTATION), extensions.DOCUMENTATION)
    schemas = document.get("definitions") if "swagger" in document else components.get("schemas")
    return ApiPlan(
        title=title or "",
        version=text(info.get("version"), "version"),
        description=text(info.get("description"), "description"),
        paths=tuple([prefix, *paths] if prefix else paths),
        methods=tuple(_plan_methods(document, paths, is_http, warnings)),
        schemes=dict(_plan_schemes(document, components)),
        models={name: mapping(schema, f"model {name}") for name, schema in mapping(schemas, "schemas").items()},
        validators=dict(_plan_validators(document)),
        gateway_responses=dict(_plan_gateway_responses(document, warnings)),
        cors=mapping(document.get(extensions.CORS), extensions.CORS),
        tags=dict(_plan_tags(document.get("tags"))),
        settings=settings,
        documentation=tuple(plan_documentation(document)),
        documentation_version=text(documentation.get("version"), extensions.DOCUMENTATION),
        warnings=warnings,
    )


def _prefix(document: Object, base_path: str) -> str:
    """Return what stands before each path: nothing, the base path, or the base path without its first part.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-import-api-basePath.html
    """
    if base_path not in BASE_PATHS:
        raise ServiceError(
            "BadRequestException", f"Invalid basepath: {base_path}. Must be one of [{', '.join(BASE_PATHS)}]"
        )
    if base_path == "ignore":
        return ""
    parts = [part for part in _base_path(document).split("/") if part]
    return "".join([f"/{part}" for part in (parts if base_path == "prepend" else parts[1:])])


def _servers(document: Object) -> list[Object]:
    """Return the servers; an object in their place, which OpenAPI does not know, says nothing and is no error."""
    servers = document.get("servers")
    return [] if isinstance(servers, dict) else objects(servers, "servers")


def _base_path(document: Object) -> str:
    if "swagger" in document:
        return text(document.get("basePath"), "basePath") or ""
    for server in _servers(document):
        variables = mapping(server.get("variables"), "servers")
        if "basePath" in variables:
            return text(mapping(variables["basePath"], "servers").get("default"), "servers") or ""
        try:
            return urlsplit(text(server.get("url"), "servers") or "").path
        except ValueError:
            raise malformed("servers") from None
    return ""


def _plan_settings(document: Object) -> dict[str, Any]:
    policy = document.get(extensions.POLICY)
    endpoint = mapping(document.get(extensions.ENDPOINT_CONFIGURATION), extensions.ENDPOINT_CONFIGURATION)
    for server in _servers(document):
        endpoint.update(mapping(server.get(extensions.ENDPOINT_CONFIGURATION), extensions.ENDPOINT_CONFIGURATION))
    for name in endpoint:
        if name not in ("disableExecuteApiEndpoint", "ipAddressType"):
            raise NotImplementedHere(f"The member {name} of {extensions.ENDPOINT_CONFIGURATION}")
    source = text(document.get(extensions.API_KEY_SOURCE), extensions.API_KEY_SOURCE)
    settings = {
        "apiKeySource": source.upper() if source else None,
        "binaryMediaTypes": texts(document.get(extensions.BINARY_MEDIA_TYPES), extensions.BINARY_MEDIA_TYPES) or None,
        "minimumCompressionSize": number(
            document.get(extensions.MINIMUM_COMPRESSION_SIZE), extensions.MINIMUM_COMPRESSION_SIZE
        ),
        "disableExecuteApiEndpoint": flag(endpoint.get("disableExecuteApiEndpoint"), extensions.ENDPOINT_CONFIGURATION)
        or None,
        "ipAddressType": text(endpoint.get("ipAddressType"), extensions.ENDPOINT_CONFIGURATION) or None,
        "securityPolicy": text(document.get(extensions.SECURITY_POLICY), extensions.SECURITY_POLICY) or None,
        "endpointAccessMode": text(document.get(extensions.ENDPOINT_ACCESS_MODE), extensions.ENDPOINT_ACCESS_MODE)
        or None,
        "policy": msgspec.json.encode(mapping(policy, extensions.POLICY)).decode() if policy else None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _plan_validators(document: Object) -> Iterator[tuple[str, tuple[bool, bool]]]:
    where = extensions.REQUEST_VALIDATORS
    for name, given in mapping(document.get(where), where).items():
        validator = mapping(given, where)
        yield (
            name,
            (
                flag(validator.get("validateRequestBody"), where),
                flag(validator.get("validateRequestParameters"), where),
            ),
        )


def _plan_gateway_responses(document: Object, warnings: list[str]) -> Iterator[tuple[str, Object]]:
    where = extensions.GATEWAY_RESPONSES
    for name, given in mapping(document.get(where), where).items():
        response = mapping(given, where)
        planned = {
            "statusCode": text(response.get("statusCode"), where),
            "responseParameters": text_map(response.get("responseParameters"), where),
            "responseTemplates": text_map(response.get("responseTemplates"), where),
        }
        others = [member for member in response if member not in planned and not member.startswith("x-")]
        warnings += [f"{member} is no member of the gateway response {name}, it is ignored" for member in others]
        yield name, planned


def _plan_schemes(document: Object, components: Object) -> Iterator[tuple[str, Scheme]]:
    schemes = document.get("securityDefinitions") if "swagger" in document else components.get("securitySchemes")
    for name, given in mapping(schemes, "securitySchemes").items():
        scheme = followed(document, given, f"security scheme {name}")
        authtype = text(scheme.get(extensions.AUTHTYPE), name)
        header = text(scheme.get("name"), name) if scheme.get("in") == "header" else None
        authorizer = mapping(scheme.get(extensions.AUTHORIZER), name)
        discovery = text(scheme.get("openIdConnectUrl"), name) or ""
        kind: SchemeKind = "other"
        if authorizer:
            kind = "authorizer"
        elif (authtype or "").lower() == "awssigv4":
            kind = "iam"
        elif scheme.get("type") == "apiKey" and (header or "").lower() == "x-api-key":
            kind = "api_key"
        issuer = discovery.partition("/.well-known/")[0] or None
        yield name, Scheme(kind, authtype, header, issuer, authorizer)


def plan_documentation(document: Object) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the documentation parts of a document: their locations, and what is written as JSON text."""
    where = extensions.DOCUMENTATION
    for part in objects(mapping(document.get(where), where).get("documentationParts"), where):
        location = {name: text(value, where) or "" for name, value in mapping(part.get("location"), where).items()}
        properties = part.get("properties")
        yield location, properties if isinstance(properties, str) else msgspec.json.encode(properties).decode()


def _plan_tags(tags: Any) -> Iterator[tuple[str, str]]:
    for tag in objects(tags, "tags"):
        name, value = text(tag.get("name"), "tag"), text(tag.get(extensions.TAG_VALUE), "tag")
        if name is not None and value is not None:
            yield name, value


def _plan_methods(
    document: Object, paths: Mapping[str, Any], is_http: bool, warnings: list[str]
) -> Iterator[PlannedMethod]:
    for path, item in paths.items():
        operations = followed(document, item, path)
        if "trace" in operations and not is_http:
            warnings.append(f"TRACE is not supported for path '{path}', it is ignored")
        refuse_extras(operations, f" of {path}", extensions.ANY_METHOD)
        for name, operation in operations.items():
            if name in _METHODS or name == extensions.ANY_METHOD:
                method = ANY if name == extensions.ANY_METHOD else name.upper()
                given = mapping(operation, f"{method} {path}")
                yield _plan_method(document, path, method, given, operations.get("parameters"), is_http, warnings)


def _plan_method(
    document: Object, path: str, method: str, operation: Object, shared: Any, is_http: bool, warnings: list[str]
) -> PlannedMethod:
    where = f" of {method} {path}"
    refuse_extras(operation, where, extensions.INTEGRATION, extensions.AUTH, extensions.REQUEST_VALIDATOR)
    parameters: dict[str, bool] = {}
    models: dict[str, ModelUse] = {}
    for parameter in [*_listed(shared, where), *_listed(operation.get("parameters"), where)]:
        found = followed(document, parameter, f"parameters{where}")
        place, name = (text(found.get(member), f"parameters{where}") for member in ("in", "name"))
        if not place or (place in _IN and not name):
            raise malformed(f"parameters{where}")
        if place in _IN:
            parameters[f"method.request.{_IN[place]}.{name}"] = flag(found.get("required"), f"parameters{where}")
        elif place == "body" and not is_http:
            for media_type in texts(operation.get("consumes", document.get("consumes")), where) or [JSON]:
                models[media_type] = _model_use(found.get("schema"), where)
        else:
            warnings.append(f"Parameters in {place} are not supported{where}, parameter '{name}' is ignored")
    if not is_http:
        body = followed(document, operation.get("requestBody"), f"requestBody{where}")
        models.update(_plan_content(body, where))
    integration = operation.get(extensions.INTEGRATION)
    if isinstance(integration, dict) and "$ref" in integration:
        if not is_http:
            raise ServiceError("BadRequestException", f"{extensions.INTEGRATIONS} are for HTTP APIs only{where}")
        integration = followed(document, integration, f"integration{where}")
    security = operation.get("security", document.get("security") if is_http else None)
    auth = mapping(operation.get(extensions.AUTH), f"{extensions.AUTH}{where}")
    validator = operation.get(extensions.REQUEST_VALIDATOR, document.get(extensions.REQUEST_VALIDATOR))
    return PlannedMethod(
        path,
        method,
        None if integration is None else plan_integration(integration, where, is_http, warnings),
        text(operation.get("operationId"), f"operationId{where}"),
        parameters,
        models,
        {} if is_http else dict(_plan_responses(document, operation, where, warnings)),
        tuple(_plan_security(security, where)),
        (text(auth.get("type"), f"{extensions.AUTH}{where}") or "").upper(),
        text(validator, f"{extensions.REQUEST_VALIDATOR}{where}"),
    )


def _listed(value: Any, where: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise malformed(f"parameters{where}")
    return value or []


def _plan_security(given: Any, where: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for one in objects(given, f"security{where}"):
        for name, scopes in one.items():
            yield name, tuple(texts(scopes, f"security{where}"))


def _plan_content(holder: Object, where: str) -> Iterator[tuple[str, ModelUse]]:
    for media_type, content in mapping(holder.get("content"), f"content{where}").items():
        schema = mapping(content, f"content{where}").get("schema")
        if schema:
            yield media_type, _model_use(schema, where)


def _model_use(given: Any, where: str) -> ModelUse:
    schema = mapping(given, f"schema{where}")
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    for prefix in _SCHEMAS:
        if reference.startswith(prefix):
            return reference.removeprefix(prefix)
    raise ServiceError("BadRequestException", f"Invalid model reference specified{where}: {reference}")


def _plan_responses(
    document: Object, operation: Object, where: str, warnings: list[str]
) -> Iterator[tuple[str, PlannedResponse]]:
    for status, given in mapping(operation.get("responses"), f"responses{where}").items():
        if status == "default" or status.startswith("x-"):
            continue
        if not _STATUS.match(status):
            warnings.append(f"The response {status}{where} is not supported, it is ignored")
            continue
        response = followed(document, given, f"responses{where}")
        headers = mapping(response.get("headers"), f"responses{where}")
        models = dict(_plan_content(response, where))
        if response.get("schema"):
            for media_type in texts(operation.get("produces", document.get("produces")), where) or [JSON]:
                models[media_type] = _model_use(response["schema"], where)
        yield status, PlannedResponse({f"method.response.header.{name}": False for name in headers}, models)
