"""HTTP proxy integrations and parameter mapping of HTTP APIs."""

import asyncio
import json
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from patience import until
from unit.services.apigateway.backends import backend, plain
from unit.services.apigateway.fake_lambda import FUNCTION, ApiHouse, header


async def proxied(house: ApiHouse, uri: str, route_key: str = "ANY /{proxy+}", **settings: Any) -> str:
    """Return the id of an API with one route to `uri`."""
    api_id = str((await house.v2("CreateApi", Name="notes", ProtocolType="HTTP"))["ApiId"])
    given = {"IntegrationType": "HTTP_PROXY", "IntegrationMethod": "ANY", "IntegrationUri": uri, **settings}
    integration = await house.v2("CreateIntegration", ApiId=api_id, **given)
    target = f"integrations/{integration['IntegrationId']}"
    await house.v2("CreateRoute", ApiId=api_id, RouteKey=route_key, Target=target)
    variables = {"host": "127.0.0.1", "color": "blue"}
    await house.v2("CreateStage", ApiId=api_id, StageName="$default", AutoDeploy=True, StageVariables=variables)
    return api_id


async def test_a_request_goes_to_the_url_and_the_answer_comes_back() -> None:
    house = ApiHouse()
    async with backend() as served:
        own = ("connection: close", "Apigw-Requestid: the backend's")
        served.answer = plain(201, b"made", "x-a: 1", "set-cookie: a=1", "set-cookie: b=2", *own)
        uri = f"http://${{stageVariables.host}}:{served.port}/pets/{{proxy}}?own=1"
        api_id = await proxied(house, uri)
        response = await house.request(
            api_id,
            "PUT",
            "/a%20b/c%0D%0Ad",
            query="x=1&x=%20",
            headers=[("x-b", "2"), ("authorization", "secret"), ("connection", "x-b"), ("te", "trailers")],
            body=b"\x00body",
        )

    assert (response.status, response.body) == (201, b"made")
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert header(response, "x-a") == "1"
    [request_id] = [value for name, value in response.headers if name.lower() == "apigw-requestid"]
    assert request_id != "the backend's"
    assert header(response, "connection") is None
    [(line, headers, body)] = served.requests
    assert line == "PUT /pets/a%20b/c%0D%0Ad?own=1&x=1&x=%20 HTTP/1.1"
    assert body == b"\x00body"
    assert headers["host"] == f"127.0.0.1:{served.port}"
    assert headers["forwarded"] == f"for=127.0.0.1;host={api_id}.execute-api.localhost;proto=http"
    assert headers["via"] == "HTTP/1.1 AmazonAPIGateway"
    assert (headers["authorization"], headers["x-b"]) == ("secret", "2")
    assert "te" not in headers


async def test_a_backend_that_is_slow_or_absent_is_service_unavailable() -> None:
    house = ApiHouse()
    async with backend() as served:
        served.hold = asyncio.Event()
        api_id = await proxied(house, served.url, TimeoutInMillis=5_000)
        waiting = asyncio.ensure_future(house.request(api_id, "GET", "/x"))
        await until(lambda: served.requests, "the backend is asked", every_s=0)
        house.clock.advance(6)
        late = await waiting
        served.hold.set()
    assert (late.status, late.body) == (503, b'{"message":"Service Unavailable"}')

    gone = await house.request(api_id, "GET", "/x")
    assert (gone.status, gone.body) == (503, b'{"message":"Service Unavailable"}')


async def test_answers_are_awaited_of_so_many_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANSWERS_AWAITED_MAX", 2)
    house = ApiHouse()
    async with backend() as served:
        served.hold = asyncio.Event()
        api_id = await proxied(house, served.url)
        waiting = [asyncio.ensure_future(house.request(api_id, "GET", "/x")) for _ in range(2)]
        await until(lambda: len(served.requests) == 2, "both are asked", every_s=0)
        refused = await house.request(api_id, "GET", "/x")
        served.hold.set()
        answered = [(await one).status for one in waiting]
        again = await house.request(api_id, "GET", "/x")
    assert (refused.status, refused.body) == (503, b'{"message":"Service Unavailable"}')
    assert [*answered, again.status] == [200, 200, 200]


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/%252541", "a=%zz&%", "/x/%2541?a=%zz&%"),
        ("/%ff", "a=\xe9", "/x/%EF%BF%BD?a=%E9"),
        ("/a%253Fb#c", "d#e f", "/x/a%3Fb%23c?d%23e%20f"),
        ("/a%3Fb=1", "", "/x/a"),
        ("/" + "a" * 20_000, "b" * 20_000, f"/x/{'a' * 20_000}?{'b' * 20_000}"),
        ("//evil.example/..a", "", "/x//evil.example/..a"),
    ],
)
async def test_no_path_and_no_query_breaks_the_request(path: str, query: str, target: str) -> None:
    house = ApiHouse()
    async with backend() as served:
        api_id = await proxied(house, f"{served.url}/x/{{proxy}}")
        response = await house.request(api_id, "GET", path, query=query)
    assert response.status == 200
    assert served.requests[0][0] == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize(
    ("uri", "path", "target"),
    [
        ("", "/store/check%20out", "/store/check%20out?own=1&y=2"),
        ("/", "/store", "/store?own=1&y=2"),
        ("/base", "/", "/base/?own=1&y=2"),
        ("/base/", "/dev/a", "/base/a?own=1&y=2"),
        ("/base", "//evil.example/a%3Fb", "/base//evil.example/a?own=1&y=2"),
    ],
)
async def test_the_default_route_s_url_is_followed_by_the_whole_path(uri: str, path: str, target: str) -> None:
    house = ApiHouse()
    async with backend() as served:
        api_id = await proxied(house, f"{served.url}{uri}?own=1", "$default")
        await house.v2("CreateStage", ApiId=api_id, StageName="dev", AutoDeploy=True)
        assert (await house.request(api_id, "GET", path, query="y=2")).status == 200
        assert (await house.request(api_id, "GET", "/a/../b")).status == 400
    assert served.requests[0][0] == f"GET {target} HTTP/1.1"


async def test_a_url_that_stage_variables_break_is_an_internal_error() -> None:
    house = ApiHouse()
    api_id = await proxied(house, "http://${stageVariables.nothing}/x")
    assert (await house.request(api_id, "GET", "/x")).status == 500


REQUEST_ROWS: list[tuple[str, dict[str, str], str, dict[str, str | None]]] = [
    ("a variable", {"append:header.id": "$request.path.proxy"}, "/x/7?q=1&q=2&z=%26", {"id": "7"}),
    ("two in text", {"overwrite:header.h": "${stageVariables.color}-${context.stage}"}, "", {"h": "blue-$default"}),
    ("no value", {"append:header.id": "$request.header.absent"}, "", {"id": None}),
    ("appended", {"append:header.h": "b"}, "", {"h": "a,b"}),
    ("removed", {"remove:header.h": "''"}, "", {"h": None}),
    ("a JSON path", {"overwrite:header.h": "$request.body.a[0].b"}, "", {"h": "3"}),
    ("a line break", {"overwrite:header.h": "$request.body.lines"}, "", {"h": "a  b: c"}),
    ("a query", {"append:querystring.q": "3", "remove:querystring.z": ""}, "/x/7?q=1&q=2&q=3", {}),
    ("a path", {"overwrite:path": "/other/${request.querystring.q}"}, "/other/1,2?q=1&q=2&z=%26", {}),
    ("the host", {"overwrite:header.Host": "backend.example"}, "", {"host": "backend.example"}),
    ("the path itself", {"overwrite:path": "$request.path"}, "/7%20%C3%A9?q=1&q=2&z=%26", {}),
]


@pytest.mark.parametrize(
    ("mapping", "target", "seen"), [row[1:] for row in REQUEST_ROWS], ids=[r[0] for r in REQUEST_ROWS]
)
async def test_requests_are_mapped(mapping: dict[str, str], target: str, seen: dict[str, str | None]) -> None:
    house = ApiHouse()
    async with backend() as served:
        api_id = await proxied(house, f"{served.url}/x/{{proxy}}", RequestParameters=mapping)
        await house.request(
            api_id,
            "POST",
            "/7%20%C3%A9" if mapping.get("overwrite:path") == "$request.path" else "/7",
            query="q=1&q=2&z=%26",
            headers=[("h", "a")],
            body=b'{"a": [{"b": 3}], "lines": "a\\r\\nb: c"}',
        )
    [(line, headers, _)] = served.requests
    if target:
        assert line.split(" ")[1] == target
    joined = dict(headers)
    for name, value in seen.items():
        assert joined.get(name) == (value.rpartition(",")[2] if value else None)


async def test_a_host_that_a_mapping_does_not_find_is_the_servers() -> None:
    house = ApiHouse()
    async with backend() as served:
        for action in ("overwrite", "append"):
            api_id = await proxied(house, served.url, RequestParameters={f"{action}:header.host": "$request.header.h"})
            await house.request(api_id, "GET", "/7")
            await house.request(api_id, "GET", "/7", headers={"h": "other.example"})
    own = served.url.removeprefix("http://")
    assert [dict(headers)["host"] for _, headers, _ in served.requests] == [own, "other.example"] * 2


async def test_line_breaks_at_the_ends_of_a_value_break_nothing() -> None:
    house = ApiHouse()
    mapping = {"append:header.a": "$request.body.lines", "append:header.b": "$request.querystring.q"}
    async with backend() as served:
        api_id = await proxied(house, served.url, RequestParameters=mapping)
        answer = await house.request(
            api_id, "POST", "/7", query="q=%0d%0aEvil:%201%0d%0a", body=b'{"lines": "\\r\\n\\u0000"}'
        )
    [(_, headers, _)] = served.requests
    assert answer.status == 200
    assert (dict(headers)["a"], dict(headers)["b"]) == ("", "Evil: 1")


async def test_answers_are_mapped_by_their_status() -> None:
    house = ApiHouse()
    mapping = {
        "404": {"overwrite:statuscode": "410", "append:header.why": "$response.body.why", "remove:header.x-a": "''"},
        "200": {"overwrite:header.x-a": "${response.header.x-a}/${context.requestId}"},
    }
    async with backend() as served:
        api_id = await proxied(house, served.url, ResponseParameters=mapping)
        served.answer = plain(404, b'{"why": "gone"}', "x-a: 1")
        gone = await house.request(api_id, "GET", "/x")
        served.answer = plain(200, b"", "x-a: 1")
        found = await house.request(api_id, "GET", "/x")
    assert (gone.status, header(gone, "why"), header(gone, "x-a")) == (410, "gone", None)
    assert header(found, "x-a") == f"1/{header(found, 'apigw-requestid')}"


@pytest.mark.parametrize(
    ("given", "status"), [("299", 299), ("600", 200), ("\u0662\u0660\u0660", 200), ("2" * 5000, 200)]
)
async def test_a_status_may_come_from_an_answer(given: str, status: int) -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /notes")
    [integration] = (await house.v2("GetIntegrations", ApiId=api_id))["Items"]
    at = {"ApiId": api_id, "IntegrationId": integration["IntegrationId"]}
    await house.v2(
        "UpdateIntegration", **at, ResponseParameters={"200": {"overwrite:statuscode": "$response.body.status"}}
    )
    house.function.answer = {"statusCode": 200, "body": json.dumps({"status": given})}
    assert (await house.request(api_id, "GET", "/notes")).status == status


async def test_a_functions_event_and_answer_are_mapped_too() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /notes")
    [integration] = (await house.v2("GetIntegrations", ApiId=api_id))["Items"]
    await house.v2(
        "UpdateIntegration",
        ApiId=api_id,
        IntegrationId=integration["IntegrationId"],
        RequestParameters={"append:header.added": "$context.routeKey", "overwrite:path": "/moved"},
        ResponseParameters={"200": {"append:header.added": "yes"}},
    )
    response = await house.request(api_id, "GET", "/notes")
    assert (house.function.event["headers"]["added"], house.function.event["rawPath"]) == ("GET /notes", "/moved")
    assert header(response, "added") == "yes"


async def test_an_update_adds_mappings_and_takes_away_empty_ones() -> None:
    house = ApiHouse()
    api_id = await proxied(
        house, "http://localhost", RequestParameters={"append:header.a": "1", "append:header.b": "2"}
    )
    [integration] = (await house.v2("GetIntegrations", ApiId=api_id))["Items"]
    changed = await house.v2(
        "UpdateIntegration",
        ApiId=api_id,
        IntegrationId=integration["IntegrationId"],
        RequestParameters={"append:header.a": "", "append:header.c": "3"},
    )
    assert changed["RequestParameters"] == {"append:header.b": "2", "append:header.c": "3"}
    assert (changed["IntegrationType"], changed["PayloadFormatVersion"], changed["TimeoutInMillis"]) == (
        "HTTP_PROXY",
        "1.0",
        30_000,
    )


MAPPED = "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"IntegrationUri": FUNCTION}, "Invalid HTTP endpoint specified for URI"),
    ({"IntegrationMethod": None}, "IntegrationMethod is a required parameter for HTTP_PROXY integrations"),
    ({"PayloadFormatVersion": "2.0"}, "Invalid PayloadFormatVersion 2.0: must be one of [1.0]"),
    ({"RequestParameters": {"append:cookie.a": "1"}}, f"{MAPPED}[Invalid Request Actioned Parameter: append:cookie.a]"),
    ({"RequestParameters": {"append:header.Via": "1"}}, f"{MAPPED}[Operations on header Via are restricted]"),
    (
        {"RequestParameters": {"append:header.a": "$request.body..b"}},
        f"{MAPPED}[Invalid source: $request.body..b specified for destination: append:header.a]",
    ),
    ({"ResponseParameters": {"2xx": {}}}, f"{MAPPED}[Invalid status code specified: 2xx]"),
    (
        {"ResponseParameters": {"200": {"append:querystring.a": "1"}}},
        f"{MAPPED}[Invalid Response Actioned Parameter: append:querystring.a]",
    ),
    (
        {"ResponseParameters": {"200": {"overwrite:statuscode": "2" * 5000}}},
        f"{MAPPED}[Invalid status code specified: {'2' * 5000}]",
    ),
    ({"IntegrationSubtype": "SNS-Publish"}, "Unsupported IntegrationSubtype specified: SNS-Publish"),
]


@pytest.mark.parametrize(("settings", "words"), REFUSED)
async def test_what_no_integration_can_have_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceError) as refused:
        await proxied(ApiHouse(), **{"uri": "http://localhost", **settings})  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.message) == ("BadRequestException", words)


async def test_service_integrations_are_refused_by_name() -> None:
    with pytest.raises(NotImplementedHere, match="SQS-SendMessage"):
        await proxied(ApiHouse(), "http://localhost", IntegrationType="AWS_PROXY", IntegrationSubtype="SQS-SendMessage")
