"""A strict server: who may call, and what becomes of a request that is not the one that was signed."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from running import Server, start_server
from wire.bad_requests import Answer, Key, Sent, dynamodb, presign, query, rest, send, sign

pytestmark = pytest.mark.slow  # a server of its own

ROOT = Key("OPERATOR", "a secret of the operator")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}],
}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="cumulet-strict-") as folder:
        environ = {"CUMULET_ROOT_ACCESS_KEY_ID": ROOT.id, "CUMULET_ROOT_SECRET_ACCESS_KEY": ROOT.secret}
        running = start_server(Path(folder) / "data", "--strict", "--durability", "memory", environ=environ)
        try:
            yield running
        finally:
            assert running.stop() == 0


@pytest.fixture(scope="module")
def root(strict: Server) -> Any:
    """Return a function from a service to a client of the root."""
    return lambda service: strict.client(service, ROOT.id, ROOT.secret)


@pytest.fixture(scope="module")
def user(root: Any) -> Key:
    """A user who may do everything."""
    iam = root("iam")
    iam.create_user(UserName="ada")
    iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"])


@pytest.fixture(scope="module")
def role(root: Any) -> str:
    """The ARN of a role that may do everything."""
    iam = root("iam")
    arn: str = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="worker", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    return arn


def assume(strict: Server, user: Key, role: str) -> Key:
    sts = strict.client("sts", user.id, user.secret)
    made = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


SERVED: dict[str, Sent] = {
    "dynamodb": dynamodb("ListTables"),
    "lambda": rest("GET", "/2015-03-31/functions?MaxItems=10"),
    "iam": query("iam", "ListRoles"),
    "s3": rest("GET", "/"),
}
UNKNOWN_KEY = {
    "dynamodb": (400, "UnrecognizedClientException"),
    "lambda": (403, "UnrecognizedClientException"),
    "iam": (403, "InvalidClientTokenId"),
    "s3": (403, "InvalidAccessKeyId"),
}
INVALID_TOKEN = {**UNKNOWN_KEY, "s3": (400, "InvalidToken")}
EXPIRED_TOKEN = {
    "dynamodb": (400, "ExpiredTokenException"),
    "lambda": (403, "ExpiredTokenException"),
    "iam": (403, "ExpiredToken"),
    "s3": (400, "ExpiredToken"),
}
MISMATCH = {
    "dynamodb": (400, "InvalidSignatureException"),
    "lambda": (403, "InvalidSignatureException"),
    "iam": (403, "SignatureDoesNotMatch"),
    "s3": (403, "SignatureDoesNotMatch"),
}
MISMATCH_WORDS = "The request signature we calculated does not match the signature you provided."


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def call(strict: Server, service: str, key: Key, **more: Any) -> Answer:
    return send(strict, sign(strict, SERVED[service], service, key, **more))


@pytest.mark.parametrize("service", SERVED)
def test_developer_credentials_are_no_credentials(strict: Server, service: str) -> None:
    for key in (Key(), Key("000000000000", "test"), Key("AKIAIOSFODNN7EXAMPLE", "secret")):
        assert told(call(strict, service, key)) == UNKNOWN_KEY[service]


@pytest.mark.parametrize("service", SERVED)
def test_the_root_the_user_and_the_role_are_served(strict: Server, service: str, user: Key, role: str) -> None:
    for key in (ROOT, user, assume(strict, user, role)):
        assert call(strict, service, key).status == 200


@pytest.mark.parametrize("service", SERVED)
def test_another_secret_is_a_mismatch(strict: Server, service: str, user: Key, role: str) -> None:
    for key in (ROOT, user, assume(strict, user, role)):
        answer = call(strict, service, key._replace(secret="another secret, just as long"))
        assert told(answer) == MISMATCH[service]
        assert answer.message.startswith(MISMATCH_WORDS)


def tampered(service: str, signed: Sent) -> dict[str, Sent]:
    """Return the signed request with one thing changed, by what it is."""
    changed = {
        "date": {**signed.headers, "X-Amz-Date": signed.headers["X-Amz-Date"][:-3] + "59Z"},
        "host": {**signed.headers, "Host": "localhost:1"},
        "signature": {**signed.headers, "Authorization": signed.headers["Authorization"][:-4] + "0000"},
    }
    made = {name: signed._replace(headers=headers) for name, headers in changed.items()}
    if signed.method == "POST":
        made["body"] = signed._replace(body=signed.body + (b"&More=1" if service == "iam" else b" "))
    if service == "lambda":
        made["query"] = signed._replace(path=signed.path.replace("10", "50"))
        made["path"] = signed._replace(path=signed.path.replace("/functions", "/functions/"))
    return made


@pytest.mark.parametrize("service", SERVED)
def test_a_request_that_was_changed_on_its_way_is_a_mismatch(strict: Server, service: str, user: Key) -> None:
    for name, sent in tampered(service, sign(strict, SERVED[service], service, user)).items():
        assert (name, told(send(strict, sent))) == (name, MISMATCH[service])


def test_a_target_that_was_not_signed_for_is_a_mismatch(strict: Server, user: Key) -> None:
    signed = sign(strict, SERVED["dynamodb"], "dynamodb", user)
    headers = {**signed.headers, "X-Amz-Target": "DynamoDB_20120810.DescribeLimits"}
    assert send(strict, signed._replace(headers=headers)).status in (400, 501)
    headers = {**signed.headers, "X-Amz-Target": "DynamoDB_20120810.DescribeTable"}
    assert told(send(strict, signed._replace(headers=headers))) == MISMATCH["dynamodb"]


def test_an_upload_that_was_changed_on_its_way_is_not_stored(strict: Server, root: Any, user: Key) -> None:
    s3 = root("s3")
    s3.create_bucket(Bucket="guarded")
    signed = sign(strict, rest("PUT", "/guarded/k", b"what was meant"), "s3", user)
    answer = send(strict, signed._replace(body=b"what was sent!"))
    assert told(answer) == (400, "XAmzContentSHA256Mismatch")
    added = {**signed.headers, "x-amz-meta-more": "1"}
    assert told(send(strict, signed._replace(headers=added))) == (403, "AccessDenied")
    assert told(send(strict, signed._replace(path="/guarded/other"))) == MISMATCH["s3"]
    assert s3.list_objects_v2(Bucket="guarded")["KeyCount"] == 0


def test_the_scope_names_the_service_that_is_called(strict: Server, user: Key) -> None:
    answer = send(strict, sign(strict, SERVED["dynamodb"], "lambda", user))
    assert told(answer) == MISMATCH["dynamodb"]
    assert answer.message == "Credential should be scoped to correct service: 'dynamodb'."


def test_presigned_urls(strict: Server, root: Any, user: Key) -> None:
    s3 = root("s3")
    s3.create_bucket(Bucket="presigned")
    s3.put_object(Bucket="presigned", Key="k", Body=b"hello")
    valid = presign(strict, "/presigned/k", user)
    assert send(strict, valid)[0::2] == (200, b"hello")
    answer = send(strict, valid._replace(path=valid.path.replace("/k?", "/other?")))
    assert told(answer) == MISMATCH["s3"]
    assert told(send(strict, valid._replace(path=valid.path.replace("Expires=300", "Expires=301")))) == MISMATCH["s3"]
    assert told(send(strict, valid._replace(method="DELETE"))) == MISMATCH["s3"]
    expired = send(strict, presign(strict, "/presigned/k", user, seconds=-301))
    assert (told(expired), expired.message) == ((403, "AccessDenied"), "Request has expired")
    early = send(strict, presign(strict, "/presigned/k", user, seconds=3600))
    assert (told(early), early.message) == ((403, "AccessDenied"), "Request is not valid yet")
    endless = send(strict, presign(strict, "/presigned/k", user, valid_s=604_801))
    assert told(endless) == (400, "AuthorizationQueryParametersError")
    unsigned = send(strict, rest("GET", "/presigned/k"))
    assert (told(unsigned), unsigned.message) == ((403, "AccessDenied"), "Access Denied")


@pytest.mark.parametrize("service", SERVED)
def test_session_tokens(strict: Server, service: str, user: Key, role: str) -> None:
    session, other = assume(strict, user, role), assume(strict, user, role)
    assert session.token is not None
    for token in (None, "", "x", other.token, session.token[:-8] + "AAAAAAA="):
        assert told(call(strict, service, session._replace(token=token))) == INVALID_TOKEN[service]
    for key in (ROOT, user):
        assert told(call(strict, service, key._replace(token=session.token))) == INVALID_TOKEN[service]


def test_a_deleted_role_has_no_sessions(strict: Server, root: Any, user: Key) -> None:
    iam = root("iam")
    arn = iam.create_role(RoleName="brief", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    session = assume(strict, user, arn)
    iam.delete_role(RoleName="brief")
    assert told(call(strict, "dynamodb", session)) == INVALID_TOKEN["dynamodb"]


def test_keys_that_are_inactive_or_whose_user_is_gone(strict: Server, root: Any) -> None:
    iam = root("iam")
    iam.create_user(UserName="bob")
    made = iam.create_access_key(UserName="bob")["AccessKey"]
    key = Key(made["AccessKeyId"], made["SecretAccessKey"])
    denied = call(strict, "dynamodb", key)
    assert told(denied) == (400, "AccessDeniedException")
    assert denied.message == (
        "User: arn:aws:iam::000000000000:user/bob is not authorized to perform: dynamodb:ListTables on resource: * "
        "because no identity-based policy allows the dynamodb:ListTables action"
    )
    iam.update_access_key(UserName="bob", AccessKeyId=key.id, Status="Inactive")
    for service in SERVED:
        assert told(call(strict, service, key)) == INVALID_TOKEN[service]
    iam.update_access_key(UserName="bob", AccessKeyId=key.id, Status="Active")
    assert call(strict, "dynamodb", key).code == "AccessDeniedException"
    iam.delete_access_key(UserName="bob", AccessKeyId=key.id)
    iam.delete_user(UserName="bob")
    for service in SERVED:
        assert told(call(strict, service, key)) == UNKNOWN_KEY[service]


def test_sessions_end(strict: Server, user: Key, role: str) -> None:
    # Last, since it moves the server's clock.
    session = assume(strict, user, role)
    moved = rest("POST", "/_cumulet/clock", b'{"advance_seconds": 3601}', Content_Type="application/json")
    assert send(strict, moved).status == 200
    for service in SERVED:
        answer = call(strict, service, session)
        assert told(answer) == EXPIRED_TOKEN[service]
        assert answer.message == "The security token included in the request is expired"
    assert call(strict, "dynamodb", user).status == 200
