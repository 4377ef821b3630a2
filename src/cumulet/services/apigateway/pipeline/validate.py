"""Refuse what is too large; request validators and models find their place here."""

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused


def validate(matched: Matched) -> None:
    """Raise Refused unless the request's body is within API Gateway's limit."""
    if len(matched.arrival.request.body) > limits.PAYLOAD_BYTES_MAX:
        raise Refused("too_long")
