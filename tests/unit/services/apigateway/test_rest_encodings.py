"""Bodies of REST APIs: AWS's tables of conversions, and compression in both directions."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from cumulet.services.apigateway.model import ApiOwner, Deployment, Route, Stage, Target
from cumulet.services.apigateway.pipeline import encodings
from cumulet.services.apigateway.pipeline.exchange import Arrival, Compiled, Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.routes import RouteTable
from cumulet.wire.message import Headers, Request, Response
from unit.services.apigateway.backends import backend, plain
from unit.services.apigateway.fake_lambda import URI, ApiHouse, header

TO_BINARY, TO_TEXT = "CONVERT_TO_BINARY", "CONVERT_TO_TEXT"
PNG = b"\x89PNG"
ENCODED = b"iVBORw=="
UNPACK: dict[str | None, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}


def request(
    headers: dict[str, str], body: bytes = b"", types: tuple[str, ...] = (), least: int | None = None
) -> Matched:
    """Return a request for an API with these binary media types."""
    sent = Request("POST", "/a", "", Headers(headers.items()), body)
    owner = ApiOwner("000000000000", "us-east-1", "REST")
    arrival = Arrival(sent, "api", owner, "/a", "localhost", "r", "e", 0, "t", 80)
    target = Target("", "rest", 1000)
    deployment = Deployment("d", 0, [], binary_media_types=list(types), compress_from=least)
    compiled = Compiled(deployment, RouteTable((), full_match_first=False), None)
    return Matched(arrival, Stage("dev", 0, 0), compiled, Route("POST", "/a", "POST", target), {})


@pytest.mark.parametrize(
    ("body", "content_type", "types", "handling", "expected"),
    [
        # The rows of the developer guide's table for requests.
        (b"dGV4dA==", "text/plain", (), "", b"dGV4dA=="),
        (b"dGV4dA==", "text/plain", (), TO_BINARY, b"text"),
        (b"dGV4dA==", "text/plain", (), TO_TEXT, b"dGV4dA=="),
        (b"dGV4dA==", "text/plain", ("image/png",), "", b"dGV4dA=="),
        (b"dGV4dA==", "text/plain", ("image/png",), TO_BINARY, b"text"),
        (b"dGV4dA==", "text/plain", ("image/png",), TO_TEXT, b"dGV4dA=="),
        (PNG, "image/png", ("image/png",), "", PNG),
        (PNG, "image/png; q=1", ("image/*",), TO_BINARY, PNG),
        (PNG, "image/png", ("*/*",), TO_TEXT, ENCODED),
    ],
)
def test_requests(body: bytes, content_type: str, types: tuple[str, ...], handling: str, expected: bytes) -> None:
    matched = request({"content-type": content_type}, body, types)
    seen = encodings.request_to_text(matched, handling, body)
    assert encodings.request_to_binary(matched, handling, seen) == expected


@pytest.mark.parametrize(
    ("body", "body_type", "accept", "types", "handling", "expected"),
    [
        # The rows of the developer guide's table for answers.
        (ENCODED, "text/plain", "text/plain", (), "", ENCODED),
        (ENCODED, "text/plain", "text/plain", (), TO_BINARY, PNG),
        (ENCODED, "text/plain", "text/plain", (), TO_TEXT, ENCODED),
        (ENCODED, "text/plain", "text/plain", ("image/png",), "", ENCODED),
        (ENCODED, "text/plain", "text/plain", ("image/png",), TO_BINARY, PNG),
        (ENCODED, "text/plain", "text/plain", ("image/png",), TO_TEXT, ENCODED),
        (ENCODED, "text/plain", "image/png", ("image/png",), "", PNG),
        (ENCODED, "text/plain", "image/png", ("image/png",), TO_BINARY, PNG),
        (ENCODED, "text/plain", "image/png", ("image/png",), TO_TEXT, ENCODED),
        (PNG, "image/png", "text/plain", ("image/png",), "", ENCODED),
        (PNG, "image/png", "text/plain", ("image/png",), TO_BINARY, PNG),
        (PNG, "image/png", "text/plain", ("image/png",), TO_TEXT, ENCODED),
        (PNG, "image/png", "image/png", ("image/png",), "", PNG),
        (PNG, "image/png", "image/png", ("image/png",), TO_BINARY, PNG),
        (PNG, "image/png", "image/png", ("image/png",), TO_TEXT, ENCODED),
        # Only the first choice of Accept counts.
        (PNG, "image/png", "text/html,image/png", ("image/png",), "", ENCODED),
        # What a function returned as a text is JSON.
        (b'"' + ENCODED + b'"', "application/json", "image/png", ("image/png",), "", PNG),
    ],
)
def test_answers(
    body: bytes, body_type: str, accept: str, types: tuple[str, ...], handling: str, expected: bytes
) -> None:
    matched = request({"accept": accept}, types=types)
    seen = encodings.answer_to_text(matched, handling, body, body_type)
    assert encodings.answer_to_binary(matched, handling, seen, body_type) == expected


def test_what_is_no_base64_is_a_misconfiguration() -> None:
    with pytest.raises(Refused) as refused:
        encodings.request_to_binary(request({"content-type": "text/plain"}), TO_BINARY, b"{}")
    assert refused.value.fault == "misconfigured"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate,gzip", "deflate"),
        ("deflate;q=0.5,gzip;q=1.0", "gzip"),
        ("gzip;q=1.0,identity;q=0.5,*;q=0", "gzip"),
        ("br, gzip", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("*", None),
        ("", None),
    ],
)
def test_which_coding_an_answer_has(accepted: str, coding: str | None) -> None:
    matched = request({"accept-encoding": accepted}, least=3)
    response = encodings.packed(matched, Response(200, (), b"body"))
    assert header(response, "content-encoding") == coding
    assert isinstance(response.body, bytes)
    assert UNPACK[coding](response.body) == b"body"


def test_what_is_not_compressed() -> None:
    asks = {"accept-encoding": "gzip"}
    small = Response(200, (), b"12")
    assert encodings.packed(request(asks, least=3), small) is small
    packed = Response(200, (("Content-Encoding", "br"),), b"1234")
    assert encodings.packed(request(asks, least=3), packed) is packed
    assert encodings.packed(request(asks), Response(200, (), b"1234")).headers == ()


@pytest.mark.parametrize(
    ("coding", "body", "fault"),
    [
        ("br", b"x", "unmapped_type"),
        ("gzip", b"x", "unmapped_type"),
        ("gzip", gzip.compress(b"x" * 100, mtime=0)[:-4], "unmapped_type"),
        ("gzip", gzip.compress(b"x", mtime=0) + b"y", "unmapped_type"),
        ("deflate", zlib.compress(b"\0" * (10 * 1024 * 1024 + 1)), "too_long"),
    ],
)
def test_what_cannot_be_unpacked(coding: str, body: bytes, fault: str) -> None:
    with pytest.raises(Refused) as refused:
        encodings.unpacked(request({"content-encoding": coding}, body))
    assert refused.value.fault == fault


async def test_a_compressed_request_reaches_its_function_as_it_was() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("POST /a", minimumCompressionSize=0)
    house.function.answer = {"statusCode": 200, "body": "x" * 100}

    response = await house.request(
        api_id,
        "POST",
        "/dev/a",
        headers={"Content-Encoding": "gzip", "Accept-Encoding": "deflate", "content-type": "application/json"},
        body=gzip.compress(b'{"a":1}'),
    )

    event = house.function.event
    assert event["body"] == '{"a":1}'
    sent = [name for name in event["headers"] if name.lower().startswith(("accept", "content"))]
    assert sent == ["Accept-Encoding", "content-type"], "names are as they were sent"
    assert isinstance(response.body, bytes)
    assert (header(response, "content-encoding"), zlib.decompress(response.body)) == ("deflate", b"x" * 100)
    bad = await house.request(api_id, "POST", "/dev/a", headers={"content-encoding": "br"}, body=b"x")
    assert (bad.status, bad.body) == (415, b'{"message":"Unsupported Media Type"}')


async def converting(
    house: ApiHouse, integration: dict[str, Any], reply: dict[str, Any], types: tuple[str, ...] = ("image/png",)
) -> str:
    """Return the id of an API that takes and gives images, or other types that are binary."""
    api = await house.v1("CreateRestApi", name="n", binaryMediaTypes=list(types))
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "POST"}
    await house.v1("PutMethod", **at, authorizationType="NONE")
    await house.v1("PutIntegration", **at, **integration)
    await house.v1("PutMethodResponse", **at, statusCode="200")
    await house.v1("PutIntegrationResponse", **at, statusCode="200", **reply)
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
    return str(api["id"])


async def test_an_image_goes_through_a_template_as_base64_and_comes_back() -> None:
    house = ApiHouse()
    api_id = await converting(
        house,
        {
            "type": "AWS",
            "integrationHttpMethod": "POST",
            "uri": URI,
            "contentHandling": TO_TEXT,
            "requestTemplates": {"image/png": '{"image": "$input.body"}'},
        },
        {"contentHandling": TO_BINARY},
    )
    house.function.answer = ENCODED.decode()

    response = await house.request(api_id, "POST", "/dev", headers={"content-type": "image/png"}, body=PNG)

    assert json.loads(house.function.calls[-1][1]["Payload"]) == {"image": ENCODED.decode()}
    assert (response.status, response.body) == (200, PNG)
    house.function.answer = {"no": "base64"}
    failed = await house.request(api_id, "POST", "/dev", headers={"content-type": "image/png"}, body=PNG)
    assert (failed.status, failed.body) == (500, b'{"message": "Internal server error"}')


@pytest.mark.parametrize(
    ("integration", "reply", "status"),
    [
        # An API's preflights are all binary then, even though they have no body.
        ({}, {}, 500),
        ({"contentHandling": TO_TEXT}, {}, 200),
        ({"contentHandling": TO_TEXT}, {"responseTemplates": {"application/json": ""}}, 200),
        ({"contentHandling": TO_TEXT}, {"responseTemplates": {"application/json": "{}"}}, 500),
        (
            {"contentHandling": TO_TEXT},
            {"contentHandling": TO_TEXT, "responseTemplates": {"application/json": "{}"}},
            200,
        ),
    ],
)
async def test_nothing_binary_goes_through_a_template(
    integration: dict[str, Any], reply: dict[str, Any], status: int
) -> None:
    house = ApiHouse()
    mock = {"type": "MOCK", "requestTemplates": {"application/json": '{"statusCode": 200}'}, **integration}
    api_id = await converting(house, mock, reply, types=("*/*",))
    response = await house.request(api_id, "POST", "/dev", headers={"accept": "*/*"})
    assert response.status == status


async def test_a_backend_gets_what_the_base64_of_a_text_says() -> None:
    house = ApiHouse()
    async with backend() as server:
        server.answer = plain(200, PNG, "Content-Type: image/png")
        integration = {"type": "HTTP", "integrationHttpMethod": "POST", "uri": server.url, "contentHandling": TO_BINARY}
        api_id = await converting(house, integration, {})
        response = await house.request(
            api_id, "POST", "/dev", headers={"content-type": "text/plain", "accept": "*/*"}, body=ENCODED
        )

    assert server.requests[0][2] == PNG
    assert response.body == ENCODED  # a client that does not accept images by name gets text
