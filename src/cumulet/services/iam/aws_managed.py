"""AWS-managed policies, by their real names, ids and contents, as AWS had them in March 2026.

Those that serverless applications use lie in aws_managed.json. All others are 3 MB and lie beside it, compressed: they
are read when one of them is asked for, which takes a few hundredths of a second, or a list of all.
"""

import lzma
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from cumulet.services.iam.records import ManagedPolicy, PolicyVersion

OWNER = "aws"
"""What the ARNs of AWS-managed policies have for an account."""

_COMMON = Path(__file__).with_name("aws_managed.json")
_OTHERS = Path(__file__).with_name("aws_managed_more.json.xz")


class _Published(msgspec.Struct):
    id: str
    version: str
    created: datetime
    updated: datetime
    document: msgspec.Raw


def find_aws_managed(arn: str) -> ManagedPolicy | None:
    """Return the AWS-managed policy of that ARN, or None."""
    return _common().get(arn) or _others().get(arn)


def aws_managed_policies() -> Mapping[str, ManagedPolicy]:
    """Return all AWS-managed policies, by ARN."""
    return {**_common(), **_others()}


@lru_cache(maxsize=1)
def _common() -> Mapping[str, ManagedPolicy]:
    return _read_all(_COMMON.read_bytes())


@lru_cache(maxsize=1)
def _others() -> Mapping[str, ManagedPolicy]:
    return _read_all(lzma.decompress(_OTHERS.read_bytes()))


def _read_all(data: bytes) -> Mapping[str, ManagedPolicy]:
    return {arn: _read(arn, one) for arn, one in msgspec.json.decode(data, type=dict[str, _Published]).items()}


def is_aws_managed(arn: str) -> bool:
    """Tell whether an ARN is that of an AWS-managed policy, whether there is such a policy or not."""
    return arn.startswith(f"arn:aws:iam::{OWNER}:policy/")


def _read(arn: str, published: _Published) -> ManagedPolicy:
    path, _, name = arn.partition(":policy")[2].rpartition("/")
    number, updated_ms = int(published.version.removeprefix("v")), _ms(published.updated)
    return ManagedPolicy(
        name=name,
        unique_id=published.id,
        path=path + "/",
        created_ms=_ms(published.created),
        updated_ms=updated_ms,
        default_number=number,
        newest_number=number,
        # The ones before are not public.
        versions=[PolicyVersion(number, bytes(published.document).decode(), updated_ms)],
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
