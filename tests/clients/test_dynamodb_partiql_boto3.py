"""PartiQL through boto3: statements, pages, batches, transactions, errors, and what a policy allows."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def ddb(server: Any) -> Any:
    return server.client("dynamodb")


@pytest.fixture(scope="module")
def table(ddb: Any) -> str:
    """A table of partition key `pk` and sort key `sk`, with ten items in one partition."""
    name = f"statements-{uuid.uuid4()}"
    ddb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    ddb.batch_execute_statement(
        Statements=[
            {"Statement": f"INSERT INTO \"{name}\" VALUE {{'pk': 'many', 'sk': '{n}', 'n': {n}}}"} for n in range(10)
        ]
    )
    return name


def error_of(call: Callable[..., Any], **params: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call(**params)
    return dict(error.value.response)


def code_and_message(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    error = error_of(call, **params)["Error"]
    return error["Code"], error["Message"]


def test_an_item_s_life(ddb: Any, table: str) -> None:
    key = [{"S": "one"}, {"S": "x"}]
    insert = f"INSERT INTO \"{table}\" VALUE {{'pk': ?, 'sk': ?, 'raw': ?, 'tags': <<'a', 'b'>>}}"
    assert ddb.execute_statement(Statement=insert, Parameters=[*key, {"B": b"\x00\xff"}])["Items"] == []
    assert code_and_message(ddb.execute_statement, Statement=insert, Parameters=[*key, {"B": b""}]) == (
        "DuplicateItemException",
        "Duplicate primary key exists in table",
    )
    select = f'SELECT raw, tags FROM "{table}" WHERE pk = ? AND sk = ?'
    assert ddb.execute_statement(Statement=select, Parameters=key)["Items"] == [
        {"raw": {"B": b"\x00\xff"}, "tags": {"SS": ["a", "b"]}}
    ]
    update = f"UPDATE \"{table}\" SET tags = set_add(tags, <<'c'>>) WHERE pk = ? AND sk = ? RETURNING MODIFIED NEW *"
    assert ddb.execute_statement(Statement=update, Parameters=key)["Items"] == [{"tags": {"SS": ["a", "b", "c"]}}]
    delete = f'DELETE FROM "{table}" WHERE pk = ? AND sk = ? RETURNING ALL OLD *'
    assert ddb.execute_statement(Statement=delete, Parameters=key)["Items"][0]["pk"] == {"S": "one"}


def test_pages(ddb: Any, table: str) -> None:
    select = f"SELECT n FROM \"{table}\" WHERE pk = 'many' ORDER BY sk DESC"
    found: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = ddb.execute_statement(Statement=select, Limit=4, **more)
        found += [item["n"]["N"] for item in page["Items"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert found == [str(n) for n in range(9, -1, -1)]
    assert code_and_message(ddb.execute_statement, Statement=select, NextToken="nonsense") == (
        "ValidationException",
        "Invalid NextToken",
    )


REFUSED = {
    "no statement": ("SELECT", "Statement wasn't well formed, can't be processed: Unexpected term"),
    "no key": (
        'DELETE FROM "{table}" WHERE n = 1',
        "Where clause does not contain a mandatory equality on all key attributes",
    ),
}


@pytest.mark.parametrize(("statement", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(ddb: Any, table: str, statement: str, message: str) -> None:
    response = error_of(ddb.execute_statement, Statement=statement.format(table=table))
    assert response["Error"] == {"Code": "ValidationException", "Message": message}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_limits_of_the_model(ddb: Any, table: str) -> None:
    code, message = code_and_message(ddb.execute_statement, Statement="x" * 8193)
    assert code == "ValidationException"
    assert message.endswith("failed to satisfy constraint: Member must have length less than or equal to 8192")
    code, _ = code_and_message(ddb.batch_execute_statement, Statements=[{"Statement": "SELECT"}] * 26)
    assert code == "ValidationException"


def test_a_batch(ddb: Any, table: str) -> None:
    answer = ddb.batch_execute_statement(
        Statements=[
            {"Statement": f"SELECT n FROM \"{table}\" WHERE pk = 'many' AND sk = '3'"},
            {"Statement": "SELECT n FROM \"nothing-here\" WHERE pk = 'many' AND sk = '3'"},
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["Responses"] == [
        {"TableName": table, "Item": {"n": {"N": "3"}}},
        {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}},
    ]
    assert answer["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 0.5}]


def test_a_transaction(ddb: Any, table: str) -> None:
    read = ddb.execute_transaction(
        TransactStatements=[
            {"Statement": f'SELECT n FROM "{table}" WHERE pk = ? AND sk = ?', "Parameters": [{"S": "many"}, {"S": n}]}
            for n in ("1", "nothing")
        ]
    )
    assert read["Responses"] == [{"Item": {"n": {"N": "1"}}}, {}]
    response = error_of(
        ddb.execute_transaction,
        TransactStatements=[
            {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': 'new', 'sk': '1'}}"},
            {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': 'many', 'sk': '1'}}"},
        ],
    )
    assert response["Error"] == {
        "Code": "TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, DuplicateItem]",
    }
    assert response["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
    ]
    assert ddb.execute_statement(Statement=f"SELECT * FROM \"{table}\" WHERE pk = 'new'")["Items"] == []


def test_a_policy_allows_statements_by_their_kind(server: Any, ddb: Any, table: str) -> None:
    iam = server.client("iam")
    user = f"reader-{uuid.uuid4()}"
    iam.create_user(UserName=user)
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}"
    statements = [
        {"Effect": "Allow", "Action": "dynamodb:PartiQLSelect", "Resource": [arn, f"{arn}/index/*"]},
        {
            "Effect": "Deny",
            "Action": "dynamodb:PartiQLSelect",
            "Resource": arn,
            "Condition": {"Bool": {"dynamodb:FullTableScan": "true"}},
        },
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=user, PolicyName="policy", PolicyDocument=policy)
    keys = iam.create_access_key(UserName=user)["AccessKey"]
    reader = server.client("dynamodb", keys["AccessKeyId"], keys["SecretAccessKey"])

    one = f"SELECT * FROM \"{table}\" WHERE pk = 'many' AND sk = '1'"
    delete = f"DELETE FROM \"{table}\" WHERE pk = 'many' AND sk = '1'"
    assert len(reader.execute_statement(Statement=one)["Items"]) == 1
    assert code_and_message(reader.execute_statement, Statement=f'SELECT * FROM "{table}"')[0] == (
        "AccessDeniedException"
    )
    code, message = code_and_message(reader.execute_statement, Statement=delete)
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: dynamodb:PartiQLDelete on resource: {arn}" in message
    assert code_and_message(reader.execute_transaction, TransactStatements=[{"Statement": delete}])[0] == code
    slots = reader.batch_execute_statement(Statements=[{"Statement": delete}])["Responses"]
    assert slots[0]["Error"]["Code"] == "AccessDenied"
    assert len(reader.execute_statement(Statement=one)["Items"]) == 1
