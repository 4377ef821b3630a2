"""Integrations of a REST API that map: MOCK, Lambda without proxy, DynamoDB, HTTP servers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline.exchange import Outbound
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.rest_backends import fill_url
from cumulet.services.kit import Call, Operation, Output, Params, Service, operation
from cumulet.store.api import WriteTx
from patience import until
from unit.services.apigateway.backends import backend
from unit.services.apigateway.fake_lambda import URI, ApiHouse, header

JSON = "application/json"


async def deployed(
    house: ApiHouse,
    integration: dict[str, Any],
    *replies: dict[str, Any],
    path: str = "things/{id}",
    declared: dict[str, bool] | None = None,
) -> str:
    """Return the id of an API whose one method has this integration, with these integration responses."""
    api = await house.v1("CreateRestApi", name="mapped")
    parent = api["rootResourceId"]
    for part in path.split("/"):
        parent = (await house.v1("CreateResource", restApiId=api["id"], parentId=parent, pathPart=part))["id"]
    at = {"restApiId": api["id"], "resourceId": parent, "httpMethod": "ANY"}
    sources = [source for source in integration.get("requestParameters", {}).values() if source.startswith("method.")]
    asked = dict.fromkeys([source.replace(".multivalue", ".") for source in sources if ".body" not in source], False)
    await house.v1("PutMethod", **at, authorizationType="NONE", requestParameters=asked)
    await house.v1("PutIntegration", **at, **integration)
    for reply in replies:
        await house.v1("PutMethodResponse", **at, statusCode=reply["statusCode"], responseParameters=declared or {})
        await house.v1("PutIntegrationResponse", **at, **reply)
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev", variables={"color": "blue"})
    return str(api["id"])


def custom(**more: Any) -> dict[str, Any]:
    return {"type": "AWS", "integrationHttpMethod": "POST", "uri": URI, **more}


def mock(template: str = '{"statusCode": 200}', **more: Any) -> dict[str, Any]:
    return {"type": "MOCK", "requestTemplates": {JSON: template}, **more}


async def test_a_mock_answers_preflights() -> None:
    house = ApiHouse()
    origin = "method.response.header.Access-Control-Allow-Origin"
    # As the CDK writes it: no JSON, and AWS takes it.
    api_id = await deployed(
        house,
        mock("{ statusCode: 204 }"),
        {"statusCode": "204", "responseParameters": {origin: "'https://a.example'"}},
        declared={origin: True},
    )

    response = await house.request(api_id, "OPTIONS", "/dev/things/1")

    assert (response.status, response.body) == (204, b"")
    assert header(response, "access-control-allow-origin") == "https://a.example"
    assert header(response, "x-amzn-requestid")


async def test_quotes_within_a_static_value_are_its_own() -> None:
    house = ApiHouse()
    headers = "method.response.header.Access-Control-Allow-Headers"
    reply = {"statusCode": "200", "responseParameters": {headers: "'Content-Type', 'X-Api-Key'"}}
    api_id = await deployed(house, mock(), reply, declared={headers: True})
    response = await house.request(api_id, "OPTIONS", "/dev/things/1")
    assert header(response, "access-control-allow-headers") == "Content-Type', 'X-Api-Key"


async def test_a_mock_chooses_its_reply_by_status() -> None:
    house = ApiHouse()
    api_id = await deployed(
        house,
        mock("{\"statusCode\": #if($input.params('fail') == 'yes')500#{else}200#end}"),
        {
            "statusCode": "200",
            "responseTemplates": {JSON: '{"id": "$input.params(\'id\')", "c": "$stageVariables.color"}'},
        },
        {"statusCode": "500", "selectionPattern": "5\\\\d{2}".replace("\\\\", "\\"), "responseTemplates": {JSON: "no"}},
    )

    fine = await house.request(api_id, "GET", "/dev/things/7")
    failed = await house.request(api_id, "GET", "/dev/things/7", query="fail=yes")

    assert (fine.status, fine.body, header(fine, "content-type")) == (200, b'{"id": "7", "c": "blue"}', JSON)
    assert (failed.status, failed.body) == (500, b"no")


async def test_what_a_template_sees_of_no_body() -> None:
    house = ApiHouse()
    house.function.answer = {}
    template = "[\"$util.urlEncode($input.body)\", $input.json('$')]"
    api_id = await deployed(house, custom(requestTemplates={JSON: template}), {"statusCode": "200"})
    await house.request(api_id, "GET", "/dev/things/1")
    assert house.function.event == ["%7B%7D", {}]
    echo = {"statusCode": "200", "responseTemplates": {JSON: "[$input.body]"}}
    api_id = await deployed(house, mock('{"statusCode": 200, "echo": 1}'), echo)
    assert (await house.request(api_id, "POST", "/dev/things/1", body=b'{"statusCode": 201}')).body == b"[]"


async def test_no_client_chooses_the_status_of_a_mock() -> None:
    house = ApiHouse()
    template = '{"said": "$util.escapeJavaScript($input.params(\'q\'))", "statusCode": "200"}'
    replies = {"statusCode": "200"}, {"statusCode": "500", "selectionPattern": "5.."}
    api_id = await deployed(house, mock(template), *replies)
    assert (await house.request(api_id, "GET", "/dev/things/1", query="q=statusCode:500")).status == 200


@pytest.mark.parametrize(
    "template",
    ["[]", '{"statusCode": true}', '{"a": {"statusCode": 200}}', "{}", "", "#if(", "#foreach($i in [1..99999])x#end"],
)
async def test_a_mock_without_a_status_is_misconfigured(template: str) -> None:
    house = ApiHouse()
    api_id = await deployed(house, mock(template), {"statusCode": "200"})

    response = await house.request(api_id, "GET", "/dev/things/1")

    assert (response.status, response.body) == (500, b'{"message": "Internal server error"}')


@pytest.mark.parametrize(
    ("behavior", "templates", "content_type", "status"),
    [
        ("WHEN_NO_MATCH", {JSON: "{}"}, "application/xml", 200),
        ("WHEN_NO_TEMPLATES", {JSON: "{}"}, "application/xml", 415),
        ("WHEN_NO_TEMPLATES", {}, "application/xml", 200),
        ("NEVER", {}, "application/xml", 415),
        ("NEVER", {}, None, 415),
        ("NEVER", {JSON: "{}"}, None, 200),
        ("NEVER", {JSON: "{}"}, "application/json; charset=utf-8", 200),
    ],
)
async def test_passthrough(behavior: str, templates: dict[str, str], content_type: str | None, status: int) -> None:
    house = ApiHouse()
    house.function.answer = {}
    given = custom(requestTemplates=templates, passthroughBehavior=behavior)
    api_id = await deployed(house, given, {"statusCode": "200"})
    headers = {} if content_type is None else {"content-type": content_type}

    response = await house.request(api_id, "POST", "/dev/things/1", headers=headers, body=b'{"a": 1}')

    assert response.status == status
    if status == 415:
        assert response.body == b'{"message":"Unsupported Media Type"}'
        assert not house.function.calls


async def test_a_function_behind_templates() -> None:
    house = ApiHouse()
    house.function.answer = {"items": [1, 2], "status": "late"}
    template = """
#set($body = $input.path('$'))
{"id": "$input.params('id')", "name": "$util.escapeJavaScript($body.name)", "stage": "$context.stage",
 "tags": [#foreach($t in $body.tags)"$t"#if($foreach.hasNext),#end#end]}"""
    reply = """#set($root = $input.path('$'))
#set($context.responseOverride.header.X-Count = $root.items.size())
#if($root.status == "late")#set($context.responseOverride.status = 202)#end
{"count": $root.items.size(), "all": $input.json('$.items')}"""
    api_id = await deployed(
        house,
        custom(requestTemplates={JSON: template}),
        {
            "statusCode": "200",
            "responseTemplates": {JSON: reply},
            "responseParameters": {"method.response.header.X-Status": "integration.response.body.status"},
        },
        declared={"method.response.header.X-Status": False},
    )

    response = await house.request(api_id, "PUT", "/dev/things/7", body=b'{"name": "A\\"b", "tags": ["x", "y"]}')

    assert house.function.event == {"id": "7", "name": 'A"b', "stage": "dev", "tags": ["x", "y"]}
    assert response.status == 202
    assert json.loads(bytes(response.body)) == {"count": 2, "all": [1, 2]}  # type: ignore[arg-type]
    assert (header(response, "x-count"), header(response, "x-status")) == ("2", "late")


@pytest.mark.parametrize(("asked", "status"), [("200", 200), ("404", 404), ("409", 404), ("500", 201)])
async def test_of_several_replies_it_is_the_one_for_the_status(asked: str, status: int) -> None:
    house = ApiHouse()
    replies = [{"statusCode": code, "selectionPattern": "4.*"} for code in ("400", "404")]
    replies = [{"statusCode": "404", "selectionPattern": "40[49]"}, *replies[:1], {"statusCode": "201"}]
    api_id = await deployed(
        house, mock("{\"statusCode\": $input.params('s')}"), *replies, {"statusCode": "200", "selectionPattern": "200"}
    )
    assert (await house.request(api_id, "GET", "/dev/things/1", query=f"s={asked}")).status == status


@pytest.mark.parametrize(
    ("template", "status"),
    [
        ("#set($context.responseOverride.status = 201)#set($context.responseOverride.header.a = 'b')", 201),
        ("#set($context.responseOverride.status = 201)#set($context.responseOverride.status = 202)", 500),
        ("#set($context.responseOverride.header.a = 'b')#set($context.responseOverride.header['a'] = 'c')", 500),
        ("#foreach($x in [1, 2])#set($z = $context.responseOverride.header.put('a', $x))#end", 500),
        ("#foreach($x in [1, 2])#set($z = $context.responseOverride.header.putAll({'a': $x}))#end", 500),
        ("#set($x = {})#set($x.x = $x)#set($context.responseOverride.header.a = $x)", 500),
    ],
)
async def test_an_override_is_final(template: str, status: int) -> None:
    house = ApiHouse()
    api_id = await deployed(house, mock(), {"statusCode": "200", "responseTemplates": {JSON: template}})
    assert (await house.request(api_id, "GET", "/dev/things/1")).status == status


@pytest.mark.parametrize("grown", ["#set($x.x = $x)", "#foreach($n in [1..40])#set($x = {'a': $x, 'b': $x})#end"])
async def test_an_override_without_an_end_is_refused(grown: str) -> None:
    house = ApiHouse()
    override = f"#set($x = {{}}){grown}#set($context.requestOverride.header.a = $x)"
    api_id = await deployed(house, mock(override + '{"statusCode": 200}'), {"statusCode": "200"})
    assert (await house.request(api_id, "GET", "/dev/things/1")).status == 500


@pytest.mark.parametrize("change", ["#set($context.{} = 'x')", "#set($x = $context.remove('{}'))"])
async def test_what_overrides_all_overrides_nothing(change: str) -> None:
    house = ApiHouse()
    request = change.format("requestOverride") + '{"statusCode": 200}'
    response = {JSON: change.format("responseOverride")}
    api_id = await deployed(house, mock(request), {"statusCode": "200", "responseTemplates": response})
    assert (await house.request(api_id, "GET", "/dev/things/1")).status == 200


async def test_a_semicolon_parts_a_query_too() -> None:
    house = ApiHouse()
    house.function.answer = {}
    template = '{"a": "$input.params(\'a\')", "b": "$input.params(\'b\')"}'
    api_id = await deployed(house, custom(requestTemplates={JSON: template}), {"statusCode": "200"})
    await house.request(api_id, "GET", "/dev/things/1", query="a=1;b=2%3B3")
    assert house.function.event == {"a": "1", "b": "2;3"}


async def test_errors_of_a_function_choose_the_reply() -> None:
    house = ApiHouse()
    api_id = await deployed(
        house,
        custom(),
        {"statusCode": "200"},
        {
            "statusCode": "404",
            "selectionPattern": "Not found.*",
            "responseTemplates": {JSON: '{"message": "$input.path(\'$.errorMessage\')"}'},
        },
    )
    house.function.function_error = "Unhandled"

    house.function.answer = {"errorMessage": "Not found: 7", "errorType": "KeyError"}
    missing = await house.request(api_id, "GET", "/dev/things/7")
    house.function.answer = {"errorMessage": "other"}
    other = await house.request(api_id, "GET", "/dev/things/7")

    assert (missing.status, missing.body) == (404, b'{"message": "Not found: 7"}')
    assert (other.status, other.body) == (200, b'{"errorMessage": "other"}')


async def test_templates_see_headers_as_they_were_sent_and_no_nulls() -> None:
    house = ApiHouse()
    shown = (
        '{"h": [#foreach($n in $input.params().header.keySet())"$n"#if($foreach.hasNext),#end#end], '
        '"i": {#foreach($n in $context.identity.keySet())"$n": "$context.identity.get($n)"'
        "#if($foreach.hasNext),#end#end}}"
    )
    api_id = await deployed(
        house,
        custom(
            requestTemplates={JSON: shown},
            requestParameters={f"{TO_LAMBDA}Client-Context": "context.identity.user"},
        ),
        {"statusCode": "200"},
    )

    await house.request(api_id, "GET", "/dev/things/1", headers={"X-Mixed-case": "a", "cache-control": "no-cache"})

    event = house.function.event
    assert [name for name in event["h"] if name.lower() in ("x-mixed-case", "cache-control", "x-forwarded-for")] == [
        "X-Mixed-case",
        "cache-control",
        "X-Forwarded-For",
    ]
    assert (event["i"]["sourceIp"], event["i"]["user"], event["i"]["cognitoIdentityId"]) == ("127.0.0.1", "", "")
    assert "ClientContext" not in house.function.calls[0][1]


TO_LAMBDA = "integration.request.header.X-Amz-"


async def test_a_client_says_whether_it_waits_for_the_function() -> None:
    house = ApiHouse()
    asked = {f"{TO_LAMBDA}Invocation-Type": "method.request.header.InvocationType"}
    template = {"responseTemplates": {JSON: "{\"said\": $input.json('$')}"}}
    api_id = await deployed(house, custom(requestParameters=asked), {"statusCode": "202", **template})

    async def send(**headers: str) -> tuple[int, Any]:
        response = await house.request(api_id, "POST", "/dev/things/1", headers=headers, body=b'{"a": 1}')
        return response.status, response.body

    assert await send() == (202, b'{"said": {"statusCode":200,"body":"fine"}}')
    assert await send(invocationtype="Event") == (202, b'{"said": {}}')
    assert await send(invocationtype="DryRun") == (202, b'{"said": {}}')
    assert await send(invocationtype="event") == (500, b'{"message": "Internal server error"}')
    assert [params.get("InvocationType") for _, params in house.function.calls] == [None, "Event", "DryRun"]
    assert house.function.event == {"a": 1}


async def test_what_an_integration_tells_lambda_and_hears_of_it() -> None:
    house = ApiHouse()
    told = {f"{TO_LAMBDA}Log-Type": "'Tail'", f"{TO_LAMBDA}Client-Context": "stageVariables.color"}
    heard = {
        f"method.response.header.{name}": f"integration.response.header.{name}"
        for name in ("X-Amz-Log-Result", "X-Amz-Executed-Version", "X-Amz-Function-Error")
    }
    api_id = await deployed(
        house,
        custom(requestParameters=told),
        {"statusCode": "200", "responseParameters": heard},
        {"statusCode": "500", "selectionPattern": "no.*", "responseParameters": heard},
        declared=dict.fromkeys(heard, True),
    )

    fine = await house.request(api_id, "GET", "/dev/things/1")
    house.function.answer, house.function.function_error = {"errorMessage": "no luck"}, "Unhandled"
    failed = await house.request(api_id, "GET", "/dev/things/1")

    _, params = house.function.calls[0]
    assert (params["LogType"], params["ClientContext"]) == ("Tail", "blue")
    seen = ("x-amz-log-result", "x-amz-executed-version", "x-amz-function-error")
    assert (fine.status, [header(fine, name) for name in seen]) == (200, ["TG9n", "$LATEST", None])
    assert (failed.status, [header(failed, name) for name in seen]) == (500, ["TG9n", "$LATEST", "Unhandled"])


@pytest.mark.parametrize(
    ("target", "source", "params", "status"),
    [
        # Lambda answers at once, with nothing, which is no proxy's answer: https://github.com/serverless/serverless/issues/6921
        (f"{TO_LAMBDA}Invocation-Type", "'Event'", {"InvocationType": "Event"}, 502),
        (f"{TO_LAMBDA}invocation-type", "'RequestResponse'", {"InvocationType": "RequestResponse"}, 200),
        (f"{TO_LAMBDA}Invocation-Type", "method.request.header.Type", {}, 200),
        (f"{TO_LAMBDA}Client-Context", "method.request.path.id", {"ClientContext": "7"}, 200),
        (f"{TO_LAMBDA}Tenant-Id", "method.request.path.id", {"TenantId": "7"}, 200),
        (f"{TO_LAMBDA}Log-Type", "'Head'", None, 500),
        (f"{TO_LAMBDA}Target", "'x'", {}, 200),
        ("integration.request.header.X-Other", "'x'", {}, 200),
    ],
)
async def test_a_proxy_tells_lambda_how_to_run(
    target: str, source: str, params: dict[str, str] | None, status: int
) -> None:
    house = ApiHouse()
    api_id = await deployed(house, custom(type="AWS_PROXY", requestParameters={target: source}))

    response = await house.request(api_id, "GET", "/dev/things/7")

    sent = [
        {name: given[name] for name in given.keys() - {"FunctionName", "Payload"}} for _, given in house.function.calls
    ]
    assert (response.status, sent) == (status, [] if params is None else [params])
    if params is not None:
        assert "x-other" not in {name.lower() for name in house.function.event["headers"]}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("InvalidParameterValueException", "Add a valid tenant ID."),
        ("InvalidRequestContentException", "Could not parse request body into json: Unrecognized token"),
    ],
)
async def test_what_lambda_says_of_an_invocation_is_passed_on(code: str, words: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /things/{id}")
    house.function.answer = ServiceError(code, words, Type="User")

    response = await house.request(api_id, "GET", "/dev/things/7")

    assert (response.status, response.body) == (400, b'{"message": "%b"}' % words.encode())
    assert header(response, "x-amzn-errortype") == code
    http = await house.request(await house.http_api("GET /things"), "GET", "/things")
    assert (http.status, http.body) == (500, b'{"message":"Internal Server Error"}')


async def test_a_streamed_answer_is_waited_for() -> None:
    house = ApiHouse()
    streaming = URI.replace("2015-03-31", "2021-11-15").replace("/invocations", "/response-streaming-invocations")
    asked = {f"{TO_LAMBDA}Invocation-Type": "'Event'"}
    api_id = await deployed(
        house,
        custom(type="AWS_PROXY", uri=streaming, responseTransferMode="STREAM", requestParameters=asked),
    )

    assert (await house.request(api_id, "GET", "/dev/things/7")).status == 500
    assert not house.function.calls


async def test_what_no_reply_is_for_is_an_error() -> None:
    house = ApiHouse()
    api_id = await deployed(house, custom(), {"statusCode": "200", "selectionPattern": "never"})

    response = await house.request(api_id, "GET", "/dev/things/1")

    assert (response.status, response.body) == (500, b'{"message": "Internal server error"}')


async def test_a_body_that_is_no_json() -> None:
    house = ApiHouse()
    api_id = await deployed(house, custom(requestTemplates={JSON: "$input.json('$')"}), {"statusCode": "200"})

    response = await house.request(api_id, "POST", "/dev/things/1", body=b"{")

    assert (response.status, response.body) == (400, b'{"message": "Could not parse request body into json"}')


async def test_a_reply_may_only_set_headers_that_the_method_declares() -> None:
    house = ApiHouse()
    with pytest.raises(ServiceError, match=r"parameter specified: method\.response\.header\.X"):
        await deployed(house, mock(), {"statusCode": "200", "responseParameters": {"method.response.header.X": "'1'"}})


async def test_dynamodb_without_a_function() -> None:
    asked: list[tuple[Call, Params]] = []

    @operation("PutItem", resource="*", params="TableName Item")
    def put_item(call: Call, tx: WriteTx, params: Params) -> Output:
        asked.append((call, params))
        if params["TableName"] == "gone":
            raise ServiceError("ResourceNotFoundException", "no table", status=400)
        return {"Attributes": {"id": {"S": "7"}}}

    @operation("AssumeRole", resource="*", params="RoleArn RoleSessionName")
    def assume_role(call: Call, tx: WriteTx, params: Params) -> Output:
        return {
            "AssumedRoleUser": {"Arn": "arn:aws:sts::000000000000:assumed-role/r/s", "AssumedRoleId": "A:s"},
            "Credentials": {"AccessKeyId": "ASIA"},
        }

    operations: dict[str, Operation] = {"PutItem": put_item}
    house = ApiHouse(
        more={
            "dynamodb": lambda ground: Service("dynamodb", operations, iam_prefix="dynamodb"),
            "sts": lambda ground: Service("sts", {"AssumeRole": assume_role}, iam_prefix="sts"),
        }
    )
    template = '{"TableName": "$input.params(\'id\')", "Item": {"id": {"S": "$context.requestId"}}}'
    api_id = await deployed(
        house,
        {
            "type": "AWS",
            "integrationHttpMethod": "POST",
            "uri": "arn:aws:apigateway:us-east-1:dynamodb:action/PutItem",
            "credentials": "arn:aws:iam::000000000000:role/r",
            "requestTemplates": {JSON: template},
        },
        {"statusCode": "200", "responseTemplates": {JSON: "$input.path('$.Attributes.id.S')"}},
        {"statusCode": "400", "selectionPattern": "4.*", "responseTemplates": {JSON: "$input.path('$.message')"}},
    )

    fine = await house.request(api_id, "POST", "/dev/things/notes")
    gone = await house.request(api_id, "POST", "/dev/things/gone")

    assert (fine.status, fine.body) == (200, b"7")
    assert (gone.status, gone.body) == (400, b"no table")
    assert asked[0][1]["TableName"] == "notes"
    assert asked[0][0].principal.arn == "arn:aws:sts::000000000000:assumed-role/r/s"


@asynccontextmanager
async def http_server(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives one answer to all; yields its URL and the requests that it got."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
        )
        seen.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        await server.wait_closed()


ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nX-Back: b\r\nConnection: close\r\n\r\nhello"


async def test_an_http_proxy() -> None:
    house = ApiHouse()
    async with http_server(ANSWER.replace(b"X-Back", b"Date: then\r\nServer: s\r\nX-Back")) as (url, seen):
        api_id = await deployed(
            house,
            {
                "type": "HTTP_PROXY",
                "integrationHttpMethod": "ANY",
                "uri": f"{url}/base/{{id}}",
                "requestParameters": {
                    "integration.request.path.id": "method.request.path.id",
                    "integration.request.header.X-Stage": "stageVariables.color",
                    "integration.request.querystring.static": "'1'",
                },
            },
        )
        response = await house.request(
            api_id,
            "PUT",
            "/dev/things/a%20b",
            query="q=1&q=2",
            headers={"x-client": "c", "x-amzn-apigateway-api-id": "another"},
            body=b"data",
        )

    assert (response.status, response.body) == (201, b"hello")
    assert (header(response, "x-back"), header(response, "content-type")) == ("b", "text/plain")
    assert header(response, "connection") is None
    remapped = {name: value for name, value in response.headers if name.lower().endswith(("date", "server"))}
    assert remapped == {"x-amzn-Remapped-date": "then", "x-amzn-Remapped-server": "s"}
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /base/a%20b?q=1&q=2&static=1 HTTP/1.1\r\n")
    assert b"x-amzn-apigateway-api-id: %b\r\n" % api_id.encode() in head and b"another" not in head
    assert b"x-client: c" in head.lower() and b"x-stage: blue" in head.lower() and b"x-forwarded-for" in head.lower()
    assert body == b"data"


async def test_an_http_server_behind_templates() -> None:
    house = ApiHouse()
    async with http_server(ANSWER.replace(b"201 Created", b"404 Not Found")) as (url, seen):
        api_id = await deployed(
            house,
            {"type": "HTTP", "integrationHttpMethod": "POST", "uri": url, "requestTemplates": {JSON: "to"}},
            {"statusCode": "200"},
            {
                "statusCode": "410",
                "selectionPattern": "404",
                "responseTemplates": {JSON: "was $input.body"},
                "responseParameters": {"method.response.header.X-Mapped": "integration.response.header.X-Back"},
            },
            declared={"method.response.header.X-Mapped": True},
        )
        response = await house.request(api_id, "GET", "/dev/things/1", headers={"x-client": "c"})

    assert (response.status, response.body, header(response, "x-mapped")) == (410, b"was hello", "b")
    assert seen[0].startswith(b"POST / HTTP/1.1") and seen[0].endswith(b"\r\n\r\nto")
    sent = dict(line.split(b": ", 1) for line in seen[0].partition(b"\r\n\r\n")[0].lower().splitlines()[1:])
    assert sent.keys() - {b"host", b"content-length", b"connection", b"x-amzn-trace-id"} == {
        b"accept",
        b"content-type",
        b"user-agent",
        b"x-amzn-apigateway-api-id",
    }
    assert sent[b"user-agent"] == b"amazonapigateway_%b" % api_id.encode()
    assert (sent[b"accept"], sent[b"content-type"]) == (b"application/json", b"application/json")
    assert sent[b"x-amzn-trace-id"].startswith(b"root=")


@pytest.mark.parametrize(
    ("models", "mapped", "accept", "expected"),
    [
        ({}, {}, "", "application/json"),
        ({}, {"method.response.header.Content-Type": "integration.response.header.Content-Type"}, "", "text/plain"),
        ({"text/html": "Empty"}, {}, "", "text/html"),
        ({"text/html": "Empty", "text/xml": "Empty"}, {}, "text/xml, */*", "text/xml"),
        ({"text/html": "Empty", "application/json": "Empty"}, {}, "image/png", "application/json"),
    ],
)
async def test_the_type_of_an_answer_without_a_template(
    models: dict[str, str], mapped: dict[str, str], accept: str, expected: str
) -> None:
    house = ApiHouse()
    async with http_server(ANSWER) as (url, _):
        api = await house.v1("CreateRestApi", name="types")
        at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
        await house.v1("PutMethod", **at, authorizationType="NONE")
        await house.v1("PutIntegration", **at, type="HTTP", integrationHttpMethod="GET", uri=url)
        reply = {**at, "statusCode": "200"}
        await house.v1(
            "PutMethodResponse", **reply, responseModels=models, responseParameters=dict.fromkeys(mapped, False)
        )
        await house.v1("PutIntegrationResponse", **reply, responseParameters=mapped)
        await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
        response = await house.request(api["id"], "GET", "/dev/", headers={"accept": accept})
    assert (response.body, header(response, "content-type")) == (b"hello", expected)


async def test_an_http_server_that_is_not_there() -> None:
    house = ApiHouse()
    given = {"type": "HTTP_PROXY", "integrationHttpMethod": "GET", "uri": "http://127.0.0.1:1/"}
    api_id = await deployed(house, given)

    response = await house.request(api_id, "GET", "/dev/things/1")

    assert (response.status, response.body) == (504, b'{"message": "Network error communicating with endpoint"}')


@pytest.mark.parametrize(
    ("uri", "path", "expected"),
    [
        ("http://x{id}", "a", "http://xa"),
        ("http://{id}.example/{id}?q={id}", "a-1", "http://a-1.example/a-1?q=a-1"),
        ("http://x?q={id}", "a.b/c", "http://x?q=a.b/c"),
        *[("http://x{id}", given, None) for given in (".evil.example", "@evil.example", ":1", "/a", "%2e", "a\nb")],
    ],
)
def test_no_client_chooses_the_server(uri: str, path: str, expected: str | None) -> None:
    outbound = Outbound(b"", "", {"id": path}, {}, {}, {}, {})
    if expected is not None:
        assert fill_url(uri, {}, outbound) == expected
        return
    with pytest.raises(Refused):
        fill_url(uri, {}, outbound)


async def test_a_server_that_says_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAYLOAD_BYTES_MAX", 4)
    house = ApiHouse()
    async with http_server(ANSWER) as (url, _):
        api_id = await deployed(house, {"type": "HTTP_PROXY", "integrationHttpMethod": "GET", "uri": url})
        response = await house.request(api_id, "GET", "/dev/things/1")
    assert (response.status, response.body) == (500, b'{"message": "Internal server error"}')


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANSWERS_AWAITED_MAX", 1)
    house = ApiHouse()
    async with backend() as served:
        served.hold = asyncio.Event()
        api_id = await deployed(house, {"type": "HTTP_PROXY", "integrationHttpMethod": "GET", "uri": served.url})
        for stays in (True, False, True):
            asked = len(served.requests)
            request = asyncio.ensure_future(house.request(api_id, "GET", "/dev/things/1"))
            await until(lambda asked=asked: len(served.requests) > asked, "the server is asked", every_s=0)
            if not stays:  # the client's leaving is none of the server's business
                request.cancel()
                await asyncio.wait([request], timeout=5)
            house.clock.advance(29)
            if stays:
                assert (await request).body == b'{"message": "Endpoint request timed out"}'
            await asyncio.sleep(0)
        served.hold.set()


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("q=a%0d%0aX-Evil:%201", b"a  X-Evil: 1"),
        ("q=%0d%0aX-Evil:%201%0d%0a", b"X-Evil: 1"),
        ("q=%00", b""),
        ("q=%e2%82%ac", "\u20ac".encode()),
        ("q=%ed%a0%80", "\ufffd".encode() * 3),
    ],
)
async def test_a_client_cannot_write_headers_of_the_backend(query: str, line: bytes) -> None:
    house = ApiHouse()
    async with http_server(ANSWER) as (url, seen):
        api_id = await deployed(
            house,
            {
                "type": "HTTP",
                "integrationHttpMethod": "GET",
                "uri": url,
                "requestParameters": {"integration.request.header.X-Q": "method.request.querystring.q"},
            },
            {"statusCode": "200"},
        )
        response = await house.request(api_id, "GET", "/dev/things/1", query=query)

    assert response.status == 200
    fields = [field for field in seen[0].split(b"\r\n") if field.lower().startswith(b"x-")]
    assert [field for field in fields if not field.startswith(b"x-amzn-")] == [b"x-q: " + line]
