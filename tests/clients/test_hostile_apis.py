"""What hostile clients send to deployed APIs, over real sockets: nothing is served that should not be, and errors are
clear. What is about sockets alone (slow senders, answers that nobody reads) stands in tests/unit/edge."""

import base64
import hmac
import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from running import Server
from sites import let_in, serving

pytestmark = pytest.mark.slow

KEY, FOREIGN = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
BRANCH = {"properties": {"child": {"$ref": "#"}}}
SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^(a+)+$"},
        "many": {"type": "array", "uniqueItems": True},
        "child": {"anyOf": [{**BRANCH, "required": ["a"]}, {**BRANCH, "required": ["b"]}, {"$ref": "#"}]},
    },
}
NESTED = "#foreach($a in [1..1000])#foreach($b in [1..1000])#foreach($c in [1..1000])x#end#end#end"
DOUBLED = '#set($x = "ab")#foreach($i in [1..60])#set($x = "$x$x")#end$x'


class Site(BaseHTTPRequestHandler):
    """An issuer of tokens, and the backend of the HTTP API: it remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[str] = []

    def do_GET(self) -> None:
        port = self.server.server_port  # type: ignore[attr-defined]
        found: Any = {"path": self.path}
        if self.path == "/.well-known/openid-configuration":
            found = {"issuer": f"http://127.0.0.1:{port}", "jwks_uri": f"http://127.0.0.1:{port}/keys"}
        elif self.path == "/keys":
            found = {"keys": [{**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "k"}]}
        else:
            self.asked.append(self.path)
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The URL of the issuer and backend."""
    with serving(Site) as url:
        yield url


@pytest.fixture(scope="module")
def http(server: Server, site: str) -> Iterator[str]:
    """The path of an HTTP API: everything goes to the backend, /guarded only with a token."""
    apis = server.client("apigatewayv2")
    api_id = apis.create_api(Name="hostile", ProtocolType="HTTP")["ApiId"]
    made = apis.create_integration(
        ApiId=api_id,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="ANY",
        IntegrationUri=f"{site}/{{proxy}}",
        PayloadFormatVersion="1.0",
    )
    guard = apis.create_authorizer(
        ApiId=api_id,
        Name="guard",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": site, "Audience": ["me"]},
    )["AuthorizerId"]
    target = f"integrations/{made['IntegrationId']}"
    apis.create_route(ApiId=api_id, RouteKey="ANY /{proxy+}", Target=target)
    apis.create_route(
        ApiId=api_id, RouteKey="GET /guarded/{proxy}", Target=target, AuthorizationType="JWT", AuthorizerId=guard
    )
    apis.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    yield f"/_aws/execute-api/{api_id}"
    apis.delete_api(ApiId=api_id)


@pytest.fixture(scope="module")
def rest(server: Server) -> Iterator[str]:
    """The path of a REST API whose owner was careless with patterns and templates."""
    apis = server.client("apigateway")
    api = apis.create_rest_api(name="hostile")
    api_id = api["id"]
    apis.create_model(restApiId=api_id, name="Name", contentType="application/json", schema=json.dumps(SCHEMA))
    bodies = apis.create_request_validator(restApiId=api_id, name="bodies", validateRequestBody=True)["id"]
    for part, template, settings in (
        ("checked", "fine", {"requestValidatorId": bodies, "requestModels": {"application/json": "Name"}}),
        ("nested", NESTED, {}),
        ("doubled", DOUBLED, {}),
        ("{any}", "any: $input.params('any')", {}),
    ):
        resource = apis.create_resource(restApiId=api_id, parentId=api["rootResourceId"], pathPart=part)
        at = {"restApiId": api_id, "resourceId": resource["id"], "httpMethod": "ANY"}
        apis.put_method(**at, authorizationType="NONE", **settings)
        apis.put_method_response(**at, statusCode="200")
        apis.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
        apis.put_integration_response(**at, statusCode="200", responseTemplates={"application/json": template})
    apis.create_deployment(restApiId=api_id, stageName="dev")
    yield f"/_aws/execute-api/{api_id}/dev"
    apis.delete_rest_api(restApiId=api_id)


def say(server: Server, sent: bytes) -> tuple[list[int], bytes]:
    """Return the statuses of the answers on one connection that is closed at the end, and the last one's body."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(sent)
        while piece := connection.recv(65536):
            received += piece
    heads = [line for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return [int(head.split()[1]) for head in heads], received.rpartition(b"\r\n\r\n")[2]


def request(path: str, *fields: str, body: bytes = b"", method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


HIDDEN = b"0\r\n\r\nGET /_aws/execute-api/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
LENGTH, CHUNKED = f"Content-Length: {len(HIDDEN)}", "Transfer-Encoding: chunked"

SHAPES: dict[str, tuple[tuple[str, ...], bytes]] = {
    "length and chunks": ((LENGTH, CHUNKED), HIDDEN),
    "chunks and length": ((CHUNKED, LENGTH), HIDDEN),
    "two lengths": ((LENGTH, "Content-Length: 0"), HIDDEN),
    "the same length twice": ((LENGTH, LENGTH), HIDDEN),
    "a list of lengths": ((f"{LENGTH}, 0",), HIDDEN),
    "a signed length": (("Content-Length: +5",), HIDDEN),
    "a negative length": (("Content-Length: -1",), HIDDEN),
    "a coding behind chunks": ((f"{CHUNKED}, identity",), HIDDEN),
    "a coding before chunks": (("Transfer-Encoding: gzip, chunked",), HIDDEN),
    "nearly chunked": (("Transfer-Encoding: xchunked",), HIDDEN),
    "two codings": ((CHUNKED, "Transfer-Encoding: identity"), HIDDEN),
    "a blank before the colon": (("Transfer-Encoding : chunked",), HIDDEN),
    "a folded line": (("X-A: b\r\n c",), b""),
    "a line feed for a line's end": (("X-A: b\nX-B: c",), b""),
    "a carriage return in a value": (("X-A: b\rX-B: c",), b""),
    "a zero byte in a value": (("X-A: b\0c",), b""),
    "a chunk of more than there are bytes": ((CHUNKED,), b"FFFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n"),
    "a chunk without its end": ((CHUNKED,), b"1\r\naX0\r\n\r\n"),
    "a line feed in a chunk's extension": ((CHUNKED,), b"1;a\nb\r\na\r\n0\r\n\r\n"),
    "two hosts": (("Host: elsewhere",), b""),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_two_servers_could_read_in_two_ways_is_read_by_none(server: Server, http: str, shape: str) -> None:
    fields, body = SHAPES[shape]
    Site.asked.clear()
    statuses, said = say(server, request(f"{http}/x", *fields, body=body))
    assert (statuses, said) == ([400], b"Invalid HTTP request received.")
    assert Site.asked == []


def test_a_request_inside_a_body_is_a_body(server: Server, http: str) -> None:
    Site.asked.clear()
    assert say(server, request(f"{http}/x", LENGTH, body=HIDDEN))[0] == [200]
    assert Site.asked == ["/x"]


@pytest.mark.parametrize("path", ["%", "%z", "%zz", "a%2", "a%2/b"])
def test_broken_percent_encoding_is_refused(server: Server, http: str, rest: str, path: str) -> None:
    Site.asked.clear()
    for base in (http, rest):
        assert say(server, request(f"{base}/{path}")) == ([400], b'{"message":"Bad Request"}')
    assert Site.asked == []


def test_what_is_no_text_is_no_way_out_either(server: Server, http: str, rest: str) -> None:
    assert say(server, request(f"{rest}/%c3%28"))[1].decode() == "any: \ufffd("
    Site.asked.clear()
    say(server, request(f"{http}/keys%253fa%3db%20HTTP%2f1.1%0d%0aX:%20y"))
    assert Site.asked == ["/keys%3Fa=b%20HTTP/1.1%0D%0AX:%20y"]  # one path, on one line
    Site.asked.clear()
    for climbing in ("%2e%2e%2fkeys", "a/%2E%2e/%2E./keys", "%252e%252e/keys"):
        assert say(server, request(f"{http}/{climbing}")) == ([400], b'{"message":"Bad Request"}')
    assert Site.asked == []
    assert say(server, request(f"{rest}/x?%=%&q=%zz&q"))[0] == [200]


def test_what_is_too_large_is_told_so(server: Server, http: str, rest: str) -> None:
    over_ten = b"HTTP content length exceeded 10485760 bytes."
    chunk = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
    for base, words in ((http, b'{"message":"Request Entity Too Large"}'), (rest, over_ten)):
        assert say(server, request(f"{base}/x", CHUNKED, body=chunk * 11 + b"0\r\n\r\n")) == ([413], words)
        # What is much too large is not read to its end.
        assert say(server, request(f"{base}/x", f"Content-Length: {17 << 20}")) == ([413], words)
        assert say(server, request(f"{base}/x", CHUNKED, body=chunk * 17)) == ([413], words)
        for fields in ([f"X-A: {'a' * 70_000}"], [f"X-{number}: a" for number in range(250)]):
            assert say(server, request(f"{base}/x", *fields))[0] == [431]
    assert say(server, request(f"{rest}/x", f"Content-Length: {10 << 20}", body=b"a" * (10 << 20)))[0] == [200]


@pytest.mark.parametrize("bomb", ["nested", "doubled"])
def test_a_template_bomb_harms_one_request_only(server: Server, rest: str, bomb: str) -> None:
    statuses, said = say(server, request(f"{rest}/{bomb}", method="GET"))
    assert (statuses, said) == ([500], b'{"message": "Internal server error"}')
    assert say(server, request(f"{rest}/x"))[0] == [200]


def test_a_pattern_takes_no_more_time_than_its_text_is_long(server: Server, rest: str) -> None:
    for name, status in (("a" * 50_000, 200), ("a" * 50_000 + "b", 400)):
        body = json.dumps({"name": name}).encode()
        fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        assert say(server, request(f"{rest}/checked", *fields, body=body))[0] == [status]
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    fields = ("Content-Type: application/json", f"Content-Length: {len(deep)}")
    assert say(server, request(f"{rest}/checked", *fields, body=deep))[1] == b'{"message": "Invalid request body"}'


def nested(depth: int) -> bytes:
    return b'{"child":' * depth + b"{}" + b"}" * depth


MODEL_BOMBS: dict[str, tuple[bytes, int]] = {
    "many that are alike but for a bit": (
        json.dumps({"many": [{"n": number} for number in range(50_000)]}).encode(),
        200,
    ),
    "a model that leads to itself in three ways": (nested(60), 400),
    "one level more than the stack has": (nested(300), 400),
    "a number of many digits": (b'{"many": [' + b"9" * 1_000_000 + b"]}", 400),
}


@pytest.mark.parametrize("bomb", MODEL_BOMBS)
def test_a_body_that_is_hard_to_look_at_holds_nobody_up(server: Server, rest: str, bomb: str) -> None:
    body, status = MODEL_BOMBS[bomb]
    fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(request(f"{rest}/checked", *fields, body=body))
        for _ in range(5):
            assert say(server, request(f"{rest}/x"))[0] == [200]
        received = connection.recv(65_536)
    assert int(received.split()[1]) == status
    if status == 400:
        assert received.endswith(b'{"message": "Invalid request body"}')


def test_slow_senders_hold_nobody_up(server: Server, http: str, rest: str) -> None:
    """Heads and bodies that come byte by byte: others are served between any two bytes, and they themselves at last."""
    Site.asked.clear()
    whole = [request(f"{base}/slow", "Content-Length: 8", body=b"trickled") for base in (http, rest) for _ in range(5)]
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in whole]
    try:
        for connection, sent in zip(slow, whole, strict=True):
            connection.sendall(sent[:10])
        for at in range(10, 15):
            for connection, sent in zip(slow, whole, strict=True):
                connection.sendall(sent[at : at + 1])
            assert say(server, request(f"{http}/quick"))[0] == [200]
            assert say(server, request(f"{rest}/x"))[0] == [200]
        for connection, sent in zip(slow, whole, strict=True):
            connection.sendall(sent[15:-8])
        for at in range(-8, -1):
            for connection, sent in zip(slow, whole, strict=True):
                connection.sendall(sent[at : at + 1])
            assert say(server, request(f"{rest}/x"))[0] == [200]
        assert "/slow" not in Site.asked  # nobody is asked for a request that is not whole
        for connection, sent in zip(slow, whole, strict=True):
            connection.sendall(sent[-1:])
            assert connection.recv(12) == b"HTTP/1.1 200"
    finally:
        for connection in slow:
            connection.close()


def test_tokens_that_nobody_issued(server: Server, http: str, site: str) -> None:
    claims = {"iss": site, "aud": "me", "exp": 4_000_000_000}
    good = jwt.encode(claims, KEY, "RS256", headers={"kid": "k"})
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, payload, signature = good.split(".")

    def encoded(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    def part(value: Any) -> str:
        return encoded(json.dumps(value).encode())

    shared = f"{part({'alg': 'HS256', 'kid': 'k'})}.{payload}"
    mac = encoded(hmac.digest(public, shared.encode(), "sha256"))

    forged = {
        "no algorithm": f"{part({'alg': 'none', 'kid': 'k'})}.{payload}.",
        "no algorithm, spelled otherwise": f"{part({'alg': 'nOnE', 'kid': 'k'})}.{payload}.",
        "no algorithm, but a signature": f"{part({'alg': 'none', 'kid': 'k'})}.{payload}.{signature}",
        "no signature": f"{head}.{payload}.",
        "the public key as a shared one": f"{shared}.{mac}",
        "a foreign key": jwt.encode(claims, FOREIGN, "RS256", headers={"kid": "k"}),
        "a foreign key that nobody knows": jwt.encode(claims, FOREIGN, "RS256", headers={"kid": "other"}),
        "a foreign key that the token brings": jwt.encode(
            claims,
            FOREIGN,
            "RS256",
            headers={"kid": "k", "jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(FOREIGN.public_key()))},
        ),
        "other claims": f"{head}.{part({**claims, 'aud': 'me', 'sub': 'root'})}.{signature}",
        "another audience": jwt.encode({**claims, "aud": "you"}, KEY, "RS256", headers={"kid": "k"}),
        "another issuer": jwt.encode({**claims, "iss": "http://a"}, KEY, "RS256", headers={"kid": "k"}),
        "expired": jwt.encode({**claims, "exp": 1}, KEY, "RS256", headers={"kid": "k"}),
        "not yet": jwt.encode({**claims, "nbf": 3_999_999_999}, KEY, "RS256", headers={"kid": "k"}),
        "no token": "a.b.c",
        "no token at all": "\x7f",
    }
    guarded = f"{http}/guarded/x"
    accepted = request(guarded, f"Authorization: Bearer {good}", method="GET")
    assert let_in(lambda: (say(server, accepted)[0][0],)) == (200,)
    Site.asked.clear()
    for name, token in forged.items():
        statuses, said = say(server, request(guarded, f"Authorization: Bearer {token}", method="GET"))
        assert statuses in ([401], [400]), name
        assert said in (b'{"message":"Unauthorized"}', b"Invalid HTTP request received."), name
    assert Site.asked == []
