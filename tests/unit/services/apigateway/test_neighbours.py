"""URLs that are, on AWS, those of APIs which are here."""

import pytest

from cumulet.services.apigateway.pipeline.neighbours import find_gate
from unit.services.apigateway.fake_lambda import ApiHouse


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("https://{id}.execute-api.us-east-1.amazonaws.com/dev/a", True),
        ("https://{id}.execute-api.us-east-1.amazonaws.com", True),
        ("https://{id}.Execute-API.us-east-1.amazonaws.com?a=b", True),
        ("https://{id}.execute-api.eu-west-1.amazonaws.com/dev/a", False),
        ("https://nosuchapi.execute-api.us-east-1.amazonaws.com/dev/a", False),
        ("https://{id}.execute-api.us-east-1.amazonaws.com.example.com/", False),
        ("https://{id}.execute-api.us-east-1.amazonaws.com:8443/", False),
        ("https://example.com/{id}.execute-api.us-east-1.amazonaws.com/", False),
        ("http://{id}.execute-api.us-east-1.amazonaws.com/dev/a", False),
    ],
)
async def test_who_is_a_neighbour(url: str, is_here: bool) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a")
    gate = await find_gate(house.ground, url.replace("{id}", api_id))
    assert gate == (("localhost", house.ground.settings.port) if is_here else None)
