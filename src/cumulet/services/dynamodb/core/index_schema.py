"""What the secondary indexes of a table must be like, checked in AWS's order. Pure: requests in, definitions out.

A global index may have up to four partition key and four sort key attributes; a local one has the table's partition key
and one sort key ("Multi-attribute key schema" in "Global secondary indexes", developer guide).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cumulet.services.dynamodb.core.limits import (
    GLOBAL_INDEXES_MAX,
    INDEX_HASH_ATTRIBUTES_MAX,
    INDEX_RANGE_ATTRIBUTES_MAX,
    LOCAL_INDEXES_MAX,
    PROJECTED_ATTRIBUTES_MAX,
)
from cumulet.services.dynamodb.core.schema import (
    KEY_ELEMENTS_MAX,
    Throughput,
    check_defined,
    check_key_order,
    too_many_key_elements,
)
from cumulet.services.dynamodb.core.values import invalid, invalid_parameter

Given = Mapping[str, Any]


class IndexDefinition(NamedTuple):
    """One index as a request defines it."""

    name: str
    hash_names: tuple[str, ...]
    range_names: tuple[str, ...]
    projection: str
    non_key_attributes: tuple[str, ...]

    @property
    def key_names(self) -> tuple[str, ...]:
        """The attributes of the index's own key."""
        return self.hash_names + self.range_names


def check_local_indexes(
    given: Sequence[Given] | None, kinds: Mapping[str, str], hash_name: str, range_name: str | None
) -> list[IndexDefinition]:
    """Return the definitions of the local indexes of a table with that key."""
    if given is None:
        return []
    if not given:
        invalid_parameter("List of LocalSecondaryIndexes is empty")
    definitions: list[IndexDefinition] = []
    for number, index in enumerate(given, 1):
        name, schema = index["IndexName"], index["KeySchema"]
        if len(schema) > KEY_ELEMENTS_MAX:
            too_many_key_elements(schema, f"localSecondaryIndexes.{number}.member.keySchema")
        check_defined(schema, kinds)
        check_key_order(schema)
        if range_name is None:
            invalid_parameter(
                "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
            )
        if len(schema) == 1:
            invalid_parameter(f"Index KeySchema does not have a range key for index: {name}")
        if (index_hash := schema[0]["AttributeName"]) != hash_name:
            invalid_parameter(
                f"Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. "
                f"index hash key: {index_hash}, table hash key: {hash_name}"
            )
        definitions.append(_define(index, definitions))
    if len(definitions) > LOCAL_INDEXES_MAX:
        invalid_parameter(f"Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}")
    return definitions


def check_global_indexes(
    given: Sequence[Given] | None, kinds: Mapping[str, str], mode: str, others: Sequence[IndexDefinition]
) -> list[IndexDefinition]:
    """Return the definitions of the global indexes; `others` are the table's local ones."""
    if given is None:
        return []
    if not given:
        invalid_parameter("List of GlobalSecondaryIndexes is empty")
    definitions: list[IndexDefinition] = []
    for index in given:
        check_global_key(index["KeySchema"], kinds)
        definitions.append(_define(index, (*others, *definitions)))
        throughput: Throughput | None = index.get("ProvisionedThroughput")
        if mode == "PAY_PER_REQUEST" and throughput is not None:
            invalid_parameter(
                f"ProvisionedThroughput should not be specified for index: {index['IndexName']} when BillingMode is "
                "PAY_PER_REQUEST"
            )
        if mode == "PROVISIONED" and throughput is None:
            invalid_parameter(f"ProvisionedThroughput is not specified for index: {index['IndexName']}")
    if len(definitions) > GLOBAL_INDEXES_MAX:
        invalid_parameter(f"GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}")
    return definitions


def define_global_index(index: Given, kinds: Mapping[str, str]) -> IndexDefinition:
    """Return the definition of a global index that is added to a table; the request defines its key attributes anew."""
    schema = index["KeySchema"]
    if not kinds:
        invalid_parameter(f"AttributeDefinitions is not specified for index: {index['IndexName']}")
    if len(schema) > len(kinds):
        invalid("Invalid KeySchema: Some index key attribute have no definition")
    check_global_key(schema, kinds)
    return _define(index, ())


def check_global_key(schema: Sequence[Mapping[str, str]], kinds: Mapping[str, str]) -> None:
    """Raise ValidationException unless a global index can have this key."""
    check_defined(schema, kinds)
    check_key_order(schema, multiple=True)
    for kind, limit in (("HASH", INDEX_HASH_ATTRIBUTES_MAX), ("RANGE", INDEX_RANGE_ATTRIBUTES_MAX)):
        if sum(element["KeyType"] == kind for element in schema) > limit:
            invalid_parameter(f"The KeySchema exceeds the maximum allowed number of {kind} key attributes")


def check_projected_total(projected: Iterable[Sequence[str]]) -> None:
    """Raise ValidationException if a table's indexes together name too many attributes to project."""
    total = sum(map(len, projected))
    if total > PROJECTED_ATTRIBUTES_MAX:
        invalid_parameter(
            f"Number of NonKeyAttributes in all indexes, {total}, exceeds the per-table limit of "
            f"{PROJECTED_ATTRIBUTES_MAX}"
        )


def check_all_used(kinds: Mapping[str, str], key_names: Iterable[str]) -> None:
    """Raise ValidationException if an attribute is defined that is no key of the table or an index."""
    used = dict.fromkeys(key_names)
    if len(used) < len(kinds):
        invalid_parameter(
            f"Some AttributeDefinitions are not used. AttributeDefinitions: [{', '.join(kinds)}], "
            f"keys used: [{', '.join(used)}]"
        )


def _define(index: Given, others: Iterable[IndexDefinition]) -> IndexDefinition:
    name, projection = index["IndexName"], index["Projection"]
    kind, attributes = projection.get("ProjectionType"), projection.get("NonKeyAttributes")
    if kind is None:
        invalid_parameter("Unknown ProjectionType: null")
    if kind == "INCLUDE":
        if attributes is None:
            invalid_parameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
        for number, attribute in enumerate(attributes):
            if attribute in attributes[:number]:
                invalid_parameter(f"Duplicate element in NonKeyAttributes: {attribute}")
    elif attributes is not None:
        invalid_parameter(f"ProjectionType is {kind}, but NonKeyAttributes is specified")
    if any(name == other.name for other in others):
        invalid_parameter(f"Duplicate index name: {name}")
    schema = index["KeySchema"]
    return IndexDefinition(
        name,
        tuple([element["AttributeName"] for element in schema if element["KeyType"] == "HASH"]),
        tuple([element["AttributeName"] for element in schema if element["KeyType"] == "RANGE"]),
        kind,
        tuple(attributes or ()),
    )
