from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.wire.model import load_service
from cumulet.wire.protocols import parse, serialise
from cumulet.wire.resolve import resolve
from wire.wire_requests import form_request, make_request

READ: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "scalars": ("sts", b"Action=AssumeRole&RoleArn=a&DurationSeconds=900", {"RoleArn": "a", "DurationSeconds": 900}),
    "list in its order": (
        "cloudformation",
        b"Action=CreateStack&Capabilities.member.2=B&Capabilities.member.10=C&Capabilities.member.1=A",
        {"Capabilities": ["A", "B", "C"]},
    ),
    "structures": (
        "cloudformation",
        b"Action=CreateStack&Parameters.member.1.ParameterKey=k&Parameters.member.1.UsePreviousValue=true",
        {"Parameters": [{"ParameterKey": "k", "UsePreviousValue": True}]},
    ),
    "empty list": ("cloudformation", b"Action=CreateStack&Capabilities=", {"Capabilities": []}),
    "plus and percent": ("sts", b"Action=AssumeRole&RoleArn=a+b%2Bc", {"RoleArn": "a b+c"}),
    "names with nothing between dots": ("sts", b"Action=AssumeRole&RoleArn=a&RoleArn..x=b&.=c", {"RoleArn": "a"}),
    "unknown members": ("sts", b"Action=AssumeRole&Bogus=1&Bogus.member.1=2", {}),
}
VERSIONS = {"sts": b"&Version=2011-06-15", "cloudformation": b"&Version=2010-05-15", "iam": b"&Version=2010-05-08"}


@pytest.mark.parametrize("case", READ)
def test_a_form_is_read(case: str) -> None:
    service, form, params = READ[case]
    request = form_request(service, form + VERSIONS[service])
    assert parse(resolve(request), request) == params


REFUSED = {
    "word for a number": ("sts", b"Action=AssumeRole&DurationSeconds=x"),
    "word for an index": ("cloudformation", b"Action=CreateStack&Capabilities.member.x=A"),
    "index out of bounds": ("cloudformation", b"Action=CreateStack&Capabilities.member.99999999=A"),
    "index with thousands of digits": (
        "cloudformation",
        b"Action=CreateStack&Capabilities.member." + b"9" * 5000 + b"=A",
    ),
    "structure for a scalar": ("sts", b"Action=AssumeRole&RoleArn.member.1=x"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_form_is_refused(case: str) -> None:
    service, form = REFUSED[case]
    request = form_request(service, form + VERSIONS[service])
    with pytest.raises(ServiceError) as refused:
        parse(resolve(request), request)
    assert (refused.value.code, refused.value.status) == ("MalformedInput", 400)


ANSWERED = {
    "wrapped result": (
        "sts",
        "GetCallerIdentity",
        {"Account": "000000000000", "UserId": "a<b", "Arn": None},
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<UserId>a&lt;b</UserId><Account>000000000000</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>R</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
    ),
    "no result": (
        "iam",
        "DeleteRole",
        {},
        '<DeleteRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        "<ResponseMetadata><RequestId>R</RequestId></ResponseMetadata></DeleteRoleResponse>",
    ),
    "list and moment": (
        "iam",
        "ListRoles",
        {"Roles": [{"RoleName": "r", "CreateDate": 1_700_000_000}], "IsTruncated": False},
        '<ListRolesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListRolesResult><Roles><member>'
        "<RoleName>r</RoleName><CreateDate>2023-11-14T22:13:20Z</CreateDate></member></Roles>"
        "<IsTruncated>false</IsTruncated></ListRolesResult>"
        "<ResponseMetadata><RequestId>R</RequestId></ResponseMetadata></ListRolesResponse>",
    ),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_output_is_written_in_the_models_order(case: str) -> None:
    service, name, output, body = ANSWERED[case]
    operation = load_service(service).find_operation(name)
    assert operation is not None
    response = serialise(operation, output, "R")
    assert isinstance(response.body, bytes)
    assert response.body.decode() == body
    assert dict(response.headers) == {"x-amzn-requestid": "R", "content-type": "text/xml"}


def test_a_protocol_that_is_not_built_is_refused_by_name() -> None:
    request = make_request(X_Amz_Target="GraniteServiceVersion20100801.PutMetricData", body=b"{}")
    with pytest.raises(NotImplementedHere, match="The protocol smithy-rpc-v2-cbor of cloudwatch"):
        parse(resolve(request), request)


def test_characters_that_xml_cannot_hold_are_replaced() -> None:
    operation = load_service("cloudformation").find_operation("CreateStack")
    assert operation is not None
    response = serialise(operation, {"StackId": "a\x00b\x1f\r&#x1;"}, "R")
    assert isinstance(response.body, bytes)
    assert "<StackId>a\ufffdb\ufffd&#xd;&amp;#x1;</StackId>" in response.body.decode()
