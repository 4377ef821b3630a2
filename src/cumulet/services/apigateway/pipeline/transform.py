"""What a backend gets: for a function the event, member by member as AWS sends it (pure).

REST: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
HTTP: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from typing import Any

from cumulet.services.apigateway.model import DEFAULT_STAGE
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Arrival, Matched, Sent
from cumulet.services.apigateway.pipeline.paths import encoded_parameters, shown_http_path
from cumulet.services.apigateway.pipeline.rest_context import rest_context
from cumulet.services.apigateway.pipeline.rest_mapping import map_request

_HTTP_IDENTITY = (
    "accessKey accountId caller cognitoAmr cognitoAuthenticationProvider cognitoAuthenticationType cognitoIdentityId "
    "cognitoIdentityPoolId principalOrgId sourceIp user userAgent userArn"
)
_HTTP_NOBODY: dict[str, Any] = dict.fromkeys(_HTTP_IDENTITY.split())


def transform(matched: Matched) -> Sent:
    """Return what the route's backend is to get. Raises Refused where a mapping cannot make it."""
    target = matched.route.target
    if target.mapping is not None:
        return map_request(matched, target.mapping)
    if target.kind == "HTTP_PROXY":
        return None
    if target.payload_format == "rest":
        return rest_event(matched)
    return http_event_v2(matched) if target.payload_format == "2.0" else http_event_v1(matched)


def rest_event(matched: Matched) -> dict[str, Any]:
    """Return the event of a REST API's proxy integration."""
    arrival, route, stage = matched.arrival, matched.route, matched.stage
    request = arrival.request
    fields = events.integration_fields(matched)
    fields.pop("content-length", None)  # real events do not have it: the body speaks for itself
    headers = events.sent_names(fields, request.headers)
    query = events.rest_query_fields(request.query)
    types = matched.compiled.deployment.binary_media_types
    binary = bool(types) and events.is_binary_for(types, events.media_type(request.headers.get("content-type")))
    body, is_base64 = events.encode_body(request.body, binary=binary)
    return {
        "resource": route.path,
        "path": arrival.mapped_path or arrival.path,  # with its base path, but without the stage
        "httpMethod": request.method,
        "headers": events.last_values(headers) or None,
        "multiValueHeaders": headers or None,
        "queryStringParameters": events.last_values(query) or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": _rest_parameters(matched),
        "stageVariables": stage.variables or None,
        "requestContext": rest_context(matched),
        "body": body,
        "isBase64Encoded": is_base64,
    }


def http_event_v2(matched: Matched) -> dict[str, Any]:
    """Return the event of an HTTP API in format 2.0: what is empty is absent."""
    arrival, route, stage = matched.arrival, matched.route, matched.stage
    request = arrival.request
    headers = _http_fields(arrival)
    cookies = [cookie for line in headers.pop("cookie", ()) for part in line.split(";") if (cookie := part.strip())]
    path = _raw_path(matched)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": request.query,
    }
    if cookies:
        event["cookies"] = cookies
    event["headers"] = events.joined_values(headers)
    if query := events.query_fields(request.query):
        event["queryStringParameters"] = events.joined_values(query)
    event["requestContext"] = {
        "accountId": arrival.owner.account,
        "apiId": arrival.api_id,
        **_authorizer(None if matched.authorized is None else matched.authorized.v2),
        "domainName": arrival.domain_name,
        "domainPrefix": arrival.domain_prefix,
        "http": {
            "method": request.method,
            "path": path,
            "protocol": f"HTTP/{request.http_version}",
            "sourceIp": request.client_ip,
            "userAgent": arrival.user_agent or "",
        },
        "requestId": arrival.extended_request_id,
        "routeKey": route.key,
        "stage": stage.name,
        "time": events.request_time(arrival.now_ms),
        "timeEpoch": arrival.now_ms,
    }
    if matched.path_parameters:
        event["pathParameters"] = matched.path_parameters
    if stage.variables:
        event["stageVariables"] = stage.variables
    body, is_base64 = _http_body(matched)
    if body is not None:
        event["body"] = body
    event["isBase64Encoded"] = is_base64
    return event


def http_event_v1(matched: Matched) -> dict[str, Any]:
    """Return the event of an HTTP API in format 1.0: what is empty is null."""
    arrival, route, stage = matched.arrival, matched.route, matched.stage
    request = arrival.request
    headers = events.http_v1_names(_http_fields(arrival))
    query = events.query_fields(request.query)
    path = _raw_path(matched) if arrival.mapped_path is None else shown_http_path(arrival.mapped_path)
    body, is_base64 = _http_body(matched)
    resource = route.path or route.key
    return {
        "version": "1.0",
        "resource": resource,
        "path": path,
        "httpMethod": request.method,
        "headers": events.last_values(headers),
        "multiValueHeaders": headers,
        "queryStringParameters": events.last_values(query) or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {
            "accountId": arrival.owner.account,
            "apiId": arrival.api_id,
            **_authorizer(None if matched.authorized is None else matched.authorized.context),
            "domainName": arrival.domain_name,
            "domainPrefix": arrival.domain_prefix,
            "extendedRequestId": arrival.extended_request_id,
            "httpMethod": request.method,
            "identity": events.identity(arrival, matched.authorized, _HTTP_NOBODY),
            "path": path,
            "protocol": f"HTTP/{request.http_version}",
            "requestId": arrival.extended_request_id,
            "requestTime": events.request_time(arrival.now_ms),
            "requestTimeEpoch": arrival.now_ms,
            "resourceId": route.key,
            "resourcePath": resource,
            "stage": stage.name,
        },
        "pathParameters": matched.path_parameters or None,
        "stageVariables": stage.variables or None,
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _rest_parameters(matched: Matched) -> dict[str, str] | None:
    path = matched.arrival.path
    if matched.path_parameters and "%" in path:
        return encoded_parameters(matched.route.path, path)
    return matched.path_parameters or None


def _authorizer(known: dict[str, Any] | None) -> dict[str, Any]:
    return {"authorizer": known} if known else {}


def _http_fields(arrival: Arrival) -> dict[str, list[str]]:
    fields = events.header_fields(arrival)
    fields.setdefault("content-length", [str(len(arrival.request.body))])  # there even for a GET
    return fields


def _raw_path(matched: Matched) -> str:
    # HTTP APIs decode the path, despite the name, and a named stage is a part of it:
    # https://github.com/middleapi/standard-server/pull/93. Behind a custom domain name, too; its base path is not:
    # https://github.com/CodeGenieApp/serverless-express/issues/465
    path = shown_http_path(matched.arrival.path)
    return path if matched.stage.name == DEFAULT_STAGE else f"/{matched.stage.name}{path}"


def _http_body(matched: Matched) -> tuple[str | None, bool]:
    request = matched.arrival.request
    return events.encode_body(request.body, binary=not events.is_text(request.headers.get("content-type")))
