"""An operation's x-amazon-apigateway-integration: members of the right types, responses by pattern.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-integration.html
"""

from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway.control.openapi.reading import Object, mapping, number, text, text_map, texts

_TEXTS = frozenset(
    (
        "type",
        "uri",
        "httpMethod",
        "credentials",
        "passthroughBehavior",
        "cacheNamespace",
        "connectionId",
        "connectionType",
        "contentHandling",
        "integrationSubtype",
        "integrationTarget",
        "payloadFormatVersion",
        "responseTransferMode",
    )
)


def plan_integration(given: Any, where: str, is_http: bool) -> Object:
    """Return an integration with members of the right types."""
    malformed = f"integration{where}"
    planned: Object = {}
    for name, value in mapping(given, malformed).items():
        if name == "timeoutInMillis":
            planned[name] = number(value, malformed)
        elif name == "cacheKeyParameters":
            planned[name] = texts(value, malformed)
        elif name in ("requestParameters", "requestTemplates"):
            planned[name] = text_map(value, malformed)
        elif name == "responseParameters" and is_http:
            planned[name] = {
                status: text_map(parameters, malformed) for status, parameters in mapping(value, malformed).items()
            }
        elif name == "responses":
            planned[name] = {
                pattern: _plan_response(response, malformed) for pattern, response in mapping(value, malformed).items()
            }
        elif name == "tlsConfig":
            planned[name] = mapping(value, malformed)
        elif name in _TEXTS:
            planned[name] = text(value, malformed)
        elif value:
            raise NotImplementedHere(f"The member {name} of the integration{where} in an OpenAPI document")
    return planned


def _plan_response(given: Any, malformed: str) -> Object:
    response = mapping(given, malformed)
    for name, value in response.items():
        if name not in ("statusCode", "responseParameters", "responseTemplates", "contentHandling") and value:
            raise NotImplementedHere(f"The member {name} of an integration's response in an OpenAPI document")
    return {
        "statusCode": text(response.get("statusCode"), malformed),
        "responseParameters": text_map(response.get("responseParameters"), malformed),
        "responseTemplates": text_map(response.get("responseTemplates"), malformed),
        "contentHandling": text(response.get("contentHandling"), malformed),
    }
