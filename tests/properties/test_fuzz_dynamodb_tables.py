"""Hostile requests to every operation of DynamoDB and its streams, those that `test_fuzz_dynamodb` does not have.

A valid request of each operation gets something bad in one or two places, by a chance that is the same each time. Each
is answered, soon, and never with a failure of the server; a 501 says by name what is not built.
"""

# ruff: noqa: E501  (the table below reads best a line per row)

import json
import os
import random
import socket
from contextlib import closing
from typing import Any

import pytest

from cumulet.app import SERVICES
from harness import House
from properties.test_fuzz_dynamodb import BOMBS, RAW
from properties.test_fuzz_dynamodb import VALID as ITEM_REQUESTS
from properties.test_fuzz_server import places, put
from running import Server

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("CUMULET_FUZZ_SEED", "22"))
TRIES = int(os.environ.get("CUMULET_FUZZ_TRIES", "24"))
"""Of each operation."""

T = {"TableName": "victim"}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/victim"
ID = "00001760000000-0123abcd"
PK = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}
UNITS = {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
INDEX = {
    "IndexName": "by-pk",
    "KeySchema": PK["KeySchema"],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
}
VECTOR = {
    "IndexName": "near",
    "VectorAttribute": {"AttributeName": "v"},
    "Dimensions": 2,
    "DistanceFunction": "COSINE",
    "Projection": {"ProjectionType": "ALL"},
    "SearchSchema": [{"AttributeName": "pk", "SearchSchemaElementType": "HASH"}],
}
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"dynamodb:GetItem","Resource":"*"}]}'
STATEMENT = {"Statement": "SELECT * FROM victim WHERE pk = ?", "Parameters": [{"S": "a"}]}
DESIGN = {"TableName": "made", **PK, "BillingMode": "PAY_PER_REQUEST"}

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("CreateTable", {**DESIGN, "GlobalSecondaryIndexes": [INDEX], "VectorIndexes": [VECTOR], "Tags": [{"Key": "k", "Value": "v"}], "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}, "SSESpecification": {"Enabled": True}, "ResourcePolicy": POLICY, "OnDemandThroughput": {"MaxReadRequestUnits": 5}, "WarmThroughput": {"ReadUnitsPerSecond": 12000}}),
    ("CreateTable", {**DESIGN, "BillingMode": "PROVISIONED", **UNITS, "LocalSecondaryIndexes": [INDEX]}),
    ("UpdateTable", {**T, **PK, "BillingMode": "PAY_PER_REQUEST", "GlobalSecondaryIndexUpdates": [{"Create": INDEX}]}),
    ("UpdateTable", {**T, "BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}}),
    ("UpdateTable", {**T, "BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": -1}}),
    ("UpdateTable", {**T, "WarmThroughput": {"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000}}),
    ("UpdateTable", {**T, "SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "mine"}}),
    ("UpdateTable", {**T, "TableClass": "STANDARD"}),
    ("UpdateTable", {**T, **PK, "VectorIndexUpdates": [{"Create": VECTOR}], "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}),
    ("DescribeTable", T), ("ListTables", {"ExclusiveStartTableName": "a", "Limit": 1}), ("DeleteTable", {"TableName": "made"}),
    ("DescribeEndpoints", {}), ("DescribeLimits", {}),
    ("TagResource", {"ResourceArn": ARN, "Tags": [{"Key": "k", "Value": "v"}]}), ("UntagResource", {"ResourceArn": ARN, "TagKeys": ["k"]}), ("ListTagsOfResource", {"ResourceArn": ARN, "NextToken": "t"}),
    ("UpdateTimeToLive", {**T, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "t"}}), ("DescribeTimeToLive", T),
    ("UpdateContinuousBackups", {**T, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 2}}), ("DescribeContinuousBackups", T),
    ("CreateBackup", {**T, "BackupName": "bak"}), ("DescribeBackup", {"BackupArn": f"{ARN}/backup/{ID}"}), ("DeleteBackup", {"BackupArn": f"{ARN}/backup/{ID}"}),
    ("ListBackups", {**T, "Limit": 1, "TimeRangeLowerBound": 1, "TimeRangeUpperBound": 2, "ExclusiveStartBackupArn": f"{ARN}/backup/{ID}", "BackupType": "ALL"}),
    ("RestoreTableFromBackup", {"TargetTableName": "back", "BackupArn": f"{ARN}/backup/{ID}", "VectorIndexOverride": [VECTOR]}),
    ("RestoreTableToPointInTime", {"SourceTableName": "victim", "TargetTableName": "again", "UseLatestRestorableTime": True, "GlobalSecondaryIndexOverride": [INDEX], "VectorIndexOverride": [VECTOR]}),
    ("RestoreTableToPointInTime", {"SourceTableArn": ARN, "TargetTableName": "again", "RestoreDateTime": 1.5, "OnDemandThroughputOverride": {"MaxReadRequestUnits": 5}}),
    ("ExportTableToPointInTime", {"TableArn": ARN, "S3Bucket": "bucket", "ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {"ExportFromTime": 1, "ExportToTime": 1000, "ExportViewType": "NEW_IMAGE"}, "ClientToken": "t"}),
    ("ExportTableToPointInTime", {"TableArn": ARN, "S3Bucket": "bucket", "ExportTime": 5, "S3Prefix": "p", "S3SseAlgorithm": "AES256", "ExportFormat": "ION"}),
    ("DescribeExport", {"ExportArn": f"{ARN}/export/{ID}"}), ("ListExports", {"TableArn": ARN, "MaxResults": 1, "NextToken": "t"}),
    ("ImportTable", {"S3BucketSource": {"S3Bucket": "bucket", "S3KeyPrefix": "p"}, "InputFormat": "CSV", "InputFormatOptions": {"Csv": {"Delimiter": ";", "HeaderList": ["pk"]}}, "InputCompressionType": "ZSTD", "TableCreationParameters": DESIGN, "ClientToken": "t"}),
    ("DescribeImport", {"ImportArn": f"{ARN}/import/{ID}"}), ("ListImports", {"TableArn": ARN, "PageSize": 1, "NextToken": "0" * 112}),
    ("PutResourcePolicy", {"ResourceArn": ARN, "Policy": POLICY, "ExpectedRevisionId": "NO_POLICY"}), ("GetResourcePolicy", {"ResourceArn": ARN}), ("DeleteResourcePolicy", {"ResourceArn": ARN, "ExpectedRevisionId": "1"}),
    ("UpdateContributorInsights", {**T, "ContributorInsightsAction": "ENABLE", "ContributorInsightsMode": "THROTTLED_KEYS"}), ("DescribeContributorInsights", {**T, "IndexName": "by-pk"}), ("ListContributorInsights", {**T, "MaxResults": 1, "NextToken": "t"}),
    ("DescribeGlobalTable", {"GlobalTableName": "victim"}), ("DescribeGlobalTableSettings", {"GlobalTableName": "victim"}), ("ListGlobalTables", {"Limit": 1, "RegionName": "us-east-1"}),
    ("CreateGlobalTable", {"GlobalTableName": "victim", "ReplicationGroup": [{"RegionName": "us-east-1"}]}),
    ("UpdateGlobalTable", {"GlobalTableName": "victim", "ReplicaUpdates": [{"Create": {"RegionName": "us-east-1"}}]}), ("DescribeTableReplicaAutoScaling", T), ("DescribeKinesisStreamingDestination", T),
    ("SearchVectors", {**T, "IndexName": "near", "SearchVector": [{"N": "1"}, {"N": "2"}], "TopK": 1, "SearchConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}, "ProjectionExpression": "v"}),
    ("BatchExecuteStatement", {"Statements": [STATEMENT, {**STATEMENT, "ConsistentRead": True}], "ReturnConsumedCapacity": "INDEXES"}),
    ("ExecuteTransaction", {"TransactStatements": [STATEMENT, {"Statement": "SELECT * FROM victim WHERE pk = 'b'"}], "ClientRequestToken": "t"}),
    ("ListStreams", {**T, "Limit": 1, "ExclusiveStartStreamArn": f"{ARN}/stream/2025-01-01T00:00:00.000"}), ("DescribeStream", {"StreamArn": f"{ARN}/stream/2025-01-01T00:00:00.000", "Limit": 1, "ExclusiveStartShardId": "shardId-00000001-0000000000000000000000"}),
    ("GetShardIterator", {"StreamArn": f"{ARN}/stream/2025-01-01T00:00:00.000", "ShardId": "shardId-00000001-0000000000000000000000", "ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "000000000000000000001"}),
    ("GetRecords", {"ShardIterator": f"{ARN}/stream/2025-01-01T00:00:00.000|1|AAAA", "Limit": 1}),
]  # fmt: skip

WORDS = [
    "", "a", "..", "x!", "A" * 3000, "\x00", "é😀", "*", "arn:", "arn:aws:dynamodb:us-east-1:000000000000:table/", f"{ARN}/index/i", "arn:aws:dynamodb:eu-west-1:000000000000:table/victim",
    "arn:aws:dynamodb:us-east-1:111111111111:table/victim", f"{ARN}/stream/", f"{ARN}/backup/1-a", "9" * 5000, "-1", "none", "AAAA", "0" * 112, "f" * 128, "|||", "{}", '{"Statement":[]}', "[" * 5000, *BOMBS[::5],
]  # fmt: skip
NUMBERS = [
    b"0",
    b"-1",
    b"1e15",
    b"-62135596801",
    b"253402300800",
    b"1e308",
    b"9223372036854775807",
    b"9223372036854775808",
    b"0.5",
]


def bend(chance: random.Random, params: Any) -> bytes:
    """Return the body of a request with something bad in one or two places."""
    raw: dict[str, bytes] = {}
    for number in range(chance.randint(1, 2)):
        where = chance.choice(places(params))
        if chance.random() < 0.4:
            params = put(params, where, chance.choice(WORDS))
        else:
            mark = f"@@{number}@@"
            raw[json.dumps(mark)] = chance.choice(RAW + NUMBERS * 4)
            params = put(params, where, mark)
    body = json.dumps(params).encode()
    for mark, piece in raw.items():
        body = body.replace(mark.encode(), piece)
    return body


class Line:
    """A connection that is kept as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, target: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of an answer that comes within seconds."""
        head = (
            f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=8)
        self._socket.sendall(head.encode() + body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        answered, _, rest = received.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in answered.split(b"\r\n")[1:])
        while len(rest) < int(fields[b"content-length"]):
            rest += self._receive()
        if fields.get(b"connection") == b"close":
            self.close()
        return int(answered.split(b" ", 2)[1]), rest

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _receive(self) -> bytes:
        assert self._socket is not None
        piece = self._socket.recv(65536)
        assert piece, "the server closed the connection without an answer"
        return piece


async def test_no_operation_is_left_out() -> None:
    house = House("dynamodb", "dynamodbstreams")
    named = {operation for operation, _ in (*REQUESTS, *ITEM_REQUESTS)}
    for service in ("dynamodb", "dynamodbstreams"):
        assert service in SERVICES
        assert set((await house.dispatcher.service(service)).operations) <= named


@pytest.fixture(scope="module")
def besieged(server: Server) -> Server:
    """The server, with a table for hostile requests, and another one that none of them names."""
    client = server.client("dynamodb")
    for name in ("victim", "bystander"):
        client.create_table(TableName=name, **PK, BillingMode="PAY_PER_REQUEST")
        client.put_item(TableName=name, Item={"pk": {"S": "kept"}, "v": {"L": [{"N": "1"}, {"N": "0"}]}})
    return server


@pytest.mark.parametrize("number", range(len(REQUESTS)), ids=[f"{n} {name}" for n, (name, _) in enumerate(REQUESTS)])
def test_hostile_requests_of_every_operation(besieged: Server, number: int) -> None:
    operation, params = REQUESTS[number]
    of_streams = operation in ("ListStreams", "DescribeStream", "GetShardIterator", "GetRecords")
    target = f"DynamoDB{'Streams' if of_streams else ''}_20120810.{operation}"
    chance = random.Random(f"{SEED} {number}")
    with closing(Line(besieged.port)) as line:
        for _ in range(TRIES):
            body = bend(chance, params)
            status, answered = line.ask(target, body)
            assert status < 500 or status == 501, (body[:2000], answered)
            assert status == 200 or b"__type" in answered
    kept = besieged.client("dynamodb").get_item(TableName="bystander", Key={"pk": {"S": "kept"}})
    assert kept["Item"]["v"] == {"L": [{"N": "1"}, {"N": "0"}]}
