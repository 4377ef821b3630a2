"""Resource policies: their revisions, and what they allow and deny."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.iam import IamAuthorizer
from cumulet.services.kit import Principal
from harness import House
from iam_house import allow, deny, document
from streaming import Tables, refused

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/tab"
READS = document(allow("dynamodb:GetItem", Principal="*"))
WRITES = document(allow("dynamodb:PutItem", Principal="*"))
NO_POLICY = (
    "PolicyNotFoundException",
    f"Resource-based policy not found for the provided ResourceArn: {TABLE}",
)


@pytest.fixture
def tables() -> Tables:
    return Tables()


async def put(tables: Tables, text: str = READS, arn: str = TABLE, **more: Any) -> str:
    answer = await tables("PutResourcePolicy", ResourceArn=arn, Policy=text, **more)
    return str(answer["RevisionId"])


async def test_a_policy_has_revisions(tables: Tables) -> None:
    await tables.create("tab")
    assert await refused(tables("GetResourcePolicy", ResourceArn=TABLE)) == NO_POLICY
    assert await tables("DeleteResourcePolicy", ResourceArn=TABLE) == {}
    first = await put(tables)
    assert await tables("GetResourcePolicy", ResourceArn=TABLE) == {"Policy": READS, "RevisionId": first}
    assert await put(tables) == first
    second = await put(tables, WRITES)
    assert second != first
    assert await tables("DeleteResourcePolicy", ResourceArn=TABLE) == {"RevisionId": second}
    assert await refused(tables("GetResourcePolicy", ResourceArn=TABLE)) == NO_POLICY


async def test_an_expected_revision_has_to_be_the_one(tables: Tables) -> None:
    await tables.create("tab")
    assert await refused(put(tables, ExpectedRevisionId="1")) == NO_POLICY
    first = await put(tables, ExpectedRevisionId="NO_POLICY")
    assert await refused(put(tables, WRITES, ExpectedRevisionId="NO_POLICY")) == NO_POLICY
    second = await put(tables, WRITES, ExpectedRevisionId=first)
    assert await refused(put(tables, READS, ExpectedRevisionId=first)) == NO_POLICY
    call = tables("DeleteResourcePolicy", ResourceArn=TABLE, ExpectedRevisionId=first)
    assert await refused(call) == NO_POLICY
    await tables("DeleteResourcePolicy", ResourceArn=TABLE, ExpectedRevisionId=second)


async def test_a_stream_has_a_policy_of_its_own(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    revision = await put(tables, document(allow("dynamodb:GetRecords", Principal="*")), arn)
    assert (await tables("GetResourcePolicy", ResourceArn=arn))["RevisionId"] == revision
    assert await refused(tables("GetResourcePolicy", ResourceArn=TABLE)) == NO_POLICY
    await tables("DeleteResourcePolicy", ResourceArn=arn)
    assert (await refused(tables("GetResourcePolicy", ResourceArn=arn)))[0] == "PolicyNotFoundException"


async def test_a_table_of_the_same_name_has_no_policy(tables: Tables) -> None:
    await tables.create("tab")
    await put(tables)
    await tables("DeleteTable", TableName="tab")
    await tables.create("tab")
    assert await refused(tables("GetResourcePolicy", ResourceArn=TABLE)) == NO_POLICY


async def test_bad_policies_are_refused(tables: Tables) -> None:
    missing = ("ResourceNotFoundException", f"Requested resource not found: ResourceArn: {TABLE} not found")
    assert await refused(put(tables)) == missing
    await tables.create("tab")
    bad = (
        "ValidationException",
        "One or more parameter values were invalid: Invalid policy document: Syntax errors in policy.",
    )
    assert await refused(put(tables, "no JSON")) == bad
    long = document(allow("dynamodb:GetItem", Principal="*", Sid="x" * 20_480))
    code, message = await refused(put(tables, long))
    assert (code, message) == (
        "ValidationException",
        "One or more parameter values were invalid: Maximum policy size of 20480 bytes exceeded",
    )
    locks_out = document(deny("dynamodb:*", Principal="*"))
    assert (await refused(put(tables, locks_out)))[0] == "ValidationException"
    await put(tables, locks_out, ConfirmRemoveSelfResourceAccess=True)


class Rules:
    """Tables whose callers are authorised, with one user."""

    def __init__(self) -> None:
        self.house = House("dynamodb", "dynamodbstreams", "iam", "sts", authorizer=IamAuthorizer())

    async def user(self, name: str, *statements: dict[str, Any]) -> Principal:
        user = (await self.house.call("iam", "CreateUser", {"UserName": name}))["User"]
        if statements:
            given = {"UserName": name, "PolicyName": "inline", "PolicyDocument": document(*statements)}
            await self.house.call("iam", "PutUserPolicy", given)
        return Principal("user", "000000000000", user["Arn"], user["UserId"], name)

    async def __call__(self, operation: str, by: Principal | None = None, **params: Any) -> Any:
        service = "dynamodbstreams" if operation == "DescribeStream" else "dynamodb"
        return await self.house.call(service, operation, params, principal=by)

    async def may(self, operation: str, by: Principal, **params: Any) -> bool:
        try:
            await self(operation, by, **params)
        except ServiceError as error:
            assert error.code == "AccessDeniedException"
            return False
        return True


async def two_tables() -> Rules:
    rules = Rules()
    for name in ("tab", "other"):
        await rules(
            "CreateTable",
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
    return rules


KEY = {"pk": {"S": "a"}}


async def test_a_policy_allows_whom_it_names() -> None:
    rules = await two_tables()
    user = await rules.user("ann")
    stranger = await rules.user("bob")
    text = document(allow("dynamodb:GetItem", TABLE, Principal={"AWS": user.arn}))
    assert not await rules.may("GetItem", user, TableName="tab", Key=KEY)
    await rules("PutResourcePolicy", ResourceArn=TABLE, Policy=text)
    assert await rules.may("GetItem", user, TableName="tab", Key=KEY)
    assert await rules.may("GetItem", user, TableName=TABLE, Key=KEY)
    assert not await rules.may("GetItem", stranger, TableName="tab", Key=KEY)
    assert not await rules.may("GetItem", user, TableName="other", Key=KEY)
    assert not await rules.may("PutItem", user, TableName="tab", Item=KEY)


async def test_a_policy_denies_through_every_operation() -> None:
    rules = await two_tables()
    user = await rules.user("ann", allow("dynamodb:*"))
    text = document(deny(["dynamodb:*Item", "dynamodb:PartiQL*"], Principal={"AWS": user.arn}))
    await rules("PutResourcePolicy", ResourceArn=TABLE, Policy=text)
    assert not await rules.may("GetItem", user, TableName="tab", Key=KEY)
    assert await rules.may("GetItem", user, TableName="other", Key=KEY)
    assert not await rules.may("BatchGetItem", user, RequestItems={"other": {"Keys": [KEY]}, "tab": {"Keys": [KEY]}})
    puts = [{"Put": {"TableName": name, "Item": KEY}} for name in ("other", "tab")]
    assert not await rules.may("TransactWriteItems", user, TransactItems=puts)
    assert await rules.may("TransactWriteItems", user, TransactItems=puts[:1])
    assert not await rules.may("ExecuteStatement", user, Statement="SELECT * FROM tab")
    statements = [{"Statement": f"SELECT * FROM {name} WHERE pk = 'a'"} for name in ("other", "tab")]
    assert not await rules.may("ExecuteTransaction", user, TransactStatements=statements)
    responses = (await rules("BatchExecuteStatement", user, Statements=statements))["Responses"]
    assert [response.get("Error", {}).get("Code") for response in responses] == [None, "AccessDenied"]


async def test_a_policy_allows_statements() -> None:
    rules = await two_tables()
    user = await rules.user("ann")
    conditions = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"], "dynamodb:Attributes": ["pk"]}}
    text = document(allow("dynamodb:PartiQLSelect", TABLE, Principal={"AWS": user.arn}, Condition=conditions))
    await rules("PutResourcePolicy", ResourceArn=TABLE, Policy=text)
    statements = {
        "SELECT * FROM tab WHERE pk = 'a'": True,
        "SELECT * FROM tab WHERE pk = 'b'": False,
        "SELECT pk, secret FROM tab WHERE pk = 'a'": False,
        "SELECT * FROM other WHERE pk = 'a'": False,
        "DELETE FROM tab WHERE pk = 'a'": False,
    }
    for statement, is_allowed in statements.items():
        assert await rules.may("ExecuteStatement", user, Statement=statement) == is_allowed, statement
    answer = await rules("BatchExecuteStatement", user, Statements=[{"Statement": one} for one in list(statements)[:3]])
    codes = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
    assert codes == [None, "AccessDenied", "AccessDenied"]


async def test_a_streams_policy_speaks_of_the_stream() -> None:
    rules = await two_tables()
    user = await rules.user("ann")
    arn = (await rules("DescribeTable", TableName="tab"))["Table"]["LatestStreamArn"]
    assert not await rules.may("DescribeStream", user, StreamArn=arn)
    text = document(allow("dynamodb:DescribeStream", Principal={"AWS": user.arn}))
    await rules("PutResourcePolicy", ResourceArn=arn, Policy=text)
    assert await rules.may("DescribeStream", user, StreamArn=arn)


async def test_a_table_can_be_made_with_a_policy(tables: Tables) -> None:
    assert (await refused(tables.create("tab", ResourcePolicy="{}")))[0] == "ValidationException"
    await tables.create("tab", ResourcePolicy=READS)
    assert (await tables("GetResourcePolicy", ResourceArn=TABLE))["Policy"] == READS


async def test_who_makes_a_table_with_a_policy_may_put_policies() -> None:
    rules = Rules()
    user = await rules.user("ann", allow("dynamodb:CreateTable"))
    params: dict[str, Any] = {
        "TableName": "tab",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }
    assert not await rules.may("CreateTable", user, **params, ResourcePolicy=READS)
    assert await rules.may("CreateTable", user, **params)
