"""STS: AssumeRole and GetCallerIdentity. Sessions are stateless; see `sessions`.

Whether a role may be assumed is the dispatcher's question to the authorizer, with the trust policy as the resource's
own. One thing differs from AWS on purpose: an account's root may assume a role that trusts the account, since developer
credentials are root's.
"""

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.services.iam.identities import session_principal
from cumulet.services.iam.limits import (
    CHAINED_SESSION_S_MAX,
    PACKED_SESSION_POLICY_BYTES_MAX,
    SERVICE_SESSION_S_MAX,
    SESSION_POLICY_ARNS_MAX,
    SESSION_S_DEFAULT,
)
from cumulet.services.iam.lookup import find_policy
from cumulet.services.iam.records import Role, find_role_by_arn
from cumulet.services.iam.sessions import SESSION_PREFIX, Claims, load_signing_secret, new_key_id, seal
from cumulet.services.kit import Call, ConditionValues, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

_LAMBDA_HOST = "lambda.amazonaws.com"

_FUNCTION_ARN_PARTS = 7
"""arn:aws:lambda:REGION:ACCOUNT:function:NAME"""


def role_to_assume(call: Call, params: Params) -> str:
    """Return the role's ARN."""
    return str(params["RoleArn"])


def trust_policy(tx: ReadTx, call: Call, params: Params) -> str | None:
    """Return the role's trust policy; a role that is not there trusts nobody."""
    found = find_role_by_arn(tx, params["RoleArn"])
    return found[1].trust_policy if found else None


def assume_role_conditions(call: Call, params: Params) -> ConditionValues:
    """Return the condition keys of STS."""
    conditions = {"sts:RoleSessionName": params["RoleSessionName"]}
    if params.get("ExternalId"):
        conditions["sts:ExternalId"] = params["ExternalId"]
    return conditions


@operation(
    "AssumeRole",
    resource=role_to_assume,
    resource_policy=trust_policy,
    conditions=assume_role_conditions,
    params="RoleArn RoleSessionName PolicyArns Policy DurationSeconds ExternalId",
)
def assume_role(call: Call, tx: WriteTx, params: Params) -> Output:
    """Return credentials of a new session of the role."""
    found = find_role_by_arn(tx, params["RoleArn"])
    if found is None:
        raise ServiceError("ValidationError", f"{params['RoleArn']} is invalid", status=400)
    account, role = found
    duration_s = _session_duration_s(call, role, params)
    policies, packed_bytes = _session_policies(tx, account, params)
    signing_secret = load_signing_secret(tx, call.ids)
    claims = Claims(
        access_key_id=new_key_id(signing_secret, SESSION_PREFIX, account, call.ids),
        account=account,
        role_name=role.name,
        role_id=role.unique_id,
        session_name=params["RoleSessionName"],
        issued_ms=call.now_ms,
        expires_ms=call.now_ms + duration_s * 1000,
        policies=policies,
        function_arn=_function_behind(call),
    )
    credentials = seal(signing_secret, claims)
    principal = session_principal(claims)
    output = {
        "Credentials": {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret,
            "SessionToken": credentials.token,
            "Expiration": claims.expires_ms // 1000,
        },
        "AssumedRoleUser": {"AssumedRoleId": principal.unique_id, "Arn": principal.arn},
    }
    if policies:
        output["PackedPolicySize"] = -(-100 * packed_bytes // PACKED_SESSION_POLICY_BYTES_MAX)
    return output


@operation("GetCallerIdentity", resource="*", open_to_all=True)
def get_caller_identity(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return who calls."""
    principal = call.principal
    return {"UserId": principal.unique_id, "Account": principal.account, "Arn": principal.arn}


def _function_behind(call: Call) -> str:
    """Return the ARN of the function that Lambda assumes its role for, without a version; empty for anyone else."""
    service = call.principal
    if service.kind != "service" or service.arn != _LAMBDA_HOST:
        return ""
    return ":".join(service.source_arn.split(":")[:_FUNCTION_ARN_PARTS])


def _session_duration_s(call: Call, role: Role, params: Params) -> int:
    duration_s: int = params.get("DurationSeconds") or SESSION_S_DEFAULT
    if call.principal.kind == "service":
        return min(duration_s, SERVICE_SESSION_S_MAX)
    if duration_s > role.session_s_max:
        raise ServiceError(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            status=400,
        )
    if call.principal.kind == "role" and duration_s > CHAINED_SESSION_S_MAX:
        raise ServiceError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            status=400,
        )
    return duration_s


def _session_policies(tx: ReadTx, account: str, params: Params) -> tuple[tuple[str, ...], int]:
    """Return what narrows the session, and its size. Managed policies are looked up at each request, not now."""
    arns = [entry["arn"] for entry in params.get("PolicyArns") or () if entry.get("arn")]
    if len(arns) > SESSION_POLICY_ARNS_MAX:
        raise ServiceError(
            "ValidationError", f"Cannot exceed quota for PolicyArns: {SESSION_POLICY_ARNS_MAX}", status=400
        )
    for arn in arns:
        if find_policy(tx, account, arn) is None:
            raise ServiceError("ValidationError", f"Policy {arn} does not exist or is not attachable.", status=400)
    texts = [params["Policy"]] if params.get("Policy") else []
    for text in texts:
        parse_document(text)
    sources = (*arns, *texts)
    return sources, sum(len(source) for source in sources)
