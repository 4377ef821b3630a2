"""Answers of functions that a REST API passes on as they come."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.wire.message import BrokeOff, Response
from unit.services.apigateway.backends import backend, plain
from unit.services.apigateway.fake_lambda import FUNCTION, URI, ApiHouse, header

STREAM_URI = f"arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions/{FUNCTION}/response-streaming-invocations"
END = bytes(8)


async def streaming(house: ApiHouse, **integration: Any) -> str:
    """Return the id of an API whose function's answers are streamed."""
    api = await house.v1("CreateRestApi", name="n", minimumCompressionSize=0)
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    await house.v1("PutMethod", **at, authorizationType="NONE")
    given = {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": STREAM_URI, "responseTransferMode": "STREAM"}
    await house.v1("PutIntegration", **at, **{**given, **integration})
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
    return str(api["id"])


async def body_of(response: Response) -> list[bytes]:
    assert not isinstance(response.body, bytes)
    return [piece async for piece in response.body]


async def test_an_answer_comes_in_pieces_behind_its_head() -> None:
    house = ApiHouse()
    api_id = await streaming(house, timeoutInMillis=900_000)
    head = b'{"statusCode": 207, "headers": {"Content-Type": "text/plain"}, "cookies": ["a=1", "b=2"]}'
    house.function.pieces = [head[:10], head[10:] + END[:3], END[3:] + b"one", b"two"]

    response = await house.request(api_id, "GET", "/dev", headers={"accept-encoding": "gzip"})

    assert (response.status, header(response, "content-type")) == (207, "text/plain")
    assert [value for name, value in response.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert header(response, "content-encoding") is None
    assert await body_of(response) == [b"one", b"two"]
    assert house.function.event["httpMethod"] == "GET"
    assert house.function.left == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [b'{"statusCode": 200, "body": "whole"}'],
        [b"no json" + END],
        [b"[]" + END],
        [b'{"body": ""}' + END],
        [b'{"statusCode": 99}' + END],
        [b'{"a": "' + b"x" * 17_000],
        ["Unhandled"],
        [b'{"statusCode"', "Unhandled"],
        [],
    ],
)
async def test_an_answer_without_a_head_is_a_bad_one(pieces: list[Any]) -> None:
    house = ApiHouse()
    api_id = await streaming(house)
    house.function.pieces = pieces
    response = await house.request(api_id, "GET", "/dev")
    assert (response.status, response.body) == (502, b'{"message": "Internal server error"}')


async def test_a_function_that_fails_later_breaks_the_answer_off() -> None:
    house = ApiHouse()
    api_id = await streaming(house)
    house.function.pieces = [b"{}" + END + b"one", "Unhandled"]
    response = await house.request(api_id, "GET", "/dev")
    assert response.status == 200
    with pytest.raises(BrokeOff):
        await body_of(response)


async def test_a_function_that_nobody_may_call_is_a_misconfiguration() -> None:
    house = ApiHouse()
    api_id = await streaming(house)
    house.function.answer = ServiceError("AccessDeniedException", "no", status=403)
    assert (await house.request(api_id, "GET", "/dev")).status == 500


async def test_who_has_gone_is_no_longer_read_for() -> None:
    house = ApiHouse()
    api_id = await streaming(house)
    house.function.pieces = [b"{}" + END + b"one", b"two"]
    response = await house.request(api_id, "GET", "/dev")
    assert await anext(response.body) == b"one"  # type: ignore[arg-type]
    await response.body.aclose()  # type: ignore[union-attr]
    assert house.function.left == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uri": URI}, "Response transfer mode STREAM goes with a URI that ends in /response-streaming-invocations"),
        ({"responseTransferMode": "BUFFERED"}, "Response transfer mode STREAM goes with a URI that ends in"),
        ({"responseTransferMode": "X"}, "Invalid response transfer mode specified: X"),
        ({"timeoutInMillis": 900_001}, "Timeout should be between 50 ms and 900000 ms"),
        (
            {"type": "MOCK"},
            "Response transfer mode STREAM is only supported for AWS_PROXY and HTTP_PROXY integrations",
        ),
    ],
)
async def test_what_cannot_stream(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceError) as refused:
        await streaming(ApiHouse(), **change)
    assert refused.value.code == "BadRequestException"
    assert refused.value.message.startswith(words)


async def test_a_server_is_passed_on_as_it_comes() -> None:
    house = ApiHouse()
    async with backend() as server:
        server.answer = plain(201, b"x" * 11 * 1024 * 1024, "x-back: b", "connection: close")
        api_id = await streaming(house, type="HTTP_PROXY", uri=server.url, integrationHttpMethod="GET")
        response = await house.request(api_id, "GET", "/dev")
        assert (response.status, header(response, "x-back"), header(response, "connection")) == (201, "b", None)
        pieces = await body_of(response)  # more than the 10 MB that an answer in one piece may have
    assert (len(pieces) > 1, sum(len(piece) for piece in pieces)) == (True, 11 * 1024 * 1024)


async def test_a_server_that_breaks_off_is_seen_to() -> None:
    house = ApiHouse()
    async with backend() as server:
        server.answer = plain(200, b"whole")[:-1]
        api_id = await streaming(house, type="HTTP_PROXY", uri=server.url, integrationHttpMethod="GET")
        response = await house.request(api_id, "GET", "/dev")
        with pytest.raises(BrokeOff):
            await body_of(response)
        server.answer = b"no HTTP"
        assert (await house.request(api_id, "GET", "/dev")).status == 504
