"""Vector indexes and SearchVectors: definitions, writes, searches, capacity, and what is refused."""

import asyncio
import math
import struct
from typing import Any

import pytest

from cumulet.services.dynamodb.core import vectors
from cumulet.services.dynamodb.core.limits import VECTOR_PAGE_ENTRIES
from cumulet.services.dynamodb.index_filling import FILLED_AT_ONCE_MAX

PK = [{"AttributeName": "pk", "AttributeType": "S"}]
FILTERED = [*PK, {"AttributeName": "tenant", "AttributeType": "S"}, {"AttributeName": "kind", "AttributeType": "S"}]
SCHEMA = [
    {"AttributeName": "tenant", "SearchSchemaElementType": "HASH"},
    {"AttributeName": "kind", "SearchSchemaElementType": "INLINE_FILTER"},
]


def index(name: str = "vix", **changes: Any) -> dict[str, Any]:
    return {
        "IndexName": name,
        "VectorAttribute": {"AttributeName": "embedding"},
        "Dimensions": 3,
        "DistanceFunction": "COSINE",
        "Projection": {"ProjectionType": "ALL"},
        **changes,
    }


def table(*indexes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "TableName": "things",
        "AttributeDefinitions": PK,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        **({"VectorIndexes": list(indexes)} if indexes else {}),
        **changes,
    }


def vector(*numbers: float) -> list[dict[str, str]]:
    return [{"N": str(number)} for number in numbers]


async def put(ddb: Any, pk: str, *numbers: float, **more: Any) -> Any:
    attributes = {name: {"S": value} for name, value in more.items() if isinstance(value, str)}
    item = {"pk": {"S": pk}, "embedding": {"L": vector(*numbers)}, **attributes}
    return await ddb("PutItem", TableName="things", Item=item, ReturnConsumedCapacity="INDEXES")


async def search(ddb: Any, *numbers: float, **more: Any) -> list[dict[str, Any]]:
    request = {"TableName": "things", "IndexName": "vix", "SearchVector": vector(*numbers), "TopK": 10, **more}
    found: list[dict[str, Any]] = (await ddb("SearchVectors", **request))["SearchResults"]
    return found


def keys(found: list[dict[str, Any]]) -> list[str]:
    return [result["Item"]["pk"]["S"] for result in found]


@pytest.fixture
async def things(ddb: Any) -> Any:
    """Return `ddb` with a table of four vectors and an index for each distance."""
    distances = {"vix": "COSINE", "euclidean": "EUCLIDEAN", "dot": "DOT_PRODUCT"}
    indexes = [index(name, DistanceFunction=distance) for name, distance in distances.items()]
    await ddb("CreateTable", **table(*indexes))
    for pk, numbers in {"a": (1, 0, 0), "b": (0, 1, 0), "c": (-1, 0, 0), "d": (0.6, 0.8, 0)}.items():
        await put(ddb, pk, *numbers, label=f"item {pk}")
    return ddb


def test_numbers_are_shown_as_floats_of_32_bits() -> None:
    shown = {0.1: "0.1", 1.0: "1.0", 16777217: "16777216.0", -2.5e-7: "-0.00000025", 0.0: "0.0", 3e10: "30000000000.0"}
    for number, text in shown.items():
        assert vectors.render_float32(vectors.as_float32(number)) == text


SCORES = {
    "vix": {"a": 0.0, "d": 0.4, "b": 1.0, "c": 2.0},
    "euclidean": {"a": 0.0, "d": math.sqrt(0.8), "b": math.sqrt(2), "c": 2.0},
    "dot": {"a": 1.0, "d": 0.6, "b": 0.0, "c": -1.0},
}


@pytest.mark.parametrize(("name", "expected"), SCORES.items(), ids=SCORES)
async def test_scores(things: Any, name: str, expected: dict[str, float]) -> None:
    found = await search(things, 1, 0, 0, IndexName=name)
    assert keys(found) == list(expected)
    assert [result["Score"] for result in found] == pytest.approx(list(expected.values()), abs=1e-6)
    assert all(struct.unpack("<f", struct.pack("<f", result["Score"]))[0] == result["Score"] for result in found)


async def test_the_nearest_come_without_their_vectors_unless_asked_for(things: Any) -> None:
    assert await search(things, 1, 0, 0, TopK=1) == [
        {"Item": {"pk": {"S": "a"}, "label": {"S": "item a"}}, "Score": 0.0}
    ]
    found = await search(things, 1, 0, 0, TopK=1, ProjectionExpression="pk, embedding")
    assert found[0]["Item"] == {"pk": {"S": "a"}, "embedding": {"L": vector(1.0, 0.0, 0.0)}}


async def test_many_vectors_are_looked_at_page_by_page(things: Any) -> None:
    count = VECTOR_PAGE_ENTRIES + 30
    for number in range(count):
        await put(things, f"n{number:04d}", 1, number / 1000 + 0.001, 0)
    found = await search(things, 1, 0, 0, TopK=3)
    assert keys(found) == ["a", "n0000", "n0001"]
    assert keys(await search(things, -1, 0, 0, TopK=1)) == ["c"]


async def test_an_index_follows_its_items(things: Any) -> None:
    await put(things, "a", 0, 0, 1)
    assert keys(await search(things, 0, 0, 1, TopK=1)) == ["a"]
    await things("UpdateItem", TableName="things", Key={"pk": {"S": "a"}}, UpdateExpression="REMOVE embedding")
    await things("DeleteItem", TableName="things", Key={"pk": {"S": "b"}})
    assert sorted(keys(await search(things, 0, 0, 1))) == ["c", "d"]


async def test_partitions_and_filters(ddb: Any) -> None:
    await ddb("CreateTable", **table(index(SearchSchema=SCHEMA), AttributeDefinitions=FILTERED))
    for pk, tenant, kind in (("a", "t1", "x"), ("b", "t1", "y"), ("c", "t2", "x")):
        await put(ddb, pk, 1, 0, 0, tenant=tenant, kind=kind)
    await put(ddb, "nobody's", 1, 0, 0, kind="x")
    both = {"ExpressionAttributeValues": {":t": {"S": "t1"}, ":k": {"S": "x"}}}
    one = {"ExpressionAttributeValues": {":t": {"S": "t1"}}}
    assert keys(await search(ddb, 1, 0, 0, SearchConditionExpression="tenant = :t", **one)) == ["a", "b"]
    assert keys(await search(ddb, 1, 0, 0, SearchConditionExpression="tenant = :t AND kind = :k", **both)) == ["a"]


async def test_an_index_answers_with_what_it_projects(ddb: Any, refused: Any) -> None:
    included = index("inc", Projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["label"]})
    await ddb("CreateTable", **table(index(Projection={"ProjectionType": "KEYS_ONLY"}), included))
    await put(ddb, "a", 1, 0, 0, label="l", other="o")
    assert (await search(ddb, 1, 0, 0))[0]["Item"] == {"pk": {"S": "a"}}
    assert (await search(ddb, 1, 0, 0, IndexName="inc"))[0]["Item"] == {"pk": {"S": "a"}, "label": {"S": "l"}}
    assert await refused(search(ddb, 1, 0, 0, ProjectionExpression="label")) == (
        "ValidationException",
        "One or more parameter values were invalid: Vector index vix does not project [label]",
    )


async def test_a_table_describes_its_vector_indexes(ddb: Any) -> None:
    created = await ddb("CreateTable", **table(index(SearchSchema=SCHEMA), AttributeDefinitions=FILTERED))
    assert created["TableDescription"]["VectorIndexes"][0]["IndexStatus"] == "CREATING"
    described = (await ddb("DescribeTable", TableName="things"))["Table"]["VectorIndexes"]
    assert described == [
        {
            **index(SearchSchema=SCHEMA),
            "IndexStatus": "ACTIVE",
            "IndexSizeBytes": 0,
            "ItemCount": 0,
            "IndexArn": "arn:aws:dynamodb:us-east-1:000000000000:table/things/index/vix",
        }
    ]


async def test_an_index_comes_and_goes(ddb: Any, refused: Any) -> None:
    await ddb("CreateTable", **table())
    await put(ddb, "a", 1, 0, 0)
    await ddb("PutItem", TableName="things", Item={"pk": {"S": "b"}, "embedding": {"S": "no vector"}})
    updated = await ddb("UpdateTable", TableName="things", VectorIndexUpdates=[{"Create": index()}])
    assert updated["TableDescription"]["VectorIndexes"][0]["IndexStatus"] == "CREATING"
    assert keys(await search(ddb, 1, 0, 0)) == ["a"]
    again = ddb("UpdateTable", TableName="things", VectorIndexUpdates=[{"Create": index()}])
    assert await refused(again) == ("ValidationException", "Attempting to create an index which already exists")
    provisioned = {
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    }
    assert await refused(ddb("UpdateTable", TableName="things", **provisioned)) == (
        "ValidationException",
        "One or more parameter values were invalid: Vector indexes are only supported for PAY_PER_REQUEST tables",
    )
    await ddb("UpdateTable", TableName="things", VectorIndexUpdates=[{"Delete": {"IndexName": "vix"}}])
    assert await refused(search(ddb, 1, 0, 0)) == (
        "ValidationException",
        "The table does not have the specified index: vix",
    )


@pytest.mark.slow
async def test_an_index_of_a_large_table_is_filled_in_the_background(ddb: Any) -> None:
    await ddb("CreateTable", **table())
    for first in range(0, FILLED_AT_ONCE_MAX + 25, 25):
        puts = [
            {"PutRequest": {"Item": {"pk": {"S": f"{n:05d}"}, "embedding": {"L": vector(1, n / 1000, 0)}}}}
            for n in range(first, first + 25)
        ]
        await ddb("BatchWriteItem", RequestItems={"things": puts})
    await ddb("UpdateTable", TableName="things", VectorIndexUpdates=[{"Create": index()}])
    for _ in range(1000):
        described = (await ddb("DescribeTable", TableName="things"))["Table"]["VectorIndexes"][0]
        if described["IndexStatus"] == "ACTIVE":
            break
        await asyncio.sleep(0)
    assert keys(await search(ddb, 1, 0, 0, TopK=2)) == ["00000", "00001"]
    last = FILLED_AT_ONCE_MAX + 24
    assert keys(await search(ddb, 0, 1, 0, TopK=1)) == [f"{last:05d}"]


async def test_writes_are_billed(ddb: Any) -> None:
    keys_only = index("keys", Projection={"ProjectionType": "KEYS_ONLY"})
    await ddb("CreateTable", **table(index(), keys_only))
    blob = "x" * 1500
    first = (await put(ddb, "a", 1, 0, 0, note=blob))["ConsumedCapacity"]
    size = len("pk") + 1 + len("note") + 1500 + len("embedding") + 4 * 3
    assert first["VectorIndexes"] == {
        "vix": {"VectorWriteRequestBytes": float(size)},
        "keys": {"VectorWriteRequestBytes": 1024.0},
    }
    assert (first["CapacityUnits"], first["Table"]["CapacityUnits"]) == (2.0, 2.0)
    assert "VectorIndexes" not in (await put(ddb, "a", 1, 0, 0, note=blob))["ConsumedCapacity"]
    changed = (await put(ddb, "a", 1, 0, 0, note="y" * 1500))["ConsumedCapacity"]
    assert list(changed["VectorIndexes"]) == ["vix"]


async def test_a_vector_is_billed_by_its_dimensions_and_read_by_its_numbers(ddb: Any) -> None:
    await ddb("CreateTable", **table(index()))
    wide = [{"N": "1" * 38}] * 3
    fixed = len("pk") + 2 + len("embedding") + 12 + len("pad")
    for pk, size, units in (("aa", 1024, 1.0), ("bb", 1025, 2.0)):
        item = {"pk": {"S": pk}, "embedding": {"L": wide}, "pad": {"S": "x" * (size - fixed)}}
        answer = await ddb("PutItem", TableName="things", Item=item, ReturnConsumedCapacity="TOTAL")
        assert answer["ConsumedCapacity"] == {"TableName": "things", "CapacityUnits": units}


async def test_a_search_tells_what_it_looked_at(things: Any) -> None:
    request = {"TableName": "things", "IndexName": "vix", "SearchVector": vector(1, 0, 0), "TopK": 1}
    for level in ("TOTAL", "INDEXES"):
        answer = await things("SearchVectors", **request, ReturnConsumedCapacity=level)
        assert answer["ConsumedCapacity"] == {"VectorSearchRequestBytes": 1024.0}
    assert "ConsumedCapacity" not in await things("SearchVectors", **request, ReturnConsumedCapacity="NONE")


async def test_a_restored_table_has_its_vectors(things: Any) -> None:
    backup = (await things("CreateBackup", TableName="things", BackupName="backup"))["BackupDetails"]["BackupArn"]
    await things("RestoreTableFromBackup", TargetTableName="restored", BackupArn=backup)
    assert keys(await search(things, 1, 0, 0, TableName="restored", TopK=1)) == ["a"]


INVALID = "One or more parameter values were invalid"
TABLES_REFUSED = {
    "provisioned": (
        table(
            index(), BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
        ),
        f"{INVALID}: Vector indexes are only supported for PAY_PER_REQUEST tables",
    ),
    "an undefined attribute": (
        table(index(SearchSchema=SCHEMA)),
        f"{INVALID}: One element in SearchSchema is not defined in attribute definitions",
    ),
    "too many dimensions": (
        table(index(Dimensions=4097)),
        f"{INVALID}: Number of dimensions must be between 1 and 4096 inclusive.",
    ),
    "too many": (
        table(*[index(f"vix{number}") for number in range(6)]),
        f"{INVALID}: VectorIndex count exceeds the per-table limit of 5",
    ),
    "different dimensions": (
        table(index(), index("other", Dimensions=4)),
        f"{INVALID}: Conflicting attribute definition for 'embedding'. All VectorIndexes on the same vector attribute "
        "must use the same dimensions.",
    ),
    "one name twice": (table(index(), index()), f"{INVALID}: Duplicate index name: vix"),
    "no attributes to include": (
        table(index(Projection={"ProjectionType": "INCLUDE"})),
        f"{INVALID}: ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
    ),
    "a definition that nothing uses": (
        table(index(), AttributeDefinitions=FILTERED),
        f"{INVALID}: Some AttributeDefinitions are not used. AttributeDefinitions: [pk, tenant, kind], keys used: [pk]",
    ),
}


@pytest.mark.parametrize(("request_", "message"), TABLES_REFUSED.values(), ids=TABLES_REFUSED)
async def test_tables_that_are_refused(ddb: Any, refused: Any, request_: dict[str, Any], message: str) -> None:
    assert await refused(ddb("CreateTable", **request_)) == ("ValidationException", message)


WRITES_REFUSED = {
    "another size": (
        {"embedding": {"L": vector(1, 0)}},
        f"{INVALID}. Invalid size for parameter embedding, Expected: 3, Actual: 2 IndexName: vix",
    ),
    "no number": (
        {"embedding": {"L": [{"N": "1"}, {"S": "oops"}, {"N": "0"}]}},
        f"{INVALID}. Invalid type for parameter embedding[1], Expected: 32-bit floating point number, Actual: S. "
        "IndexName: vix",
    ),
    "too large a number": (
        {"embedding": {"L": vector(1, 0, 1e39)}},
        f"{INVALID}. Invalid type for parameter embedding[2], Expected: 32-bit floating point number, Actual: N. "
        "IndexName: vix",
    ),
    "no list": (
        {"embedding": {"S": "no"}},
        f"{INVALID}. Invalid type for parameter embedding, Expected: 32-bit floating point number list IndexName: vix",
    ),
    "an empty partition": (
        {"tenant": {"S": ""}, "embedding": {"L": vector(0, 0, 1)}},
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The "
        "AttributeValue for a key attribute cannot contain an empty string value. IndexName: vix, IndexKey: tenant",
    ),
    "a partition of another type": (
        {"tenant": {"N": "1"}},
        f"{INVALID}: Type mismatch for Index Key tenant Expected: S Actual: N IndexName: vix",
    ),
}


@pytest.mark.parametrize(("attributes", "message"), WRITES_REFUSED.values(), ids=WRITES_REFUSED)
async def test_writes_that_are_refused(ddb: Any, refused: Any, attributes: dict[str, Any], message: str) -> None:
    await ddb("CreateTable", **table(index(SearchSchema=SCHEMA), AttributeDefinitions=FILTERED))
    item = {"pk": {"S": "a"}, **attributes}
    assert await refused(ddb("PutItem", TableName="things", Item=item)) == ("ValidationException", message)
    assert (await ddb("Scan", TableName="things"))["Items"] == []


SEARCHES_REFUSED = {
    "too many results": (
        {"TopK": 101},
        "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive",
    ),
    "another index": ({"IndexName": "nothing"}, "The table does not have the specified index: nothing"),
    "other dimensions": (
        {"SearchVector": vector(1, 0)},
        "Input search vector dimension 2 does not match vector index dimension 3",
    ),
    "no numbers": (
        {"SearchVector": [{"L": vector(1, 0, 0)}]},
        "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number "
        "attribute",
    ),
    "nonsense for a number": (
        {"SearchVector": [{"N": "x"}, {"N": "nan"}, {"N": "1"}]},
        "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number "
        "attribute",
    ),
    "an attribute that is not in the schema": (
        {"SearchConditionExpression": "tenant = :t", "ExpressionAttributeValues": {":t": {"S": "t1"}}},
        "SearchConditionExpression must not contain any attributes that is not in SearchSchema. Invalid attribute: "
        "tenant",
    ),
    "no condition on the partition": (
        {"IndexName": "schema"},
        "SearchConditionExpression must be provided when SearchSchema has a HASH key",
    ),
    "a comparison": (
        {
            "IndexName": "schema",
            "SearchConditionExpression": "tenant = :t AND kind < :t",
            "ExpressionAttributeValues": {":t": {"S": "t1"}},
        },
        "Invalid SearchConditionExpression: Invalid comparator used in SearchConditionExpression",
    ),
}


@pytest.mark.parametrize(("changes", "message"), SEARCHES_REFUSED.values(), ids=SEARCHES_REFUSED)
async def test_searches_that_are_refused(ddb: Any, refused: Any, changes: dict[str, Any], message: str) -> None:
    await ddb("CreateTable", **table(index(), index("schema", SearchSchema=SCHEMA), AttributeDefinitions=FILTERED))
    assert await refused(search(ddb, **{"SearchVector": vector(1, 0, 0), **changes})) == (
        "ValidationException",
        message,
    )


async def test_a_search_of_no_table(ddb: Any, refused: Any) -> None:
    assert await refused(search(ddb, 1, 0, 0)) == ("ResourceNotFoundException", "Requested resource not found")
