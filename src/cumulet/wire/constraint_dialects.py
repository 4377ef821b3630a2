"""Where services differ in how they refuse an input: the error's code, and what no model says.

Recorded texts are from suites verified on AWS (nubo-db/dynamodb-conformance for DynamoDB) and from users' reports.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cumulet.errors import ServiceError
from cumulet.wire.faults import malformed_xml

NAME_PATTERN = "[a-zA-Z0-9_.-]+"


class Bounds(NamedTuple):
    """Length, range and pattern of a shape as the service really has them."""

    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    or_arn: bool = False
    """An ARN may stand here too, and is left to the service."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One service's way."""

    code: str
    prefix_body: bool = False
    """Members of the body are printed below the operation's input: 'putIntegrationInput.type'."""
    bounds: Mapping[tuple[str, str], Bounds] = field(default_factory=dict)
    """By (structure or operation or "", member or shape): instead of the model's."""
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By shape: the values in the order in which the service prints them; empty: any value passes."""
    bare: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By (operation, member): a name that is printed in this spelling and without the value."""
    missing: Mapping[tuple[str, str], Callable[[], ServiceError]] = field(default_factory=dict)
    """By (operation, member): what is said, alone, when it is absent."""
    patterns: Mapping[str, Callable[[str], ServiceError]] = field(default_factory=dict)
    """By pattern: the error for a path whose value does not match, where the service has its own."""
    body_error: Callable[[], ServiceError] | None = None
    """The one error for everything that is wrong with a body."""
    first: Mapping[tuple[str, str], Callable[[Any], ServiceError | None]] = field(default_factory=dict)
    """By (operation or "", member): a check of the service's own that comes before all others."""
    in_elements: str = ""
    """What the service adds to the constraints of a list's elements."""
    ahead: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By (structure, member): the member before which it is reported, against the model's order."""

    def error(self, errors: list[str]) -> ServiceError:
        """Return the error that lists what is wrong."""
        count = f"{len(errors)} validation error{'s' if len(errors) > 1 else ''} detected: "
        return ServiceError(self.code, count + "; ".join(errors), status=400)


def _empty_batch(operation: str) -> Callable[[Any], ServiceError | None]:
    message = f"The requestItems parameter is required for {operation}"
    return lambda items: None if items else ServiceError("ValidationException", message, status=400)


def _table_name_missing() -> ServiceError:
    message = "The parameter 'TableName' is required but was not present in the request"
    return ServiceError("ValidationException", message, status=400)


_DYNAMODB = Dialect(
    code="ValidationException",
    bounds={
        # The model has TableArn (1 to 1024 characters, no pattern) wherever a name or an ARN may stand.
        ("", "TableArn"): Bounds(1, 255, NAME_PATTERN, or_arn=True),
        ("CreateTable", "TableArn"): Bounds(3, 255, NAME_PATTERN, or_arn=True),
        ("BatchGetItem", "TableArn"): Bounds(3, 255, NAME_PATTERN, or_arn=True),
        ("BatchWriteItem", "TableArn"): Bounds(3, 255, NAME_PATTERN, or_arn=True),
        # Two by AWS's error; only a global index may have more.
        ("CreateTableInput", "KeySchema"): Bounds(1, 2),
        ("LocalSecondaryIndex", "KeySchema"): Bounds(1, 2),
    },
    enums={
        "ScalarAttributeType": ("B", "N", "S"),
        "Select": ("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"),
        "ReturnValue": ("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"),
        "ProjectionType": ("ALL", "INCLUDE", "KEYS_ONLY"),
        "ConditionalOperator": ("OR", "AND"),
        "ComparisonOperator": (
            "IN",
            "NULL",
            "BETWEEN",
            "LT",
            "NOT_CONTAINS",
            "EQ",
            "GT",
            "NOT_NULL",
            "NE",
            "LE",
            "BEGINS_WITH",
            "GE",
            "CONTAINS",
        ),
    },
    bare={
        ("Query", "Limit"): "Limit",
        ("BatchGetItem", "RequestItems"): "RequestItems",
        ("BatchGetItem", "Keys"): "Keys",
    },
    missing={("CreateTable", "TableName"): _table_name_missing},
    first={
        ("BatchGetItem", "RequestItems"): _empty_batch("BatchGetItem"),
        ("BatchWriteItem", "RequestItems"): _empty_batch("BatchWriteItem"),
    },
    # Recorded on AWS by users of its API.
    ahead={
        ("CreateTableInput", "GlobalSecondaryIndexes"): "LocalSecondaryIndexes",
        ("ExecuteTransactionInput", "ClientRequestToken"): "TransactStatements",
        ("ProvisionedThroughput", "WriteCapacityUnits"): "ReadCapacityUnits",
        ("TransactWriteItemsInput", "ClientRequestToken"): "TransactItems",
    },
)


def _bad_iam_name(path: str) -> ServiceError:
    return ServiceError(
        "ValidationError",
        f"The specified value for {path} is invalid. It must contain only alphanumeric characters and/or the "
        "following: +=,.@_-",
        status=400,
    )


class _S3(Dialect):
    """S3 says of a body only that it is malformed, and of anything else that it is invalid."""

    __slots__ = ()

    def error(self, errors: list[str]) -> ServiceError:
        return ServiceError(self.code, "Invalid Argument", status=400)


_NAME = Bounds(1, 128)

_API_GATEWAY_V2 = Dialect(
    code="BadRequestException",
    bounds={
        # The model has these lengths in the shapes' names alone. A lower bound of 1 holds for names; elsewhere an empty
        # text takes a value away, as the guide has it for parameter mappings.
        ("", "StringWithLengthBetween0And1024"): Bounds(max=1024),
        ("", "StringWithLengthBetween0And2048"): Bounds(max=2048),
        ("", "StringWithLengthBetween1And64"): Bounds(max=64),
        ("", "StringWithLengthBetween1And128"): Bounds(max=128),
        ("", "StringWithLengthBetween1And512"): Bounds(max=512),
        ("", "StringWithLengthBetween1And1024"): Bounds(max=1024),
        ("", "StringWithLengthBetween1And1600"): Bounds(max=1600),
        ("", "UriWithLengthBetween1And2048"): Bounds(max=2048),
        ("CreateApiRequest", "Name"): _NAME,
        ("UpdateApiRequest", "Name"): _NAME,
        ("CreateAuthorizerRequest", "Name"): _NAME,
        ("UpdateAuthorizerRequest", "Name"): _NAME,
        ("CreateStageRequest", "StageName"): _NAME,
    },
)


_BY_SERVICE = {
    "dynamodb": _DYNAMODB,
    # Lambda refuses runtimes itself, with a code of its own.
    "lambda": Dialect(
        code="ValidationException",
        bounds={
            # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; the model has what only durable
            # functions and those on instances of one's own may ask for.
            ("", "Timeout"): Bounds(1, 900),
            ("", "MemorySize"): Bounds(128, 10_240),
            ("", "EphemeralStorageSize"): Bounds(512, 10_240),
        },
        enums={"Runtime": ()},
        in_elements=", Member must not be null",
    ),
    "logs": Dialect(code="InvalidParameterException"),
    "apigateway": Dialect(code="ValidationException", prefix_body=True),
    "apigatewayv2": _API_GATEWAY_V2,
    "iam": Dialect(code="ValidationError", patterns={"[\\w+=,.@-]+": _bad_iam_name}),
    "s3": _S3(code="InvalidArgument", enums={"BucketLocationConstraint": ()}, body_error=malformed_xml),
}

_BY_PROTOCOL = {"query": Dialect(code="ValidationError")}
_OTHERS = Dialect(code="ValidationException")


def dialect_of(service_name: str, protocol: str) -> Dialect:
    """Return how a service refuses inputs."""
    return _BY_SERVICE.get(service_name) or _BY_PROTOCOL.get(protocol, _OTHERS)
