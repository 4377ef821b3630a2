"""The ids by which a backend of AWS knows a request: what joins an API's logs with those of a function (pure)."""

from cumulet.services.apigateway.pipeline.exchange import Answer, Relayed, Result, Said

_FIRST = ("x-amz-request-id", "x-amzn-requestid")
_SECOND = "x-amz-id-2"


def endpoint_id(said: Said | None) -> str | None:
    """Return the backend's id of a request; None if it told none."""
    if isinstance(said, Result):
        return said.request_id or None
    found = _headers(said)
    return found.get(_FIRST[0]) or found.get(_FIRST[1])


def endpoint_ids(said: Said | None) -> dict[str, str]:
    """Return them by the $context variables that tell them, those that there are."""
    first, second = endpoint_id(said), _headers(said).get(_SECOND)
    ids = {"awsEndpointRequestId": first, "integration.requestId": first, "awsEndpointRequestId2": second}
    return {name: value for name, value in ids.items() if value is not None}


def _headers(said: Said | None) -> dict[str, str]:
    return {name.lower(): value for name, value in said.headers} if isinstance(said, Answer | Relayed) else {}
