"""The condition keys that a policy sees of each request, and the resources it is asked about."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.ids import CountingIds
from cumulet.services.dynamodb.permissions import transaction_demands
from cumulet.services.kit import Call, Demand, Principal, Ruling
from cumulet.store.api import ReadTx
from harness import SCOPE, House

KEY = {"pk": {"S": "alice"}, "sk": {"S": "1"}}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/notes"


class Recorder:
    """An authorizer that notes what it was asked, and denies it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str | Sequence[str]]]] = []

    def decide(self, tx: ReadTx, call: Call, demand: Demand, *more: Any) -> Ruling:
        self.asked.append((demand.action, demand.resource, dict(demand.conditions())))
        return Ruling(False, "no")


@pytest.mark.parametrize(
    ("operation", "params", "conditions"),
    [
        (
            "GetItem",
            {"Key": KEY},
            {"Attributes": ["pk", "sk"], "LeadingKeys": ["alice"], "Select": "ALL_ATTRIBUTES"},
        ),
        (
            "GetItem",
            {"Key": KEY, "ProjectionExpression": "#t.x", "ExpressionAttributeNames": {"#t": "title"}},
            {"Attributes": ["pk", "sk", "title"], "LeadingKeys": ["alice"], "Select": "SPECIFIC_ATTRIBUTES"},
        ),
        (
            "PutItem",
            {"Item": {**KEY, "n": {"N": "1"}}, "ReturnValues": "ALL_OLD"},
            {"Attributes": ["n", "pk", "sk"], "LeadingKeys": ["alice"], "ReturnValues": "ALL_OLD"},
        ),
        (
            "DeleteItem",
            {"Key": KEY, "ReturnConsumedCapacity": "TOTAL"},
            {"Attributes": ["pk", "sk"], "LeadingKeys": ["alice"], "ReturnConsumedCapacity": "TOTAL"},
        ),
        (
            "UpdateItem",
            {"Key": KEY, "UpdateExpression": "SET a = b REMOVE c[0]", "ConditionExpression": "attribute_exists(d)"},
            {"Attributes": ["a", "b", "c", "d", "pk", "sk"], "LeadingKeys": ["alice"]},
        ),
        (
            "Query",
            {
                "KeyConditionExpression": "pk = :p",
                "FilterExpression": "n > :p",
                "ExpressionAttributeValues": {":p": {"S": "bob"}},
                "Select": "COUNT",
            },
            {"Attributes": ["n", "pk"], "LeadingKeys": ["bob"], "Select": "COUNT"},
        ),
        ("Scan", {}, {"Select": "ALL_ATTRIBUTES"}),
        (
            "GetItem",
            {"Key": KEY, "AttributesToGet": ["title"]},
            {"Attributes": ["pk", "sk", "title"], "LeadingKeys": ["alice"], "Select": "SPECIFIC_ATTRIBUTES"},
        ),
        (
            "UpdateItem",
            {"Key": KEY, "AttributeUpdates": {"a": {"Action": "DELETE"}}, "Expected": {"d": {"Exists": False}}},
            {"Attributes": ["a", "d", "pk", "sk"], "LeadingKeys": ["alice"]},
        ),
        (
            "Query",
            {
                "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "bob"}]}},
                "QueryFilter": {"n": {"ComparisonOperator": "NULL"}},
            },
            {"Attributes": ["n", "pk"], "LeadingKeys": ["bob"], "Select": "ALL_ATTRIBUTES"},
        ),
        ("UpdateItem", {"Key": KEY}, {"Attributes": ["pk", "sk"], "LeadingKeys": ["alice"]}),
        ("GetItem", {"Key": {"pk": {"S": 5}}}, {"Select": "ALL_ATTRIBUTES"}),
    ],
)
async def test_condition_keys(operation: str, params: dict[str, Any], conditions: dict[str, Any]) -> None:
    assert await asked(operation, {"TableName": "notes", **params}) == [
        (f"dynamodb:{operation}", ARN, {f"dynamodb:{key}": value for key, value in conditions.items()})
    ]


async def test_an_index_is_a_resource_and_has_a_partition_key_of_its_own() -> None:
    query = {
        "TableName": "notes",
        "IndexName": "turned",
        "KeyConditionExpression": "sk = :s",
        "ExpressionAttributeValues": {":s": {"S": "1"}},
    }
    ((action, resource, conditions),) = await asked("Query", query)
    assert (action, resource) == ("dynamodb:Query", f"{ARN}/index/turned")
    assert conditions["dynamodb:LeadingKeys"] == ["1"]
    ((action, resource, _),) = await asked("Scan", {"TableName": "notes", "IndexName": "turned"})
    assert (action, resource) == ("dynamodb:Scan", f"{ARN}/index/turned")


async def test_a_batch_is_about_each_of_its_tables() -> None:
    items = {
        "notes": [{"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": {**KEY, "pk": {"S": "bob"}}}}],
        "other": [{"PutRequest": {"Item": KEY}}],
    }
    recorded = await asked("BatchWriteItem", {"RequestItems": items})
    assert recorded == [
        (
            "dynamodb:BatchWriteItem",
            ARN,
            {"dynamodb:Attributes": ["pk", "sk"], "dynamodb:LeadingKeys": ["alice", "bob"]},
        )
    ]


@pytest.mark.parametrize(
    ("second", "selected"),
    [({"ProjectionExpression": "title"}, "SPECIFIC_ATTRIBUTES"), ({}, "ALL_ATTRIBUTES")],
    ids=["all of them say which attributes", "one of them asks for all"],
)
async def test_a_batch_that_reads_is_asked_what_it_selects(second: dict[str, Any], selected: str) -> None:
    items = {"notes": {"Keys": [KEY], "AttributesToGet": ["title"]}, "other": {"Keys": [KEY], **second}}
    ((_, _, conditions),) = await asked("BatchGetItem", {"RequestItems": items})
    assert conditions["dynamodb:Select"] == selected


async def test_a_transaction_needs_the_permission_of_each_action() -> None:
    """A caller who may do one of them and not the next is denied; here nobody may do the first."""
    put, check = {"TableName": "notes", "Item": KEY}, {"TableName": "other", "Key": KEY, "ConditionExpression": "a = a"}
    keys = {"dynamodb:Attributes": ["pk", "sk"], "dynamodb:LeadingKeys": ["alice"]}
    enclosing = {"dynamodb:EnclosingOperation": "TransactWriteItems"}
    assert await asked("TransactWriteItems", {"TransactItems": [{"Put": put}, {"ConditionCheck": check}]}) == [
        ("dynamodb:PutItem", ARN, {**keys, **enclosing})
    ]
    get = {"TableName": "notes", "Key": KEY}
    told = {"ReturnConsumedCapacity": "TOTAL"}
    assert await asked("TransactGetItems", {"TransactItems": [{"Get": get}], **told}) == [
        (
            "dynamodb:GetItem",
            ARN,
            {
                **keys,
                "dynamodb:Select": "ALL_ATTRIBUTES",
                "dynamodb:EnclosingOperation": "TransactGetItems",
                "dynamodb:ReturnConsumedCapacity": "TOTAL",
            },
        )
    ]


def test_every_action_of_a_transaction_is_asked_for() -> None:
    names = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
    actions = [{kind: {"TableName": "notes", "Item": {}, "Key": {}}} for kind in names]
    call = Call(SCOPE, Principal.root(SCOPE.account), "r", 0, CountingIds())
    demands = transaction_demands(EmptyTx(), call, {"TransactItems": actions})
    assert [(demand.action, demand.resource) for demand in demands] == [
        (f"dynamodb:{name}", ARN) for name in names.values()
    ]


class EmptyTx:
    """A store without tables."""

    def get(self, key: bytes) -> bytes | None:
        return None

    def scan(self, *bounds: bytes, limit: int | None = None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return iter(())


async def asked(operation: str, params: dict[str, Any]) -> list[Any]:
    """Return what the authorizer was asked when somebody else than root made the request."""
    recorder = Recorder()
    house = House("dynamodb", authorizer=recorder)
    await house.call(
        "dynamodb",
        "CreateTable",
        {
            "TableName": "notes",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "turned",
                    "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        },
    )
    user = Principal("user", "000000000000", "arn:aws:iam::000000000000:user/alice", name="alice")
    with pytest.raises(ServiceError) as error:
        await house.call("dynamodb", operation, params, principal=user)
    assert (error.value.code, error.value.status) == ("AccessDeniedException", 400)
    return recorder.asked


INDEX_ARN = f"{ARN}/index/turned"
ALL = {"Select": "ALL_ATTRIBUTES"}
ONE_KEY = "pk = 'alice' AND sk = '1'"
STATEMENTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("SELECT * FROM notes", "Select", ARN, {"FullTableScan": "true", **ALL}),
    (
        "SELECT * FROM notes WHERE title = 'a' OR size(tags) > 1",
        "Select",
        ARN,
        {"Attributes": ["tags", "title"], "FullTableScan": "true", **ALL},
    ),
    (
        "SELECT a.b, \"c\"[0] FROM notes WHERE pk IN ['alice', 'bob'] ORDER BY pk DESC",
        "Select",
        ARN,
        {
            "Attributes": ["a", "c", "pk"],
            "FullTableScan": "false",
            "LeadingKeys": ["alice", "bob"],
            "Select": "SPECIFIC_ATTRIBUTES",
        },
    ),
    (
        'SELECT * FROM "notes"."turned" WHERE sk = \'1\'',
        "Select",
        INDEX_ARN,
        {"Attributes": ["sk"], "FullTableScan": "false", "LeadingKeys": ["1"], **ALL},
    ),
    (
        # Too much for one statement, which is told only to those who may.
        f"SELECT * FROM notes WHERE pk IN [{', '.join(repr(str(n)) for n in range(51))}] AND sk IN ['1', '2']",
        "Select",
        ARN,
        {"Attributes": ["pk", "sk"], "FullTableScan": "false", "LeadingKeys": [str(n) for n in range(51)], **ALL},
    ),
    (
        "INSERT INTO notes VALUE {'pk': 'alice', 'sk': '1', 'title': ['x']}",
        "Insert",
        ARN,
        {"Attributes": ["pk", "sk", "title"], "LeadingKeys": ["alice"]},
    ),
    (
        f"UPDATE notes SET n = n + 1 SET m.x = list_append(k, [2]) REMOVE tags[0] WHERE {ONE_KEY} RETURNING ALL OLD *",
        "Update",
        ARN,
        {
            "Attributes": ["k", "m", "n", "pk", "sk", "tags"],
            "LeadingKeys": ["alice"],
            "ReturnValues": "ALL_OLD",
        },
    ),
    (
        f"DELETE FROM notes WHERE {ONE_KEY} AND attribute_type(title, 'S')",
        "Delete",
        ARN,
        {"Attributes": ["pk", "sk", "title"], "LeadingKeys": ["alice"]},
    ),
    (
        "SELECT x FROM nothing",
        "Select",
        ARN.replace("notes", "nothing"),
        {"Attributes": ["x"], "Select": "SPECIFIC_ATTRIBUTES"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "action", "resource", "conditions"), STATEMENTS, ids=[one[0] for one in STATEMENTS]
)
async def test_what_a_policy_sees_of_a_statement(
    statement: str, action: str, resource: str, conditions: dict[str, Any]
) -> None:
    expected = (f"dynamodb:PartiQL{action}", resource, {f"dynamodb:{key}": value for key, value in conditions.items()})
    assert await asked("ExecuteStatement", {"Statement": statement}) == [expected]
