"""What the HTTP dialect's model has for WebSocket APIs alone: AWS refuses it for HTTP APIs, and there is none to find.

https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-routes.html says of each "Supported only for
WebSocket APIs"; AWS has words only for some, all of one form.
"""

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v2.records import get_api, get_integration, get_route
from cumulet.services.kit import Call, Operation, Output, Params, operation
from cumulet.store.api import ReadTx


def refuse(params: Params, names: str) -> None:
    """Raise BadRequestException if one of these members is given; false and empty ask for nothing."""
    for name in names.split():
        if params.get(name):
            raise ServiceError("BadRequestException", f"{name} is not supported on protocolType HTTP")


def _owned(tx: ReadTx, call: Call, params: Params) -> None:
    """Raise NotFoundException unless the API is there, and the route or integration that is named."""
    get_api(tx, call, params)
    if params.get("RouteId") is not None:
        get_route(tx, call, params)
    if params.get("IntegrationId") is not None:
        get_integration(tx, call, params)


def _refused(name: str, path: str, params: str, what: str) -> Operation:
    @operation(name, action=POST, resource=at(path), params=params)
    def refuse_it(call: Call, tx: ReadTx, params: Params) -> Output:
        _owned(tx, call, params)
        raise ServiceError("BadRequestException", f"{what} are not supported on protocolType HTTP")

    return refuse_it


def _empty(name: str, path: str, params: str) -> Operation:
    @operation(name, action=GET, resource=at(path), params=f"{params} MaxResults NextToken")
    def list_none(call: Call, tx: ReadTx, params: Params) -> Output:
        _owned(tx, call, params)
        return {"Items": []}

    return list_none


def _absent(name: str, action: str, path: str, params: str, what: str, member: str) -> Operation:
    @operation(name, action=action, resource=at(path), params=params)
    def find_none(call: Call, tx: ReadTx, params: Params) -> Output:
        _owned(tx, call, params)
        raise ServiceError("NotFoundException", f"Invalid {what} identifier specified {params[member]}")

    return find_none


_MODELS = "/apis/{ApiId}/models"
_MODEL = f"{_MODELS}/{{ModelId}}"
_MODEL_OF = ("Model", "ModelId")

CREATE_MODEL = _refused("CreateModel", _MODELS, "ApiId ContentType Description Name Schema", "Models")
GET_MODELS = _empty("GetModels", _MODELS, "ApiId")
GET_MODEL = _absent("GetModel", GET, _MODEL, "ApiId ModelId", *_MODEL_OF)
GET_MODEL_TEMPLATE = _absent("GetModelTemplate", GET, f"{_MODEL}/template", "ApiId ModelId", *_MODEL_OF)
UPDATE_MODEL = _absent("UpdateModel", PATCH, _MODEL, "ApiId ModelId ContentType Description Name Schema", *_MODEL_OF)
DELETE_MODEL = _absent("DeleteModel", DELETE, _MODEL, "ApiId ModelId", *_MODEL_OF)

_RESPONSES = "/apis/{ApiId}/routes/{RouteId}/routeresponses"
_RESPONSE = f"{_RESPONSES}/{{RouteResponseId}}"
_RESPONSE_OF = ("RouteResponse", "RouteResponseId")
_RESPONSE_MEMBERS = "ModelSelectionExpression ResponseModels ResponseParameters RouteResponseKey"

CREATE_ROUTE_RESPONSE = _refused(
    "CreateRouteResponse", _RESPONSES, f"ApiId RouteId {_RESPONSE_MEMBERS}", "Route responses"
)
GET_ROUTE_RESPONSES = _empty("GetRouteResponses", _RESPONSES, "ApiId RouteId")
GET_ROUTE_RESPONSE = _absent("GetRouteResponse", GET, _RESPONSE, "ApiId RouteId RouteResponseId", *_RESPONSE_OF)
UPDATE_ROUTE_RESPONSE = _absent(
    "UpdateRouteResponse", PATCH, _RESPONSE, f"ApiId RouteId RouteResponseId {_RESPONSE_MEMBERS}", *_RESPONSE_OF
)
DELETE_ROUTE_RESPONSE = _absent(
    "DeleteRouteResponse", DELETE, _RESPONSE, "ApiId RouteId RouteResponseId", *_RESPONSE_OF
)
DELETE_ROUTE_REQUEST_PARAMETER = _absent(
    "DeleteRouteRequestParameter",
    DELETE,
    "/apis/{ApiId}/routes/{RouteId}/requestparameters/{RequestParameterKey}",
    "ApiId RouteId RequestParameterKey",
    "RequestParameter",
    "RequestParameterKey",
)

_ANSWERS = "/apis/{ApiId}/integrations/{IntegrationId}/integrationresponses"
_ANSWER = f"{_ANSWERS}/{{IntegrationResponseId}}"
_ANSWER_OF = ("IntegrationResponse", "IntegrationResponseId")
_ANSWER_IDS = "ApiId IntegrationId IntegrationResponseId"
_ANSWER_MEMBERS = (
    "ContentHandlingStrategy IntegrationResponseKey ResponseParameters ResponseTemplates TemplateSelectionExpression"
)

CREATE_INTEGRATION_RESPONSE = _refused(
    "CreateIntegrationResponse", _ANSWERS, f"ApiId IntegrationId {_ANSWER_MEMBERS}", "Integration responses"
)
GET_INTEGRATION_RESPONSES = _empty("GetIntegrationResponses", _ANSWERS, "ApiId IntegrationId")
GET_INTEGRATION_RESPONSE = _absent("GetIntegrationResponse", GET, _ANSWER, _ANSWER_IDS, *_ANSWER_OF)
UPDATE_INTEGRATION_RESPONSE = _absent(
    "UpdateIntegrationResponse", PATCH, _ANSWER, f"{_ANSWER_IDS} {_ANSWER_MEMBERS}", *_ANSWER_OF
)
DELETE_INTEGRATION_RESPONSE = _absent("DeleteIntegrationResponse", DELETE, _ANSWER, _ANSWER_IDS, *_ANSWER_OF)
