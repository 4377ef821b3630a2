"""Lambda's control plane over the memory store, with an execution plane, roles and a bucket that the tests hold."""

import io
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, Service, operation
from cumulet.services.lambda_ import build
from cumulet.services.lambda_.records import ImageUse, Invocation, InvocationResult, VersionRecord
from cumulet.store.api import ReadTx
from harness import House

ROLE = "arn:aws:iam::000000000000:role/runs-notes"


class FakeExecution:
    """Answers each invocation with what the test has put down, and remembers it."""

    def __init__(self) -> None:
        self.result = InvocationResult(payload=b'{"ok": true}', function_error=None, log_tail=b"START\nEND\n")
        self.invocations: list[tuple[Scope, VersionRecord, Invocation]] = []
        self.prepared: list[VersionRecord] = []
        self.images: dict[str, ImageUse] = {}
        """What the container engine has, by name."""
        self.unpacks_at_once = True
        self.before_each: Callable[[], Awaitable[None]] | None = None
        """What happens between an invocation's look at the function and its run."""

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def prepare(self, version: VersionRecord) -> None:
        self.prepared.append(version)

    async def interpreter_of(self, runtime: str) -> str:
        if runtime.startswith("java"):
            raise NotImplementedHere(f"Runtime {runtime} on a machine without Java")
        return "3.12.1"

    async def find_image(self, uri: str) -> ImageUse:
        if uri not in self.images:
            raise ServiceError("InvalidParameterValueException", f"there is no {uri}", Type="User")
        return self.images[uri]

    async def unpack_image(self, image: ImageUse, patience_s: float | None) -> bool:
        return self.unpacks_at_once or patience_s is None

    async def invoke(self, scope: Scope, version: VersionRecord, invocation: Invocation) -> InvocationResult:
        if self.before_each is not None:
            await self.before_each()
        self.invocations.append((scope, version, invocation))
        return self.result


@operation("AssumeRole", resource="*", params="RoleArn RoleSessionName DurationSeconds")
def assume_role(call: Call, tx: ReadTx, params: Params) -> Output:
    """Any service may assume the one role there is."""
    if params["RoleArn"] != ROLE or call.principal.arn != "lambda.amazonaws.com":
        raise ServiceError("AccessDenied", "is not authorized to perform: sts:AssumeRole", status=403)
    return {
        "Credentials": {
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "secret",
            "SessionToken": "token",
            "Expiration": call.now_ms / 1000 + 3600,
        },
        "AssumedRoleUser": {"Arn": "arn:aws:sts::000000000000:assumed-role/runs-notes/x", "AssumedRoleId": "AROAX:x"},
    }


@operation("GetRole", resource="*", params="RoleName")
def get_role(call: Call, tx: ReadTx, params: Params) -> Output:
    """In each account there is the one role."""
    if params["RoleName"] != "caller":
        raise ServiceError("NoSuchEntity", f"The role with name {params['RoleName']} cannot be found.", status=404)
    return {"Role": {"Arn": f"arn:aws:iam::{call.scope.account}:role/trusted/caller"}}


class LambdaHouse(House):
    """`House("lambda")` with fakes around it. `objects` is what S3 has."""

    def __init__(self, authorizer: Any = None, **node: Any) -> None:
        self.execution = FakeExecution()
        self.objects: dict[tuple[str, str], bytes] = {}
        super().__init__("lambda", "sts", "s3", "iam", authorizer=authorizer, **node)

    def _builder(self, name: str) -> Callable[[], Service]:
        if name == "lambda":
            return lambda: build(self.ground, self.execution)
        if name == "sts":
            return lambda: Service("sts", {"AssumeRole": assume_role}, "sts")
        if name == "iam":
            return lambda: Service("iam", {"GetRole": get_role}, "iam")

        @operation("GetObject", resource="*", params="Bucket Key VersionId")
        def get_object(call: Call, tx: ReadTx, params: Params) -> Output:
            body = self.objects.get((params["Bucket"], params["Key"]))
            if body is None:
                raise ServiceError("NoSuchKey", "The specified key does not exist.", status=404)
            return {"Body": body}

        return lambda: Service("s3", {"GetObject": get_object}, "s3")

    async def create(self, name: str = "notes", **more: Any) -> Any:
        """Create a function that needs nothing but its name."""
        return await self.call("lambda", "CreateFunction", creation(name, **more))

    async def refusal(self, operation_name: str, params: Mapping[str, Any], **more: Any) -> tuple[str, str]:
        """Return code and words of the error that an operation raises."""
        with pytest.raises(ServiceError) as caught:
            await self.call("lambda", operation_name, params, **more)
        return caught.value.code, caught.value.message


def creation(name: str = "notes", **more: Any) -> dict[str, Any]:
    """Return parameters of CreateFunction; None takes one away."""
    params = {
        "FunctionName": name,
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": make_zip()},
        **more,
    }
    return {key: value for key, value in params.items() if value is not None}


def make_zip(members: Mapping[str, bytes] | None = None) -> bytes:
    """Return an archive; the same members give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, body in (members or {"app.py": b"def handler(event, context): return event"}).items():
            archive.writestr(zipfile.ZipInfo(name), body)
    return packed.getvalue()


@pytest.fixture
def house() -> LambdaHouse:
    return LambdaHouse()


@pytest.fixture
def lambda_house() -> type[LambdaHouse]:
    return LambdaHouse


@pytest.fixture(name="make_zip")
def make_zip_fixture() -> Callable[..., bytes]:
    return make_zip


@pytest.fixture(name="creation")
def creation_fixture() -> Callable[..., dict[str, Any]]:
    return creation


@pytest.fixture
def fake_execution() -> FakeExecution:
    return FakeExecution()
