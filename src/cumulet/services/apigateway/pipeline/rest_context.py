"""The request context of a REST API, which events, mapping templates and authorizers share (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
"""

from typing import Any

from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Matched

_IDENTITY = (
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


def rest_context(matched: Matched) -> dict[str, Any]:
    """Return the request context of a request on its route."""
    arrival, route, stage = matched.arrival, matched.route, matched.stage
    request = arrival.request
    context = {
        "resourceId": route.resource_id,
        "resourcePath": route.path,
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
        "identity": events.identity(matched, _IDENTITY),
        "domainName": arrival.domain_name,
        "deploymentId": matched.compiled.deployment.deployment_id,
        "apiId": arrival.api_id,
    }
    if matched.authorized is not None and matched.authorized.context:
        context["authorizer"] = matched.authorized.context
    return context
