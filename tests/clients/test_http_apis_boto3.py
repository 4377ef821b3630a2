"""HTTP APIs over HTTP and through boto3: URLs behind routes, authorizers, settings of stages."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa

from sites import let_in, serving

Fetch = Callable[..., tuple[int, dict[str, str], bytes]]

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FAR = 4_000_000_000


class _Site(BaseHTTPRequestHandler):
    """An issuer of tokens, and a backend that says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        found: dict[str, Any]
        if self.path == "/.well-known/openid-configuration":
            found = {"issuer": url, "jwks_uri": f"{url}/keys"}
        elif self.path == "/keys":
            found = {"keys": [{**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "k"}]}
        else:
            found = {"path": self.path, "header": self.headers.get("x-added"), "host": self.headers["host"]}
        body = json.dumps(found).encode()
        self.send_response(203 if self.path.startswith("/pets") else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The URL of another site."""
    with serving(_Site) as url:
        yield url


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    """Return status, code and words of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_tokens_guard_a_url_that_is_throttled(client: Callable[..., Any], fetch: Fetch, site: str) -> None:
    apis = client("apigatewayv2")
    api_id = apis.create_api(Name="pets", ProtocolType="HTTP")["ApiId"]
    integration = apis.create_integration(
        ApiId=api_id,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="ANY",
        IntegrationUri=f"{site}/pets/{{proxy}}",
        PayloadFormatVersion="1.0",
        RequestParameters={"overwrite:header.x-added": "$context.authorizer.claims.sub"},
        ResponseParameters={"203": {"overwrite:statuscode": "202", "append:header.x-told": "$response.body.path"}},
    )
    authorizer = apis.create_authorizer(
        ApiId=api_id,
        AuthorizerType="JWT",
        Name="tokens",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": site, "Audience": ["app"]},
    )
    at = {"ApiId": api_id, "AuthorizerId": authorizer["AuthorizerId"]}
    assert apis.get_authorizer(**at)["JwtConfiguration"] == {"Issuer": site, "Audience": ["app"]}
    assert [item["Name"] for item in apis.get_authorizers(ApiId=api_id)["Items"]] == ["tokens"]
    assert apis.update_authorizer(**at, Name="renamed")["Name"] == "renamed"
    route = apis.create_route(
        ApiId=api_id,
        RouteKey="GET /{proxy+}",
        Target=f"integrations/{integration['IntegrationId']}",
        AuthorizationType="JWT",
        AuthorizerId=authorizer["AuthorizerId"],
    )
    settings = {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 0.001}
    apis.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True, RouteSettings={"GET /{proxy+}": settings})

    url = f"/_aws/execute-api/{api_id}/cats/1?x=1"
    status, headers, body = fetch("GET", url)
    assert (status, headers["www-authenticate"], body) == (401, "Bearer", b'{"message":"Unauthorized"}')
    token = jwt.encode({"iss": site, "aud": "app", "sub": "me", "exp": FAR}, KEY, "RS256", {"kid": "k"})
    bearer = {"Authorization": f"Bearer {token}"}
    status, headers, body = let_in(lambda: fetch("GET", url, None, bearer))
    assert (status, headers["x-told"]) == (202, "/pets/cats/1?x=1")
    assert json.loads(body) == {"path": "/pets/cats/1?x=1", "header": "me", "host": site.removeprefix("http://")}
    assert fetch("GET", url)[0] == 401  # who is not let in takes nothing from those who are
    assert fetch("GET", url, None, bearer)[::2] == (429, b'{"message":"Too Many Requests"}')

    assert refusal(apis.delete_authorizer, **at) == (
        409,
        "ConflictException",
        f"Cannot delete Authorizer because it is referenced by the following Routes with Ids: [{route['RouteId']}]",
    )
    apis.reset_authorizers_cache(ApiId=api_id, StageName="$default")
    apis.delete_route_settings(ApiId=api_id, StageName="$default", RouteKey="GET /{proxy+}")
    assert fetch("GET", url)[0] == 401
    apis.delete_route(ApiId=api_id, RouteId=route["RouteId"])
    apis.delete_authorizer(**at)
    assert refusal(apis.get_authorizer, **at)[:2] == (404, "NotFoundException")
    apis.delete_api(ApiId=api_id)


def test_bad_settings_are_refused(client: Callable[..., Any]) -> None:
    apis = client("apigatewayv2")
    api_id = apis.create_api(Name="pets", ProtocolType="HTTP")["ApiId"]
    apis.create_stage(ApiId=api_id, StageName="dev")
    given = {"ApiId": api_id, "AuthorizerType": "REQUEST", "Name": "a", "IdentitySource": []}
    assert refusal(apis.create_authorizer, **given) == (
        400,
        "BadRequestException",
        "AuthorizerPayloadFormatVersion is a required parameter for REQUEST authorizer",
    )
    integration = {"ApiId": api_id, "IntegrationType": "HTTP_PROXY", "IntegrationUri": "http://localhost"}
    assert refusal(apis.create_integration, **integration)[:2] == (400, "BadRequestException")
    missing = {"ApiId": api_id, "StageName": "dev", "RouteKey": "GET /x"}
    assert refusal(apis.delete_route_settings, **missing)[:2] == (404, "NotFoundException")
    line = {"DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:a", "Format": "$context.requestId"}
    stage = {"ApiId": api_id, "StageName": "dev"}
    assert apis.update_stage(**stage, AccessLogSettings=line)["AccessLogSettings"] == line
    apis.delete_access_log_settings(**stage)
    assert "AccessLogSettings" not in apis.get_stage(**stage)
    apis.delete_api(ApiId=api_id)


def test_an_api_is_called_by_its_name_at_aws(client: Callable[..., Any], fetch: Fetch) -> None:
    rest, apis = client("apigateway"), client("apigatewayv2")

    def rest_api(integration: dict[str, Any]) -> str:
        method = {"responses": {"200": {}}, "x-amazon-apigateway-integration": integration}
        document = {"swagger": "2.0", "info": {"title": "t"}, "paths": {"/a": {"get": method}}}
        api_id: str = rest.import_rest_api(body=json.dumps(document).encode())["id"]
        rest.create_deployment(restApiId=api_id, stageName="dev")
        return api_id

    told = {"default": {"statusCode": "200", "responseTemplates": {"application/json": "$context.domainName"}}}
    behind = rest_api(
        {"type": "mock", "requestTemplates": {"application/json": '{"statusCode": 200}'}, "responses": told}
    )
    host = f"{behind}.execute-api.us-east-1.amazonaws.com"
    before = rest_api({"type": "http_proxy", "httpMethod": "GET", "uri": f"https://{host}/dev/a"})
    http = apis.create_api(Name="t", ProtocolType="HTTP", Target=f"https://{host}/dev/a", RouteKey="GET /a")["ApiId"]
    for path in (f"{before}/dev/a", f"{http}/a"):
        assert fetch("GET", f"/_aws/execute-api/{path}")[::2] == (200, host.encode())
    # Its name owns all its paths: what a client asks for does not lead from there into this server's own interface.
    passing = {"Target": f"https://{host}/{{proxy}}", "RouteKey": "ANY /{proxy+}"}
    open_id = apis.create_api(Name="t", ProtocolType="HTTP", **passing)["ApiId"]
    assert fetch("GET", f"/_aws/execute-api/{open_id}/dev/a")[0] == 200
    assert fetch("GET", f"/_aws/execute-api/{open_id}/_cumulet/health")[0] == 403
    for api_id in (http, open_id):
        apis.delete_api(ApiId=api_id)
    for api_id in (before, behind):
        rest.delete_rest_api(restApiId=api_id)


def test_texts_have_the_lengths_that_their_shapes_are_named_for(client: Callable[..., Any]) -> None:
    apis = client("apigatewayv2")
    words = "1 validation error detected: Value '{}' at 'name' failed to satisfy constraint: Member must have length "
    for name, told in (("", "greater than or equal to 1"), ("n" * 129, "less than or equal to 128")):
        found = refusal(apis.create_api, Name=name, ProtocolType="HTTP")
        assert found == (400, "BadRequestException", words.format(name) + told)
    api_id = apis.create_api(Name="n", ProtocolType="HTTP", Description="d", Version="1")["ApiId"]
    changed = apis.update_api(ApiId=api_id, Description="", Version="")
    assert not changed.keys() & {"Description", "Version"}
    long = {"ApiId": api_id, "StageName": "dev", "StageVariables": {"a": "x" * 2049}}
    assert refusal(apis.create_stage, **long)[:2] == (400, "BadRequestException")
    apis.delete_api(ApiId=api_id)
