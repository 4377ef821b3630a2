"""What a table's definition must be like, checked in AWS's order. Pure: requests in, errors out."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

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
            invalid(f"Attribute Name is duplicated: {name}")
        kinds[name] = definition["AttributeType"]
    return kinds


def check_key_schema(schema: Sequence[Mapping[str, str]] | None, kinds: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the names of a table's partition key and sort key, whose attributes are all defined."""
    if schema is None:
        missing_member("keySchema")
    if len(schema) > KEY_ELEMENTS_MAX:
        too_many_key_elements(schema, "keySchema")
    if len(schema) > len(kinds):
        invalid("Invalid KeySchema: Some index key attribute have no definition")
    check_key_order(schema)
    check_defined(schema, kinds)
    return schema[0]["AttributeName"], schema[1]["AttributeName"] if len(schema) > 1 else None


def check_key_order(schema: Sequence[Mapping[str, str]], multiple: bool = False) -> None:
    """Raise ValidationException unless HASH comes before RANGE, and no attribute twice.

    `multiple` allows several of each, as only global indexes have them.
    """
    if schema[0]["KeyType"] != "HASH":
        invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if multiple:
        kinds = [element["KeyType"] for element in schema]
        if kinds != sorted(kinds):
            invalid_parameter("All HASH key attributes must precede RANGE key attributes in the KeySchema")
    elif len(schema) > 1 and schema[1]["KeyType"] != "RANGE":
        invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
    names = [element["AttributeName"] for element in schema]
    if len(set(names)) < len(names):
        if len(names) == KEY_ELEMENTS_MAX:
            invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
        invalid("The KeySchema contains multiple key attributes with the same name")


def check_defined(schema: Sequence[Mapping[str, str]], kinds: Mapping[str, str]) -> None:
    """Raise ValidationException unless the attributes of a key are defined."""
    names = [element["AttributeName"] for element in schema]
    if any(name not in kinds for name in names):
        invalid_parameter(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(kinds)}]"
        )


def check_key_alone(kinds: Mapping[str, str], key_names: Sequence[str]) -> None:
    """Raise ValidationException if more is defined than the key of a table without indexes."""
    if len(kinds) > len(key_names):
        invalid_parameter(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions"
        )


def too_many_key_elements(schema: Sequence[Mapping[str, str]], path: str) -> NoReturn:
    """Raise what AWS's model check says of a key schema of more than two elements."""
    shown = ", ".join(
        f"KeySchemaElement(attributeName={element['AttributeName']}, keyType={element['KeyType']})"
        for element in schema
    )
    invalid(
        f"1 validation error detected: Value '[{shown}]' at '{path}' failed to satisfy constraint: "
        f"Member must have length less than or equal to {KEY_ELEMENTS_MAX}"
    )


def render_key_schema(hash_names: Sequence[str], range_names: Sequence[str]) -> list[dict[str, str]]:
    """Return a KeySchema as AWS describes it."""
    return [{"AttributeName": name, "KeyType": "HASH"} for name in hash_names] + [
        {"AttributeName": name, "KeyType": "RANGE"} for name in range_names
    ]


def render_definitions(kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return AttributeDefinitions as AWS describes them."""
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()]
