"""AWS-managed policies, by their real names and contents. They lie in aws_managed.json, which is read on first use.

One that is not in the file does not exist here. The date is that of the version in force, which is all that AWS's
public listings tell; the policy ids are made up from the ARN, since AWS does not publish its own.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from cumulet.services.iam.records import ManagedPolicy, PolicyVersion

OWNER = "aws"
"""What the ARNs of AWS-managed policies have for an account."""

_FILE = Path(__file__).with_name("aws_managed.json")


class _Published(msgspec.Struct):
    version: str
    created: datetime
    document: msgspec.Raw


@lru_cache(maxsize=1)
def aws_managed_policies() -> Mapping[str, ManagedPolicy]:
    """Return the AWS-managed policies that Cumulet has, by ARN."""
    published = msgspec.json.decode(_FILE.read_bytes(), type=dict[str, _Published])
    return {arn: _read(arn, policy) for arn, policy in published.items()}


def is_aws_managed(arn: str) -> bool:
    """Tell whether an ARN is that of an AWS-managed policy, whether Cumulet has it or not."""
    return arn.startswith(f"arn:aws:iam::{OWNER}:policy/")


def _read(arn: str, published: _Published) -> ManagedPolicy:
    path, _, name = arn.partition(":policy")[2].rpartition("/")
    number = int(published.version.removeprefix("v"))
    created_ms = int(published.created.timestamp() * 1000)
    digest = base64.b32encode(hashlib.sha256(arn.encode()).digest()).decode()
    return ManagedPolicy(
        name=name,
        unique_id=f"{ManagedPolicy.id_prefix}{digest[:17]}",
        path=path + "/",
        created_ms=created_ms,
        updated_ms=created_ms,
        default_number=number,
        newest_number=number,
        versions=[PolicyVersion(number, bytes(published.document).decode(), created_ms)],
    )
