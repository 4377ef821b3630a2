import re
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.wire.constraints import check
from cumulet.wire.model import OperationModel, Shape, load_service
from cumulet.wire.patterns import find_matcher


def operation(service: str, name: str) -> OperationModel:
    found = load_service(service).find_operation(name)
    assert found is not None
    return found


KEY = {"AttributeName": "k", "KeyType": "HASH"}
DEFINITION = {"AttributeName": "k", "AttributeType": "S"}
NULL = "failed to satisfy constraint: Member must not be null"

# The DynamoDB rows are what AWS was recorded to say (nubo-db/dynamodb-conformance), Logs' and Lambda's what users saw.
REFUSED: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "absent": ("dynamodb", "PutItem", {"Item": {}}, "ValidationException", f"Value null at 'tableName' {NULL}"),
    "too short, and its characters are not looked at": (
        "dynamodb",
        "PutItem",
        {"TableName": "", "Item": {}},
        "ValidationException",
        "Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ),
    "too long": (
        "dynamodb",
        "PutItem",
        {"TableName": "a" * 256, "Item": {}},
        "ValidationException",
        f"Value '{'a' * 256}' at 'tableName' failed to satisfy constraint: "
        "Member must have length less than or equal to 255",
    ),
    "pattern": (
        "dynamodb",
        "PutItem",
        {"TableName": "bad table!@#", "Item": {}},
        "ValidationException",
        "Value 'bad table!@#' at 'tableName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    ),
    "a new table's name is longer": (
        "dynamodb",
        "CreateTable",
        {"TableName": "ab", "KeySchema": [KEY], "AttributeDefinitions": [DEFINITION]},
        "ValidationException",
        "Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3",
    ),
    "the names in a batch are as long as a new table's": (
        "dynamodb",
        "BatchWriteItem",
        {"RequestItems": {"ab": [{}]}},
        "ValidationException",
        "Value '{ab=[WriteRequest()]}' at 'requestItems' failed to satisfy constraint: Map keys must satisfy "
        "constraint: [Member must have length less than or equal to 255, Member must have length greater than or equal "
        "to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]",
    ),
    "a list that is too long": (
        "dynamodb",
        "CreateTable",
        {"TableName": "abc", "KeySchema": [KEY] * 3, "AttributeDefinitions": [DEFINITION]},
        "ValidationException",
        "Value '[KeySchemaElement(attributeName=k, keyType=HASH), KeySchemaElement(attributeName=k, keyType=HASH), "
        "KeySchemaElement(attributeName=k, keyType=HASH)]' at 'keySchema' failed to satisfy constraint: "
        "Member must have length less than or equal to 2",
    ),
    "enum in a structure in a list": (
        "dynamodb",
        "CreateTable",
        {"TableName": "abc", "KeySchema": [KEY], "AttributeDefinitions": [{**DEFINITION, "AttributeType": "X"}]},
        "ValidationException",
        "Value 'X' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [B, N, S]",
    ),
    "enum in AWS's order": (
        "dynamodb",
        "Query",
        {"TableName": "abc", "Select": "X"},
        "ValidationException",
        "Value 'X' at 'select' failed to satisfy constraint: Member must satisfy enum value set: "
        "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]",
    ),
    "a number": (
        "dynamodb",
        "Scan",
        {"TableName": "abc", "Limit": 0},
        "ValidationException",
        "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    "Query's Limit is said otherwise": (
        "dynamodb",
        "Query",
        {"TableName": "abc", "Limit": 0},
        "ValidationException",
        "Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    "so are BatchGetItem's Keys": (
        "dynamodb",
        "BatchGetItem",
        {"RequestItems": {"tab": {"Keys": [{}] * 101}}},
        "ValidationException",
        "Value at 'RequestItems.tab.member.Keys' failed to satisfy constraint: "
        "Member must have length less than or equal to 100",
    ),
    "null in a list": (
        "dynamodb",
        "GetItem",
        {"TableName": "abc", "Key": {}, "AttributesToGet": ["a", None]},
        "ValidationException",
        f"Value null at 'attributesToGet.2.member' {NULL}",
    ),
    "null in a map": (
        "lambda",
        "TagResource",
        {"Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "Tags": {"one": "x", "none": None}},
        "ValidationException",
        "Value '{one=x, none=null}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: "
        "[Member must not be null]",
    ),
    "null and more in a map": (
        "logs",
        "CreateLogGroup",
        {"logGroupName": "g", "tags": {"one": "a" * 257, "none": None}},
        "InvalidParameterException",
        f"Value '{{one={'a' * 257}, none=null}}' at 'tags' failed to satisfy constraint: Map value must satisfy "
        "constraint: [Member must have length less than or equal to 256, Member must satisfy regular expression "
        "pattern: ^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$, Member must not be null]",
    ),
    "null for a structure in a map": (
        "dynamodb",
        "BatchWriteItem",
        {"RequestItems": {"tab": None}},
        "ValidationException",
        f"Value null at 'requestItems.tab.member' {NULL}",
    ),
    "what is secret is not told": (
        "lambda",
        "UpdateFunctionConfiguration",
        {"FunctionName": "f", "Environment": {"Variables": {"1a": "secret"}}},
        "ValidationException",
        "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: "
        "[Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]",
    ),
    "nor if it is null": (
        "lambda",
        "UpdateFunctionConfiguration",
        {"FunctionName": "f", "Environment": {"Variables": {"SECRET": "y", "MINE": None}}},
        "ValidationException",
        "Value at 'environment.variables' failed to satisfy constraint: Map value must satisfy constraint: "
        "[Member must not be null]",
    ),
    "only the first letter is made small": (
        "lambda",
        "CreateFunction",
        {"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Code": {}, "KMSKeyArn": "k"},
        "ValidationException",
        "Value 'k' at 'kMSKeyArn' failed to satisfy constraint: Member must satisfy regular expression pattern: "
        "(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
    ),
    "scalars in a list": (
        "lambda",
        "CreateFunction",
        {"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Code": {}, "Architectures": ["x"]},
        "ValidationException",
        "Value '[x]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
    ),
    "Logs": (
        "logs",
        "PutLogEvents",
        {"logGroupName": "g", "logStreamName": "s", "logEvents": [{"message": "m"}]},
        "InvalidParameterException",
        f"Value null at 'logEvents.1.member.timestamp' {NULL}",
    ),
    "Query protocol": (
        "sts",
        "GetSessionToken",
        {"DurationSeconds": 1},
        "ValidationError",
        "Value '1' at 'durationSeconds' failed to satisfy constraint: "
        "Member must have value greater than or equal to 900",
    ),
    "API Gateway prefixes what lies in the body": (
        "apigateway",
        "PutIntegration",
        {"restApiId": "a", "resourceId": "r", "httpMethod": "GET", "type": "X"},
        "ValidationException",
        "Value 'X' at 'putIntegrationInput.type' failed to satisfy constraint: "
        "Member must satisfy enum value set: [HTTP, AWS, MOCK, HTTP_PROXY, AWS_PROXY]",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_error_is_told_in_awss_words(case: str) -> None:
    service, name, params, code, message = REFUSED[case]
    with pytest.raises(ServiceError) as refused:
        check(operation(service, name), params)
    assert refused.value.code == code
    assert refused.value.message == f"1 validation error detected: {message}"
    assert refused.value.status == 400


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(ServiceError) as refused:
        check(operation("logs", "CreateLogGroup"), {"logGroupName": ""})
    assert refused.value.message == (
        "2 validation errors detected: Value '' at 'logGroupName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+; Value '' at 'logGroupName' failed to "
        "satisfy constraint: Member must have length greater than or equal to 1"
    )


ENDS = {"AttributeName": "k", "KeyType": "NONE"}
BROKEN_INDEX = {"IndexName": "idx", "KeySchema": [ENDS], "Projection": {}}
LONG_TOKEN = "t" * 37
# Which of several members AWS reports first, where it is not the one that its model has first.
ORDERS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "write units before read units": (
        "UpdateTable",
        {"TableName": "abc", "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}},
        ["provisionedThroughput.writeCapacityUnits", "provisionedThroughput.readCapacityUnits"],
    ),
    "units that are both missing": (
        "UpdateTable",
        {"TableName": "abc", "ProvisionedThroughput": {}},
        ["provisionedThroughput.writeCapacityUnits", "provisionedThroughput.readCapacityUnits"],
    ),
    "global indexes before local ones": (
        "CreateTable",
        {"TableName": "abc", "LocalSecondaryIndexes": [BROKEN_INDEX], "GlobalSecondaryIndexes": [BROKEN_INDEX]},
        [f"{kind}SecondaryIndexes.1.member.keySchema.1.member.keyType" for kind in ("global", "local")],
    ),
    "the token of a transaction before all": (
        "TransactWriteItems",
        {"TransactItems": [], "ReturnConsumedCapacity": "ALL", "ClientRequestToken": LONG_TOKEN},
        ["clientRequestToken", "transactItems", "returnConsumedCapacity"],
    ),
    "the token of statements before all": (
        "ExecuteTransaction",
        {"TransactStatements": [], "ReturnConsumedCapacity": "ALL", "ClientRequestToken": LONG_TOKEN},
        ["clientRequestToken", "transactStatements", "returnConsumedCapacity"],
    ),
}


@pytest.mark.parametrize("case", ORDERS)
def test_errors_are_told_in_awss_order(case: str) -> None:
    name, params, paths = ORDERS[case]
    with pytest.raises(ServiceError) as refused:
        check(operation("dynamodb", name), params)
    assert re.findall(r" at '([^']+)' failed", refused.value.message) == paths


def test_no_more_than_ten_errors_are_told() -> None:
    params = {"TableName": "abc", "KeySchema": [KEY], "AttributeDefinitions": [{}] * 20}
    with pytest.raises(ServiceError, match="10 validation errors detected: ") as refused:
        check(operation("dynamodb", "CreateTable"), params)
    assert refused.value.message.count("failed to satisfy") == 10


ALONE = {
    "CreateTable without a name": (
        "dynamodb",
        "CreateTable",
        {"KeySchema": []},
        "ValidationException",
        "The parameter 'TableName' is required but was not present in the request",
    ),
    "an empty batch": (
        "dynamodb",
        "BatchWriteItem",
        {"RequestItems": {}},
        "ValidationException",
        "The requestItems parameter is required for BatchWriteItem",
    ),
    "an IAM name": (
        "iam",
        "GetRole",
        {"RoleName": "a b"},
        "ValidationError",
        "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the "
        "following: +=,.@_-",
    ),
    "an S3 body": (
        "s3",
        "PutBucketVersioning",
        {"Bucket": "b", "VersioningConfiguration": {"Status": "On"}},
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "no S3 body": (
        "s3",
        "PutBucketVersioning",
        {"Bucket": "b"},
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "an S3 header": ("s3", "CreateBucket", {"Bucket": "b", "ACL": "x"}, "InvalidArgument", "Invalid Argument"),
}


@pytest.mark.parametrize("case", ALONE)
def test_some_errors_have_words_of_their_own(case: str) -> None:
    service, name, params, code, message = ALONE[case]
    with pytest.raises(ServiceError) as refused:
        check(operation(service, name), params)
    assert (refused.value.code, refused.value.message, refused.value.status) == (code, message, 400)


def test_the_batch_that_is_too_large_is_told_of_the_map() -> None:
    writes = [{"PutRequest": {"Item": {"p": {"S": "x"}}}}] * 26
    with pytest.raises(ServiceError) as refused:
        check(operation("dynamodb", "BatchWriteItem"), {"RequestItems": {"tab": writes}})
    assert refused.value.message.startswith("1 validation error detected: Value '{tab=[WriteRequest(putRequest=")
    assert refused.value.message.endswith(
        "]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: "
        "[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"
    )


ACCEPTED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "an ARN for a table's name": (
        "dynamodb",
        "GetItem",
        {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/t", "Key": {}},
    ),
    "attribute values are not looked at": ("dynamodb", "GetItem", {"TableName": "t", "Key": {"k": {"bogus": None}}}),
    "runtimes are left to Lambda": (
        "lambda",
        "CreateFunction",
        {"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Code": {}, "Runtime": "x"},
    ),
    "letters beyond ASCII in a tag": ("iam", "TagRole", {"RoleName": "r", "Tags": [{"Key": "ключ 1", "Value": ""}]}),
    "no input": ("apigateway", "GetAccount", {}),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_aws_accepts_passes(case: str) -> None:
    service, name, params = ACCEPTED[case]
    check(operation(service, name), params)


@pytest.mark.parametrize("service", ["dynamodb", "lambda", "apigateway", "logs", "iam", "sts", "cloudformation", "s3"])
def test_every_pattern_of_our_services_can_be_read(service: str) -> None:
    unreadable = sorted(pattern for pattern in patterns_of(service) if find_matcher(pattern) is None)
    assert unreadable == []


def patterns_of(service: str) -> set[str]:
    model = load_service(service)
    waiting = [found.input for name in model.operation_names if (found := model.find_operation(name)) and found.input]
    seen: set[str] = set()
    patterns: set[str] = set()
    while waiting:
        shape: Shape = waiting.pop()
        if shape.name in seen:
            continue
        seen.add(shape.name)
        if shape.pattern:
            patterns.add(shape.pattern)
        if shape.type == "structure":
            waiting += [member.shape for member in shape.members.values()]
        elif shape.type == "list":
            waiting.append(shape.member.shape)
        elif shape.type == "map":
            waiting += [shape.key.shape, shape.value.shape]
    return patterns
