"""Functions for client tests: a role that they may all take, archives, and what runs while the tests do.

with Functions(server) as functions:
    name = functions.make({"app.py": "def handler(event, context): return event"})
    assert functions.invoke(name, {"a": 1}) == {"a": 1}
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from running import Server

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
LOGS = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def packed(files: Mapping[str, str | bytes], folder: Path | None = None) -> bytes:
    """Return a zip archive of the files, all of them executable, and of everything in a folder."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o755 << 16
            opened.writestr(member, content)
        for path in sorted(folder.rglob("*")) if folder is not None else ():
            if path.is_file() and path.parent.name != "__pycache__":
                opened.write(path, path.relative_to(folder))  # type: ignore[arg-type]
    return archive.getvalue()


class Functions:
    """Makes functions on a server, under names that begin alike, and removes them in the end."""

    def __init__(self, server: Server, prefix: str, policy: Mapping[str, Any] | None = None) -> None:
        """`policy` is what the functions may do besides writing their logs."""
        self.server = server
        self.client = server.client("lambda")
        self._iam = server.client("iam")
        self._prefix = prefix
        self._made = 0
        self._names: list[str] = []
        self.role: str = self._iam.create_role(RoleName=prefix, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"][
            "Arn"
        ]
        self._iam.attach_role_policy(RoleName=prefix, PolicyArn=LOGS)
        if policy is not None:
            self._iam.put_role_policy(RoleName=prefix, PolicyName="more", PolicyDocument=json.dumps(policy))

    def __enter__(self) -> "Functions":
        return self

    def __exit__(self, *_: "type[BaseException] | BaseException | TracebackType | None") -> None:
        for name in self._names:
            self.client.delete_function(FunctionName=name)
        for policy in self._iam.list_role_policies(RoleName=self._prefix)["PolicyNames"]:
            self._iam.delete_role_policy(RoleName=self._prefix, PolicyName=policy)
        self._iam.detach_role_policy(RoleName=self._prefix, PolicyArn=LOGS)
        self._iam.delete_role(RoleName=self._prefix)

    def make(
        self,
        files: Mapping[str, str | bytes] | bytes,
        runtime: str = "python3.12",
        handler: str = "app.handler",
        **more: Any,
    ) -> str:
        """Make a function of some files, or of an archive, and return its name."""
        self._made += 1
        name = f"{self._prefix}-{self._made}"
        code = more.pop("Code", None) or {"ZipFile": files if isinstance(files, bytes) else packed(files)}
        self.client.create_function(
            **{
                "FunctionName": name,
                "Runtime": runtime,
                "Role": self.role,
                "Handler": handler,
                "Timeout": 20,
                "Code": code,
                **more,
            }
        )
        self._names.append(name)
        return name

    def invoke(self, name: str, event: Any = None) -> Any:
        """Return what a function returns. Raises AssertionError with what it said if it fails."""
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        payload = answer["Payload"].read()
        assert "FunctionError" not in answer, payload.decode()
        return json.loads(payload)

    def open_url(self, name: str, **more: Any) -> str:
        """Give a function an address that is open to all, and return it."""
        url: str = self.client.create_function_url_config(FunctionName=name, AuthType="NONE", **more)["FunctionUrl"]
        for action, condition in (
            ("lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
            ("lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
        ):
            self.client.add_permission(
                FunctionName=name, StatementId=action[7:], Action=action, Principal="*", **condition
            )
        return url
