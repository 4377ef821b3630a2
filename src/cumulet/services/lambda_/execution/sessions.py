"""The sessions of execution roles: what functions sign with, and under whom their logs are written."""

import logging
from dataclasses import dataclass
from datetime import datetime

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Ground, Principal
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.names import LAMBDA_HOST, function_arn
from cumulet.services.lambda_.records import VersionRecord

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RoleSession:
    """A role, assumed for one function."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    retire_ms: int
    """From when on no environment may begin work with it."""
    principal: Principal
    """As whom Lambda writes the function's log."""


async def assume_role(ground: Ground, scope: Scope, version: VersionRecord) -> RoleSession:
    """Return a new session of a function's role. Raises AccessDeniedException if there may be none.

    Each environment has its own: whether Lambda may assume the role is asked at each cold start, so a role that was
    changed, deleted or made anew, on whatever node, is what it is now. That costs a seventh of a millisecond.
    """
    lambda_service = Principal.service(LAMBDA_HOST, source_arn=version.arn, source_account=scope.account)
    try:
        output = await ground.operations.call(
            lambda_service,
            scope,
            "sts",
            "AssumeRole",
            {
                "RoleArn": version.role,
                # STS wants two characters at least, a function's name may have one.
                "RoleSessionName": version.function_name.ljust(2, "_"),
                "DurationSeconds": limits.ROLE_SESSION_S,
            },
        )
    except ServiceError as refused:
        if refused.code in ("NotImplementedException", "ServiceException"):
            raise
        _log.warning("a role cannot be assumed: role=%s function=%s: %s", version.role, version.arn, refused)
        raise ServiceError(
            "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.", status=403
        ) from refused
    credentials, user = output["Credentials"], output["AssumedRoleUser"]
    return RoleSession(
        access_key_id=credentials["AccessKeyId"],
        secret_access_key=credentials["SecretAccessKey"],
        session_token=credentials["SessionToken"],
        retire_ms=_retire_ms(ground.clock.now_ms(), _epoch_ms(credentials["Expiration"])),
        principal=Principal(
            "role",
            version.role.split(":")[4],
            user["Arn"],
            unique_id=user["AssumedRoleId"],
            name=version.role.rpartition("/")[2],
            access_key_id=credentials["AccessKeyId"],
            function_arn=function_arn(scope, version.function_name),
        ),
    )


def _retire_ms(now_ms: int, expires_ms: int) -> int:
    if expires_ms <= now_ms:
        # An environment with such a session would be replaced at once, for ever.
        raise ServiceError("ServiceException", "The session of the function's role has no time left.", status=500)
    return max(expires_ms - limits.CREDENTIALS_MARGIN_S * 1000, (now_ms + expires_ms) // 2)


def _epoch_ms(moment: datetime | float) -> int:
    return int((moment.timestamp() if isinstance(moment, datetime) else moment) * 1000)
