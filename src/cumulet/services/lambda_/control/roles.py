"""Whether a function may have the role that it is given."""

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Ground, Principal
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.names import LAMBDA_HOST, FunctionRef


async def check_role(ground: Ground, call: Call, ref: FunctionRef, role_arn: str) -> None:
    """Raise AWS's error unless the caller may pass the role and Lambda can assume it on the function's behalf."""
    account = role_arn.split(":")[4]
    if account != ref.scope.account:
        raise ServiceError("AccessDeniedException", "Cross-account pass role is not allowed.", status=403)
    await ground.operations.authorize(
        call, "iam:PassRole", role_arn, {"iam:PassedToService": LAMBDA_HOST}, service="lambda"
    )
    service = Principal.service(LAMBDA_HOST, source_arn=ref.unqualified_arn, source_account=account)
    try:
        await ground.operations.call(
            service, ref.scope, "sts", "AssumeRole", {"RoleArn": role_arn, "RoleSessionName": "lambda-role-check"}
        )
    except NotImplementedHere:
        raise
    except ServiceError:
        raise invalid("The role defined for the function cannot be assumed by Lambda.") from None
