import zlib
from typing import Any

import msgspec
import pytest

from cumulet.errors import InvariantViolated, ServiceError
from cumulet.wire.message import Request
from cumulet.wire.model import OperationModel, load_service
from cumulet.wire.protocols import parse, serialise
from cumulet.wire.resolve import resolve
from wire.wire_requests import dynamodb_request, make_request


def read(request: Request) -> dict[str, Any]:
    return parse(resolve(request), request)


def operation(service: str, name: str) -> OperationModel:
    found = load_service(service).find_operation(name)
    assert found is not None
    return found


def logs_request(name: str, body: bytes) -> Request:
    return make_request(body=body, X_Amz_Target=f"Logs_20140328.{name}")


READ = {
    "as it stands": (b'{"TableName":"t","ConsistentRead":true}', {"TableName": "t", "ConsistentRead": True}),
    "attribute values untouched": (
        b'{"Key":{"k":{"B":"eA==","N":7,"bogus":null}}}',
        {"Key": {"k": {"B": "eA==", "N": 7, "bogus": None}}},
    ),
    "unknown members are passed over": (b'{"TableName":"t","Bogus":[{"a":1}]}', {"TableName": "t"}),
    "null is absent": (b'{"TableName":null,"Key":{}}', {"Key": {}}),
    "null in a list stays for the constraints": (b'{"AttributesToGet":["a",null]}', {"AttributesToGet": ["a", None]}),
}


@pytest.mark.parametrize("case", READ)
def test_dynamodb_input_is_read(case: str) -> None:
    body, params = READ[case]
    assert read(dynamodb_request("GetItem", body)) == params


def test_null_in_a_nested_structure_is_absent() -> None:
    body = b'{"KeySchema":[{"AttributeName":null,"KeyType":"HASH"}]}'
    assert read(dynamodb_request("CreateTable", body)) == {"KeySchema": [{"KeyType": "HASH"}]}


def test_a_whole_float_is_an_integer() -> None:
    assert read(dynamodb_request("Scan", b'{"Limit":5.0}')) == {"Limit": 5}


REFUSED = {
    "not JSON": (b'{"TableName":', ""),
    "empty": (b"", ""),
    "bytes that are no text": (b'{"TableName":"\xff"}', ""),
    "too deep": (b'{"x":' + b"[" * 100_000, ""),
    "number for string": (b'{"TableName":1}', "NUMBER_VALUE cannot be converted to String"),
    "fraction for string": (b'{"TableName":1.5}', "DECIMAL_VALUE cannot be converted to String"),
    "true for string": (b'{"TableName":true}', "TRUE_VALUE cannot be converted to String"),
    "string for boolean": (b'{"ConsistentRead":"x"}', "Unexpected token received from parser"),
    "list for string": (b'{"TableName":[]}', "Unrecognized collection type class java.lang.String"),
    "map for string": (b'{"TableName":{}}', "Start of structure or map found where not expected"),
    "map for list": (b'{"AttributesToGet":{}}', "Start of structure or map found where not expected"),
    "list for map": (
        b'{"Key":[]}',
        "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
    ),
    "list for structure": (
        b"[]",
        "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.GetItemInput",
    ),
    "the first of two": (b'{"ConsistentRead":1,"TableName":1}', "NUMBER_VALUE cannot be converted to Boolean"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_input_of_another_type_is_refused(case: str) -> None:
    body, message = REFUSED[case]
    with pytest.raises(ServiceError) as refused:
        read(dynamodb_request("GetItem", body))
    assert (refused.value.code, refused.value.message, refused.value.status) == ("SerializationException", message, 400)


def test_a_string_for_a_number_is_refused() -> None:
    with pytest.raises(ServiceError, match="STRING_VALUE cannot be converted to Integer"):
        read(dynamodb_request("Scan", b'{"Limit":"5"}'))


def test_dynamodb_output_is_sent_as_it_is_with_its_checksum() -> None:
    output = {"Item": {"k": msgspec.Raw(b'{"S":"x"}')}}
    response = serialise(operation("dynamodb", "GetItem"), output, "REQUEST-ID")
    assert response.body == b'{"Item":{"k":{"S":"x"}}}'
    assert dict(response.headers) == {
        "server": "Server",
        "x-amzn-requestid": "REQUEST-ID",
        "content-type": "application/x-amz-json-1.0",
        "x-amz-crc32": str(zlib.crc32(b'{"Item":{"k":{"S":"x"}}}')),
    }


def test_an_operation_without_output_answers_with_nothing_and_one_with_output_with_an_object() -> None:
    assert serialise(operation("dynamodb", "TagResource"), None, "R").body == b""
    assert serialise(operation("dynamodb", "GetItem"), {}, "R").body == b"{}"
    logs = serialise(operation("logs", "CreateLogGroup"), {}, "R")
    assert (logs.body, dict(logs.headers)["content-type"]) == (b"", "application/x-amz-json-1.1")


def test_what_is_none_is_left_out() -> None:
    output = {"logGroups": [{"logGroupName": "g", "kmsKeyId": None}], "nextToken": None}
    response = serialise(operation("logs", "DescribeLogGroups"), output, "R")
    assert response.body == b'{"logGroups":[{"logGroupName":"g"}]}'


def test_an_output_member_that_the_model_lacks_is_a_bug() -> None:
    with pytest.raises(InvariantViolated, match="has no member bogus"):
        serialise(operation("logs", "DescribeLogGroups"), {"bogus": 1}, "R")


def test_logs_input_is_checked_too() -> None:
    body = b'{"logEvents":[{"timestamp":"x","message":"m"}]}'
    with pytest.raises(ServiceError, match="STRING_VALUE can not be converted to a Long"):
        read(logs_request("PutLogEvents", body))
    with pytest.raises(ServiceError, match=r"Start of structure or map found where not expected\."):
        read(logs_request("PutLogEvents", b'{"logEvents":{}}'))


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**400, 1e300])
def test_a_number_beyond_64_bits_is_no_integer(number: float) -> None:
    body = f'{{"TableName": "abc", "Limit": {number}}}'.encode()
    request = dynamodb_request("Scan", body)
    with pytest.raises(ServiceError, match="cannot be converted to Integer"):
        parse(resolve(request), request)
