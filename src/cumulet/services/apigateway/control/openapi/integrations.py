"""An operation's x-amazon-apigateway-integration: members of the right types, responses by pattern.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-integration.html
"""

from typing import Any

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

_RESPONSE = frozenset(("statusCode", "responseParameters", "responseTemplates", "contentHandling"))


def plan_integration(given: Any, where: str, is_http: bool, warnings: list[str]) -> Object:
    """Return an integration with members of the right types. What is no member of AWS's is warned of."""
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
            planned[name] = replies = {
                pattern: _plan_response(response, malformed, warnings)
                for pattern, response in mapping(value, malformed).items()
            }
            # A method has one response for a status: https://docs.aws.amazon.com/apigateway/latest/api/API_Integration.html
            last = {reply["statusCode"] or pattern: pattern for pattern, reply in replies.items()}
            warnings += [
                f"The response {pattern} of the {malformed} gives way to another of its status"
                for pattern, reply in replies.items()
                if last[reply["statusCode"] or pattern] != pattern and not is_http
            ]
        elif name == "tlsConfig":
            planned[name] = mapping(value, malformed)
        elif name in _TEXTS:
            planned[name] = text(value, malformed)
        else:
            warnings.append(f"{name} is no member of the {malformed}, it is ignored")
    return planned


def _plan_response(given: Any, malformed: str, warnings: list[str]) -> Object:
    response = mapping(given, malformed)
    others = [name for name in response if name not in _RESPONSE]
    warnings += [f"{name} is no member of a response of the {malformed}, it is ignored" for name in others]
    return {
        "statusCode": text(response.get("statusCode"), malformed),
        "responseParameters": text_map(response.get("responseParameters"), malformed),
        "responseTemplates": text_map(response.get("responseTemplates"), malformed),
        "contentHandling": text(response.get("contentHandling"), malformed),
    }
