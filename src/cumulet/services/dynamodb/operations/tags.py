"""Tags of tables."""

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.limits import TAGS_MAX
from cumulet.services.dynamodb.core.values import invalid, invalid_parameter
from cumulet.services.dynamodb.tables import TABLES, OpenTable, find_table, name_of
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

_DYNAMODB_ARN = re.compile(r"arn:[^:]*:dynamodb:.*").fullmatch
_TAG_TEXT = re.compile(r"[\w\s.:/=+\-@]*").fullmatch


def tagged_arn(call: Call, params: Params) -> str:
    """Return the ARN that a tagging request names."""
    arn: str = params["ResourceArn"]
    return arn


@operation("TagResource", resource=tagged_arn, params="ResourceArn Tags")
def tag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add tags to a table, in place of those with the same keys."""
    table = _get(call, tx, params)
    if not params["Tags"]:
        invalid("Atleast one Tag needs to be provided as Input.")
    tags = {**table.record.tags, **read_tags(params["Tags"])}
    _check_count(len(tags))
    _save(call, tx, table, tags)
    return {}


@operation("UntagResource", resource=tagged_arn, params="ResourceArn TagKeys")
def untag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove tags by key; a key that is not there does not matter."""
    table = _get(call, tx, params)
    if not params["TagKeys"]:
        invalid("Atleast one Tag Key needs to be provided as Input.")
    gone = set(params["TagKeys"])
    _save(call, tx, table, {key: value for key, value in table.record.tags.items() if key not in gone})
    return {}


@operation("ListTagsOfResource", resource=tagged_arn, params="ResourceArn NextToken")
def list_tags_of_resource(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a table's tags. They come all at once, as on AWS, so no NextToken was ever given out."""
    if params.get("NextToken") is not None:
        invalid("Invalid NextToken")
    tags = _get(call, tx, params).record.tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


def read_tags(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the tags of a request. Raises ValidationException for duplicates and reserved keys."""
    tags: dict[str, str] = {}
    for tag in given:
        key = tag["Key"]
        if key in tags:
            invalid(f"Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}")
        if key.lower().startswith("aws:"):
            invalid(f"Tag Key cannot be prefixed with aws:, Key: {key}")
        if not _TAG_TEXT(key):
            invalid(f"The Tag Key provided is invalid, Key: {key}")
        if not _TAG_TEXT(tag["Value"]):
            invalid(f"The Tag Value provided is invalid, Value: {tag['Value']}")
        tags[key] = tag["Value"]
    _check_count(len(tags))
    return tags


def _check_count(count: int) -> None:
    if count > TAGS_MAX:
        invalid("Number of Tags exceed the current limit for the provided ResourceArn")


def _get(call: Call, tx: ReadTx, params: Params) -> OpenTable:
    arn = params["ResourceArn"]
    if not arn.startswith("arn:"):
        invalid_parameter(f"ARNs must start with 'arn:': {arn}")
    if not _DYNAMODB_ARN(arn):
        invalid_parameter(f"Provided Arn is not a DynamoDB resource arn: {arn}")
    if "/index/" in arn:
        invalid_parameter(
            f"Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {arn}"
        )
    try:
        name = name_of(call, arn)
    except ServiceError as error:
        if error.code != "ValidationException":
            raise
        _not_an_arn(arn)
    table = find_table(tx, call, name)
    if table is None:
        # The missing letter is AWS's.
        raise ServiceError("ResourceNotFoundException", f"Requested resource not found: ResourcArn: {arn} not found")
    return table


def _not_an_arn(given: str) -> NoReturn:
    invalid(f"Invalid TableArn: Invalid ResourceArn provided as input {given}")


def _save(call: Call, tx: WriteTx, table: OpenTable, tags: dict[str, str]) -> None:
    TABLES.save(tx, call.scope, table.record.name, record=msgspec.structs.replace(table.record, tags=tags))
