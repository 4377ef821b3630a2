"""JWT and Lambda authorizers of HTTP APIs: who passes, what the function learns, and how others are refused."""

import base64
import hashlib
import hmac
import json
import sys
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from unit.services.apigateway.backends import Backend, as_json, backend, plain
from unit.services.apigateway.fake_lambda import FUNCTION, URI, ApiHouse, header

NOW = 1_760_000_000
OWN = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FOREIGN = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issuers may take longer than on AWS, since the machine may be busy."""
    monkeypatch.setattr(limits, "ISSUER_TIMEOUT_S", 30.0)


def jwk(key: rsa.RSAPrivateKey, key_id: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**made, "kid": key_id, "use": "sig"}


def issuing(served: Backend, issuer: str | None = None) -> None:
    """Let the backend answer as an issuer with the key `own`."""
    found = {"issuer": issuer or served.url, "jwks_uri": f"{served.url}/keys"}
    keys = {"keys": [jwk(OWN, "own"), {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}, {"kty": "RSA", "kid": "bad"}]}
    served.answer = lambda line: as_json(keys if " /keys " in line else found)


def token(issuer: str, key: Any = OWN, algorithm: str = "RS256", key_id: str | None = "own", **claims: Any) -> str:
    given = {"iss": issuer, "aud": "app", "sub": "me", "exp": NOW + 60, **claims}
    given = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(given, key, algorithm, headers={"kid": key_id} if key_id else None)


async def guarded(house: ApiHouse, issuer: str, scopes: list[str] | None = None, payload_format: str = "2.0") -> str:
    """Return the id of an API whose one route wants tokens of `issuer` for the audience `app`."""
    api_id = await house.http_api("GET /notes", payload_format=payload_format)
    authorizer = await house.v2(
        "CreateAuthorizer",
        ApiId=api_id,
        AuthorizerType="JWT",
        Name="tokens",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": issuer, "Audience": ["app", "other"]},
    )
    await point(
        house, api_id, AuthorizationType="JWT", AuthorizerId=authorizer["AuthorizerId"], AuthorizationScopes=scopes
    )
    return api_id


async def point(house: ApiHouse, api_id: str, **settings: Any) -> None:
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    given = {name: value for name, value in settings.items() if value is not None}
    await house.v2("UpdateRoute", ApiId=api_id, RouteId=route["RouteId"], **given)


async def test_a_token_lets_in_and_its_claims_reach_the_function() -> None:
    house = ApiHouse()
    async with backend() as served:
        issuing(served)
        api_id = await guarded(house, served.url, ["notes:read", "notes:write"])
        place = {"b": [{"x": 1}, None], "a": "text"}
        given = token(served.url, scope="openid notes:read", groups=["a", "b"], ok=True, n=1, place=place)
        for sent in (given, f"Bearer {given}"):
            assert (await house.request(api_id, "GET", "/notes", headers=[("authorization", sent)])).status == 200
        assert house.function.event["requestContext"]["authorizer"] == {
            "jwt": {
                "claims": {
                    "iss": served.url,
                    "aud": "app",
                    "sub": "me",
                    "exp": str(NOW + 60),
                    "scope": "openid notes:read",
                    "groups": "[a b]",
                    "ok": "true",
                    "n": "1",
                    "place": "map[a:text b:[map[x:1] <nil>]]",
                },
                "scopes": ["openid", "notes:read"],
            }
        }
        # The second request found the keys where the first had put them.
        assert [line.split(" ")[1] for line, _, _ in served.requests] == ["/.well-known/openid-configuration", "/keys"]


async def test_claims_that_are_nested_too_deeply_let_nobody_in() -> None:
    house = ApiHouse()
    async with backend() as served:
        issuing(served)
        api_id = await guarded(house, served.url)
        deep: list[Any] = []
        for _ in range(sys.getrecursionlimit() * 2 // 3):
            deep = [deep]
        sent = [("authorization", token(served.url, deep=deep))]
        response = await house.request(api_id, "GET", "/notes", headers=sent)
        assert (response.status, response.body) == (401, b'{"message":"Unauthorized"}')


async def test_claims_that_are_null_are_not_there() -> None:
    house = ApiHouse()
    async with backend() as served:
        issuing(served)
        api_id = await guarded(house, served.url)
        claims = {"iss": served.url, "aud": "app", "exp": NOW + 60, "scope": "a b", "nobody": None}
        given = jwt.encode(claims, OWN, "RS256", headers={"kid": "own"})
        assert (await house.request(api_id, "GET", "/notes", headers=[("authorization", given)])).status == 200
    known = house.function.event["requestContext"]["authorizer"]["jwt"]
    assert (sorted(known["claims"]), known["scopes"]) == (["aud", "exp", "iss", "scope"], None)


async def test_format_1_has_the_claims_without_a_member_jwt() -> None:
    house = ApiHouse()
    async with backend() as served:
        issuing(served)
        api_id = await guarded(house, served.url, payload_format="1.0")
        await house.request(
            api_id, "GET", "/notes", headers=[("authorization", token(served.url, aud=None, client_id="app"))]
        )
    authorizer = house.function.event["requestContext"]["authorizer"]
    assert (authorizer["claims"]["client_id"], authorizer["scopes"]) == ("app", None)


def unsigned(issuer: str) -> str:
    parts = [{"alg": "none", "kid": "own"}, {"iss": issuer, "aud": "app", "exp": NOW + 60}]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return f"{texts[0]}.{texts[1]}."


def confused(issuer: str) -> str:
    """Return a token signed with the public key as if it were a shared secret."""
    public = OWN.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = token(issuer, "s" * 32, "HS256").split(".")
    signed = hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


INVALID: list[tuple[str, Any, str]] = [
    ("no token at all", lambda _: "gibberish", "the token cannot be decoded"),
    ("unsigned", unsigned, "the token's signing algorithm is not supported"),
    ("the public key as a secret", confused, "the token's signing algorithm is not supported"),
    (
        "the issuer's secret",
        lambda i: token(i, "s" * 32, "HS256", "shared"),
        "the token's signing algorithm is not supported",
    ),
    ("a foreign key", lambda i: token(i, FOREIGN), "the token has an invalid signature"),
    ("an unknown key", lambda i: token(i, FOREIGN, key_id="theirs"), "the token's key id matches no key of its issuer"),
    ("a broken key", lambda i: token(i, FOREIGN, key_id="bad"), "the token's key id matches no key of its issuer"),
    ("no key id", lambda i: token(i, key_id=None), "the token has no key id"),
    ("another issuer", lambda i: token("https://other.example"), "the token does not have a valid issuer"),
    ("another audience", lambda i: token(i, aud="theirs"), "the token does not have a valid audience"),
    ("aud before client_id", lambda i: token(i, aud="x", client_id="app"), "the token does not have a valid audience"),
    ("expired", lambda i: token(i, exp=NOW), "the token has expired"),
    ("never expires", lambda i: token(i, exp=None), "the token has expired"),
    ("not valid yet", lambda i: token(i, nbf=NOW + 1), "the token is not valid yet"),
    ("of the future", lambda i: token(i, iat=NOW + 1), "the token was issued in the future"),
]


@pytest.mark.parametrize(("make", "words"), [row[1:] for row in INVALID], ids=[row[0] for row in INVALID])
async def test_other_tokens_are_refused(make: Any, words: str) -> None:
    house = ApiHouse()
    async with backend() as served:
        issuing(served)
        api_id = await guarded(house, served.url)
        response = await house.request(api_id, "GET", "/notes", headers=[("authorization", make(served.url))])
    assert (response.status, response.body) == (401, b'{"message":"Unauthorized"}')
    assert header(response, "www-authenticate") == f'Bearer scope="" error="invalid_token" error_description="{words}"'
    assert house.function.calls == []


async def test_no_token_and_too_few_scopes() -> None:
    house = ApiHouse()
    async with backend() as served:
        issuing(served)
        api_id = await guarded(house, served.url, ["a", "b"])
        nothing = await house.request(api_id, "GET", "/notes")
        few = await house.request(api_id, "GET", "/notes", headers=[("authorization", token(served.url, scp=["c"]))])
    assert (nothing.status, header(nothing, "www-authenticate")) == (401, "Bearer")
    assert (few.status, few.body) == (403, b'{"message":"Forbidden"}')
    assert (header(few, "www-authenticate") or "").startswith('Bearer scope="a b" error="insufficient_scope"')


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (plain(500, b""), "OIDC discovery endpoint communication error"),
        (plain(200, b"<html>"), "unable to decode the answer of the OIDC discovery endpoint"),
        (
            as_json({"issuer": "https://other.example"}),
            "the issuer in the OIDC discovery endpoint does not match the configured issuer",
        ),
    ],
)
async def test_an_issuer_that_cannot_be_asked_lets_nobody_in(answer: bytes, words: str) -> None:
    house = ApiHouse()
    async with backend() as served:
        served.answer = answer
        api_id = await guarded(house, served.url)
        response = await house.request(api_id, "GET", "/notes", headers=[("authorization", token(served.url))])
    assert (response.status, f'error_description="{words}"' in (header(response, "www-authenticate") or "")) == (
        401,
        True,
    )


async def test_keys_are_fetched_again_when_one_is_missing_but_not_all_the_time() -> None:
    house = ApiHouse()
    async with backend() as served:
        issuing(served)
        api_id = await guarded(house, served.url)
        strange = [("authorization", token(served.url, FOREIGN, key_id="new"))]
        for _ in range(3):
            await house.request(api_id, "GET", "/notes", headers=strange)
        assert len(served.requests) == 2
        house.clock.advance(11)
        await house.request(api_id, "GET", "/notes", headers=strange)
        assert len(served.requests) == 4


async def lambda_guarded(house: ApiHouse, payload_format: str = "2.0", **settings: Any) -> str:
    """Return the id of an API whose one route asks the house's function first."""
    api_id = await house.http_api("GET /notes/{id}")
    given = {"IdentitySource": ["$request.header.Authorization", "$request.querystring.who"], **settings}
    authorizer = await house.v2(
        "CreateAuthorizer",
        ApiId=api_id,
        AuthorizerType="REQUEST",
        Name="function",
        AuthorizerUri=URI,
        AuthorizerPayloadFormatVersion=payload_format,
        **given,
    )
    await point(house, api_id, AuthorizationType="CUSTOM", AuthorizerId=authorizer["AuthorizerId"])
    return api_id


def answering(house: ApiHouse, answer: Any) -> None:
    """Let the function answer authorizers' events with `answer`, and others as usual."""

    async def reply(event: dict[str, Any]) -> Any:
        return answer if event.get("type") == "REQUEST" else {"statusCode": 200}

    house.function.answer = reply


def policy(effect: str, resource: str) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return {"principalId": "me", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


GIVEN = {"query": "who=me", "headers": [("authorization", "secret")]}


async def test_a_simple_answer_lets_in_with_its_context() -> None:
    house = ApiHouse()
    api_id = await lambda_guarded(house, EnableSimpleResponses=True)
    answering(house, {"isAuthorized": True, "context": {"n": 1, "list": ["a"]}})

    assert (await house.request(api_id, "GET", "/notes/a%20b", **GIVEN)).status == 200

    call, params = house.function.calls[0]
    event = json.loads(params["Payload"])
    assert (event["version"], event["type"], event["identitySource"]) == ("2.0", "REQUEST", ["secret", "me"])
    assert event["routeArn"] == f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/$default/GET/notes/a b"
    assert "body" not in event
    assert call.principal.source_arn.startswith(f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/authorizers/")
    assert house.function.event["requestContext"]["authorizer"] == {"lambda": {"n": 1, "list": ["a"]}}


async def test_format_1_asks_with_a_method_arn_and_wants_a_policy() -> None:
    house = ApiHouse()
    api_id = await lambda_guarded(house, "1.0")
    answering(house, {**policy("Allow", f"arn:aws:execute-api:*:*:{api_id}/*/GET/notes/*"), "context": {"k": "v"}})
    assert (await house.request(api_id, "GET", "/notes/1", **GIVEN)).status == 200
    event = json.loads(house.function.calls[0][1]["Payload"])
    assert (event["version"], event["identitySource"], event["authorizationToken"]) == ("1.0", "secret,me", "secret,me")
    assert (event["resource"], event["methodArn"].rpartition("/GET/")[2]) == ("/notes/{id}", "notes/1")


ANSWERS: list[tuple[str, bool, Any, int]] = [
    ("simple no", True, {"isAuthorized": False}, 403),
    ("simple, but a policy", True, policy("Allow", "*"), 500),
    ("simple, not a Boolean", True, {"isAuthorized": "true"}, 500),
    ("deny", False, policy("Deny", "*"), 403),
    ("another resource", False, policy("Allow", "arn:aws:execute-api:*:*:*/*/PUT/*"), 403),
    ("a policy without a principal", False, {"policyDocument": policy("Allow", "*")["policyDocument"]}, 500),
    ("no policy", False, {"isAuthorized": True}, 500),
    ("a broken policy", False, {"principalId": "me", "policyDocument": {"Statement": "x"}}, 500),
    ("no object", False, "Unauthorized", 500),
]


@pytest.mark.parametrize(("simple", "answer", "status"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
async def test_other_answers_let_nobody_in(simple: bool, answer: Any, status: int) -> None:
    house = ApiHouse()
    api_id = await lambda_guarded(house, EnableSimpleResponses=simple)
    answering(house, answer)
    response = await house.request(api_id, "GET", "/notes/1", **GIVEN)
    assert response.status == status
    assert len(house.function.calls) == 1


async def test_without_its_identity_sources_nobody_is_asked() -> None:
    house = ApiHouse()
    api_id = await lambda_guarded(house)
    response = await house.request(api_id, "GET", "/notes/1", query="who=", headers=[("authorization", "secret")])
    assert (response.status, response.body, house.function.calls) == (401, b'{"message":"Unauthorized"}', [])


async def test_answers_are_kept_by_identity_until_their_time_or_a_reset() -> None:
    house = ApiHouse()
    api_id = await lambda_guarded(house, EnableSimpleResponses=True, AuthorizerResultTtlInSeconds=60)
    answering(house, {"isAuthorized": True})

    async def asked(**given: Any) -> int:
        before = len(house.function.calls)
        await house.request(api_id, "GET", "/notes/1", **{**GIVEN, **given})
        return len(house.function.calls) - before - 1

    assert [await asked(), await asked(), await asked(query="who=you")] == [1, 0, 1]
    house.clock.advance(61)
    assert [await asked(), await asked()] == [1, 0]
    await house.v2("ResetAuthorizersCache", ApiId=api_id, StageName="$default")
    assert await asked() == 1


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"AuthorizerPayloadFormatVersion": None},
        "AuthorizerPayloadFormatVersion is a required parameter for REQUEST authorizer",
    ),
    (
        {"AuthorizerPayloadFormatVersion": "3.0"},
        "Invalid AuthorizerPayloadFormatVersion 3.0: must be one of [1.0, 2.0]",
    ),
    ({"AuthorizerUri": None}, "AuthorizerUri is a required parameter for REQUEST authorizer"),
    ({"AuthorizerUri": FUNCTION}, "Invalid ARN specified in the request"),
    ({"IdentitySource": ["method.request.header.A"]}, "Invalid identity source specified: method.request.header.A"),
    (
        {"IdentitySource": [], "AuthorizerResultTtlInSeconds": 300},
        "Identity source must be set if authorizer caching is enabled (TTL is greater than 0)",
    ),
    (
        {"AuthorizerType": "JWT", "AuthorizerUri": None, "AuthorizerPayloadFormatVersion": None},
        "JwtConfiguration with an issuer and an audience is required for JWT authorizer",
    ),
    (
        {
            "AuthorizerType": "JWT",
            "AuthorizerUri": None,
            "AuthorizerPayloadFormatVersion": None,
            "AuthorizerResultTtlInSeconds": 10,
        },
        "AuthorizerResultTtlInSeconds is not supported for JWT authorizer",
    ),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
async def test_what_no_authorizer_can_be_is_refused(change: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /notes")
    given = {
        "AuthorizerType": "REQUEST",
        "Name": "a",
        "IdentitySource": ["$request.header.Authorization"],
        "AuthorizerUri": URI,
        "AuthorizerPayloadFormatVersion": "2.0",
        **change,
    }
    with pytest.raises(ServiceError) as refused:
        await house.v2("CreateAuthorizer", ApiId=api_id, **given)
    assert (refused.value.code, refused.value.message) == ("BadRequestException", words)


async def test_an_authorizer_is_shown_changed_and_deleted_once_no_route_asks_it() -> None:
    house = ApiHouse()
    api_id = await guarded(house, "https://issuer.example")
    [shown] = (await house.v2("GetAuthorizers", ApiId=api_id))["Items"]
    at = {"ApiId": api_id, "AuthorizerId": shown["AuthorizerId"]}
    assert shown == {
        "AuthorizerId": shown["AuthorizerId"],
        "AuthorizerType": "JWT",
        "IdentitySource": ["$request.header.Authorization"],
        "JwtConfiguration": {"Audience": ["app", "other"], "Issuer": "https://issuer.example"},
        "Name": "tokens",
    }
    changed = await house.v2("UpdateAuthorizer", **at, Name="renamed")
    assert (await house.v2("GetAuthorizer", **at)) == changed == {**shown, "Name": "renamed"}
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", shown["AuthorizerId"])
    with pytest.raises(ServiceError, match=route["RouteId"]) as conflict:
        await house.v2("DeleteAuthorizer", **at)
    assert conflict.value.code == "ConflictException"

    await point(house, api_id, AuthorizationType="NONE")
    await house.v2("DeleteAuthorizer", **at)
    with pytest.raises(ServiceError, match="Invalid Authorizer identifier specified"):
        await house.v2("GetAuthorizer", **at)
    assert (await house.request(api_id, "GET", "/notes")).status == 200


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"AuthorizationType": "JWT", "AuthorizerId": "abcdef"},
            "Invalid authorizer ID specified. Setting the authorization type to JWT requires a valid JWT authorizer.",
        ),
        (
            {"AuthorizationType": "CUSTOM"},
            "Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires "
            "a valid authorizer.",
        ),
        (
            {"AuthorizationScopes": ["a"]},
            "Invalid Route authorization type specified. Authorization Scopes are only valid for COGNITO_USER_POOLS "
            "and JWT authorization types",
        ),
        ({"AuthorizerId": "abcdef"}, "AuthorizerId is not supported for authorization type NONE"),
        (
            {"AuthorizationType": "AWS_IAM", "AuthorizerId": "abcdef"},
            "AuthorizerId is not supported for authorization type AWS_IAM",
        ),
    ],
)
async def test_routes_point_to_authorizers_of_their_kind(settings: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /notes")
    with pytest.raises(ServiceError) as refused:
        await point(house, api_id, **settings)
    assert refused.value.message == words
