"""Which bucket policies let the public in."""

import json
from typing import Any

import pytest

from cumulet.services.s3.public_policies import is_public

TO_ALL: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}


def on(operator: str, key: str, *values: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("everybody", {}, True),
    ("every account", {"Principal": {"AWS": ["*"]}}, True),
    ("everybody but one", {"Principal": None, "NotPrincipal": {"AWS": "1" * 12}}, True),
    ("an account", {"Principal": {"AWS": "1" * 12}}, False),
    ("a service", {"Principal": {"Service": "serverlessrepo.amazonaws.com"}}, False),
    ("nobody", {"Effect": "Deny"}, False),
    ("one network", on("IpAddress", "aws:SourceIp", "10.0.0.0/8"), False),
    ("every network", on("IpAddress", "aws:SourceIp", "10.0.0.0/8", "0.0.0.0/0"), True),
    ("all but one network", on("NotIpAddress", "aws:SourceIp", "10.0.0.0/8"), True),
    ("one organization", on("StringEquals", "aws:PrincipalOrgID", "o-1"), False),
    ("any organization", on("StringLike", "aws:PrincipalOrgID", "o-*"), True),
    ("whoever it is", on("StringEquals", "aws:PrincipalOrgID", "${aws:PrincipalOrgID}"), True),
    ("things of one account", on("ArnLike", "aws:SourceArn", "arn:aws:sns:*:111111111111:*"), False),
    ("things of any account", on("ArnLike", "aws:SourceArn", "arn:aws:sns:*:*:mine"), True),
    ("who says that he is", on("StringEquals", "aws:UserAgent", "me"), True),
]


@pytest.mark.parametrize(("changes", "public"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_public_is_who_is_not_named(changes: dict[str, Any], public: bool) -> None:
    statement = {name: value for name, value in {**TO_ALL, **changes}.items() if value is not None}
    other = {**TO_ALL, "Principal": {"AWS": "2" * 12}}
    assert is_public(json.dumps({"Statement": statement})) == public
    assert is_public(json.dumps({"Statement": [other, statement]})) == public
