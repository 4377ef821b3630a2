"""What is remembered of a request on its way, for the logs."""

from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.clock import Clock
from cumulet.services.apigateway.model import Stage
from cumulet.services.apigateway.pipeline import http_failures
from cumulet.services.apigateway.pipeline.context import matched_values, unmatched_values
from cumulet.services.apigateway.pipeline.endpoint_ids import endpoint_ids
from cumulet.services.apigateway.pipeline.exchange import Arrival, Compiled, Hearing, Matched, Result, Said, Sent
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.rest_context import arrival_context, rest_context
from cumulet.wire.message import Response


@dataclass(slots=True)
class Journey:
    """How far a request came, and where it ended if it was refused."""

    matched: Matched | None = None
    heard: Hearing | None = None
    """What an authorizer's function was asked; None if there is none, or it had answered before."""
    refused: Refused | None = None
    sent: Sent = None
    sent_ms: int = 0
    """When the backend was asked; 0 if nobody was."""
    said: Said | None = None
    said_ms: int = 0

    def leave(self, sent: Sent, clock: Clock) -> Sent:
        """Note what goes to the backend now, and return it."""
        self.sent, self.sent_ms = sent, clock.now_ms()
        return sent

    def come_back(self, said: Said, clock: Clock) -> Said:
        """Note what the backend said now, and return it."""
        self.said, self.said_ms = said, clock.now_ms()
        return said

    def values(
        self, arrival: Arrival, stage: Stage, compiled: Compiled, response: Response, now_ms: int
    ) -> dict[str, Any]:
        """Return the $context variables of an answered request."""
        if arrival.is_rest:
            context = arrival_context(arrival, stage, compiled) if self.matched is None else rest_context(self.matched)
            values = flattened(context)
            values["xrayTraceId"] = arrival.trace_id
        else:
            values = unmatched_values(arrival, stage) if self.matched is None else matched_values(self.matched)
        values |= arrival.custom_domain
        values["status"] = response.status
        values["responseLatency"] = now_ms - arrival.now_ms
        if isinstance(response.body, bytes):
            values["responseLength"] = len(response.body)
            values["dataProcessed"] = len(response.body) + len(arrival.request.body)
        if self.said_ms:
            values["integrationLatency"] = values["integration.latency"] = self.said_ms - self.sent_ms
        if self.said is not None:
            # Of a function, what Lambda says of the call, not what the function says.
            status = 200 if isinstance(self.said, Result) else self.said.status
            values["integrationStatus"] = values["integration.integrationStatus"] = values["integration.status"] = (
                status
            )
            values |= endpoint_ids(self.said)
        if self.refused is not None:
            words = self.refused.words(arrival)
            values["error.message"] = words.message
            values["error.messageString"] = msgspec.json.encode(words.message).decode()
            values["error.responseType"] = words.response_type or None
            values["error.validationErrorString"] = self.refused.detail_string
        if not arrival.is_rest:
            values |= self._http_values(values.get("error.message"))
        return values

    def _http_values(self, message: str | None) -> dict[str, Any]:
        said, refused = self.said, self.refused
        values: dict[str, Any] = {}
        if said is not None:
            values["integration.status"] = http_failures.integration_status(said)
        if refused is not None:
            values["integrationErrorMessage"] = http_failures.integration_error(refused, said)
            values["integration.error"] = values["integrationErrorMessage"]
            values["authorizer.error"] = http_failures.authorizer_error(refused, message)
        return values


def flattened(context: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Return the values of a request context by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in context.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat
