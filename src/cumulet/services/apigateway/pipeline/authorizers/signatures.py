"""Callers who sign: AWS_IAM. IAM says who they are and, with the API's resource policy, whether they may.

https://docs.aws.amazon.com/apigateway/latest/developerguide/permissions.html
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from cumulet.errors import ServiceError
from cumulet.services.apigateway.pipeline.authorizers.policies import INVOKE, denied, own_policy, request_arn
from cumulet.services.apigateway.pipeline.exchange import Authorized, Matched
from cumulet.services.apigateway.pipeline.faults import Fault, Refused
from cumulet.services.kit import Call, Ground, Principal
from cumulet.wire.message import Request

FindSigner: TypeAlias = Callable[[Request], Awaitable[Principal]]
"""Who signed a request, proved as at every endpoint. Raises the ServiceError of a signature that proves nobody."""

_FAULTS: dict[str, Fault] = {
    "MissingAuthenticationTokenException": "not_signed",
    "ExpiredTokenException": "expired_token",
    "AccessDeniedException": "denied",
}
"""What a signature that proves nobody is to API Gateway; any other is a bad one."""


class Signatures:
    """Looks at signatures, and asks IAM about who made them."""

    def __init__(self, ground: Ground, find_signer: FindSigner) -> None:
        self._ground = ground
        self._find_signer = find_signer

    async def admit(self, matched: Matched) -> Authorized:
        """Return what is known of the request's signer, if its policies and the API's allow the request."""
        arrival = matched.arrival
        request = arrival.request
        try:
            signer = await self._find_signer(request)
        except ServiceError as error:
            fault = _FAULTS.get(error.code, "bad_signature")
            raise Refused(fault, message=error.message, error_type=error.code) from None
        call = Call(
            arrival.scope,
            signer,
            arrival.request_id,
            arrival.now_ms,
            self._ground.ids,
            source_ip=request.client_ip,
            user_agent=arrival.user_agent or "",
            secure=request.scheme == "https",
        )
        referer = request.headers.get("referer")
        keys = {} if referer is None else {"aws:Referer": referer}
        ruling = await self._ground.operations.decide(call, INVOKE, request_arn(matched), keys, own_policy(matched))
        if not ruling.allowed:
            raise denied(matched, ruling.denial, explicit=ruling.explicit)
        return describe(signer)


def describe(signer: Principal) -> Authorized:
    """Return a signer as events and variables show it."""
    identity = {
        "accessKey": signer.access_key_id,
        "accountId": signer.account,
        "caller": signer.unique_id,
        "user": signer.unique_id,
        "userArn": signer.arn,
    }
    iam = {
        "accessKey": signer.access_key_id,
        "accountId": signer.account,
        "callerId": signer.unique_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": signer.arn,
        "userId": signer.unique_id,
    }
    variables = {f"identity.{name}": value for name, value in identity.items()}
    return Authorized(v2={"iam": iam}, variables=variables, identity=identity, signer=signer)
