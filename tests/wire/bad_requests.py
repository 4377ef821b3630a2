"""Requests made by hand, signed or not, for tests of how the server refuses them."""

import http.client
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from running import Server

FORM = "application/x-www-form-urlencoded"
VERSIONS = {"iam": "2010-05-08", "sts": "2011-06-15", "cloudformation": "2010-05-15"}


class Key(NamedTuple):
    """What a client signs with."""

    id: str = "test"
    secret: str = "test"
    token: str | None = None


DEVELOPER = Key()


class Sent(NamedTuple):
    """One request as it goes over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error's code, in whichever protocol."""
        if found := re.search(rb"<Code>(.*?)</Code>", self.body):
            return found[1].decode()
        named = self.headers.get("x-amzn-errortype") or self.json.get("__type", "")
        return named.rpartition("#")[2]

    @property
    def message(self) -> str:
        """The error's words, in whichever protocol."""
        if found := re.search(rb"<Message>(.*?)</Message>", self.body, re.DOTALL):
            return found[1].decode()
        return self.json.get("message") or self.json.get("Message") or ""

    @property
    def json(self) -> dict[str, Any]:
        """The body, if it is a JSON object; else an empty one."""
        return json.loads(self.body) if self.body.startswith(b"{") else {}


def send(server: Server, sent: Sent, timeout: float = 20) -> Answer:
    """Return the answer to a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        connection.request(sent.method, sent.path, sent.body, {"Host": f"localhost:{server.port}", **sent.headers})
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()


def sign(
    server: Server, sent: Sent, service: str, key: Key = DEVELOPER, *, region: str = "us-east-1", seconds: float = 0
) -> Sent:
    """Return the request with a true signature, made `seconds` from now."""
    request = AWSRequest(
        sent.method,
        f"http://localhost:{server.port}{sent.path}",
        headers={"Host": f"localhost:{server.port}", **sent.headers},
        data=sent.body,
    )
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    _dated(kind(Credentials(*key), service, region), request, seconds)
    return Sent(sent.method, sent.path, dict(request.headers.items()), sent.body)


def presign(server: Server, path: str, key: Key = DEVELOPER, *, valid_s: int = 300, seconds: float = 0) -> Sent:
    """Return a GET from S3 with its signature in the query string."""
    request = AWSRequest("GET", f"http://localhost:{server.port}{path}")
    _dated(S3SigV4QueryAuth(Credentials(*key), "s3", "us-east-1", valid_s), request, seconds)
    made = urlsplit(request.url)
    return Sent("GET", f"{made.path}?{made.query}", {}, b"")


def _dated(auth: Any, request: AWSRequest, seconds: float) -> None:
    # What botocore's own `add_auth` does, which always signs for now.
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(request)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(to_sign, request))


def dynamodb(operation: str, body: bytes | dict[str, Any] = b"{}", **headers: str) -> Sent:
    """Return a DynamoDB request, unsigned."""
    return _json("DynamoDB_20120810", "1.0", operation, body, headers)


def logs(operation: str, body: bytes | dict[str, Any] = b"{}") -> Sent:
    """Return a CloudWatch Logs request, unsigned."""
    return _json("Logs_20140328", "1.1", operation, body, {})


def _json(prefix: str, version: str, operation: str, body: Any, headers: dict[str, str]) -> Sent:
    target = {"X-Amz-Target": f"{prefix}.{operation}", "Content-Type": f"application/x-amz-json-{version}"}
    return Sent("POST", "/", {**target, **headers}, body if isinstance(body, bytes) else json.dumps(body).encode())


def query(service: str, action: str, raw: bytes = b"", **params: str) -> Sent:
    """Return a Query protocol request, unsigned. `raw` is appended as it is."""
    given = {"Action": action, "Version": VERSIONS[service], **params}
    form = "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items())
    return Sent("POST", "/", {"Content-Type": FORM}, form.encode() + raw)


def rest(method: str, path: str, body: bytes = b"", **headers: str) -> Sent:
    """Return a REST request, unsigned."""
    return Sent(method, path, {name.replace("_", "-"): value for name, value in headers.items()}, body)
