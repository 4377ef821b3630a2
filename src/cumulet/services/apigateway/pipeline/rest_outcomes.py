"""What the access logs of REST APIs tell of how a request fared at its authorizer and its integration (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
"""

from typing import Any

from cumulet.services.apigateway.pipeline.exchange import Arrival, Matched
from cumulet.services.apigateway.pipeline.execution_log import failure
from cumulet.services.apigateway.pipeline.faults import Fault, Refused
from cumulet.services.apigateway.pipeline.http_failures import integration_status
from cumulet.services.apigateway.pipeline.journey import Journey

_UNKNOWN: frozenset[Fault] = frozenset(("not_signed", "bad_signature", "expired_token", "unauthorized"))
_DENIED: frozenset[Fault] = frozenset(("denied", "denied_explicitly", "forbidden"))
_BROKEN: frozenset[Fault] = frozenset(("authorizer_misconfigured", "authorizer_failed"))


def outcome_values(journey: Journey, arrival: Arrival) -> dict[str, Any]:
    """Return the variables that tell of it, those that have a value."""
    values: dict[str, Any] = {}
    refused, matched = journey.refused, journey.matched
    if journey.said is not None:
        values["integration.status"] = integration_status(journey.said)
    if refused is not None and journey.sent_ms:
        values["integration.error"] = values["integrationErrorMessage"] = failure(journey, arrival, refused)[0]
    if matched is not None and matched.route.authorization is not None:
        if matched.route.authorization.authorizer is not None:
            values |= _said(arrival, matched, refused, "authorizer", _UNKNOWN | _BROKEN)
        else:
            values |= _said(arrival, matched, refused, "authenticate", _UNKNOWN)
        if refused is None or refused.fault not in _UNKNOWN | _BROKEN:
            values |= _said(arrival, matched, refused, "authorize", _DENIED)
    if (heard := journey.heard) is not None:
        values["authorizer.latency"] = values["authorizer.integrationLatency"] = heard.said_ms - heard.asked_ms
        values["authorizer.integrationStatus"] = 200
    return values


def _said(
    arrival: Arrival, matched: Matched, refused: Refused | None, who: str, faults: frozenset[Fault]
) -> dict[str, Any]:
    if refused is None or matched.authorized is not None or refused.fault not in faults:
        return {f"{who}.status": 200}
    words = refused.words(arrival)
    return {f"{who}.status": words.status, f"{who}.error": refused.detail or words.message}
