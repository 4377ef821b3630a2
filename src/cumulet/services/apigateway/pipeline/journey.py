"""What is remembered of a request on its way, for the access log."""

from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.services.apigateway.model import Stage
from cumulet.services.apigateway.pipeline.context import context_values, matched_values
from cumulet.services.apigateway.pipeline.exchange import Arrival, Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.wire.message import Response


@dataclass(slots=True)
class Journey:
    """How far a request came, and where it ended if it was refused."""

    matched: Matched | None = None
    refused: Refused | None = None

    def values(self, arrival: Arrival, stage: Stage, response: Response, now_ms: int) -> dict[str, Any]:
        """Return the $context variables of an answered request."""
        values = context_values(arrival) if self.matched is None else matched_values(self.matched)
        values["stage"] = stage.name
        values["status"] = response.status
        values["responseLatency"] = now_ms - arrival.now_ms
        if isinstance(response.body, bytes):
            values["responseLength"] = len(response.body)
            values["dataProcessed"] = len(response.body) + len(arrival.request.body)
        if self.refused is not None:
            words = self.refused.words(arrival)
            values["error.message"] = words.message
            values["error.messageString"] = msgspec.json.encode(words.message).decode()
            values["error.responseType"] = words.response_type or None
            values["error.validationErrorString"] = self.refused.detail
        return values
