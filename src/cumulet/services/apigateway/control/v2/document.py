"""An HTTP API as an OpenAPI 3 document (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-export.html
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.openapi import extensions, writing
from cumulet.services.apigateway.control.openapi.reading import Object
from cumulet.services.apigateway.model import DEFAULT_ROUTE, Authorizer, Cors, Route, RouteAuthorization, Target

IAM_SCHEME = "sigv4"
EXPORT_VERSION = "1.0"

_CORS = {
    "AllowCredentials": "allowCredentials",
    "AllowHeaders": "allowHeaders",
    "AllowMethods": "allowMethods",
    "AllowOrigins": "allowOrigins",
    "ExposeHeaders": "exposeHeaders",
    "MaxAge": "maxAge",
}


def write(
    info: Object,
    server: Object,
    routes: Iterable[Route],
    cors: Cors | None,
    tags: dict[str, str],
    *,
    with_extensions: bool,
) -> Object:
    """Return the document of these routes."""
    paths: dict[str, Object] = {}
    schemes: Object = {}
    for route in sorted(routes, key=lambda route: (route.path, route.method)):
        path = f"/{DEFAULT_ROUTE}" if route.key == DEFAULT_ROUTE else route.path
        operation: Object = {"responses": {"default": {"description": f"Default response for {route.key}"}}}
        if route.operation_name:
            operation["operationId"] = route.operation_name
        if route.authorization is not None and (asked := _scheme(route.authorization, with_extensions)) is not None:
            name, scheme = asked
            schemes[name] = scheme
            operation["security"] = [{name: list(route.authorization.scopes)}]
        if with_extensions:
            if route.key == DEFAULT_ROUTE:
                operation["isDefaultRoute"] = True
            operation[extensions.INTEGRATION] = _integration(route.target)
        paths.setdefault(path, {})[writing.operation_key(route.method)] = operation
    for path, item in paths.items():
        names = [part.strip("{}").removesuffix("+") for part in path.split("/") if part.startswith("{")]
        if names:
            item["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ]
    document: Object = {"openapi": "3.0.1", "info": info, "servers": [server], "paths": paths}
    if schemes:
        document["components"] = {"securitySchemes": schemes}
    if with_extensions:
        if tags:
            document["tags"] = writing.tags(tags)
        if cors is not None:
            members: dict[str, Any] = msgspec.to_builtins(cors)
            document[extensions.CORS] = {_CORS[name]: value for name, value in members.items()}
        document[extensions.VERSION] = EXPORT_VERSION
    return document


def _scheme(asked: RouteAuthorization, with_extensions: bool) -> tuple[str, Object] | None:
    if asked.kind == "AWS_IAM":
        scheme: Object = {"type": "apiKey", "name": "Authorization", "in": "header"}
        return IAM_SCHEME, {**scheme, **({extensions.AUTHTYPE: "awsSigv4"} if with_extensions else {})}
    authorizer = asked.authorizer
    if authorizer is None:
        return None
    if authorizer.kind == "JWT":
        scheme = {"type": "oauth2", "flows": {}}
    else:
        header = "$request.header."
        named = [source.removeprefix(header) for source in authorizer.identity_sources if source.startswith(header)]
        scheme = {"type": "apiKey", "name": named[0] if named else "Unused", "in": "header"}
    if with_extensions:
        scheme[extensions.AUTHORIZER] = _authorizer(authorizer)
    return authorizer.name or authorizer.authorizer_id, scheme


def _authorizer(authorizer: Authorizer) -> Object:
    shown: Object = {"type": authorizer.kind.lower(), "identitySource": ", ".join(authorizer.identity_sources)}
    if authorizer.kind == "JWT":
        shown["jwtConfiguration"] = {"issuer": authorizer.issuer, "audience": list(authorizer.audience)}
        return shown
    shown["authorizerUri"] = authorizer.uri
    shown["authorizerPayloadFormatVersion"] = authorizer.payload_format
    shown["authorizerResultTtlInSeconds"] = authorizer.ttl_s
    if authorizer.credentials:
        shown["authorizerCredentials"] = authorizer.credentials
    if authorizer.simple:
        shown["enableSimpleResponses"] = True
    return shown


def _integration(target: Target) -> Object:
    parameters = target.parameters
    return writing.given_only(
        {
            "type": target.kind.lower(),
            "httpMethod": target.http_method,
            "uri": target.uri,
            "credentials": target.credentials,
            "payloadFormatVersion": target.payload_format,
            "timeoutInMillis": None if target.timeout_ms == limits.HTTP_TIMEOUT_MS.stop - 1 else target.timeout_ms,
            "connectionType": "INTERNET",
            "requestParameters": parameters.request if parameters is not None else None,
            "responseParameters": parameters.response if parameters is not None else None,
        }
    )
