"""The request context of a REST API, which events, mapping templates and authorizers share (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
"""

from typing import Any

from cumulet.services.apigateway.model import Stage
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Arrival, Authorized, Compiled, Matched

_NOBODY: dict[str, Any] = dict.fromkeys(
    (
        "cognitoIdentityPoolId",
        "accountId",
        "cognitoIdentityId",
        "caller",
        "sourceIp",
        "principalOrgId",
        "accessKey",
        "cognitoAuthenticationType",
        "cognitoAuthenticationProvider",
        "userArn",
        "userAgent",
        "user",
    )
)

_CONTEXT_LEVELS_MAX = 3
"""identity.clientCert.validity.notBefore has the most."""


def rest_context(matched: Matched) -> dict[str, Any]:
    """Return the request context of a request on its route."""
    route, authorized = matched.route, matched.authorized
    context = {
        "resourceId": route.resource_id,
        "resourcePath": route.path,
        **arrival_context(matched.arrival, matched.stage, matched.compiled, authorized),
    }
    if authorized is not None and authorized.context:
        context["authorizer"] = authorized.context
    if matched.api_key is not None:
        context["identity"] |= {"apiKey": matched.api_key.value, "apiKeyId": matched.api_key.key_id}
    return context


def arrival_context(
    arrival: Arrival, stage: Stage, compiled: Compiled, authorized: Authorized | None = None
) -> dict[str, Any]:
    """Return what of the request context does not depend on a route: there may be none."""
    request = arrival.request
    context = {
        "httpMethod": request.method,
        "extendedRequestId": arrival.extended_request_id,
        "requestTime": events.request_time(arrival.now_ms),
        "path": arrival.mapped_path or f"/{stage.name}{arrival.path}",
        "accountId": arrival.owner.account,
        "protocol": f"HTTP/{request.http_version}",
        "stage": stage.name,
        "domainPrefix": arrival.domain_prefix,
        "requestTimeEpoch": arrival.now_ms,
        "requestId": arrival.request_id,
        "identity": events.identity(arrival, authorized, _NOBODY),
        "domainName": arrival.domain_name,
        "deploymentId": compiled.deployment.deployment_id,
        "apiId": arrival.api_id,
    }
    if arrival.is_canary is not None:
        context["isCanaryRequest"] = arrival.is_canary
    if arrival.told:
        _overlay(context, arrival.told)
    return context


def _overlay(context: dict[str, Any], told: dict[str, str]) -> None:
    for name, value in told.items():
        *above, last = name.removeprefix("$").removeprefix("context.").split(".", _CONTEXT_LEVELS_MAX)
        place = context
        for part in above:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[last] = value
