"""What a table's definition must be like, checked in AWS's order. Pure: requests in, errors out."""

from collections.abc import Mapping, Sequence
from typing import Any

from cumulet.services.dynamodb.core.values import invalid, invalid_parameter, missing_member

KEY_ELEMENTS_MAX = 2
UNITS_MAX = 1_000_000_000_000

Throughput = Mapping[str, int]


def check_billing(mode: str, throughput: Throughput | None) -> None:
    """Raise ValidationException unless the throughput is given exactly when the billing mode needs it."""
    if mode == "PAY_PER_REQUEST":
        if throughput is not None:
            invalid_parameter(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
            )
        return
    if throughput is None:
        invalid_parameter(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    for name in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if throughput[name] > UNITS_MAX:
            invalid(f"Given value {throughput[name]} for {name} is out of bounds")


def check_definitions(definitions: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """Return the type of each defined attribute."""
    if definitions is None:
        missing_member("attributeDefinitions")
    kinds: dict[str, str] = {}
    for definition in definitions:
        name = definition["AttributeName"]
        if name in kinds:
            invalid_parameter(f"Duplicate AttributeName in AttributeDefinitions: {name}")
        kinds[name] = definition["AttributeType"]
    return kinds


def check_key_schema(schema: Sequence[Mapping[str, str]] | None, kinds: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the names of the partition key and the sort key, whose attributes are all defined and none besides."""
    if schema is None:
        missing_member("keySchema")
    if len(schema) > KEY_ELEMENTS_MAX:
        shown = ", ".join(
            f"KeySchemaElement(attributeName={element['AttributeName']}, keyType={element['KeyType']})"
            for element in schema
        )
        invalid(
            f"1 validation error detected: Value '[{shown}]' at 'keySchema' failed to satisfy constraint: "
            f"Member must have length less than or equal to {KEY_ELEMENTS_MAX}"
        )
    names = [element["AttributeName"] for element in schema]
    if len(schema) > len(kinds):
        invalid("Invalid KeySchema: Some index key attribute have no definition")
    if schema[0]["KeyType"] != "HASH":
        invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(schema) > 1:
        if schema[1]["KeyType"] != "RANGE":
            invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
        if names[0] == names[1]:
            invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    if any(name not in kinds for name in names):
        invalid_parameter(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(kinds)}]"
        )
    if len(kinds) > len(names):
        invalid_parameter(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions"
        )
    return names[0], names[1] if len(names) > 1 else None


def render_key_schema(hash_name: str, range_name: str | None) -> list[dict[str, str]]:
    """Return a KeySchema as AWS describes it."""
    schema = [{"AttributeName": hash_name, "KeyType": "HASH"}]
    if range_name is not None:
        schema.append({"AttributeName": range_name, "KeyType": "RANGE"})
    return schema


def render_definitions(kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return AttributeDefinitions as AWS describes them."""
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()]
