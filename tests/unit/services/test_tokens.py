"""Paging tokens: what a service did not give is refused, by every service that pages."""

from typing import Any

import pytest

from cumulet.app import service_builders
from cumulet.errors import ServiceError
from cumulet.services.kit import Principal
from cumulet.services.tokens import decode_token, encode_token
from harness import SCOPE, House

GARBAGE = ("garbage", "!!!", "é", "zzzz\x00", "/" * 50, "-", "kaAA", "oWE", "oWE=\n", "!oWE=", "\udc00")


def refusal() -> ServiceError:
    return ServiceError("Refused")


@pytest.mark.parametrize("token", GARBAGE)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ServiceError, match="Refused"):
        decode_token(token, str, refusal)


@pytest.mark.parametrize(
    ("position", "kind"), [("a", str), ("", str), ("ä/ü", str), (7, int), ((1, "a"), tuple[int, str])]
)
def test_a_token_is_its_position(position: Any, kind: Any) -> None:
    assert decode_token(encode_token(position), kind, refusal) == position


def test_a_token_of_another_kind_is_refused() -> None:
    with pytest.raises(ServiceError, match="Refused"):
        decode_token(encode_token(7), str, refusal)


PAGED: dict[str, tuple[str, str, str, str]] = {
    "API Gateway, REST": ("apigateway", "GetRestApis", "position", "BadRequestException"),
    "API Gateway, HTTP": ("apigatewayv2", "GetApis", "NextToken", "BadRequestException"),
    "CloudFormation": ("cloudformation", "DescribeStacks", "NextToken", "ValidationError"),
    "CloudFormation, exports": ("cloudformation", "ListExports", "NextToken", "ValidationError"),
    "IAM": ("iam", "ListUsers", "Marker", "ValidationError"),
    "Lambda": ("lambda", "ListFunctions", "Marker", "InvalidParameterValueException"),
    "Logs": ("logs", "DescribeLogGroups", "nextToken", "InvalidParameterException"),
    "S3": ("s3", "ListBuckets", "ContinuationToken", "InvalidArgument"),
}


@pytest.mark.parametrize("garbage", ["garbage", "!!!", "YWJj=", "LTU="])
@pytest.mark.parametrize(("service", "operation", "member", "code"), PAGED.values(), ids=PAGED)
async def test_every_service_refuses_tokens_that_it_did_not_give(
    service: str, operation: str, member: str, code: str, garbage: str
) -> None:
    house = House()
    builders = service_builders(lambda: house.ground)
    found = builders[service]()  # not started: listing needs no live part
    call = house.dispatcher.new_call(found, Principal.root(SCOPE.account), SCOPE)
    with pytest.raises(ServiceError) as refused:
        await house.dispatcher.perform(call, found, found.operations[operation], {member: garbage})
    assert refused.value.code == code
    assert refused.value.status in (None, 400)
