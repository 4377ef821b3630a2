"""A real browser's fetch against both kinds of APIs: preflights, what it may read, and answers that are errors."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from browser import Browser, open_browser
from clients.test_lambda_boto3 import TRUST, packed
from running import Server
from sites import serving

pytestmark = pytest.mark.slow

HANDLER = b"""
import json

OWN = {"Access-Control-Allow-Origin": "*"}  # what a function behind a REST API must say itself


def handler(event, context):
    path = event.get("rawPath") or event["path"]
    if path.endswith("/fail"):
        raise ValueError("no such note")
    told = {"body": event.get("body"), "cookies": event.get("cookies")}
    answer = {"statusCode": 201, "headers": {"X-Note": "1", "X-Other": "2"}, "body": json.dumps(told)}
    if event.get("version") == "2.0":
        return {**answer, "cookies": ["seen=yes; Path=/"]}
    return {**answer, "headers": {**answer["headers"], **OWN}}
"""

FETCH = """
    const answer = await fetch(arguments[0], arguments[1] || {});
    const text = await answer.text();
    const header = name => answer.headers.get(name);
    return {status: answer.status, text: text, note: header("x-note"), other: header("x-other")};
"""
POST = {"method": "POST", "body": '{"n":1}', "headers": {"content-type": "application/json", "x-app": "tests"}}
BLOCKED = {"threw": "TypeError: Failed to fetch"}


class _Page(BaseHTTPRequestHandler):
    """A web site with nothing on it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>tests</title>")

    def log_message(self, *arguments: Any) -> None:
        pass


@dataclass(frozen=True)
class Site:
    """Where the page is, and the URLs of the APIs."""

    port: int
    http: str
    rest: str
    function: str

    @property
    def origin(self) -> str:
        """The origin that the APIs let in; of the server's site, so that cookies go there."""
        return f"http://localhost:{self.port}"

    @property
    def other_origin(self) -> str:
        """One that they do not."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(server: Server) -> Iterator[Site]:
    """A web site, and an API of each kind with a function behind that the site's pages use."""
    with serving(_Page) as pages:
        yield from _make_site(server, pages)


def _make_site(server: Server, pages: str) -> Iterator[Site]:
    port = int(pages.rpartition(":")[2])
    iam, functions = server.client("iam"), server.client("lambda")
    role = iam.create_role(RoleName="browser-tests", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    function = functions.create_function(
        FunctionName="browser-tests",
        Runtime="python3.12",
        Role=role["Arn"],
        Handler="app.handler",
        Code={"ZipFile": packed({"app.py": HANDLER})},
    )["FunctionArn"]
    functions.add_permission(
        FunctionName=function, StatementId="s", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    http = make_http_api(server, function, f"http://localhost:{port}")
    rest = make_rest_api(server, function)
    base = f"{server.endpoint}/_aws/execute-api"
    yield Site(port, f"{base}/{http}/$default", f"{base}/{rest}/dev", function)
    server.client("apigatewayv2").delete_api(ApiId=http)
    server.client("apigateway").delete_rest_api(restApiId=rest)
    functions.delete_function(FunctionName=function)
    iam.delete_role(RoleName="browser-tests")


def make_http_api(server: Server, function: str, origin: str) -> str:
    """Return the id of an HTTP API whose CORS configuration lets one origin in."""
    apis = server.client("apigatewayv2")
    cors = {
        "AllowOrigins": [origin],
        "AllowMethods": ["GET", "POST"],
        "AllowHeaders": ["content-type", "x-app", "authorization"],
        "ExposeHeaders": ["x-note"],
        "AllowCredentials": True,
        "MaxAge": 0,
    }
    api_id = apis.create_api(Name="b", ProtocolType="HTTP", CorsConfiguration=cors)["ApiId"]
    integration = apis.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )
    issuer = "http://127.0.0.1:9"  # where nobody answers
    guard = apis.create_authorizer(
        ApiId=api_id,
        Name="guard",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": issuer, "Audience": ["a"]},
    )["AuthorizerId"]
    target = f"integrations/{integration['IntegrationId']}"
    for key in ("POST /notes", "GET /notes", "GET /fail"):
        apis.create_route(ApiId=api_id, RouteKey=key, Target=target)
    for key in ("GET /guarded", "ANY /trap"):
        apis.create_route(ApiId=api_id, RouteKey=key, Target=target, AuthorizationType="JWT", AuthorizerId=guard)
    apis.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    return str(api_id)


def make_rest_api(server: Server, function: str) -> str:
    """Return the id of a REST API with OPTIONS methods like those that the console makes."""
    apis = server.client("apigateway")
    api = apis.create_rest_api(name="b")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    for part in ("notes", "fail"):
        made = apis.create_resource(restApiId=api["id"], parentId=api["rootResourceId"], pathPart=part)
        at = {"restApiId": api["id"], "resourceId": made["id"]}
        for method in ("GET", "POST"):
            apis.put_method(**at, httpMethod=method, authorizationType="NONE")
            apis.put_integration(**at, httpMethod=method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
        options: dict[str, Any] = {**at, "httpMethod": "OPTIONS"}
        allowed = {"Origin": "'*'", "Methods": "'GET,POST'", "Headers": "'content-type,x-app'"}
        names = {f"method.response.header.Access-Control-Allow-{name}": value for name, value in allowed.items()}
        apis.put_method(**options, authorizationType="NONE")
        apis.put_method_response(**options, statusCode="200", responseParameters=dict.fromkeys(names, False))
        apis.put_integration(**options, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
        apis.put_integration_response(**options, statusCode="200", responseParameters=names)
    apis.create_deployment(restApiId=api["id"], stageName="dev")
    return str(api["id"])


def test_an_http_api_lets_its_origin_read_what_it_exposes(browser: Browser, site: Site) -> None:
    browser.go(site.origin)
    answer = browser.run(FETCH, f"{site.http}/notes", POST)
    assert (answer["status"], json.loads(answer["text"])["body"]) == (201, '{"n":1}')
    assert (answer["note"], answer["other"]) == ("1", None)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/fail", 500, "Internal Server Error"),
        ("/nowhere", 404, "Not Found"),
        ("/guarded", 401, "Unauthorized"),
    ],
)
def test_an_http_apis_own_errors_can_be_read(
    browser: Browser, site: Site, path: str, status: int, message: str
) -> None:
    browser.go(site.origin)
    answer = browser.run(FETCH, f"{site.http}{path}", {"headers": {"authorization": "Bearer x"}})
    assert (answer["status"], json.loads(answer["text"])) == (status, {"message": message})


def test_an_http_api_keeps_out_what_its_configuration_does_not_name(browser: Browser, site: Site) -> None:
    browser.go(site.other_origin)
    assert browser.run(FETCH, f"{site.http}/notes") == BLOCKED
    assert browser.run(FETCH, f"{site.http}/notes", POST) == BLOCKED
    browser.go(site.origin)
    assert browser.run(FETCH, f"{site.http}/notes", {"headers": {"x-foreign": "1"}}) == BLOCKED
    assert browser.run(FETCH, f"{site.http}/notes", {"method": "DELETE"}) == BLOCKED


def test_a_route_for_any_method_asks_preflights_for_a_token_until_options_has_its_own(
    browser: Browser, site: Site, server: Server
) -> None:
    browser.go(site.origin)
    asked = f"{site.http}/trap", {"headers": {"authorization": "Bearer x"}}
    assert browser.run(FETCH, *asked) == BLOCKED
    apis, api_id = server.client("apigatewayv2"), site.http.split("/")[-2]
    (route,) = [one for one in apis.get_routes(ApiId=api_id)["Items"] if one["RouteKey"] == "ANY /trap"]
    apis.create_route(ApiId=api_id, RouteKey="OPTIONS /trap", Target=route["Target"])
    assert browser.run(FETCH, *asked)["status"] == 401


def test_cookies_go_there_and_back(browser: Browser, site: Site) -> None:
    browser.go(site.origin)
    browser.run(FETCH, f"{site.http}/notes", {"credentials": "include"})
    answer = browser.run(FETCH, f"{site.http}/notes", {"credentials": "include"})
    assert json.loads(answer["text"])["cookies"] == ["seen=yes"]


def test_a_rest_api_answers_preflights_from_its_options_method(browser: Browser, site: Site) -> None:
    browser.go(site.origin)
    answer = browser.run(FETCH, f"{site.rest}/notes", POST)
    assert (answer["status"], json.loads(answer["text"])["body"], answer["note"]) == (201, '{"n":1}', None)
    assert browser.run(FETCH, f"{site.rest}/notes", {"headers": {"x-foreign": "1"}}) == BLOCKED


def test_a_rest_apis_own_errors_can_be_read_once_gateway_responses_say_so(
    browser: Browser, site: Site, server: Server
) -> None:
    browser.go(site.origin)
    assert browser.run(FETCH, f"{site.rest}/nowhere") == BLOCKED
    assert browser.run(FETCH, f"{site.rest}/fail") == BLOCKED

    apis, api_id = server.client("apigateway"), site.rest.split("/")[-2]
    header = {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"}
    for kind in ("DEFAULT_4XX", "DEFAULT_5XX"):
        apis.put_gateway_response(restApiId=api_id, responseType=kind, responseParameters=header)
    apis.create_deployment(restApiId=api_id, stageName="dev")
    for path, status, message in (
        ("/nowhere", 403, "Missing Authentication Token"),
        ("/fail", 502, "Internal server error"),
    ):
        answer = browser.run(FETCH, f"{site.rest}{path}")
        assert (answer["status"], json.loads(answer["text"])) == (status, {"message": message})
