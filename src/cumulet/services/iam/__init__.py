"""IAM and STS: who someone is, and what they may do.

For the edge and the dispatcher: `identify` turns an access key into a principal, `IamAuthorizer` says what it may do.
"""

from cumulet.services.iam.authorizer import IamAuthorizer
from cumulet.services.iam.identities import Identify, Identity, KeyIsGone, identify
from cumulet.services.iam.records import tags_of
from cumulet.services.kit import Ground, Service, Unavailable, collect

__all__ = ["IamAuthorizer", "Identify", "Identity", "KeyIsGone", "build", "build_sts", "identify"]


def build(ground: Ground) -> Service:
    """Return the IAM service."""
    from cumulet.services.iam.operations import (
        access_keys,
        policies,
        policy_versions,
        role_policies,
        roles,
        user_policies,
        users,
    )

    operations = collect(roles, role_policies, users, user_policies, access_keys, policies, policy_versions)
    return Service(
        "iam",
        operations,
        "iam",
        denied_code="AccessDenied",
        unavailable=Unavailable(
            "ServiceFailure",
            500,
            "The request processing has failed because of an unknown error, exception or failure.",
        ),
        is_global=True,
    )


def build_sts(ground: Ground) -> Service:
    """Return the STS service."""
    from cumulet.services.iam import sts

    return Service(
        "sts", collect(sts), "sts", denied_code="AccessDenied", tags_of=lambda tx, call, arn: tags_of(tx, arn)
    )
