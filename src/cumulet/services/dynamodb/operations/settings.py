"""What the control plane answers of itself, and of what no table here has: replicas and Kinesis destinations."""

from collections.abc import Mapping
from typing import Any, NoReturn

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.limits import ACCOUNT_UNITS_MAX, ENDPOINT_CACHE_MINUTES, TABLE_UNITS_MAX
from cumulet.services.dynamodb.core.values import invalid_parameter
from cumulet.services.dynamodb.operations.tables import get_table
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.tables import table_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


def global_table_arn(call: Call, params: Params) -> str:
    """Return the ARN of the global table that a request names."""
    return f"arn:aws:dynamodb::{call.scope.account}:global-table/{params['GlobalTableName']}"


@operation("DescribeLimits", resource="*")
def describe_limits(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return AWS's default quotas, which `quotas` enforces."""
    return {
        "AccountMaxReadCapacityUnits": ACCOUNT_UNITS_MAX,
        "AccountMaxWriteCapacityUnits": ACCOUNT_UNITS_MAX,
        "TableMaxReadCapacityUnits": TABLE_UNITS_MAX,
        "TableMaxWriteCapacityUnits": TABLE_UNITS_MAX,
    }


@operation("DescribeEndpoints", resource="*")
async def describe_endpoints(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return where this server is reached."""
    address = plane.ground.settings.endpoint.partition("://")[2]
    return {"Endpoints": [{"Address": address, "CachePeriodInMinutes": ENDPOINT_CACHE_MINUTES}]}


@operation("DescribeKinesisStreamingDestination", resource=table_arn, params="TableName")
def describe_kinesis_streaming_destination(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the Kinesis streams to which a table's changes go: none."""
    table = get_table(call, tx, params["TableName"])
    return {"TableName": table.record.name, "KinesisDataStreamDestinations": []}


@operation("DescribeTableReplicaAutoScaling", resource=table_arn, params="TableName")
def describe_table_replica_auto_scaling(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return how a table's replicas scale: there are none."""
    record = get_table(call, tx, params["TableName"]).record
    description: dict[str, Any] = {
        "TableName": record.name,
        "TableStatus": record.status(call.now_ms),
        "Replicas": [],
    }
    return {"TableAutoScalingDescription": description}


@operation("ListGlobalTables", resource="*", params="ExclusiveStartGlobalTableName Limit RegionName")
def list_global_tables(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the global tables of the 2017 version: none."""
    return {"GlobalTables": []}


@operation("DescribeGlobalTable", resource=global_table_arn, params="GlobalTableName")
def describe_global_table(call: Call, tx: ReadTx, params: Params) -> Output:
    """Say that there is no such global table."""
    _missing(params)


@operation("DescribeGlobalTableSettings", resource=global_table_arn, params="GlobalTableName")
def describe_global_table_settings(call: Call, tx: ReadTx, params: Params) -> Output:
    """Say that there is no such global table."""
    _missing(params)


@operation("CreateGlobalTable", resource=global_table_arn, params="GlobalTableName ReplicationGroup")
def create_global_table(call: Call, tx: WriteTx, params: Params) -> Output:
    """Say what AWS says of the 2017 version: it makes no such global table any more."""
    _refuse_version()


@operation("UpdateGlobalTable", resource=global_table_arn, params="GlobalTableName ReplicaUpdates")
def update_global_table(call: Call, tx: WriteTx, params: Params) -> Output:
    """Say what AWS says of the 2017 version."""
    _refuse_version()


def _refuse_version() -> NoReturn:
    invalid_parameter(
        "DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables version "
        "2019.11.21, instead of version 2017.11.29 (Legacy)."
    )


def _missing(params: Mapping[str, Any]) -> NoReturn:
    raise ServiceError(
        "GlobalTableNotFoundException", f"Global table not found: {params['GlobalTableName']} does not exist"
    )
