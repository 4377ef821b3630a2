"""The front answers whatever happens behind it."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from cumulet.clock import ManualClock
from cumulet.edge.front import Front
from cumulet.ids import CountingIds
from cumulet.services.apigateway import ApiDoors
from cumulet.settings import Settings
from cumulet.store.api import StoreUnavailable
from cumulet.wire.message import Headers, Request, Response


class Broken:
    async def answer(self, *_: Any) -> Any:
        raise RuntimeError("broken")

    async def serve(self, *_: Any) -> Any:
        raise RuntimeError("broken")


@pytest.mark.parametrize("path", ["/_cumulet/health", "/_aws/execute-api/abc/prod/"])
async def test_a_door_that_breaks_is_a_500_with_a_request_id(path: str, caplog: pytest.LogCaptureFixture) -> None:
    tools: Any = SimpleNamespace(ground=SimpleNamespace(ids=CountingIds()))
    broken: Any = Broken()
    with caplog.at_level(logging.ERROR, "cumulet.edge"):
        response = await Front(tools, broken, broken).answer(Request("GET", path, "", Headers()))
    request_id = dict(response.headers)["x-amzn-requestid"]
    assert response.status == 500
    assert isinstance(response.body, bytes)
    assert request_id.encode() in response.body
    assert caplog.records[0].request_id == request_id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("host", "path", "body"),
    [
        ("localhost", "/_cumulet/status", b'{"message":"the store is not available"}\n'),
        ("localhost", "/_aws/execute-api/abcdefghij/prod/", b'{"message":"Service Unavailable"}'),
        ("api.example.com", "/v1", b'{"message":"Service Unavailable"}'),
    ],
)
async def test_without_a_store_every_door_says_so(
    host: str, path: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    class Away:
        async def read(self, fn: Any) -> Any:
            raise StoreUnavailable("the database at secret.example.com cannot be reached")

        async def answer(self, *_: Any) -> Any:
            await self.read(None)

    ground: Any = SimpleNamespace(
        ids=CountingIds(), store=Away(), clock=ManualClock(), operations=None, settings=Settings()
    )
    tools: Any = SimpleNamespace(ground=ground)
    away: Any = Away()
    response = await Front(tools, ApiDoors(ground, away.answer), away).answer(
        Request("GET", path, "", Headers([("host", host)]))
    )
    assert (response.status, response.body) == (503, body)
    assert "secret.example.com" in str(caplog.records[0].said)  # type: ignore[attr-defined]


SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=a"


@pytest.mark.parametrize(
    ("host", "path", "headers", "served"),
    [
        ("api.example.com:4566", "/v1", {}, True),
        ("api.example.com", "/v1", {"authorization": SIGNED.format("execute-api")}, True),
        ("api.example.com", "/v1", {"authorization": SIGNED.format("s3")}, False),
        ("api.example.com", "/v1", {"authorization": SIGNED.format("dynamodb")}, False),
        ("localhost:4566", "/v1", {}, False),
        ("api.example.com", "/_cumulet/health", {}, False),
    ],
)
async def test_what_may_be_for_a_custom_domain_name_is_asked_about(
    host: str, path: str, headers: dict[str, str], served: bool
) -> None:
    class Doors:
        async def serve_domain(self, name: str, request: Request) -> Response:
            return Response(299, (("x-name", name),))

    tools: Any = SimpleNamespace(ground=SimpleNamespace(ids=CountingIds()))
    doors: Any = Doors()
    front = Front(tools, doors, Broken())  # type: ignore[arg-type]
    request = Request("GET", path, "", Headers([("host", host), *headers.items()]))
    response = await front.answer(request)
    assert (response.status == 299) is served
    assert (front.too_large(request).body == b"HTTP content length exceeded 10485760 bytes.") is served


def test_an_api_says_itself_that_a_body_is_too_long() -> None:
    class Doors:
        def refuse_body(self, api_id: str) -> Response:
            return Response(413, (("x-api", api_id),))

    tools: Any = SimpleNamespace(ground=SimpleNamespace(ids=CountingIds()))
    doors: Any = Doors()
    front = Front(tools, doors, Broken())  # type: ignore[arg-type]
    for host, path in (("localhost:4566", "/_aws/execute-api/abc/x"), ("abc.execute-api.localhost", "/x")):
        assert front.too_large(Request("POST", path, "", Headers([("host", host)]))).headers == (("x-api", "abc"),)
