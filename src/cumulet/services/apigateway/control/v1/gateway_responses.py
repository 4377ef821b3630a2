"""The gateway responses of a REST API: how its owner wants each type of refusal said."""

import re
from typing import Any

from msgspec import UNSET

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits, model
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, PUT, at
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.paging import page
from cumulet.services.apigateway.control.v1.records import GatewayResponse, get_api, render
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import REST_GATEWAY_RESPONSE
from cumulet.store.records import Records

RESPONSES = at("/restapis/{restApiId}/gatewayresponses")
RESPONSE = at("/restapis/{restApiId}/gatewayresponses/{responseType}")

STATUSES: dict[str, str | None] = {
    "ACCESS_DENIED": "403",
    "API_CONFIGURATION_ERROR": "500",
    "AUTHORIZER_CONFIGURATION_ERROR": "500",
    "AUTHORIZER_FAILURE": "500",
    "BAD_REQUEST_BODY": "400",
    "BAD_REQUEST_PARAMETERS": "400",
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
    "EXPIRED_TOKEN": "403",
    "INTEGRATION_FAILURE": "504",
    "INTEGRATION_TIMEOUT": "504",
    "INVALID_API_KEY": "403",
    "INVALID_SIGNATURE": "403",
    "MISSING_AUTHENTICATION_TOKEN": "403",
    "QUOTA_EXCEEDED": "429",
    "REQUEST_TOO_LARGE": "413",
    "RESOURCE_NOT_FOUND": "404",
    "THROTTLED": "429",
    "UNAUTHORIZED": "401",
    "UNSUPPORTED_MEDIA_TYPE": "415",
    "WAF_FILTERED": "403",
}
"""Every type, with the status that it has unless the API's owner says otherwise."""

PATCHES = patching.table(
    """
    /statusCode                       text  replace
    /responseParameters/{parameter}   texts add replace remove
    /responseTemplates/{contentType}  texts add replace remove
    """
)

_DEFAULT_TEMPLATES = {"application/json": '{"message":$context.error.messageString}'}
_HEADER = "gatewayresponse.header."
_TARGET = re.compile(r"^gatewayresponse\.(?:header|path|querystring)\.[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
"""AWS takes those of paths and query strings, too, though no response has such parameters: they are kept and shown.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-gateway-responses.responseParameters.html
"""
_SOURCE = re.compile(
    r"^(?:'.*'|method\.request\.(?:header|querystring|path)\.[^\s]+|context\.[A-Za-z0-9_.:-]+|stageVariables\.[\w-]+)\Z"
)
_STATUS = re.compile(r"^[2-5]\d\d\Z")
"""What AWS's model allows, but for 1xx, which is no final answer in HTTP."""


RECORDS = Records(REST_GATEWAY_RESPONSE, GatewayResponse)


@operation(
    "PutGatewayResponse",
    action=PUT,
    resource=RESPONSE,
    params="restApiId responseType statusCode responseParameters responseTemplates",
)
def put_gateway_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """Refusals of this type are said so from the next deployment on; an earlier customization is gone."""
    api = get_api(tx, call, params)
    return show(save(tx, call, api.id, params["responseType"], params))


def save(tx: WriteTx, call: Call, api_id: str, response_type: str, given: Params) -> GatewayResponse:
    """Keep the gateway response that the members of PutGatewayResponse describe. Raises BadRequestException."""
    response = GatewayResponse(
        response_type=checked_type(response_type),
        status_code=given.get("statusCode") or UNSET,
        response_parameters=dict(given.get("responseParameters") or {}),
        response_templates=dict(given.get("responseTemplates") or {}),
    )
    if response.status_code is not UNSET and not _STATUS.match(response.status_code):
        raise _bad(f"Invalid status code: {response.status_code}")
    for target, source in response.response_parameters.items():
        for given_name, known in ((target, _TARGET), (source, _SOURCE)):
            if not known.match(given_name):
                raise _bad(
                    "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
                    f"[Invalid mapping expression parameter specified: {given_name}]"
                )
    for template in response.response_templates.values():
        if len(template) > limits.TEMPLATE_CHARS_MAX:
            raise _bad(f"Template size cannot exceed {limits.TEMPLATE_CHARS_MAX} characters")
    RECORDS.save(tx, call.scope, api_id, response_type, record=response)
    return response


def checked_type(response_type: str) -> str:
    """Return a response type. Raises BadRequestException if there is none of that name."""
    if response_type not in STATUSES:
        raise _bad(f"Invalid response type: {response_type}. Must be one of [{', '.join(sorted(STATUSES))}]")
    return response_type


def find(tx: ReadTx, call: Call, api_id: str, response_type: str) -> GatewayResponse | None:
    """Return what the API's owner has made of a response type, or None."""
    return RECORDS.find(tx, call.scope, api_id, checked_type(response_type))


def show(response: GatewayResponse) -> dict[str, Any]:
    """Return a customized response as AWS shows it."""
    return {**render(response), "defaultResponse": False}


def show_default(response_type: str) -> dict[str, Any]:
    """Return a response that API Gateway gives by itself as AWS shows it."""
    status = STATUSES[response_type]
    return {
        "responseType": response_type,
        **({} if status is None else {"statusCode": status}),
        "responseParameters": {},
        "responseTemplates": dict(_DEFAULT_TEMPLATES),
        "defaultResponse": True,
    }


@operation("GetGatewayResponse", action=GET, resource=RESPONSE, params="restApiId responseType")
def get_gateway_response(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a response, customized or not."""
    api = get_api(tx, call, params)
    found = find(tx, call, api.id, params["responseType"])
    return show_default(params["responseType"]) if found is None else show(found)


@operation("GetGatewayResponses", action=GET, resource=RESPONSES, params="restApiId position limit")
def get_gateway_responses(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return every response that the API can give, a page at a time, customized or not."""
    api = get_api(tx, call, params)
    shown = {name: show_default(name) for name in STATUSES}
    shown.update({found.response_type: show(found) for found in RECORDS.scan(tx, call.scope, api.id)})
    return page(
        params,
        lambda behind, limit: iter([name for name in shown if behind is None or name > behind][:limit]),
        lambda name: name,
        lambda name: shown[name],
    )


@operation("UpdateGatewayResponse", action=PATCH, resource=RESPONSE, params="restApiId responseType patchOperations")
def update_gateway_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """The response has the patched values; one that was API Gateway's own is customized now."""
    api = get_api(tx, call, params)
    response_type = params["responseType"]
    found = find(tx, call, api.id, response_type)
    shown = show_default(response_type) if found is None else show(found)
    given = patching.patched(shown, params.get("patchOperations"), PATCHES)
    return show(save(tx, call, api.id, response_type, given))


@operation("DeleteGatewayResponse", action=DELETE, resource=RESPONSE, params="restApiId responseType")
def delete_gateway_response(call: Call, tx: WriteTx, params: Params) -> Output:
    """Refusals of this type are said in AWS's words again from the next deployment on."""
    api = get_api(tx, call, params)
    if find(tx, call, api.id, params["responseType"]) is None:
        raise ServiceError("NotFoundException", "Gateway response type not defined on api")
    RECORDS.delete(tx, call.scope, api.id, params["responseType"])
    return {}


def freeze(tx: ReadTx, call: Call, api_id: str) -> dict[str, model.GatewayResponse]:
    """Return an API's gateway responses as the pipeline has them, by type."""
    return {
        found.response_type: model.GatewayResponse(
            None if found.status_code is UNSET else int(found.status_code),
            {to: source for to, source in found.response_parameters.items() if to.startswith(_HEADER)},
            found.response_templates,
        )
        for found in RECORDS.scan(tx, call.scope, api_id)
    }


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
