"""Whose records, and where: the account and region that every call carries as an argument."""

from typing import NamedTuple

GLOBAL_REGION = "aws-global"
"""The region under which global services (IAM, STS) keep an account's records."""


class Scope(NamedTuple):
    """One account in one region. Records of one scope share a key prefix in the store."""

    account: str
    region: str

    def everywhere(self) -> "Scope":
        """Return the scope of this account's global records (IAM)."""
        return Scope(self.account, GLOBAL_REGION)


SYSTEM = Scope("", "")
"""Records that belong to the installation: API host names, bucket names, the signing secret."""


def account_of(arn: str) -> str:
    """Return the account in an ARN; S3's have none, and AWS's own policies have no number."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) > 5 and parts[4].isdigit() else ""
