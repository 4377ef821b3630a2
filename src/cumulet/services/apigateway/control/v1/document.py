"""A REST API as an OpenAPI document, version 2 or 3 (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-export-api.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.openapi import extensions, writing
from cumulet.services.apigateway.control.openapi.plan import JSON
from cumulet.services.apigateway.control.openapi.reading import Object
from cumulet.services.apigateway.control.v1 import locations
from cumulet.services.apigateway.control.v1.records import (
    Authorizer,
    Definition,
    DocumentationVersion,
    Integration,
    Location,
    Method,
    Model,
    Resource,
)
from cumulet.services.apigateway.mapping import schemas

Include = Literal["integrations", "authorizers", "apigateway", "documentation", "postman"]

API_KEY_SCHEME = "api_key"
IAM_SCHEME = "sigv4"

_PLACES = {"path": "path", "querystring": "query", "header": "header"}
_TYPES = {"path": "PATH_PARAMETER", "querystring": "QUERY_PARAMETER", "header": "REQUEST_HEADER"}
_WORDS: dict[str, tuple[str, ...]] = {
    "METHOD": ("description", "externalDocs", "summary", "tags"),
    "MODEL": ("description", "title"),
    "RESOURCE": ("description", "summary"),
}
"""What of a documentation part OpenAPI knows at each place, where it is more than a description."""


@dataclass(frozen=True)
class RestDocument:
    """One document on its way: of a definition, for an OpenAPI version, with these extensions."""

    definition: Definition
    is_v3: bool
    includes: frozenset[Include]
    documentation: DocumentationVersion | None
    host: str
    stage_name: str
    region: str
    version: str

    def write(self) -> Object:
        """Return the document."""
        api = self.definition.api
        info = writing.given_only(
            {"title": api.name, "description": api.description or None, "version": api.version or self.version}
        )
        said = self._said(Location("API"))
        info.update({name: value for name, value in said.pop("info", {}).items() if isinstance(value, str)})
        if isinstance(said.get("description"), str):
            info["description"] = said["description"]
        document: Object = {"openapi": "3.0.1", "info": info} if self.is_v3 else {"swagger": "2.0", "info": info}
        if self.is_v3:
            document["servers"] = [writing.server(f"http://{self.host}", self.stage_name)]
        else:
            document.update(host=self.host, basePath=f"/{self.stage_name}", schemes=["http"])
        if self._has("apigateway") and api.tags:
            document["tags"] = writing.tags(api.tags)
        document["paths"] = {
            resource.path: self._path(resource)
            for resource in sorted(self.definition.resources, key=lambda resource: resource.path)
            if resource.path != "/" or resource.resource_methods
        }
        models = {model.name: self._model(model) for model in self.definition.models if model.content_type == JSON}
        schemes = dict(self._schemes())
        if self.is_v3:
            components = writing.given_only({"schemas": models, "securitySchemes": schemes})
            document.update({"components": components} if components else {})
        else:
            document.update(writing.given_only({"securityDefinitions": schemes, "definitions": models}))
        if self._has("apigateway"):
            document.update(self._settings())
        if self._has("documentation") and self.documentation is not None:
            document[extensions.DOCUMENTATION] = {
                "version": self.documentation.version,
                "documentationParts": [
                    {
                        "location": msgspec.to_builtins(part.location),
                        "properties": msgspec.json.decode(part.properties),
                    }
                    for part in sorted(
                        self.documentation.parts, key=lambda part: msgspec.structs.astuple(part.location)
                    )
                ],
            }
        return document

    def _has(self, *included: Include) -> bool:
        return not self.includes.isdisjoint(included)

    @cached_property
    def _parts(self) -> locations.Index[str]:
        parts = () if self.documentation is None else self.documentation.parts
        return locations.index_of([(part.location, part.properties) for part in parts])

    def _said(self, entity: Location) -> Object:
        """Return what is written about an entity, as far as it is extensions of OpenAPI or words that it knows."""
        properties = locations.best_for(entity, self._parts)
        said: Object = {} if properties is None else msgspec.json.decode(properties)
        if entity.type == "API":
            return said
        known = _WORDS.get(entity.type, ("description",))
        return {name: value for name, value in said.items() if name in known or name.startswith("x-")}

    def _path(self, resource: Resource) -> Object:
        said = self._said(Location("RESOURCE", path=resource.path)) if self.is_v3 else {}
        methods = resource.resource_methods.values()
        return {
            **said,
            **{writing.operation_key(method.http_method): self._operation(resource, method) for method in methods},
        }

    def _operation(self, resource: Resource, method: Method) -> Object:
        verb = locations.verb_of(method)
        at = {"path": resource.path, "method": verb}
        operation: Object = self._said(Location("METHOD", **at))
        if method.operation_name:
            operation["operationId"] = method.operation_name
        body = _json_models(method.request_models or {}, f"{method.http_method} {resource.path}")
        parameters = [self._parameter(at, name, needed) for name, needed in (method.request_parameters or {}).items()]
        if body and self.is_v3:
            operation["requestBody"] = {
                **self._said(Location("REQUEST_BODY", **at)),
                "content": self._content(method.request_models or {}),
                "required": True,
            }
        elif body:
            operation["consumes"] = list(body)
            name = next(iter(body.values()))
            said = self._said(Location("REQUEST_BODY", **at))
            parameters.append(
                {"in": "body", "name": name, **said, "required": True, "schema": {"$ref": f"#/definitions/{name}"}}
            )
        if parameters:
            operation["parameters"] = parameters
        self._add_responses(operation, at, method)
        operation.update(self._security(method))
        if self._has("apigateway") and method.request_validator_id:
            names = self._validator_names()
            operation[extensions.REQUEST_VALIDATOR] = names.get(method.request_validator_id, "")
        if self._has("apigateway", "integrations") and method.method_integration:
            operation[extensions.INTEGRATION] = _integration(method.method_integration, resource)
        if self._has("postman") and method.authorization_type == "AWS_IAM":
            operation[extensions.POSTMAN] = {"currentHelper": "awsSigV4", "helperAttributes": self._postman_signature()}
        return operation

    def _postman_signature(self) -> Object:
        """Return how Postman is to sign requests: with keys that are variables of its environment."""
        keys = {"accessKey": "{{aws_access_key_id}}", "secretKey": "{{aws_secret_access_key}}"}
        return {**keys, "region": self.region, "service": "execute-api"}

    def _parameter(self, at: dict[str, str], parameter: str, needed: bool) -> Object:
        place, _, name = parameter.removeprefix("method.request.").partition(".")
        typed: Object = {"schema": {"type": "string"}} if self.is_v3 else {"type": "string"}
        said = self._said(Location(_TYPES[place], **at, name=name))
        # OpenAPI wants every path parameter to be required.
        required = needed or place == "path"
        return {"name": name, "in": _PLACES[place], **said, **({"required": True} if required else {}), **typed}

    def _add_responses(self, operation: Object, at: dict[str, str], method: Method) -> None:
        responses: Object = {}
        produced: dict[str, None] = {}
        for response in (method.method_responses or {}).values():
            place = {**at, "status_code": response.status_code}
            shown: Object = {"description": f"{response.status_code} response"}
            shown.update(self._said(Location("RESPONSE", **place)))
            typed: Object = {"schema": {"type": "string"}} if self.is_v3 else {"type": "string"}
            headers = {
                name: {**self._said(Location("RESPONSE_HEADER", **place, name=name)), **typed}
                for name in [
                    parameter.removeprefix("method.response.header.")
                    for parameter in response.response_parameters or ()
                ]
            }
            if headers:
                shown["headers"] = headers
            models = response.response_models or {}
            if self.is_v3:
                shown["content"] = self._content(models)
            elif models:
                produced.update(dict.fromkeys(models))
                shown["schema"] = {"$ref": f"#/definitions/{next(iter(models.values()))}"}
            responses[response.status_code] = shown
        if produced:
            operation["produces"] = list(produced)
        operation["responses"] = responses

    def _content(self, models: dict[str, str]) -> Object:
        return {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}} for kind, name in models.items()}

    def _model(self, model: Model) -> Object:
        place = "#/components/schemas/" if self.is_v3 else "#/definitions/"

        def local(reference: str) -> str:
            if (name := schemas.model_name(reference)) is not None:
                return f"{place}{name}"
            return f"{place}{model.name}{reference.removeprefix('#')}"

        schema: Object = schemas.rewritten(model.schema, local)
        schema.pop("$schema", None)
        return {**schema, **self._said(Location("MODEL", name=model.name))}

    def _schemes(self) -> Iterator[tuple[str, Object]]:
        with_authorizers = self._has("apigateway", "authorizers")
        for authorizer in sorted(self.definition.authorizers, key=lambda authorizer: authorizer.name):
            scheme: Object = {"type": "apiKey", "name": _header_of(authorizer), "in": "header"}
            scheme.update(self._said(Location("AUTHORIZER", name=authorizer.name)))
            if with_authorizers:
                scheme[extensions.AUTHTYPE] = authorizer.auth_type
                scheme[extensions.AUTHORIZER] = _authorizer(authorizer)
            yield authorizer.name, scheme
        methods = [method for resource in self.definition.resources for method in resource.resource_methods.values()]
        if any(method.api_key_required for method in methods):
            yield API_KEY_SCHEME, {"type": "apiKey", "name": "x-api-key", "in": "header"}
        if any(method.authorization_type == "AWS_IAM" for method in methods):
            scheme = {"type": "apiKey", "name": "Authorization", "in": "header"}
            yield IAM_SCHEME, {**scheme, **({extensions.AUTHTYPE: "awsSigv4"} if with_authorizers else {})}

    def _security(self, method: Method) -> Object:
        asked: list[Object] = []
        if method.authorization_type == "AWS_IAM":
            asked.append({IAM_SCHEME: []})
        elif method.authorizer_id:
            names = [found.name for found in self.definition.authorizers if found.id == method.authorizer_id]
            asked += [{name: list(method.authorization_scopes or ())} for name in names]
        if method.api_key_required:
            asked.append({API_KEY_SCHEME: []})
        return {"security": asked} if asked else {}

    def _validator_names(self) -> dict[str, str]:
        return {validator.id: validator.name or validator.id for validator in self.definition.validators}

    def _settings(self) -> Object:
        api = self.definition.api
        names = self._validator_names()
        settings = writing.given_only(
            {
                extensions.API_KEY_SOURCE: api.api_key_source if api.api_key_source != "HEADER" else None,
                extensions.BINARY_MEDIA_TYPES: api.binary_media_types or None,
                extensions.SECURITY_POLICY: api.security_policy or None,
                extensions.ENDPOINT_ACCESS_MODE: api.endpoint_access_mode or None,
                extensions.REQUEST_VALIDATORS: {
                    names[validator.id]: {
                        "validateRequestBody": validator.validate_request_body,
                        "validateRequestParameters": validator.validate_request_parameters,
                    }
                    for validator in sorted(self.definition.validators, key=lambda one: names[one.id])
                },
                extensions.ENDPOINT_CONFIGURATION: {"disableExecuteApiEndpoint": True}
                if api.disable_execute_api_endpoint
                else None,
            }
        )
        if api.policy:
            settings[extensions.POLICY] = msgspec.json.decode(api.policy)
        if self.definition.gateway_responses:
            settings[extensions.GATEWAY_RESPONSES] = {
                response.response_type: writing.given_only(
                    {
                        "statusCode": response.status_code or None,
                        "responseParameters": response.response_parameters,
                        "responseTemplates": response.response_templates,
                    }
                )
                for response in self.definition.gateway_responses
            }
        if isinstance(api.minimum_compression_size, int):
            settings[extensions.MINIMUM_COMPRESSION_SIZE] = api.minimum_compression_size
        return settings


def _json_models(models: dict[str, str], where: str) -> dict[str, str]:
    """Return the models of bodies. Raises BadRequestException if there are some, and none for JSON, as on AWS."""
    if models and JSON not in models:
        raise ServiceError("BadRequestException", f"Only found non-JSON body models for {where}")
    return {JSON: models[JSON], **models} if models else {}


def _header_of(authorizer: Authorizer) -> str:
    source = authorizer.identity_source or ""
    prefix = "method.request.header."
    return source.removeprefix(prefix) if source.startswith(prefix) and "," not in source else "Unused"


def _authorizer(authorizer: Authorizer) -> Object:
    shown = msgspec.to_builtins(authorizer)
    for name in ("id", "name", "authType"):
        del shown[name]
    return {**shown, "type": authorizer.type.lower()}


def _integration(integration: Integration, resource: Resource) -> Object:
    shown: Object = msgspec.to_builtins(integration)
    responses: dict[str, Any] = shown.pop("integrationResponses", {})
    shown["type"] = integration.type.lower()
    shown["passthroughBehavior"] = integration.passthrough_behavior.lower()
    if integration.cache_namespace == resource.id:
        del shown["cacheNamespace"]
    if integration.timeout_in_millis == limits.REST_TIMEOUT_MS.stop - 1:
        del shown["timeoutInMillis"]
    shown["responses"] = {
        response.pop("selectionPattern", "") or "default": response for response in responses.values()
    }
    return writing.given_only(shown)
