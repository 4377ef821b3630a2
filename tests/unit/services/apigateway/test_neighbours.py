"""URLs that are, on AWS, those of APIs which are here."""

import pytest

from cumulet.services.apigateway.pipeline.http_client import exchange
from cumulet.services.apigateway.pipeline.neighbours import find_gate
from unit.services.apigateway.backends import backend
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


async def test_what_is_said_to_a_neighbour_is_said_to_its_name() -> None:
    async with backend() as served:
        url, gate = "https://abc.execute-api.us-east-1.amazonaws.com/dev", ("127.0.0.1", served.port)
        await exchange("GET", url, [("Host", "localhost:4566"), ("x-a", "1")], b"", gate=gate)
    [(line, headers, _)] = served.requests
    assert (line, headers["host"], headers["x-a"]) == ("GET /dev HTTP/1.1", url[8:-4], "1")
