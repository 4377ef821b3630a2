"""Contributor insights: the setting of tables and indexes."""

from typing import Any

import pytest

from cumulet.settings import Settings
from harness import House
from streaming import Tables, refused

NOW_S = 1_760_000_000
INDEX = {
    "IndexName": "by-kind",
    "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


@pytest.fixture
async def tables() -> Tables:
    tables = Tables()
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "kind")]
    await tables.create("tab", sort_key=True, AttributeDefinitions=definitions, GlobalSecondaryIndexes=[INDEX])
    return tables


async def update(tables: Tables, action: str = "ENABLE", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await tables(
        "UpdateContributorInsights", TableName="tab", ContributorInsightsAction=action, **more
    )
    return answer


async def test_a_table_and_its_indexes_have_settings_of_their_own(tables: Tables) -> None:
    mode = {"ContributorInsightsMode": "ACCESSED_AND_THROTTLED_KEYS"}
    assert await update(tables) == {"TableName": "tab", "ContributorInsightsStatus": "ENABLING", **mode}
    assert await tables("DescribeContributorInsights", TableName="tab") == {
        "TableName": "tab",
        "ContributorInsightsStatus": "ENABLED",
        **mode,
        "LastUpdateDateTime": NOW_S,
        "ContributorInsightsRuleList": [
            f"DynamoDBContributorInsights-{kind}-tab-{NOW_S}000" for kind in ("PKC", "PKT", "SKC", "SKT")
        ],
    }
    assert await tables("DescribeContributorInsights", TableName="tab", IndexName="by-kind") == {
        "TableName": "tab",
        "IndexName": "by-kind",
        "ContributorInsightsStatus": "DISABLED",
    }
    await update(tables, IndexName="by-kind", ContributorInsightsMode="THROTTLED_KEYS")
    described = await tables("DescribeContributorInsights", TableName="tab", IndexName="by-kind")
    assert described["ContributorInsightsRuleList"] == [f"DynamoDBContributorInsights-PKT-tab-by-kind-{NOW_S}000"]
    assert (await update(tables, "DISABLE"))["ContributorInsightsStatus"] == "DISABLING"
    described = await tables("DescribeContributorInsights", TableName="tab")
    assert described["ContributorInsightsStatus"] == "DISABLED"
    assert "ContributorInsightsRuleList" not in described


async def test_settings_are_listed_in_pages(tables: Tables) -> None:
    await tables.create("other")
    assert await tables("ListContributorInsights") == {"ContributorInsightsSummaries": []}
    await update(tables)
    await update(tables, IndexName="by-kind")
    page = await tables("ListContributorInsights", MaxResults=1)
    assert [one.get("IndexName") for one in page["ContributorInsightsSummaries"]] == [None]
    rest = await tables("ListContributorInsights", NextToken=page["NextToken"])
    assert [one.get("IndexName") for one in rest["ContributorInsightsSummaries"]] == ["by-kind"]
    assert "NextToken" not in rest
    assert await tables("ListContributorInsights", TableName="other") == {"ContributorInsightsSummaries": []}
    call = tables("ListContributorInsights", NextToken="nonsense")
    assert await refused(call) == ("ValidationException", "Invalid NextToken")


async def test_bad_requests_are_refused(tables: Tables) -> None:
    assert await refused(update(tables, IndexName="none")) == (
        "ResourceNotFoundException",
        "Requested resource not found: Index: none not found for table: tab",
    )
    assert await refused(update(tables, "DISABLE", ContributorInsightsMode="THROTTLED_KEYS")) == (
        "ValidationException",
        "ContributorInsightsMode can only be specified when ContributorInsightsAction is ENABLE",
    )


async def test_a_table_in_the_making_has_no_insights() -> None:
    house = House("dynamodb", settings=Settings(dynamodb_delay_ms=1000))
    table = {
        "TableName": "tab",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }
    await house.call("dynamodb", "CreateTable", table)
    enable = {"TableName": "tab", "ContributorInsightsAction": "ENABLE"}
    assert await refused(house.call("dynamodb", "UpdateContributorInsights", enable)) == (
        "ValidationException",
        "Table or Index is not in a valid state to update Key Access Insights: TableStatus must be ACTIVE to enable "
        "ContributorInsights.",
    )
    assert await refused(house.call("dynamodb", "DescribeTimeToLive", {"TableName": "tab"})) == (
        "ValidationException",
        "Cannot describe time to live while table is in CREATING state: Current table state is CREATING",
    )
    house.clock.advance(1)
    answer = await house.call("dynamodb", "UpdateContributorInsights", enable)
    assert answer["ContributorInsightsStatus"] == "ENABLING"
