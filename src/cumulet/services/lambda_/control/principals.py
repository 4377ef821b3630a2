"""Whom the policies of functions and layers can name, and whether they are there."""

import re

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Ground, Principal
from cumulet.services.lambda_.control.configuration import invalid

_ACCOUNT = re.compile(r"\d{12}")
_IAM_ARN = re.compile(r"arn:aws[a-zA-Z-]*:(?:iam|sts)::(\d{12}):(.+)")
_SERVICE = re.compile(r"[a-z0-9][a-z0-9.-]*\.(?:amazonaws\.com(?:\.cn)?|alexa\.com)|[a-z0-9-]+\.amazon\.com")
_NAME = re.compile(r"[\w+=,.@-]*")


def render_principal(principal: str) -> str | dict[str, str]:
    """Return a policy's Principal for the text that a caller gave. Raises AWS's error for text that is none."""
    if principal == "*":
        return "*"
    if _ACCOUNT.fullmatch(principal):
        return {"AWS": f"arn:aws:iam::{principal}:root"}
    if _IAM_ARN.fullmatch(principal):
        return {"AWS": principal}
    if _SERVICE.fullmatch(principal):
        return {"Service": principal}
    if not _NAME.fullmatch(principal):
        # https://github.com/aws/aws-cli/issues/7408
        raise invalid(
            f"The provided input'{principal}'was invalid. Member must satisfy expression: {_NAME.pattern} Please check "
            "your input and try again."
        )
    raise _absent()


async def check_principal(ground: Ground, call: Call, principal: str) -> None:
    """Raise AWS's error for a user or a role that is not there; accounts and services always are."""
    match = _IAM_ARN.fullmatch(principal)
    if match is None:
        return
    account, (kind, _, path) = match[1], match[2].partition("/")
    name = path.partition("/")[0] if kind == "assumed-role" else path.rpartition("/")[2]
    operation, member = ("GetUser", "User") if kind == "user" else ("GetRole", "Role")
    if kind not in ("user", "role", "assumed-role"):
        return
    try:
        found = await ground.operations.call(
            Principal.root(account), Scope(account, call.scope.region), "iam", operation, {f"{member}Name": name}
        )
    except ServiceError as refused:
        if refused.code not in ("NoSuchEntity", "ValidationError"):  # the latter for what cannot be a name, as *
            raise
        raise _absent() from None
    if kind != "assumed-role" and found[member]["Arn"] != principal:
        raise _absent()


def _absent() -> ServiceError:
    return invalid("The provided principal was invalid. Please check the principal and try again.")
