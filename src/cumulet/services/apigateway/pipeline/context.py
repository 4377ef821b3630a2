"""The $context variables of HTTP APIs: for parameter mapping, identity sources and access logs (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
"""

from typing import Any

import msgspec

from cumulet.services.apigateway.model import DEFAULT_STAGE, Stage
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Arrival, Matched
from cumulet.services.apigateway.pipeline.paths import shown_http_path


def unmatched_values(arrival: Arrival, stage: Stage) -> dict[str, Any]:
    """Return what is known of a request that has found no route."""
    path = shown_http_path(arrival.path)
    return {
        "accountId": arrival.owner.account,
        "apiId": arrival.api_id,
        "domainName": arrival.domain_name,
        "domainPrefix": arrival.domain_prefix,
        "extendedRequestId": arrival.extended_request_id,
        "httpMethod": arrival.request.method,
        "identity.sourceIp": arrival.request.client_ip,
        "identity.userAgent": arrival.user_agent,
        "path": path if stage.name == DEFAULT_STAGE else f"/{stage.name}{path}",
        "protocol": f"HTTP/{arrival.request.http_version}",
        "requestId": arrival.extended_request_id,
        "requestTime": events.request_time(arrival.now_ms),
        "requestTimeEpoch": arrival.now_ms,
        "stage": stage.name,
    }


def matched_values(matched: Matched) -> dict[str, Any]:
    """Return what is known of a request on its route, what its authorizer said included."""
    values = unmatched_values(matched.arrival, matched.stage)
    values["routeKey"] = matched.route.key
    if matched.authorized is not None:
        values.update(matched.authorized.variables)
    return values


def text_of(value: Any) -> str | None:
    """Return a variable's value as text; None for one that has none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return msgspec.json.encode(value).decode()
