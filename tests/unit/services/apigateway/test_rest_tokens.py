"""Tokens of user pools and of other issuers, in front of a REST API."""

import asyncio
import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.settings import Settings, SettingsError, make_settings
from harness import SCOPE
from unit.services.apigateway.backends import Backend, as_json, backend, plain
from unit.services.apigateway.fake_lambda import URI, ApiHouse

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FOREIGN_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE_KEY = ec.generate_private_key(ec.SECP256R1())
POOL = f"arn:aws:cognito-idp:us-east-1:{SCOPE.account}:userpool/us-east-1_Abc"
UNAUTHORIZED = (401, b'{"message":"Unauthorized"}')


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issuers may take longer than on AWS, since the machine may be busy."""
    monkeypatch.setattr(limits, "ISSUER_TIMEOUT_S", 30.0)


def key_set() -> Any:
    members = [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "k"},
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(CURVE_KEY.public_key())), "kid": "c"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "o"},
    ]
    return as_json({"keys": members})


def issue(site: Backend) -> None:
    """The site is an issuer of tokens, as a pool and by discovery."""
    found = {"issuer": site.url, "jwks_uri": f"{site.url}/keys"}

    def answer(line: str) -> bytes:
        if "openid-configuration" in line:
            return as_json(found)
        return key_set() if line.split(" ")[1] in ("/keys", "/.well-known/jwks.json") else plain(404, b"")

    site.answer = answer


async def api_with(
    site: Backend, kind: str, scopes: list[str] | None = None, **authorizer: Any
) -> tuple[ApiHouse, str]:
    """Return an API whose GET / wants a token of the site's."""
    issue(site)
    house = ApiHouse(settings=Settings(cognito_issuers=f"us-east-1_Abc={site.url}/"))
    api = await house.v1("CreateRestApi", name="n")
    made = await house.v1(
        "CreateAuthorizer",
        restApiId=api["id"],
        name="a",
        type=kind,
        **{"identitySource": "method.request.header.Authorization", **authorizer},
    )
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    await house.v1("PutMethod", **at, authorizationType=kind, authorizerId=made["id"], authorizationScopes=scopes)
    await house.v1("PutIntegration", **at, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
    return house, str(api["id"])


def token(
    house: ApiHouse, site: Backend, key: Any = KEY, algorithm: str = "RS256", kid: str = "k", **claims: Any
) -> str:
    now_s = house.clock.now_ms() // 1000
    given = {"iss": site.url, "sub": "me", "aud": "client", "exp": now_s + 60, "iat": now_s, **claims}
    given = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid})


async def ask(house: ApiHouse, api_id: str, bearer: str | None) -> tuple[int, Any]:
    headers = {} if bearer is None else {"authorization": bearer}
    response = await house.request(api_id, "GET", "/dev/", headers=headers)
    return response.status, response.body


async def test_a_user_pools_token_and_what_the_function_learns() -> None:
    async with backend() as site:
        house, api_id = await api_with(site, "COGNITO_USER_POOLS", providerARNs=[POOL])
        claims = {"token_use": "id", "cognito:groups": ["a", "b"], "email_verified": True, "iat": 1_520_112_923}
        for prefix in ("", "Bearer "):
            given = token(house, site, exp=4_000_000_000, **claims)
            assert await ask(house, api_id, prefix + given) == (200, b"fine")
        assert [line.split(" ")[1] for line, _, _ in site.requests] == ["/.well-known/jwks.json"]
        assert house.function.event["requestContext"]["authorizer"] == {
            "claims": {
                "iss": site.url,
                "sub": "me",
                "aud": "client",
                "exp": "Tue Oct 02 07:06:40 UTC 2096",
                "iat": "Sat Mar 03 21:35:23 UTC 2018",
                "token_use": "id",
                "cognito:groups": "a,b",
                "email_verified": "true",
            }
        }


def unsigned(given: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k"}').rstrip(b"=").decode()
    return f"{head}.{given.split('.')[1]}."


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda house, site: None, UNAUTHORIZED),
        (lambda house, site: "no token", UNAUTHORIZED),
        (lambda house, site: token(house, site, key=FOREIGN_KEY), UNAUTHORIZED),
        (lambda house, site: unsigned(token(house, site)), UNAUTHORIZED),
        (lambda house, site: token(house, site, key="secret" * 9, algorithm="HS256", kid="o"), UNAUTHORIZED),
        (lambda house, site: token(house, site, key=CURVE_KEY, algorithm="ES256", kid="c"), UNAUTHORIZED),
        (lambda house, site: token(house, site, kid="other"), UNAUTHORIZED),
        (lambda house, site: token(house, site, iss="http://elsewhere"), UNAUTHORIZED),
        (lambda house, site: token(house, site, token_use="access"), UNAUTHORIZED),
        (lambda house, site: token(house, site, exp=1), (401, b'{"message":"The incoming token has expired"}')),
        (lambda house, site: token(house, site, exp=None), (401, b'{"message":"The incoming token has expired"}')),
    ],
)
async def test_user_pools_tokens_that_let_nobody_in(make: Any, expected: tuple[int, bytes]) -> None:
    async with backend() as site:
        house, api_id = await api_with(site, "COGNITO_USER_POOLS", providerARNs=[POOL])
        assert await ask(house, api_id, make(house, site)) == expected
        assert house.function.calls == []


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"token_use": "access", "scope": "x notes/read"}, 200),
        ({"token_use": "access", "scope": "notes"}, 401),
        ({"token_use": "id", "scope": "notes/read"}, 401),
        ({}, 401),
    ],
)
async def test_a_method_with_scopes_wants_an_access_token(claims: dict[str, Any], expected: int) -> None:
    async with backend() as site:
        house, api_id = await api_with(site, "COGNITO_USER_POOLS", ["notes/read", "notes/write"], providerARNs=[POOL])
        assert (await ask(house, api_id, token(house, site, **claims)))[0] == expected


async def test_a_validation_expression_is_held_against_the_audience() -> None:
    async with backend() as site:
        house, api_id = await api_with(
            site, "COGNITO_USER_POOLS", providerARNs=[POOL], identityValidationExpression="client|app"
        )
        assert (await ask(house, api_id, token(house, site)))[0] == 200
        assert (await ask(house, api_id, token(house, site, aud="other"))) == UNAUTHORIZED


async def test_another_pool_among_several_and_one_that_nobody_can_reach() -> None:
    async with backend() as site:
        other = POOL.replace("Abc", "Other")
        house, api_id = await api_with(site, "COGNITO_USER_POOLS", providerARNs=[other, POOL])
        assert (await ask(house, api_id, token(house, site)))[0] == 200
        # A pool is AWS's own unless the settings name another issuer.
        aws = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Wrong"
        assert (await ask(house, api_id, token(house, site, iss=aws))) == UNAUTHORIZED


def configuration(site: Backend, *algorithms: str, **issuer: Any) -> dict[str, Any]:
    issuers = [{"issuer": site.url, "audiences": ["client"], **issuer}]
    return {"issuers": issuers, "defaultAlgorithms": list(algorithms) or ["RS256", "ES256"]}


TEAM = {"claimName": "team", "format": "SINGLE_STRING", "required": True, "expectedValues": ["red", "blue"]}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, 200),
        ({"key": CURVE_KEY, "algorithm": "ES256", "kid": "c"}, 200),
        ({"algorithm": "RS512"}, 401),
        ({"key": FOREIGN_KEY}, 401),
        ({"aud": "other"}, 401),
        ({"team": None}, 401),
        ({"team": "green"}, 401),
        ({"team": ["red"]}, 401),
    ],
)
async def test_a_jwt_authorizer(how: dict[str, Any], expected: int) -> None:
    async with backend() as site:
        house, api_id = await api_with(site, "JWT", jwtConfiguration=configuration(site, additionalClaims=[TEAM]))
        given = token(house, site, **{"team": "red", **how})
        assert (await ask(house, api_id, given))[0] == expected
        if expected == 200:
            assert house.function.event["requestContext"]["authorizer"]["claims"]["team"] == "red"


async def test_a_jwt_authorizers_scopes() -> None:
    async with backend() as site:
        house, api_id = await api_with(site, "JWT", ["read"], jwtConfiguration=configuration(site))
        assert (await ask(house, api_id, token(house, site, scope="read")))[0] == 200
        assert (await ask(house, api_id, token(house, site, scope="write"))) == (
            403,
            b'{"Message":"User is not authorized to access this resource"}',
        )
        assert await ask(house, api_id, None) == UNAUTHORIZED


async def test_a_user_pool_is_tried() -> None:
    async with backend() as site:
        house, api_id = await api_with(site, "COGNITO_USER_POOLS", providerARNs=[POOL])
        [made] = (await house.v1("GetAuthorizers", restApiId=api_id))["items"]
        tried = {"restApiId": api_id, "authorizerId": made["id"]}
        good, bad = token(house, site), token(house, site, key=FOREIGN_KEY)
        heard = await house.v1("TestInvokeAuthorizer", **tried, headers={"Authorization": good})
        assert (heard["clientStatus"], heard["claims"]["sub"]) == (0, "me")
        heard = await house.v1("TestInvokeAuthorizer", **tried, headers={"Authorization": bad})
        assert (heard["clientStatus"], "the token has an invalid signature" in heard["log"]) == (401, True)


async def test_authorizers_are_shown_and_patched() -> None:
    async with backend() as site:
        house, api_id = await api_with(site, "COGNITO_USER_POOLS", providerARNs=[POOL, POOL])
        [shown] = (await house.v1("GetAuthorizers", restApiId=api_id))["items"]
        assert shown == {
            "id": shown["id"],
            "name": "a",
            "type": "COGNITO_USER_POOLS",
            "authType": "cognito_user_pools",
            "providerARNs": [POOL],
            "identitySource": "method.request.header.Authorization",
            "authorizerResultTtlInSeconds": 300,
        }
        other = POOL.replace("Abc", "Other")
        changed = await house.v1(
            "UpdateAuthorizer",
            restApiId=api_id,
            authorizerId=shown["id"],
            patchOperations=[{"op": "add", "path": "/providerARNs", "value": other}],
        )
        assert changed["providerARNs"] == [POOL, other]
        house, api_id = await api_with(site, "JWT", jwtConfiguration=configuration(site))
        [shown] = (await house.v1("GetAuthorizers", restApiId=api_id))["items"]
        assert shown["jwtConfiguration"] == configuration(site)
        assert "authorizerResultTtlInSeconds" not in shown


async def test_a_jwt_authorizer_is_given_another_configuration_as_a_whole() -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-jwt-authorizer-update.html
    async with backend() as site:
        house, api_id = await api_with(site, "JWT", jwtConfiguration=configuration(site))
        [before] = (await house.v1("GetAuthorizers", restApiId=api_id))["items"]
        at = {"restApiId": api_id, "authorizerId": before["id"]}
        new = {"issuers": [{"issuer": "https://new.example", "audiences": ["a"]}], "defaultAlgorithms": ["ES256"]}
        patch = {"op": "replace", "path": "/jwtConfiguration", "value": json.dumps(new)}
        changed = await house.v1("UpdateAuthorizer", **at, patchOperations=[patch])
        assert changed == {**before, "jwtConfiguration": new}
        assert await house.v1("GetAuthorizer", **at) == changed
        for value, words in (
            ("", "JWT configuration must have issuers"),
            ("[]", "Invalid patch value [] specified for path /jwtConfiguration"),
            ("{", "Invalid patch value { specified for path /jwtConfiguration"),
            ('{"issuers": "x", "defaultAlgorithms": ["ES256"]}', "Invalid JWT configuration specified"),
            (json.dumps({**new, "issuers": [{**new["issuers"][0], "jwksUri": "https://x"}]}), "jwksUri"),
        ):
            with pytest.raises(ServiceError) as caught:
                await house.v1("UpdateAuthorizer", **at, patchOperations=[{**patch, "value": value}])
            assert caught.value.code == "BadRequestException"
            assert words in caught.value.message
        with pytest.raises(ServiceError, match="Invalid patch path  '/jwtConfiguration/issuers'"):
            await house.v1("UpdateAuthorizer", **at, patchOperations=[{**patch, "path": "/jwtConfiguration/issuers"}])
        assert await house.v1("GetAuthorizer", **at) == changed


SOURCE = {"identitySource": "method.request.header.Authorization"}
ISSUER = {"issuer": "https://a.b", "audiences": ["c"]}


def trusted(*issuers: dict[str, Any], algorithms: tuple[str, ...] = ("RS256",)) -> dict[str, Any]:
    configuration = {"issuers": list(issuers), "defaultAlgorithms": list(algorithms)}
    return {"type": "JWT", "jwtConfiguration": configuration, **SOURCE}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"type": "COGNITO_USER_POOLS", **SOURCE}, "Provider ARNs cannot be empty"),
        ({"type": "COGNITO_USER_POOLS", "providerARNs": ["arn:aws:x"], **SOURCE}, "Invalid Cognito User Pool ARN"),
        ({"type": "COGNITO_USER_POOLS", "providerARNs": [POOL]}, "Identity source cannot be empty"),
        ({"type": "TOKEN", "providerARNs": [POOL], "authorizerUri": URI, **SOURCE}, "providerARNs is not supported"),
        ({"type": "WHAT"}, "Invalid authorizer type: WHAT"),
        ({"type": "JWT", **SOURCE}, "JWT configuration must have"),
        ({**trusted(ISSUER), "authorizerUri": URI}, "authorizerUri is not supported for JWT"),
        (trusted(ISSUER, algorithms=("HS256",)), "Invalid signing algorithm specified: HS256"),
        (trusted(ISSUER, algorithms=("none",)), "Invalid signing algorithm specified: none"),
        (trusted(ISSUER, ISSUER), "Issuer URLs must be unique"),
        (trusted({**ISSUER, "issuer": "https://a.b?c"}), "Invalid issuer specified"),
        (trusted({**ISSUER, "issuer": "https://me@a.b"}), "Invalid issuer specified"),
        (trusted({**ISSUER, "audiences": [""]}), "Audiences cannot be empty"),
        (trusted({**ISSUER, "additionalClaims": [{**TEAM, "claimName": "aud"}]}), "Invalid claim name specified: aud"),
        (trusted({**ISSUER, "additionalClaims": [TEAM, TEAM]}), "Claim names must be unique"),
        (trusted({**ISSUER, "additionalClaims": [{**TEAM, "format": "LIST"}]}), "Invalid claim format specified"),
        (trusted({**ISSUER, "additionalClaims": [{**TEAM, "expectedValues": [""]}]}), "Expected values cannot be"),
    ],
)
async def test_authorizers_are_checked(members: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    with pytest.raises(ServiceError) as error:
        await house.v1("CreateAuthorizer", restApiId=api["id"], name="a", **members)
    assert error.value.code == "BadRequestException"
    assert words in error.value.message


async def test_a_method_wants_an_authorizer_of_its_own_kind() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    made = await house.v1(
        "CreateAuthorizer", restApiId=api["id"], name="a", type="COGNITO_USER_POOLS", providerARNs=[POOL], **SOURCE
    )
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    with pytest.raises(ServiceError, match="requires a valid authorizer"):
        await house.v1("PutMethod", **at, authorizationType="CUSTOM", authorizerId=made["id"])


@pytest.mark.parametrize("given", ["pool", "=http://a", "pool=ftp://a"])
def test_issuers_in_the_settings_are_checked(given: str) -> None:
    with pytest.raises(SettingsError, match="POOL=URL"):
        make_settings({"CUMULET_COGNITO_ISSUERS": given})
    assert make_settings({"CUMULET_COGNITO_ISSUERS": "a=http://b/, c=https://d"}).user_pools == {
        "a": "http://b",
        "c": "https://d",
    }


async def test_an_issuer_that_does_not_answer_is_not_asked_by_everybody() -> None:
    async with backend() as site:
        house, api_id = await api_with(site, "COGNITO_USER_POOLS", providerARNs=[POOL])
        site.answer = plain(500, b"")
        given = token(house, site)
        answers = await asyncio.gather(*[ask(house, api_id, given) for _ in range(5)])
        assert answers == [UNAUTHORIZED] * 5
        assert len(site.requests) == 1
        issue(site)
        assert await ask(house, api_id, given) == UNAUTHORIZED
        house.clock.advance(1)
        assert (await ask(house, api_id, given))[0] == 200
        # What it told counts when it falls silent, too.
        site.answer = plain(500, b"")
        house.clock.advance(20)
        assert await ask(house, api_id, token(house, site, kid="unknown")) == UNAUTHORIZED
        assert (await ask(house, api_id, token(house, site)))[0] == 200
