"""REST and HTTP APIs made through boto3, answering over HTTP by path and by host name, with a real function behind."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients.test_lambda_boto3 import TRUST, packed

HANDLER = b"""
import json


def handler(event, context):
    print(event.get("rawPath") or event["path"])
    if "fail" in (event.get("rawPath") or event["path"]):
        raise ValueError("no such note")
    return {"statusCode": 201, "headers": {"X-Note": "1"}, "body": json.dumps(event)}
"""

Fetch = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def function(server: Any) -> Iterator[str]:
    """The ARN of a function that answers with its event; nobody may invoke it yet."""
    iam, functions = server.client("iam"), server.client("lambda")
    role = iam.create_role(RoleName="apigateway-client-tests", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    created = functions.create_function(
        FunctionName="apigateway-client-tests",
        Runtime="python3.12",
        Role=role["Arn"],
        Handler="app.handler",
        Code={"ZipFile": packed({"app.py": HANDLER})},
    )
    yield created["FunctionArn"]
    functions.delete_function(FunctionName="apigateway-client-tests")
    iam.delete_role(RoleName="apigateway-client-tests")


@pytest.fixture
def allow(server: Any, function: str) -> Iterator[Callable[[str], None]]:
    """Return what lets API Gateway invoke the function on behalf of routes that match an ARN."""
    functions, statements = server.client("lambda"), list[str]()

    def add(source_arn: str) -> None:
        statements.append(f"s{len(statements)}")
        functions.add_permission(
            FunctionName=function,
            StatementId=statements[-1],
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=source_arn,
        )

    yield add
    for statement in statements:
        functions.remove_permission(FunctionName=function, StatementId=statement)


def uri(function: str) -> str:
    return f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    """Return status, code and words of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_a_rest_api_from_create_to_delete(
    client: Callable[..., Any], fetch: Fetch, function: str, allow: Callable[[str], None]
) -> None:
    apis = client("apigateway")
    api = apis.create_rest_api(name="notes", description="d", tags={"a": "1"})
    api_id, root = api["id"], api["rootResourceId"]
    assert api["ResponseMetadata"]["HTTPStatusCode"] == 201
    notes = apis.create_resource(restApiId=api_id, parentId=root, pathPart="notes")
    note = apis.create_resource(restApiId=api_id, parentId=notes["id"], pathPart="{id}")
    assert note["path"] == "/notes/{id}"
    at = {"restApiId": api_id, "resourceId": note["id"], "httpMethod": "ANY"}
    apis.put_method(**at, authorizationType="NONE")
    apis.put_integration(**at, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri(function))
    deployment = apis.create_deployment(restApiId=api_id, stageName="dev", variables={"color": "blue"})
    assert apis.get_stage(restApiId=api_id, stageName="dev")["deploymentId"] == deployment["id"]
    url = f"/_aws/execute-api/{api_id}/dev/notes/a%20b?x=1"

    assert fetch("GET", url)[0] == 500  # the function's policy does not allow it yet
    allow(f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/*/*/notes/*")
    status, headers, body = fetch("PUT", url, b"hello", {"Content-Type": "text/plain", "X-My-Header": "v"})

    assert (status, headers["x-note"], headers["content-type"]) == (201, "1", "application/json")
    event = json.loads(body)
    assert (event["httpMethod"], event["path"], event["pathParameters"]) == ("PUT", "/notes/a%20b", {"id": "a%20b"})
    assert (event["body"], event["stageVariables"]) == ("hello", {"color": "blue"})
    assert (event["headers"]["Content-Type"], event["headers"]["X-My-Header"]) == ("text/plain", "v")
    assert event["requestContext"]["requestId"] == headers["x-amzn-requestid"]
    by_host = fetch("GET", "/dev/notes/7", None, {"Host": f"{api_id}.execute-api.localhost"})
    assert json.loads(by_host[2])["requestContext"]["domainName"] == f"{api_id}.execute-api.localhost"
    head = fetch("HEAD", f"/_aws/execute-api/{api_id}/dev/notes/7")
    assert (head[0], head[2]) == (201, b"")
    assert fetch("GET", f"/_aws/execute-api/{api_id}/dev/notes/fail")[0] == 502
    missing = fetch("GET", f"/_aws/execute-api/{api_id}/dev/nothing")
    assert (missing[0], missing[2]) == (403, b'{"message":"Missing Authentication Token"}')
    assert missing[1]["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    too_long = fetch("PUT", url, bytes(10 * 1024 * 1024 + 1))
    assert (too_long[0], too_long[2]) == (413, b"HTTP content length exceeded 10485760 bytes.")
    assert too_long[1]["content-type"] == "text; charset=utf-8"

    apis.delete_rest_api(restApiId=api_id)
    assert fetch("GET", url)[0] == 403


def test_the_errors_of_rest_apis(client: Callable[..., Any]) -> None:
    apis = client("apigateway")
    assert refusal(apis.get_rest_api, restApiId="nosuchapi0") == (
        404,
        "NotFoundException",
        "Invalid API identifier specified 000000000000:nosuchapi0",
    )
    api = apis.create_rest_api(name="errors")
    at = {"restApiId": api["id"]}
    apis.create_resource(**at, parentId=api["rootResourceId"], pathPart="notes")
    assert refusal(apis.create_resource, **at, parentId=api["rootResourceId"], pathPart="notes") == (
        409,
        "ConflictException",
        "Another resource with the same parent already has this name: notes",
    )
    assert refusal(apis.get_resource, **at, resourceId="nope") == (
        404,
        "NotFoundException",
        "Invalid Resource identifier specified",
    )
    assert refusal(apis.create_deployment, **at) == (
        400,
        "BadRequestException",
        "The REST API doesn't contain any methods",
    )
    assert refusal(apis.create_rest_api, name="n", policy="{}") == (
        400,
        "BadRequestException",
        "Invalid policy document. Please check the policy syntax and ensure that Principals are valid.",
    )
    apis.delete_rest_api(**at)


def test_a_rest_api_from_a_document(
    client: Callable[..., Any], fetch: Fetch, function: str, allow: Callable[[str], None]
) -> None:
    apis = client("apigateway")
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri(function)}
    document = {
        "swagger": "2.0",
        "info": {"title": "imported", "version": "1"},
        "paths": {"/things": {"get": {"x-amazon-apigateway-integration": integration, "responses": {}}}},
    }
    api = apis.import_rest_api(body=json.dumps(document), parameters={"endpointConfigurationTypes": "REGIONAL"})
    assert (api["name"], api["endpointConfiguration"]["types"]) == ("imported", ["REGIONAL"])
    apis.create_deployment(restApiId=api["id"], stageName="dev")
    allow(f"arn:aws:execute-api:us-east-1:000000000000:{api['id']}/*/GET/things")
    assert fetch("GET", f"/_aws/execute-api/{api['id']}/dev/things")[0] == 201

    document["paths"]["/more"] = document["paths"].pop("/things")  # type: ignore[index,attr-defined]
    apis.put_rest_api(restApiId=api["id"], mode="overwrite", body=json.dumps(document))
    assert {item["path"] for item in apis.get_resources(restApiId=api["id"])["items"]} == {"/", "/more"}
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{api['id']}"
    apis.tag_resource(resourceArn=arn, tags={"a": "1"})
    assert apis.get_tags(resourceArn=arn)["tags"] == {"a": "1"}
    apis.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert apis.get_tags(resourceArn=arn)["tags"] == {}
    apis.delete_rest_api(restApiId=api["id"])


def test_a_function_that_nobody_waits_for(
    client: Callable[..., Any], fetch: Fetch, function: str, allow: Callable[[str], None]
) -> None:
    apis = client("apigateway")
    asked = {"integration.request.header.X-Amz-Invocation-Type": "method.request.header.InvocationType"}
    document = {
        "openapi": "3.0.1",
        "info": {"title": "async", "version": "1"},
        "paths": {
            "/": {
                "post": {
                    "parameters": [{"name": "InvocationType", "in": "header", "schema": {"type": "string"}}],
                    "responses": {"202": {"description": "accepted"}},
                    "x-amazon-apigateway-integration": {
                        "type": "aws",
                        "httpMethod": "POST",
                        "uri": uri(function),
                        "requestParameters": asked,
                        "responses": {"default": {"statusCode": "202"}},
                    },
                }
            }
        },
    }
    api_id = apis.import_rest_api(body=json.dumps(document))["id"]
    apis.create_deployment(restApiId=api_id, stageName="dev")
    allow(f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/*/POST/")
    url = f"/_aws/execute-api/{api_id}/dev/"
    as_json = {"Content-Type": "application/json"}

    status, _, body = fetch("POST", url, b'{"path": "/a"}', as_json)
    assert (status, json.loads(json.loads(body)["body"])) == (202, {"path": "/a"})
    assert fetch("POST", url, b'{"path": "/a"}', {**as_json, "InvocationType": "Event"})[::2] == (202, b"")
    assert fetch("POST", url, b'{"path": "/a"}', {**as_json, "InvocationType": "Never"})[0] == 500
    apis.delete_rest_api(restApiId=api_id)


def test_an_http_api_from_create_to_delete(
    client: Callable[..., Any], server: Any, fetch: Fetch, function: str, allow: Callable[[str], None]
) -> None:
    apis = client("apigatewayv2")
    api = apis.create_api(Name="notes", ProtocolType="HTTP", CorsConfiguration={"AllowOrigins": ["*"]})
    api_id = api["ApiId"]
    assert api["ApiEndpoint"] == f"http://{api_id}.execute-api.localhost:{server.port}"
    integration = apis.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )
    target = f"integrations/{integration['IntegrationId']}"
    route = apis.create_route(ApiId=api_id, RouteKey="GET /notes/{id}", Target=target)
    stage = apis.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    assert stage["DeploymentId"]
    allow(f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/*/*")

    for path, host in (
        (f"/_aws/execute-api/{api_id}/notes/7", {}),
        (f"/_aws/execute-api/{api_id}/$default/notes/7", {}),
        ("/notes/7", {"Host": f"{api_id}.execute-api.localhost"}),
    ):
        status, headers, body = fetch("GET", f"{path}?a=1&a=2", None, {**host, "Origin": "http://x"})
        event = json.loads(body)
        assert (status, event["rawPath"], event["queryStringParameters"]) == (201, "/notes/7", {"a": "1,2"})
        assert event["requestContext"]["requestId"] == headers["apigw-requestid"]
        assert (headers["content-type"], headers["access-control-allow-origin"]) == ("text/plain; charset=utf-8", "*")
    assert fetch("GET", f"/_aws/execute-api/{api_id}/notes/fail")[::2] == (500, b'{"message":"Internal Server Error"}')
    assert fetch("POST", f"/_aws/execute-api/{api_id}/notes/7")[::2] == (404, b'{"message":"Not Found"}')
    preflight = fetch(
        "OPTIONS",
        f"/_aws/execute-api/{api_id}/notes/7",
        None,
        {"Origin": "http://x", "Access-Control-Request-Method": "GET"},
    )
    assert (preflight[0], preflight[1]["access-control-allow-origin"]) == (204, "*")

    apis.update_route(ApiId=api_id, RouteId=route["RouteId"], RouteKey="$default")
    assert fetch("POST", f"/_aws/execute-api/{api_id}/anything")[0] == 201
    assert refusal(apis.delete_integration, ApiId=api_id, IntegrationId=integration["IntegrationId"])[:2] == (
        409,
        "ConflictException",
    )
    assert refusal(apis.create_route, ApiId=api_id, RouteKey="nonsense")[:2] == (400, "BadRequestException")
    apis.delete_api(ApiId=api_id)
    assert refusal(apis.get_api, ApiId=api_id)[:2] == (404, "NotFoundException")
    assert fetch("GET", f"/_aws/execute-api/{api_id}/notes/7")[0] == 403


def test_an_http_api_at_once_and_from_a_document(
    client: Callable[..., Any], fetch: Fetch, function: str, allow: Callable[[str], None]
) -> None:
    apis = client("apigatewayv2")
    quick = apis.create_api(Name="quick", ProtocolType="HTTP", Target=function)
    allow(f"arn:aws:execute-api:us-east-1:000000000000:{quick['ApiId']}/$default/$default")
    assert fetch("GET", f"/_aws/execute-api/{quick['ApiId']}/x")[0] == 201
    assert quick["ApiId"] in [api["ApiId"] for api in apis.get_apis()["Items"]]
    assert refusal(apis.create_api, Name="ws", ProtocolType="WEBSOCKET")[:2] == (501, "NotImplementedException")

    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri(function), "payloadFormatVersion": "2.0"}
    document = {
        "openapi": "3.0.1",
        "info": {"title": "imported", "version": "1"},
        "paths": {"/things": {"get": {"x-amazon-apigateway-integration": integration, "responses": {}}}},
    }
    api = apis.import_api(Body=json.dumps(document))
    assert [route["RouteKey"] for route in apis.get_routes(ApiId=api["ApiId"])["Items"]] == ["GET /things"]
    apis.reimport_api(ApiId=api["ApiId"], Body=json.dumps({**document, "paths": {}}))
    assert apis.get_routes(ApiId=api["ApiId"])["Items"] == []
    for made in (quick, api):
        apis.delete_api(ApiId=made["ApiId"])
