"""AWS::ApiGateway::Authorizer, GatewayResponse, and AWS::ApiGatewayV2::Authorizer: who may call, how refusals sound."""

import json
from operator import itemgetter
from typing import Any

from cumulet.services.cloudformation.resources.apigateway import lower, lowered, text_of
from cumulet.services.cloudformation.resources.kit import Desk, Made, Properties, resource_type

_GONE = "NotFoundException"


# Authorizer

_PATCHED = (
    "AuthorizerCredentials AuthorizerResultTtlInSeconds AuthorizerUri AuthType IdentitySource"
    " IdentityValidationExpression Name Type"
)


async def _create_authorizer(desk: Desk, properties: Properties) -> Made:
    made = await desk.make("apigateway", "CreateAuthorizer", lowered(properties), itemgetter("id"))
    return Made(made["id"], {"AuthorizerId": made["id"]})


async def _update_authorizer(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    patches = [
        {"op": "replace", "path": f"/{lower(name)}", "value": text_of(new.get(name))}
        for name in _PATCHED.split()
        if new.get(name) != old.get(name)
    ]
    before, after = set(old.get("ProviderARNs") or ()), set(new.get("ProviderARNs") or ())
    for op, arns in (("remove", before - after), ("add", after - before)):
        patches += [{"op": op, "path": "/providerARNs", "value": arn} for arn in sorted(arns)]
    if (configuration := new.get("JwtConfiguration")) != old.get("JwtConfiguration"):
        value = "" if configuration is None else json.dumps(lowered(configuration))
        patches.append({"op": "replace", "path": "/jwtConfiguration", "value": value})
    if patches:
        params = {**_place(made.physical_id, new), "patchOperations": patches}
        await desk.call("apigateway", "UpdateAuthorizer", params)
    return made


async def _delete_authorizer(desk: Desk, authorizer_id: str, properties: Properties) -> None:
    await desk.drop("apigateway", "DeleteAuthorizer", _place(authorizer_id, properties), _GONE)


def _place(authorizer_id: str, properties: Properties) -> dict[str, Any]:
    return {"restApiId": properties["RestApiId"], "authorizerId": authorizer_id}


AUTHORIZER = resource_type(
    "AWS::ApiGateway::Authorizer",
    objects="JwtConfiguration",
    entries={"ProviderARNs": ""},
    create=_create_authorizer,
    update=_update_authorizer,
    delete=_delete_authorizer,
    properties=f"JwtConfiguration ProviderARNs RestApiId {_PATCHED}",
    required="Name RestApiId Type",
    immutable="RestApiId",
    attributes="AuthorizerId",
)


# GatewayResponse


async def _put_response(desk: Desk, properties: Properties) -> Made:
    status = properties.get("StatusCode")
    params = {
        "restApiId": properties["RestApiId"],
        "responseType": properties["ResponseType"],
        "statusCode": None if status is None else str(status),
        # Not `lowered`: their keys are header names and media types.
        "responseParameters": properties.get("ResponseParameters"),
        "responseTemplates": properties.get("ResponseTemplates"),
    }
    physical_id = f"{properties['RestApiId']}:{properties['ResponseType']}"
    await desk.make("apigateway", "PutGatewayResponse", params, lambda _: physical_id)
    return Made(physical_id, {"Id": physical_id})


async def _update_response(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    return await _put_response(desk, new)


async def _delete_response(desk: Desk, physical_id: str, properties: Properties) -> None:
    place = {"restApiId": properties["RestApiId"], "responseType": properties["ResponseType"]}
    await desk.drop("apigateway", "DeleteGatewayResponse", place, _GONE)


GATEWAY_RESPONSE = resource_type(
    "AWS::ApiGateway::GatewayResponse",
    objects="ResponseParameters ResponseTemplates",
    create=_put_response,
    update=_update_response,
    delete=_delete_response,
    properties="ResponseParameters ResponseTemplates ResponseType RestApiId StatusCode",
    required="ResponseType RestApiId",
    immutable="ResponseType RestApiId",
    attributes="Id",
)


# The authorizer of an HTTP API: its properties are the operation's own members.


async def _create_http_authorizer(desk: Desk, properties: Properties) -> Made:
    made = await desk.make("apigatewayv2", "CreateAuthorizer", properties, itemgetter("AuthorizerId"))
    return Made(made["AuthorizerId"], {"AuthorizerId": made["AuthorizerId"]})


async def _update_http_authorizer(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await desk.call("apigatewayv2", "UpdateAuthorizer", {**new, "AuthorizerId": made.physical_id})
    return made


async def _delete_http_authorizer(desk: Desk, authorizer_id: str, properties: Properties) -> None:
    params = {"ApiId": properties["ApiId"], "AuthorizerId": authorizer_id}
    await desk.drop("apigatewayv2", "DeleteAuthorizer", params, _GONE)


HTTP_AUTHORIZER = resource_type(
    "AWS::ApiGatewayV2::Authorizer",
    objects="JwtConfiguration",
    entries={"IdentitySource": ""},
    create=_create_http_authorizer,
    update=_update_http_authorizer,
    delete=_delete_http_authorizer,
    properties="ApiId AuthorizerCredentialsArn AuthorizerPayloadFormatVersion AuthorizerResultTtlInSeconds"
    " AuthorizerType AuthorizerUri EnableSimpleResponses IdentitySource JwtConfiguration Name",
    required="ApiId AuthorizerType Name",
    immutable="ApiId",
    not_built="IdentityValidationExpression",
    attributes="AuthorizerId",
)
