"""Who may call an API, and what refusals say: signed requests, policies, authorizers and gateway responses.

Through boto3, stacks and HTTP, against functions that run.
"""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, WaiterError
from cryptography.hazmat.primitives.asymmetric import ec

from sites import let_in, serving

Fetch = Callable[..., tuple[int, dict[str, str], bytes]]

FAST = {"Delay": 0, "MaxAttempts": 2000}
ACCOUNT = "000000000000"
KEY = ec.generate_private_key(ec.SECP256R1())
CODE = """
def handler(event, context):
    if "methodArn" in event:
        allowed = event.get("authorizationToken") == "open"
        statement = {"Action": "*", "Effect": "Allow" if allowed else "Deny", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "me", "policyDocument": document, "context": {"level": 7}}
    if event.get("type") == "REQUEST":
        return {"isAuthorized": event["identitySource"] == ["open"], "context": {"level": 7}}
    context = event["requestContext"]
    told = {"identity": context.get("identity"), "authorizer": context.get("authorizer")}
    import json
    return {"statusCode": 200, "body": json.dumps(told)}
"""


def refusal(call: Callable[..., Any], **params: Any) -> tuple[int, str, str]:
    """Return status, code and message with which a request is refused."""
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer = raised.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


@pytest.fixture
def gateway(client: Callable[..., Any]) -> Any:
    return client("apigateway")


@pytest.fixture
def api_id(gateway: Any) -> Iterator[str]:
    """An API whose GET / only those who sign may call: it says who they are."""
    api = gateway.create_rest_api(name="signed")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    gateway.put_method(**at, authorizationType="AWS_IAM")
    gateway.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    gateway.put_method_response(**at, statusCode="200")
    said = {"application/json": "$context.identity.userArn $context.identity.caller $context.identity.accessKey"}
    gateway.put_integration_response(**at, statusCode="200", responseTemplates=said)
    gateway.create_deployment(restApiId=api["id"], stageName="dev")
    yield api["id"]
    gateway.delete_rest_api(restApiId=api["id"])


@pytest.fixture
def ada(client: Callable[..., Any]) -> Iterator[dict[str, str]]:
    """A user with a key, and no permission."""
    iam = client("iam")
    user = iam.create_user(UserName="ada")["User"]
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    yield {"arn": user["Arn"], "id": user["UserId"], "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    for name in iam.list_user_policies(UserName="ada")["PolicyNames"]:
        iam.delete_user_policy(UserName="ada", PolicyName=name)
    iam.delete_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="ada")


def signed(server: Any, path: str, key: str, secret: str, service: str = "execute-api") -> dict[str, str]:
    """Return the headers of a signed GET."""
    request = AWSRequest("GET", f"{server.endpoint}{path}")
    SigV4Auth(Credentials(key, secret), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


def test_who_signs_and_may(
    server: Any, client: Callable[..., Any], gateway: Any, api_id: str, ada: dict[str, str], fetch: Fetch
) -> None:
    path = f"/_aws/execute-api/{api_id}/dev/"

    def ask(**more: str) -> tuple[int, str, bytes]:
        given = {"key": ada["key"], "secret": ada["secret"], **more}
        status, headers, body = fetch("GET", path, headers=signed(server, path, **given))
        return status, headers.get("x-amzn-errortype", ""), body

    arn = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api_id}/dev/GET/"
    hidden = arn.replace(ACCOUNT, "********0000")
    words = (
        f"User: {ada['arn']} is not authorized to perform: execute-api:Invoke on resource: {hidden} because no "
        "identity-based policy allows the execute-api:Invoke action"
    )
    assert ask() == (403, "AccessDeniedException", json.dumps({"Message": words}, separators=(",", ":")).encode())

    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}],
    }
    client("iam").put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=json.dumps(policy))
    assert ask() == (200, "", f"{ada['arn']} {ada['id']} {ada['key']}".encode())

    status, _, body = fetch("GET", path)
    assert (status, body) == (403, b'{"message":"Missing Authentication Token"}')
    status, kind, body = ask(secret="another")
    assert (status, kind) == (403, "InvalidSignatureException")
    told = json.loads(body)["message"]
    assert told.startswith("The request signature we calculated does not match the signature you provided.")
    assert f"The Canonical String for this request should have been\n'GET\n{path}\n" in told
    assert ask(service="lambda") == (
        403,
        "InvalidSignatureException",
        b'{"message":"Credential should be scoped to correct service: \'execute-api\'."}',
    )
    assert ask(key="AKIAAAAAAAAAAAAAAAAA", secret="x")[0] == 200  # a developer's own: the root of the account
    status, headers, body = fetch("GET", path, headers={"authorization": "Bearer x"})
    assert (status, headers["x-amzn-errortype"]) == (403, "IncompleteSignatureException")


def test_policies_and_gateway_responses(gateway: Any, fetch: Fetch) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    api = gateway.create_rest_api(name="closed", policy=policy)
    api_id = api["id"]
    shown = json.loads(json.loads(f'"{api["policy"]}"'))
    assert shown["Statement"][0]["Resource"] == f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api_id}/*"
    at = {"restApiId": api_id, "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    gateway.put_method(**at, authorizationType="NONE")
    gateway.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    gateway.put_method_response(**at, statusCode="200")
    gateway.put_integration_response(**at, statusCode="200")
    put = gateway.put_gateway_response(
        restApiId=api_id,
        responseType="ACCESS_DENIED",
        statusCode="451",
        responseParameters={"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
        responseTemplates={"application/json": '{"why":$context.error.messageString}'},
    )
    assert (put["statusCode"], put["defaultResponse"]) == ("451", False)
    assert gateway.get_gateway_response(restApiId=api_id, responseType="ACCESS_DENIED")["statusCode"] == "451"
    assert len(gateway.get_gateway_responses(restApiId=api_id)["items"]) == 21
    gateway.create_deployment(restApiId=api_id, stageName="dev")

    status, headers, body = fetch("GET", f"/_aws/execute-api/{api_id}/dev/")

    assert (status, headers["access-control-allow-origin"]) == (451, "*")
    assert json.loads(body)["why"].endswith("with an explicit deny in a resource-based policy")
    changed = gateway.update_gateway_response(
        restApiId=api_id,
        responseType="THROTTLED",
        patchOperations=[{"op": "replace", "path": "/statusCode", "value": "430"}],
    )
    assert changed["statusCode"] == "430"
    gateway.delete_gateway_response(restApiId=api_id, responseType="THROTTLED")
    assert refusal(gateway.delete_gateway_response, restApiId=api_id, responseType="THROTTLED") == (
        404,
        "NotFoundException",
        "Gateway response type not defined on api",
    )
    bad = [{"op": "replace", "path": "/policy", "value": "{}"}]
    assert refusal(gateway.update_rest_api, restApiId=api_id, patchOperations=bad) == (
        400,
        "BadRequestException",
        "Invalid policy document. Please check the policy syntax and ensure that Principals are valid.",
    )
    gateway.delete_rest_api(restApiId=api_id)


class _Issuer(BaseHTTPRequestHandler):
    """An issuer of tokens."""

    def do_GET(self) -> None:
        url = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        key = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())), "kid": "k"}
        found = {"keys": [key]} if self.path == "/keys" else {"issuer": url, "jwks_uri": f"{url}/keys"}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def issuer() -> Iterator[str]:
    """The URL of an issuer."""
    with serving(_Issuer) as url:
        yield url


def test_an_issuers_tokens_and_scopes(gateway: Any, fetch: Fetch, issuer: str) -> None:
    api = gateway.create_rest_api(name="tokens")
    api_id = api["id"]
    trusted = {"issuers": [{"issuer": issuer, "audiences": ["app"]}], "defaultAlgorithms": ["ES256"]}
    source = {"identitySource": "method.request.header.Authorization"}
    made = gateway.create_authorizer(restApiId=api_id, name="t", type="JWT", jwtConfiguration=trusted, **source)
    assert made["jwtConfiguration"] == trusted
    pool = f"arn:aws:cognito-idp:us-east-1:{ACCOUNT}:userpool/us-east-1_Abc"
    pools = gateway.create_authorizer(
        restApiId=api_id, name="p", type="COGNITO_USER_POOLS", providerARNs=[pool], **source
    )
    assert pools["providerARNs"] == [pool]
    at = {"restApiId": api_id, "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    assert refusal(gateway.put_method, **at, authorizationType="JWT", authorizerId=pools["id"])[:2] == (
        400,
        "BadRequestException",
    )
    method = gateway.put_method(**at, authorizationType="JWT", authorizerId=made["id"], authorizationScopes=["read"])
    assert method["authorizationScopes"] == ["read"]
    gateway.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    gateway.put_method_response(**at, statusCode="200")
    said = {"application/json": "$context.authorizer.claims.sub"}
    gateway.put_integration_response(**at, statusCode="200", responseTemplates=said)
    gateway.create_deployment(restApiId=api_id, stageName="dev")
    path = f"/_aws/execute-api/{api_id}/dev/"

    def bearer(**claims: Any) -> dict[str, str]:
        given = {"iss": issuer, "aud": "app", "sub": "me", "exp": 4_000_000_000, **claims}
        return {"Authorization": f"Bearer {jwt.encode(given, KEY, 'ES256', {'kid': 'k'})}"}

    assert fetch("GET", path)[::2] == (401, b'{"message":"Unauthorized"}')
    assert let_in(lambda: fetch("GET", path, None, bearer(scope="read")))[::2] == (200, b"me")
    assert fetch("GET", path, None, bearer(scope="write"))[0] == 403
    tried = {"restApiId": api_id, "authorizerId": made["id"]}
    heard = gateway.test_invoke_authorizer(
        **tried, headers=bearer(), additionalContext={"identity.sourceIp": "192.0.2.7"}
    )
    assert (heard["clientStatus"], heard["claims"]["aud"]) == (0, "app")
    heard = gateway.test_invoke_authorizer(**tried, headers=bearer(aud="other"))
    assert (heard["clientStatus"], "the token does not have a valid audience" in heard["log"]) == (401, True)
    assert refusal(gateway.test_invoke_authorizer, restApiId=api_id, authorizerId="nope") == (
        404,
        "NotFoundException",
        "Invalid Authorizer identifier specified",
    )
    gateway.delete_rest_api(restApiId=api_id)


FUNCTION = {
    "Type": "AWS::Serverless::Function",
    "Properties": {"Runtime": "python3.11", "Handler": "index.handler", "InlineCode": CODE},
}
GRANT = {
    "Type": "AWS::Lambda::Permission",
    "Properties": {
        "FunctionName": {"Ref": "Fn"},
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
    },
}
INVOCATION = {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Fn.Arn}/invocations"}


def in_place(**resources: Any) -> dict[str, Any]:
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"Fn": FUNCTION, "Grant": GRANT, **resources},
        "Outputs": {name: {"Value": {"Ref": name}} for name in ("Rest", "Http") if name in resources},
    }


def plain_resources(status: int) -> dict[str, Any]:
    """Authorizers and gateway responses as CloudFormation has them."""
    rest = {"RestApiId": {"Ref": "Rest"}}
    source = {"IdentitySource": "method.request.header.X-Token", "AuthorizerUri": INVOCATION}
    http = {"ApiId": {"Ref": "Http"}}
    method = {
        **rest,
        "ResourceId": {"Fn::GetAtt": ["Rest", "RootResourceId"]},
        "HttpMethod": "GET",
        "AuthorizationType": "CUSTOM",
        "AuthorizerId": {"Ref": "Guard"},
        "Integration": {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": INVOCATION},
    }
    unauthorized = {
        **rest,
        "ResponseType": "UNAUTHORIZED",
        "StatusCode": status,
        "ResponseParameters": {"gatewayresponse.header.X-Why": "'no token'"},
    }
    guard = {**http, "Name": "g", "AuthorizerType": "REQUEST", "AuthorizerUri": INVOCATION}
    guard |= {"AuthorizerPayloadFormatVersion": "2.0", "EnableSimpleResponses": True}
    guard["IdentitySource"] = ["$request.header.X-Token"]
    integration = {**http, "IntegrationType": "AWS_PROXY", "IntegrationUri": {"Fn::GetAtt": ["Fn", "Arn"]}}
    integration["PayloadFormatVersion"] = "2.0"
    route = {**http, "RouteKey": "GET /", "AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": "HttpGuard"}}
    route["Target"] = {"Fn::Sub": "integrations/${Back}"}
    return in_place(
        Rest={"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "r"}},
        Guard={
            "Type": "AWS::ApiGateway::Authorizer",
            "Properties": {**rest, "Name": "g", "Type": "TOKEN", **source},
        },
        Get={"Type": "AWS::ApiGateway::Method", "Properties": method},
        Said={"Type": "AWS::ApiGateway::GatewayResponse", "Properties": unauthorized},
        # A new deployment for each status, as templates have it.
        **{
            f"Deployed{status}": {
                "Type": "AWS::ApiGateway::Deployment",
                "DependsOn": ["Get", "Said"],
                "Properties": {**rest, "StageName": f"dev{status}"},
            }
        },
        Http={"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "h", "ProtocolType": "HTTP"}},
        HttpGuard={"Type": "AWS::ApiGatewayV2::Authorizer", "Properties": guard},
        Back={"Type": "AWS::ApiGatewayV2::Integration", "Properties": integration},
        Route={"Type": "AWS::ApiGatewayV2::Route", "Properties": route},
        Stage={
            "Type": "AWS::ApiGatewayV2::Stage",
            "Properties": {**http, "StageName": "$default", "AutoDeploy": True},
        },
    )


def deploy(stacks: Any, name: str, template: dict[str, Any], *, update: bool = False) -> dict[str, str]:
    given = {
        "StackName": name,
        "TemplateBody": json.dumps(template),
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    (stacks.update_stack if update else stacks.create_stack)(**given)
    waiter = stacks.get_waiter("stack_update_complete" if update else "stack_create_complete")
    try:
        waiter.wait(StackName=name, WaiterConfig=FAST)
    except WaiterError:
        events = stacks.describe_stack_events(StackName=name)["StackEvents"]
        raise AssertionError(
            [event["ResourceStatusReason"] for event in events if "ResourceStatusReason" in event]
        ) from None
    [stack] = stacks.describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def test_authorizers_and_gateway_responses_of_a_stack(client: Callable[..., Any], fetch: Fetch) -> None:
    stacks = client("cloudformation")
    apis = deploy(stacks, "guards", plain_resources(418))
    rest, http = f"/_aws/execute-api/{apis['Rest']}/dev418/", f"/_aws/execute-api/{apis['Http']}/"

    status, headers, body = fetch("GET", rest)
    assert (status, headers["x-why"], body) == (418, "no token", b'{"message":"Unauthorized"}')
    assert fetch("GET", rest, headers={"x-token": "closed"})[0] == 403
    status, _, body = fetch("GET", rest, headers={"x-token": "open"})
    assert (status, json.loads(body)["authorizer"]["level"]) == (200, "7")
    assert fetch("GET", http)[0] == 401
    assert fetch("GET", http, headers={"x-token": "closed"})[0] == 403
    status, _, body = fetch("GET", http, headers={"x-token": "open"})
    assert (status, json.loads(body)["authorizer"]) == (200, {"lambda": {"level": 7}})

    deploy(stacks, "guards", plain_resources(419), update=True)
    assert fetch("GET", rest.replace("dev418", "dev419"))[0] == 419
    stacks.delete_stack(StackName="guards")
    stacks.get_waiter("stack_delete_complete").wait(StackName="guards", WaiterConfig=FAST)


def test_what_sam_asks_of_callers(server: Any, client: Callable[..., Any], ada: dict[str, str], fetch: Fetch) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    guard = {
        "FunctionArn": {"Fn::GetAtt": ["Guard", "Arn"]},
        "Identity": {"Header": "X-Token", "ReauthorizeEvery": 0},
    }
    rest = {
        "StageName": "prod",
        "Cors": "'*'",
        "GatewayResponses": {
            "DEFAULT_4XX": {"ResponseParameters": {"Headers": {"Access-Control-Allow-Origin": "'*'"}}}
        },
        "Auth": {
            "DefaultAuthorizer": "Guard",
            "AddDefaultAuthorizerToCorsPreflight": False,
            "Authorizers": {"Guard": guard},
            "ResourcePolicy": {"CustomStatements": [statement]},
        },
    }
    http = {
        "Auth": {
            "EnableIamAuthorizer": True,
            "DefaultAuthorizer": "AWS_IAM",
        }
    }
    events = {
        "Guarded": {"Type": "Api", "Properties": {"RestApiId": {"Ref": "Rest"}, "Path": "/a", "Method": "get"}},
        "Signed": {
            "Type": "Api",
            "Properties": {
                "RestApiId": {"Ref": "Rest"},
                "Path": "/signed",
                "Method": "get",
                "Auth": {"Authorizer": "AWS_IAM"},
            },
        },
        "Http": {"Type": "HttpApi", "Properties": {"ApiId": {"Ref": "Http"}, "Path": "/a", "Method": "get"}},
    }
    function = {**FUNCTION, "Properties": {**FUNCTION["Properties"], "Events": events}}  # type: ignore[dict-item]
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Fn": function,
            "Guard": FUNCTION,
            "Rest": {"Type": "AWS::Serverless::Api", "Properties": rest},
            "Http": {"Type": "AWS::Serverless::HttpApi", "Properties": http},
        },
        "Outputs": {name: {"Value": {"Ref": name}} for name in ("Rest", "Http")},
    }
    stacks = client("cloudformation")
    apis = deploy(stacks, "sam-guards", template)
    path = f"/_aws/execute-api/{apis['Rest']}/prod/a"

    status, headers, _ = fetch("GET", path)
    assert (status, headers["access-control-allow-origin"]) == (401, "*")
    assert fetch("GET", path, headers={"x-token": "closed"})[0] == 403
    assert fetch("GET", path, headers={"x-token": "open"})[0] == 200
    asking = {"origin": "http://a.b", "access-control-request-method": "GET"}
    status, headers, _ = fetch("OPTIONS", path, headers=asking)
    assert (status, headers["access-control-allow-origin"]) == (200, "*")

    user = {"key": ada["key"], "secret": ada["secret"]}
    for signing in (f"/_aws/execute-api/{apis['Rest']}/prod/signed", f"/_aws/execute-api/{apis['Http']}/a"):
        assert fetch("GET", signing)[0] == 403
        status, _, body = fetch("GET", signing, headers=signed(server, signing, "test", "test"))
        assert (status, "arn:aws:iam::000000000000:root" in body.decode()) == (200, True)
    # The REST API's policy lets everybody in who has proved who they are; an HTTP API has none. And SAM lets the
    # function be called with the signer's own permissions.
    signing = f"/_aws/execute-api/{apis['Rest']}/prod/signed"
    assert fetch("GET", signing, headers=signed(server, signing, **user))[0] == 500
    invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [invoke]})
    client("iam").put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=policy)
    assert fetch("GET", signing, headers=signed(server, signing, **user))[0] == 200
    signing = f"/_aws/execute-api/{apis['Http']}/a"
    assert fetch("GET", signing, headers=signed(server, signing, **user))[0] == 403
    stacks.delete_stack(StackName="sam-guards")
    stacks.get_waiter("stack_delete_complete").wait(StackName="sam-guards", WaiterConfig=FAST)
