"""User pools in front of both kinds of APIs, against a JWKS server: a pool that the settings put in Cognito's place."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from running import Server, start_server
from sites import let_in, serving

pytestmark = pytest.mark.slow

KEY, FOREIGN = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
POOL = "us-east-1_Abc123"
ARN = f"arn:aws:cognito-idp:us-east-1:000000000000:userpool/{POOL}"
SOURCE = "method.request.header.Authorization"
LATER = 4_000_000_000


class Pool(BaseHTTPRequestHandler):
    """What Cognito serves of a user pool below its issuer's URL."""

    def do_GET(self) -> None:
        issuer = f"http://127.0.0.1:{self.server.server_port}/{POOL}"  # type: ignore[attr-defined]
        own = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "own", "alg": "RS256"}
        pages = {
            f"/{POOL}/.well-known/jwks.json": {"keys": [own]},
            f"/{POOL}/.well-known/openid-configuration": {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/.well-known/jwks.json",
            },
        }
        body = json.dumps(pages.get(self.path)).encode()
        self.send_response(200 if self.path in pages else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def pool() -> Iterator[str]:
    """The pool's issuer."""
    with serving(Pool) as url:
        yield f"{url}/{POOL}"


@pytest.fixture(scope="module")
def cognito(pool: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose settings name the pool."""
    folder: Path = tmp_path_factory.mktemp("cognito")
    server = start_server(folder / "data", environ={"CUMULET_COGNITO_ISSUERS": f"{POOL}={pool}"})
    try:
        has_keys(server, pool)
        yield server
    finally:
        assert server.stop() == 0


def bearer(issuer: str, key: Any = KEY, key_id: str = "own", **claims: Any) -> dict[str, str]:
    given = {"iss": issuer, "sub": "me", "exp": LATER, **claims}
    return {"Authorization": f"Bearer {jwt.encode(given, key, 'RS256', {'kid': key_id})}"}


def identity(issuer: str, **claims: Any) -> dict[str, Any]:
    """Return the headers with an identity token of a pool's client."""
    return bearer(issuer, **{"aud": "app", "token_use": "id", "cognito:groups": ["a", "b"], **claims})


def access(issuer: str, scope: str, **claims: Any) -> dict[str, Any]:
    """Return the headers with an access token of a pool's client."""
    return bearer(issuer, **{"client_id": "app", "token_use": "access", "scope": scope, **claims})


def ask(server: Server, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(server.endpoint + path, headers=headers), timeout=60) as got:
            return got.status, got.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def rest_api(server: Server, **method: Any) -> tuple[str, str]:
    """Return the ids of an API, whose root says whose token it was, and of its authorizer."""
    apis = server.client("apigateway")
    api = apis.create_rest_api(name="pool")
    api_id = api["id"]
    made = apis.create_authorizer(
        restApiId=api_id, name="pool", type="COGNITO_USER_POOLS", providerARNs=[ARN], identitySource=SOURCE
    )
    at = {"restApiId": api_id, "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    apis.put_method(**at, authorizationType="COGNITO_USER_POOLS", authorizerId=made["id"], **method)
    apis.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    apis.put_method_response(**at, statusCode="200")
    said = {"application/json": "$context.authorizer.claims.sub $context.authorizer.claims['cognito:groups']"}
    apis.put_integration_response(**at, statusCode="200", responseTemplates=said)
    apis.create_deployment(restApiId=api_id, stageName="dev")
    return api_id, made["id"]


def has_keys(server: Server, issuer: str) -> None:
    """Return when the server has the pool's keys."""
    api_id, _ = rest_api(server)
    assert let_in(lambda: ask(server, f"/_aws/execute-api/{api_id}/dev/", identity(issuer)))[0] == 200


UNAUTHORIZED = (401, b'{"message":"Unauthorized"}')


def test_a_rest_api_asks_for_identity_tokens(cognito: Server, pool: str) -> None:
    api_id, authorizer_id = rest_api(cognito)
    path = f"/_aws/execute-api/{api_id}/dev/"

    assert ask(cognito, path, identity(pool)) == (200, b"me a,b")
    bare = {"Authorization": identity(pool)["Authorization"].removeprefix("Bearer ")}
    assert ask(cognito, path, bare) == (200, b"me a,b")
    refused = {
        "no token": {},
        "an access token": access(pool, "read"),
        "another pool's": identity(pool.replace(POOL, "us-east-1_Other")),
        "a foreign key": bearer(pool, FOREIGN, token_use="id", aud="app"),
        "a key that nobody has": bearer(pool, FOREIGN, "other", token_use="id", aud="app"),
        "no token at all": {"Authorization": "x"},
    }
    for name, headers in refused.items():
        assert ask(cognito, path, headers) == UNAUTHORIZED, name
    assert ask(cognito, path, identity(pool, exp=1)) == (401, b'{"message":"The incoming token has expired"}')

    tried = {"restApiId": api_id, "authorizerId": authorizer_id}
    gateway = cognito.client("apigateway")
    heard = gateway.test_invoke_authorizer(**tried, headers=identity(pool))
    assert (heard["clientStatus"], heard["claims"]["cognito:groups"]) == (0, "a,b")
    assert gateway.test_invoke_authorizer(**tried, headers=bearer(pool, FOREIGN))["clientStatus"] == 401


def test_a_rest_api_s_scopes_want_access_tokens(cognito: Server, pool: str) -> None:
    api_id, _ = rest_api(cognito, authorizationScopes=["notes/read", "notes/all"])
    path = f"/_aws/execute-api/{api_id}/dev/"
    assert ask(cognito, path, access(pool, "other notes/read"))[0] == 200
    assert ask(cognito, path, access(pool, "notes/write")) == UNAUTHORIZED
    assert ask(cognito, path, identity(pool, scope="notes/read")) == UNAUTHORIZED


def test_an_http_api_takes_the_pool_s_tokens_by_its_issuer(cognito: Server, pool: str) -> None:
    apis = cognito.client("apigatewayv2")
    api_id = apis.create_api(Name="pool", ProtocolType="HTTP")["ApiId"]
    guard = apis.create_authorizer(
        ApiId=api_id,
        Name="pool",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": pool, "Audience": ["app"]},
    )["AuthorizerId"]
    back = apis.create_integration(
        ApiId=api_id,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="GET",
        IntegrationUri=f"{cognito.endpoint}/_cumulet/health",
        PayloadFormatVersion="1.0",
        RequestParameters={"append:header.x-sub": "$context.authorizer.claims.sub"},
    )["IntegrationId"]
    route = {"AuthorizationType": "JWT", "AuthorizerId": guard, "Target": f"integrations/{back}"}
    apis.create_route(ApiId=api_id, RouteKey="GET /any", **route)
    apis.create_route(ApiId=api_id, RouteKey="GET /scoped", AuthorizationScopes=["notes/read"], **route)
    apis.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    base = f"/_aws/execute-api/{api_id}"

    for headers in (identity(pool), access(pool, "notes/read")):  # the audience of an access token is its client
        assert ask(cognito, f"{base}/any", headers)[0] == 200
    assert ask(cognito, f"{base}/scoped", access(pool, "openid notes/read"))[0] == 200
    assert ask(cognito, f"{base}/scoped", access(pool, "openid")) == (403, b'{"message":"Forbidden"}')
    for headers in (
        {},
        identity(pool, aud="other"),
        access(pool, "notes/read", client_id="other"),
        identity(pool, iss=f"{pool}x"),
        bearer(pool, FOREIGN, aud="app"),
    ):
        assert ask(cognito, f"{base}/any", headers) == UNAUTHORIZED
