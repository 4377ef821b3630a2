"""What the tests of IAM share: an account whose rules are in force, and shortcuts to its principals and policies."""

import json
from typing import Any

from cumulet.scope import Scope
from cumulet.services.iam import IamAuthorizer, Identity, build, build_sts, identify
from cumulet.services.kit import Principal
from harness import SCOPE, House

ACCOUNT = SCOPE.account


class Iam(House):
    """IAM and STS over one store, with every call authorised."""

    def __init__(self) -> None:
        super().__init__(authorizer=IamAuthorizer())
        self.dispatcher._builders = {"iam": lambda: build(self.ground), "sts": lambda: build_sts(self.ground)}

    async def iam(self, operation: str, *, by: Principal | None = None, **params: Any) -> Any:
        """Return the output of an operation of IAM."""
        return await self.call("iam", operation, params, principal=by)

    async def sts(self, operation: str, *, by: Principal | None = None, **params: Any) -> Any:
        """Return the output of an operation of STS."""
        return await self.call("sts", operation, params, principal=by)

    async def identify(self, key_id: str, token: str | None = None) -> Identity | None:
        """Return whom an access key belongs to, now."""
        return await self.store.read(lambda tx: identify(tx, key_id, token, self.clock.now_ms()))

    async def user(self, name: str, *statements: dict[str, Any]) -> Principal:
        """Create a user with an inline policy of these statements, and return it."""
        await self.iam("CreateUser", UserName=name)
        if statements:
            await self.iam("PutUserPolicy", UserName=name, PolicyName="inline", PolicyDocument=document(*statements))
        key = (await self.iam("CreateAccessKey", UserName=name))["AccessKey"]
        return await self.principal(key["AccessKeyId"])

    async def role(self, name: str, principal: Any, *statements: dict[str, Any], **params: Any) -> str:
        """Create a role that trusts a principal, with an inline policy of these statements; return its ARN."""
        trust = document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
        role = await self.iam("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust, **params)
        if statements:
            await self.iam("PutRolePolicy", RoleName=name, PolicyName="inline", PolicyDocument=document(*statements))
        return str(role["Role"]["Arn"])

    async def session(self, role_arn: str, by: Principal | None = None, **params: Any) -> Principal:
        """Return a session of a role."""
        by = by or Principal.service("lambda.amazonaws.com")
        answer = await self.sts("AssumeRole", by=by, RoleArn=role_arn, RoleSessionName="one", **params)
        return await self.principal(answer["Credentials"]["AccessKeyId"], answer["Credentials"]["SessionToken"])

    async def principal(self, key_id: str, token: str | None = None) -> Principal:
        """Return the principal of an access key."""
        identity = await self.identify(key_id, token)
        assert identity is not None
        return identity.principal


LAMBDA = {"Service": "lambda.amazonaws.com"}
GLOBAL = Scope(ACCOUNT, "").everywhere()


def document(*statements: dict[str, Any]) -> str:
    """Return a policy document of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    """Return a statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    """Return a statement that denies."""
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}
