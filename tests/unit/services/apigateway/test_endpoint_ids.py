"""By which ids a backend of AWS knows a request."""

import pytest

from cumulet.services.apigateway.pipeline.endpoint_ids import endpoint_id, endpoint_ids
from cumulet.services.apigateway.pipeline.exchange import Answer, Relayed, Result, Said


@pytest.mark.parametrize(
    ("said", "ids"),
    [
        (
            Relayed(200, (("x-amzn-requestid", "r"), ("x-amz-id-2", "e")), b""),
            {"awsEndpointRequestId": "r", "integration.requestId": "r", "awsEndpointRequestId2": "e"},
        ),
        (
            Answer("200", b"", 200, (("x-amzn-RequestId", "r"),)),
            {"awsEndpointRequestId": "r", "integration.requestId": "r"},
        ),
        (Result(b"", failed=False, request_id="f"), {"awsEndpointRequestId": "f", "integration.requestId": "f"}),
        (Relayed(200, (), b""), {}),
        (None, {}),
    ],
)
def test_ids_of_a_service_behind_the_api(said: Said | None, ids: dict[str, str]) -> None:
    assert endpoint_ids(said) == ids
    assert endpoint_id(said) == ids.get("awsEndpointRequestId")
