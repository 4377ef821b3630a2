"""Contributor insights: the setting of a table or a global index. Nothing is counted; the rules have their names."""

from typing import Any, NamedTuple

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.limits import INSIGHTS_LISTED_MAX
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.operations.tables import get_table
from cumulet.services.dynamodb.tables import TABLES, Insights, Table, name_of, table_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx, WriteTx

_ALL_KEYS = "ACCESSED_AND_THROTTLED_KEYS"


def insights_arn(call: Call, params: Params) -> str:
    """Return the ARN of the table or index that a request is about."""
    index = params.get("IndexName")
    return table_arn(call, params) + ("" if index is None else f"/index/{index}")


def listed_arn(call: Call, params: Params) -> str:
    """Return the ARN of the table whose settings are listed."""
    return "*" if params.get("TableName") is None else table_arn(call, params)


@operation(
    "UpdateContributorInsights",
    resource=insights_arn,
    params="TableName IndexName ContributorInsightsAction ContributorInsightsMode",
    missing="keys are not counted: the setting is kept",
)
def update_contributor_insights(call: Call, tx: WriteTx, params: Params) -> Output:
    """Switch the setting on or off. It holds at once, though the answer says ENABLING or DISABLING as AWS's does."""
    record = get_table(call, tx, params["TableName"]).record
    index, enabled = _read_index(record, params), params["ContributorInsightsAction"] == "ENABLE"
    _check_active(record, index, call.now_ms)
    mode = params.get("ContributorInsightsMode")
    if mode is not None and not enabled:
        invalid("ContributorInsightsMode can only be specified when ContributorInsightsAction is ENABLE")
    before = record.insights.get(index)
    setting = Insights(mode or (before.mode if before else _ALL_KEYS), call.now_ms, enabled)
    changed = msgspec.structs.replace(record, insights={**record.insights, index: setting})
    TABLES.save(tx, call.scope, record.name, record=changed)
    return _render(record, index, "ENABLING" if enabled else "DISABLING", setting)


@operation("DescribeContributorInsights", resource=insights_arn, params="TableName IndexName")
def describe_contributor_insights(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the setting, and the names of the rules that come with it."""
    table = get_table(call, tx, params["TableName"])
    record = table.record
    index = _read_index(record, params)
    setting = record.insights.get(index)
    if setting is None:
        return _render(record, index, "DISABLED", None)
    output = _render(record, index, "ENABLED" if setting.enabled else "DISABLED", setting)
    output["LastUpdateDateTime"] = setting.changed_ms / 1000
    if setting.enabled:
        sorted_too = bool(table.indexes[index].range_keys) if index else record.range_name is not None
        output["ContributorInsightsRuleList"] = _rules(record, index, setting, sorted_too)
    return output


class _Position(NamedTuple):
    """Behind which setting a page begins."""

    table_name: str
    index_name: str


@operation("ListContributorInsights", resource=listed_arn, params="TableName NextToken MaxResults")
def list_contributor_insights(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the settings that were ever made."""
    limit = params.get("MaxResults") or INSIGHTS_LISTED_MAX
    behind = decode_token(params.get("NextToken"), tuple[str, str], _invalid_token)
    if params.get("TableName") is not None:
        name = name_of(call, params["TableName"])
        records = [get_table(call, tx, name).record]
    else:
        records = list(TABLES.scan(tx, call.scope))
    settings = [
        (_Position(record.name, index), record.insights[index])
        for record in records
        if not record.gone_ms
        for index in sorted(record.insights)
    ]
    if behind is not None:
        settings = [one for one in settings if one[0] > behind]
    output: dict[str, Any] = {"ContributorInsightsSummaries": [_summarise(*one) for one in settings[:limit]]}
    if len(settings) > limit:
        output["NextToken"] = encode_token(settings[limit - 1][0])
    return output


def _summarise(position: _Position, setting: Insights) -> dict[str, Any]:
    summary = {"TableName": position.table_name}
    if position.index_name:
        summary["IndexName"] = position.index_name
    return {
        **summary,
        "ContributorInsightsStatus": "ENABLED" if setting.enabled else "DISABLED",
        "ContributorInsightsMode": setting.mode,
    }


def _render(record: Table, index: str, status: str, setting: Insights | None) -> dict[str, Any]:
    output: dict[str, Any] = {"TableName": record.name}
    if index:
        output["IndexName"] = index
    output["ContributorInsightsStatus"] = status
    if setting is not None:
        output["ContributorInsightsMode"] = setting.mode
    return output


def _rules(record: Table, index: str, setting: Insights, sorted_too: bool) -> list[str]:
    # The developer guide, "CloudWatch Contributor Insights for DynamoDB": PK and SK for the keys, C for consumed and T
    # for throttled.
    kinds = ["PK", "SK"] if sorted_too else ["PK"]
    counted = "CT" if setting.mode == _ALL_KEYS else "T"
    subject = f"{record.name}-{index}" if index else record.name
    return [
        f"DynamoDBContributorInsights-{kind}{what}-{subject}-{setting.changed_ms}" for kind in kinds for what in counted
    ]


def _read_index(record: Table, params: Params) -> str:
    name = params.get("IndexName")
    if name is None:
        return ""
    if all(index.name != name or index.gone_ms for index in record.global_indexes):
        raise ServiceError(
            "ResourceNotFoundException",
            f"Requested resource not found: Index: {name} not found for table: {record.name}",
        )
    return str(name)


def _check_active(record: Table, index: str, now_ms: int) -> None:
    statuses = [("TableStatus", record.status(now_ms))]
    statuses += [("IndexStatus", one.status(now_ms)) for one in record.global_indexes if one.name == index]
    for name, status in statuses:
        if status != "ACTIVE":
            invalid(
                "Table or Index is not in a valid state to update Key Access Insights: "
                f"{name} must be ACTIVE to enable ContributorInsights."
            )


def _invalid_token() -> ServiceError:
    return ServiceError("ValidationException", "Invalid NextToken")
