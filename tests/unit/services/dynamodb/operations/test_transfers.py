"""Exports to S3 and imports from it: what lies in the bucket, what comes of it, and what is refused."""

import base64
import gzip
import hashlib
import json
from functools import partial
from typing import Any, cast

import msgspec
import pytest
from backports import zstd

from cumulet.services.dynamodb.core.limits import TRANSFER_TOKEN_MS
from cumulet.services.dynamodb.transfers import Transfers
from cumulet.services.kit import Call, Demand, Principal, Ruling
from cumulet.store.api import ReadTx
from cumulet.store.leases import Lease
from harness import House

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
PK = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ITEM = {
    "pk": {"S": "one"},
    "n": {"N": "12.5"},
    "i": {"N": "100"},
    "b": {"B": "AQI="},
    "t": {"BOOL": True},
    "z": {"NULL": True},
    "l": {"L": [{"S": 'quoted "text"\n'}, {"N": "-1"}]},
    "m": {"M": {"odd name'": {"S": "x"}, "null": {"SS": ["a", "b"]}}},
    "ns": {"NS": ["1", "2"]},
    "bs": {"BS": ["AQ==", "Ag=="]},
}


class Failing:
    """A lease whose holder is killed after some transactions."""

    def __init__(self, lease: Lease, writes: int) -> None:
        self._lease = lease
        self._left = writes

    def check(self) -> None:
        self._lease.check()

    async def write(self, body: Any) -> Any:
        if not self._left:
            raise ConnectionError("killed")
        self._left -= 1
        return await self._lease.write(body)


USER = Principal("user", "000000000000", "arn:aws:iam::000000000000:user/u", name="u")


class NoLogs:
    """Lets everybody do everything but write logs."""

    def decide(self, tx: ReadTx, call: Call, demand: Demand, *more: Any) -> Ruling:
        return Ruling(False, f"no {demand.action}") if demand.action.startswith("logs:") else Ruling(True)


class Tables:
    """A DynamoDB, a CloudWatch Logs and an S3 with a bucket, whose background work is done when a test says so."""

    def __init__(self) -> None:
        self.house = House("dynamodb", "s3", "logs")
        self.house.workers.run = lambda loop: None  # type: ignore[method-assign]

    async def __call__(self, operation: str, **params: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(await self.house.call("dynamodb", operation, params)))

    async def s3(self, operation: str, **params: Any) -> Any:
        return await self.house.call("s3", operation, {"Bucket": "bucket", **params})

    async def read(self, key: str) -> bytes:
        return bytes((await self.s3("GetObject", Key=key))["Body"])

    async def keys(self, prefix: str = "") -> list[str]:
        return [entry["Key"] for entry in (await self.s3("ListObjectsV2", Prefix=prefix)).get("Contents", [])]

    async def work(self, writes: int = 1_000_000) -> None:
        """Do one round of exports and imports, or as much of it as so many transactions."""
        lease = await self.house.workers.take("test")
        assert lease is not None
        body = partial(self._round, writes)
        await self.house.workers.perform(lease, body)

    async def _round(self, writes: int, lease: Lease) -> None:
        await Transfers(self.house.ground).round(Failing(lease, writes))  # type: ignore[arg-type]


@pytest.fixture
async def tables() -> Tables:
    tables = Tables()
    await tables.s3("CreateBucket")
    return tables


async def make_table(tables: Tables, *items: dict[str, Any]) -> None:
    await tables("CreateTable", TableName="source", **PK)
    recovery = {"PointInTimeRecoveryEnabled": True}
    await tables("UpdateContinuousBackups", TableName="source", PointInTimeRecoverySpecification=recovery)
    for item in items:
        await tables("PutItem", TableName="source", Item=item)


async def export(tables: Tables, **more: Any) -> dict[str, Any]:
    request = {"TableArn": ARN + "source", "S3Bucket": "bucket", **more}
    started = (await tables("ExportTableToPointInTime", **request))["ExportDescription"]
    assert started["ExportStatus"] == "IN_PROGRESS"
    await tables.work()
    described: dict[str, Any] = (await tables("DescribeExport", ExportArn=started["ExportArn"]))["ExportDescription"]
    return described


async def lines(tables: Tables, described: dict[str, Any]) -> list[bytes]:
    summary = json.loads(await tables.read(described["ExportManifest"]))
    files = (await tables.read(summary["manifestFilesS3Key"])).splitlines()
    found: list[bytes] = []
    for file in map(json.loads, files):
        body = await tables.read(file["dataFileS3Key"])
        assert base64.b64encode(hashlib.md5(body).digest()).decode() == file["md5Checksum"]
        read = gzip.decompress(body).splitlines()
        assert len(read) == file["itemCount"]
        found += read
    assert summary["itemCount"] == len(found)
    return found


async def test_an_export_in_json(tables: Tables) -> None:
    await make_table(tables, ITEM)
    described = await export(tables, S3Prefix="some/where")
    assert (described["ExportStatus"], described["ItemCount"], described["ExportFormat"]) == (
        "COMPLETED",
        1,
        "DYNAMODB_JSON",
    )
    folder = described["ExportManifest"].removesuffix("manifest-summary.json")
    assert folder.startswith("some/where/AWSDynamoDB/")
    names = [key.removeprefix(folder) for key in await tables.keys(folder)]
    assert [name for name in names if not name.startswith("data/")] == [
        "_started",
        "manifest-files.json",
        "manifest-files.md5",
        "manifest-summary.json",
        "manifest-summary.md5",
    ]
    assert [json.loads(line) for line in await lines(tables, described)] == [{"Item": ITEM}]
    summary = json.loads(await tables.read(described["ExportManifest"]))
    assert summary["exportArn"] == described["ExportArn"]
    assert (summary["version"], summary["s3Prefix"], summary["exportTime"]) == (
        "2020-06-30",
        "some/where",
        "2025-10-09T08:53:20.000Z",
    )


async def test_an_export_in_ion(tables: Tables) -> None:
    await make_table(tables, {"pk": {"S": "a"}, "n": {"N": "1"}, "s": {"SS": ["x"]}, "b": {"B": "AQI="}})
    described = await export(tables, ExportFormat="ION")
    assert await lines(tables, described) == [b'$ion_1_0 {Item:{pk:"a",n:1.,s:$dynamodb_SS::["x"],b:{{AQI=}}}}']


async def test_an_export_shows_the_table_as_it_was(tables: Tables) -> None:
    await make_table(tables, {"pk": {"S": "a"}, "v": {"S": "then"}}, {"pk": {"S": "b"}})
    moment = tables.house.clock.now_ms() / 1000
    tables.house.clock.advance(5)
    await tables("PutItem", TableName="source", Item={"pk": {"S": "a"}, "v": {"S": "now"}})
    await tables("DeleteItem", TableName="source", Key={"pk": {"S": "b"}})
    described = await export(tables, ExportTime=moment)
    found = [json.loads(line)["Item"] for line in await lines(tables, described)]
    assert sorted(found, key=str) == [{"pk": {"S": "a"}, "v": {"S": "then"}}, {"pk": {"S": "b"}}]


@pytest.mark.slow
async def test_an_export_of_a_large_table_goes_into_several_files(tables: Tables) -> None:
    big = {"S": "x" * 390_000}
    await make_table(tables, *[{"pk": {"S": str(n)}, "v": big} for n in range(30)])
    described = await export(tables)
    assert (described["ItemCount"], len(await lines(tables, described))) == (30, 30)
    summary = json.loads(await tables.read(described["ExportManifest"]))
    assert len((await tables.read(summary["manifestFilesS3Key"])).splitlines()) == 2


async def test_an_export_into_no_bucket_fails(tables: Tables) -> None:
    await make_table(tables)
    described = await export(tables, S3Bucket="another")
    assert (described["ExportStatus"], described["FailureCode"], described["FailureMessage"]) == (
        "FAILED",
        "S3NoSuchBucket",
        "The specified bucket does not exist",
    )
    await tables("DeleteTable", TableName="source")


async def test_a_token_means_the_same_export(tables: Tables, refused: Any) -> None:
    await make_table(tables)
    first = await export(tables, ClientToken="token")
    request = {"TableArn": ARN + "source", "S3Bucket": "bucket", "ClientToken": "token"}
    again = (await tables("ExportTableToPointInTime", **request))["ExportDescription"]
    assert again["ExportArn"] == first["ExportArn"]
    code, _ = await refused(tables("ExportTableToPointInTime", **request, S3Prefix="other"))
    assert code == "ExportConflictException"
    tables.house.clock.advance(TRANSFER_TOKEN_MS / 1000)
    another = (await tables("ExportTableToPointInTime", **request))["ExportDescription"]
    assert another["ExportArn"] != first["ExportArn"]


async def test_exports_are_listed(tables: Tables) -> None:
    await make_table(tables)
    arns = []
    for _ in range(3):
        arns.append((await export(tables))["ExportArn"])
        tables.house.clock.advance(1)
    arns.reverse()
    listed = await tables("ListExports", TableArn=ARN + "source", MaxResults=2)
    assert [one["ExportArn"] for one in listed["ExportSummaries"]] == arns[:2]
    rest = await tables("ListExports", TableArn=ARN + "source", MaxResults=2, NextToken=listed["NextToken"])
    assert [one["ExportArn"] for one in rest["ExportSummaries"]] == arns[2:]
    assert "NextToken" not in rest
    assert len((await tables("ListExports"))["ExportSummaries"]) == 3


EXPORTS_REFUSED = {
    "no such table": ({"TableArn": ARN + "nothing"}, "TableNotFoundException", f"Table not found: {ARN}nothing"),
    "a name": ({"TableArn": "source"}, "ValidationException", "tableArn is not a valid ARN"),
    "the future": (
        {"ExportTime": 4_000_000_000},
        "InvalidExportTimeException",
        "The specified ExportTime is outside of the point in time recovery window.",
    ),
    "KMS": (
        {"S3SseAlgorithm": "KMS"},
        "NotImplementedException",
        "S3SseAlgorithm=KMS of dynamodb:ExportTableToPointInTime is not implemented by Cumulet. "
        "docs/operations.md lists what is.",
    ),
    "a filter": (
        {"FilterSpecification": {"FilterExpression": "a = b"}},
        "NotImplementedException",
        "The parameter FilterSpecification of dynamodb:ExportTableToPointInTime is not implemented by Cumulet. "
        "docs/operations.md lists what is.",
    ),
}


@pytest.mark.parametrize(("more", "code", "message"), EXPORTS_REFUSED.values(), ids=EXPORTS_REFUSED)
async def test_what_exports_refuse(tables: Tables, refused: Any, more: Any, code: str, message: str) -> None:
    await make_table(tables)
    request = {"TableArn": ARN + "source", "S3Bucket": "bucket", **more}
    assert await refused(tables("ExportTableToPointInTime", **request)) == (code, message)


MINUTE_S = 60
START_S = 1_760_000_000


async def make_history(tables: Tables) -> None:
    """Make a table in which, in the second hour, one item came, one changed twice, one went, and one did both."""
    await make_table(tables, *[{"pk": {"S": name}, "v": {"N": "0"}} for name in ("changed", "gone", "left alone")])
    tables.house.clock.advance(60 * MINUTE_S)
    for value in "12":
        await tables("PutItem", TableName="source", Item={"pk": {"S": "changed"}, "v": {"N": value}})
        tables.house.clock.advance(1.5)
    await tables("DeleteItem", TableName="source", Key={"pk": {"S": "gone"}})
    for name in ("new", "brief"):
        await tables("PutItem", TableName="source", Item={"pk": {"S": name}})
    await tables("DeleteItem", TableName="source", Key={"pk": {"S": "brief"}})
    tables.house.clock.advance(60 * MINUTE_S)
    for name in ("changed", "later"):
        await tables("PutItem", TableName="source", Item={"pk": {"S": name}, "v": {"N": "3"}})


def increment(start_minute: float, end_minute: float | None, view: str | None = None) -> dict[str, Any]:
    given: dict[str, Any] = {"ExportFromTime": START_S + start_minute * MINUTE_S}
    if end_minute is not None:
        given["ExportToTime"] = START_S + end_minute * MINUTE_S
    if view is not None:
        given["ExportViewType"] = view
    return {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": given}


def item(name: str, value: str | None = None) -> dict[str, Any]:
    return {"pk": {"S": name}} if value is None else {"pk": {"S": name}, "v": {"N": value}}


def change(name: str, second: float, **images: Any) -> dict[str, Any]:
    stamp = {"WriteTimestampMicros": {"N": str(int((START_S + second) * 1_000_000))}}
    return {"Metadata": stamp, "Keys": item(name), **images}


@pytest.mark.parametrize("view", [None, "NEW_AND_OLD_IMAGES", "NEW_IMAGE"])
async def test_an_incremental_export(tables: Tables, view: str | None) -> None:
    await make_history(tables)
    described = await export(tables, S3Prefix="out", **increment(59, 119, view))
    expected = [
        change("changed", 3601.5, OldImage=item("changed", "0"), NewImage=item("changed", "2")),
        change("gone", 3603, OldImage=item("gone", "0")),
        change("new", 3603, NewImage=item("new")),
    ]
    if view == "NEW_IMAGE":
        for line in expected:
            line.pop("OldImage", None)
    found = [json.loads(line) for line in await lines(tables, described)]
    assert sorted(found, key=lambda line: line["Keys"]["pk"]["S"]) == expected
    assert (described["ExportType"], described["ItemCount"]) == ("INCREMENTAL_EXPORT", 3)
    assert described["IncrementalExportSpecification"] == {
        "ExportFromTime": START_S + 59 * MINUTE_S,
        "ExportToTime": START_S + 119 * MINUTE_S,
        "ExportViewType": view or "NEW_AND_OLD_IMAGES",
    }
    assert "ExportTime" not in described
    summary = json.loads(await tables.read(described["ExportManifest"]))
    assert {name: summary.get(name) for name in ("version", "exportType", "outputView", "exportTime")} == {
        "version": "2023-08-01",
        "exportType": "INCREMENTAL_EXPORT",
        "outputView": view or "NEW_AND_OLD_IMAGES",
        "exportTime": None,
    }
    assert (summary["exportFromTime"], summary["exportToTime"]) == (
        "2025-10-09T09:52:20.000Z",
        "2025-10-09T10:52:20.000Z",
    )
    (data,) = await tables.keys("out/AWSDynamoDB/data/")
    assert data.endswith(".json.gz")
    listed = (await tables("ListExports"))["ExportSummaries"]
    assert [one["ExportType"] for one in listed] == ["INCREMENTAL_EXPORT"]


async def test_an_increment_has_its_start_and_not_its_end(tables: Tables) -> None:
    await make_history(tables)
    tables.house.clock.advance(MINUTE_S)
    second = 1 / MINUTE_S
    # The first change of "changed" is at minute 60, its last one at 120 minutes and 3 seconds.
    told = {
        "from the first change on": (await export(tables, **increment(60, 120)), "0", "2"),
        "from behind it on": (await export(tables, **increment(60 + second, 120)), "1", "2"),
        "up to the last change": (await export(tables, **increment(60, 120 + 3 * second)), "0", "2"),
        "with the last change": (await export(tables, **increment(60, 120 + 4 * second)), "0", "3"),
        "without an end": (await export(tables, **increment(60, None)), "0", "3"),
    }
    for which, (described, old, new) in told.items():
        found = {line["Keys"]["pk"]["S"]: line for line in map(json.loads, await lines(tables, described))}
        images = found["changed"]["OldImage"]["v"]["N"], found["changed"]["NewImage"]["v"]["N"]
        assert images == (old, new), which


async def test_an_incremental_export_in_ion(tables: Tables) -> None:
    await make_history(tables)
    described = await export(tables, ExportFormat="ION", **increment(59, 119))
    assert (
        b'$ion_1_0 {Metadata:{WriteTimestampMicros:1760003601500000.},Keys:{pk:"changed"},'
        b'OldImage:{pk:"changed",v:0.},NewImage:{pk:"changed",v:2.}}'
    ) in await lines(tables, described)


INCREMENTS_REFUSED = {
    "without its members": (
        {"ExportType": "INCREMENTAL_EXPORT"},
        "IncrementalExportSpecification must be specified when ExportType is INCREMENTAL_EXPORT",
    ),
    "of a full export": (
        {**increment(0, 60), "ExportType": "FULL_EXPORT"},
        "IncrementalExportSpecification must not be specified when ExportType is FULL_EXPORT",
    ),
    "with a moment": (
        {**increment(0, 60), "ExportTime": START_S},
        "ExportTime must not be specified when ExportType is INCREMENTAL_EXPORT",
    ),
    "without a start": (
        {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {}},
        "ExportFromTime must be specified in IncrementalExportSpecification",
    ),
    "too short": (increment(0, 14.9), "The export period must be at least 15 minutes and at most 24 hours long"),
    "too long": (increment(0, 24 * 60 + 1), "The export period must be at least 15 minutes and at most 24 hours long"),
    "too early": (increment(-5, 60), "The specified ExportFromTime is outside of the point in time recovery window."),
    "too late": (increment(0, 180), "The specified ExportToTime is outside of the point in time recovery window."),
}


@pytest.mark.parametrize(("more", "message"), INCREMENTS_REFUSED.values(), ids=INCREMENTS_REFUSED)
async def test_what_incremental_exports_refuse(tables: Tables, refused: Any, more: Any, message: str) -> None:
    await make_history(tables)
    code, said = await refused(tables("ExportTableToPointInTime", TableArn=ARN + "source", S3Bucket="bucket", **more))
    expected = "InvalidExportTimeException" if "recovery window" in message else "ValidationException"
    assert (code, said) == (expected, message)


async def test_an_export_needs_point_in_time_recovery(tables: Tables, refused: Any) -> None:
    await tables("CreateTable", TableName="source", **PK)
    assert await refused(tables("ExportTableToPointInTime", TableArn=ARN + "source", S3Bucket="bucket")) == (
        "PointInTimeRecoveryUnavailableException",
        "Point in time recovery is not enabled for table 'source'",
    )


# --- imports


async def import_table(tables: Tables, format: str, principal: Principal | None = None, **more: Any) -> dict[str, Any]:
    request = {
        "S3BucketSource": {"S3Bucket": "bucket", "S3KeyPrefix": "in/"},
        "InputFormat": format,
        "TableCreationParameters": {"TableName": "target", **PK},
        **more,
    }
    started = (await tables.house.call("dynamodb", "ImportTable", request, principal=principal))[
        "ImportTableDescription"
    ]
    assert started["ImportStatus"] == "IN_PROGRESS"
    assert (await tables("DescribeTable", TableName="target"))["Table"]["TableStatus"] == "CREATING"
    await tables.work()
    described: dict[str, Any] = (await tables("DescribeImport", ImportArn=started["ImportArn"]))[
        "ImportTableDescription"
    ]
    return described


async def target_items(tables: Tables) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await tables("Scan", TableName="target"))["Items"]
    return sorted(found, key=lambda item: item["pk"]["S"])


def counts(described: dict[str, Any]) -> tuple[str, int, int, int]:
    return (
        described["ImportStatus"],
        described["ProcessedItemCount"],
        described["ImportedItemCount"],
        described["ErrorCount"],
    )


@pytest.mark.parametrize("format", ["DYNAMODB_JSON", "ION"])
async def test_what_was_exported_can_be_imported(tables: Tables, format: str) -> None:
    await make_table(tables, ITEM, {"pk": {"S": "two"}})
    manifest = (await export(tables, ExportFormat=format))["ExportManifest"]
    data = {"S3Bucket": "bucket", "S3KeyPrefix": manifest.removesuffix("manifest-summary.json") + "data/"}
    described = await import_table(tables, format, S3BucketSource=data, InputCompressionType="GZIP")
    assert counts(described) == ("COMPLETED", 2, 2, 0)
    assert await target_items(tables) == [ITEM, {"pk": {"S": "two"}}]
    assert (await tables("DescribeTable", TableName="target"))["Table"]["TableStatus"] == "ACTIVE"


async def test_records_that_are_no_items_are_counted(tables: Tables) -> None:
    body = b'{"Item":{"pk":{"S":"a"}}}\n\nnonsense\n{"Item":{"x":{"S":"a"}}}\n{"Item":{"pk":{"N":"1"}}}\n\xff\n'
    await tables.s3("PutObject", Key="in/1", Body=body + b'{"Item":{"pk":{"S":"b"}}}')
    await tables.s3("PutObject", Key="in/2", Body=b'{"Item":{"pk":{"S":"c"},"n":{"N":"01.0"}}}\n')
    described = await import_table(tables, "DYNAMODB_JSON")
    assert counts(described) == ("FAILED", 7, 3, 4)
    assert (described["FailureCode"], described["FailureMessage"]) == (
        "ItemValidationError",
        "Some of the items failed validation checks and were not imported. Please check CloudWatch error logs for more "
        "details.",
    )
    assert described["ProcessedSizeBytes"] == len(body) + 25 + 43
    assert await target_items(tables) == [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}, {"pk": {"S": "c"}, "n": {"N": "1"}}]
    group = "/aws-dynamodb/imports"
    assert described["CloudWatchLogGroupArn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*"
    import_id = described["ImportArn"].rpartition("/")[2]
    stream = {"logGroupName": group, "logStreamName": f"{import_id}/error"}
    events = (await tables.house.call("logs", "GetLogEvents", {**stream, "startFromHead": True}))["events"]
    told = [json.loads(event["message"]) for event in events]
    assert told[0]["importArn"] == described["ImportArn"]
    assert [(line["itemS3Pointer"], line["errorMessages"]) for line in told] == [
        ({"bucket": "bucket", "key": "in/1", "itemIndex": place}, [message])
        for place, message in (
            (1, "The record cannot be read as JSON"),
            (2, "One or more parameter values were invalid: Missing the key pk in the item"),
            (3, "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"),
            (4, "The record is no UTF-8"),
        )
    ]
    streams = await tables.house.call("logs", "DescribeLogStreams", {"logGroupName": group})
    assert [one["logStreamName"] for one in streams["logStreams"]] == [f"{import_id}/error", f"{import_id}/info"]


async def test_errors_that_a_kill_kept_from_the_log_are_told_by_who_goes_on(tables: Tables) -> None:
    await tables.s3("PutObject", Key="in/1", Body=b"nonsense\n")
    request = {
        "S3BucketSource": {"S3Bucket": "bucket", "S3KeyPrefix": "in/"},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {"TableName": "target", **PK},
    }
    arn = (await tables("ImportTable", **request))["ImportTableDescription"]["ImportArn"]
    call = tables.house.dispatcher.call

    async def cut(principal: Any, scope: Any, service: str, operation: str, *more: Any, **named: Any) -> Any:
        if operation == "PutLogEvents":
            raise ConnectionError("killed")
        return await call(principal, scope, service, operation, *more, **named)

    tables.house.dispatcher.call = cut  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await tables.work()
    tables.house.dispatcher.call = call  # type: ignore[method-assign]
    await tables.work()
    described = (await tables("DescribeImport", ImportArn=arn))["ImportTableDescription"]
    assert counts(described) == ("FAILED", 1, 0, 1)
    stream = {"logGroupName": "/aws-dynamodb/imports", "logStreamName": f"{arn.rpartition('/')[2]}/error"}
    assert len((await tables.house.call("logs", "GetLogEvents", stream))["events"]) == 1


async def test_an_import_needs_to_write_its_log(tables: Tables) -> None:
    await tables.s3("PutObject", Key="in/1", Body=b'{"Item":{"pk":{"S":"a"}}}')
    tables.house.dispatcher._authorizer = cast(Any, NoLogs())
    described = await import_table(tables, "DYNAMODB_JSON", principal=USER)
    assert (described["ImportStatus"], described["FailureCode"]) == ("FAILED", "AccessDeniedException")
    assert described["FailureMessage"] == "no logs:CreateLogGroup"


async def test_csv(tables: Tables) -> None:
    body = 'pk,n,"a b"\r\nx,7,"one\ntwo, ""three"""\r\ny,8\r\ntoo,many,of,them\r\n'
    await tables.s3("PutObject", Key="in/file.csv", Body=body.encode())
    creation = {
        "TableName": "target",
        **PK,
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-n",
                "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }
    described = await import_table(tables, "CSV", TableCreationParameters=creation)
    assert counts(described) == ("FAILED", 3, 2, 1)
    assert await target_items(tables) == [
        {"pk": {"S": "x"}, "n": {"N": "7"}, "a b": {"S": 'one\ntwo, "three"'}},
        {"pk": {"S": "y"}, "n": {"N": "8"}},
    ]
    by_number = await tables(
        "Query",
        TableName="target",
        IndexName="by-n",
        KeyConditionExpression="n = :n",
        ExpressionAttributeValues={":n": {"N": "8"}},
    )
    assert by_number["Count"] == 1


async def test_csv_with_headers_and_a_delimiter_of_its_own(tables: Tables) -> None:
    await tables.s3("PutObject", Key="in/1", Body=b"a;1\nb;2\n")
    options = {"Csv": {"Delimiter": ";", "HeaderList": ["pk", "v"]}}
    assert counts(await import_table(tables, "CSV", InputFormatOptions=options)) == ("COMPLETED", 2, 2, 0)
    assert (await target_items(tables))[0] == {"pk": {"S": "a"}, "v": {"S": "1"}}


async def test_an_import_that_was_cut_short_goes_on(tables: Tables) -> None:
    rows = [json.dumps({"Item": {"pk": {"S": f"{n:04d}"}}}).encode() for n in range(1300)]
    await tables.s3("PutObject", Key="in/1", Body=b"\n".join(rows[:1200]))
    await tables.s3("PutObject", Key="in/2", Body=b"\n".join(rows[1200:]))
    request = {
        "S3BucketSource": {"S3Bucket": "bucket", "S3KeyPrefix": "in/"},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {"TableName": "target", **PK},
    }
    arn = (await tables("ImportTable", **request))["ImportTableDescription"]["ImportArn"]
    for processed in (500, 1000, 1200, 1300):
        with pytest.raises(ConnectionError):
            await tables.work(writes=1)
        described = (await tables("DescribeImport", ImportArn=arn))["ImportTableDescription"]
        assert counts(described) == ("IN_PROGRESS", processed, processed, 0)
    await tables.work()
    described = (await tables("DescribeImport", ImportArn=arn))["ImportTableDescription"]
    assert counts(described) == ("COMPLETED", 1300, 1300, 0)
    assert len(await target_items(tables)) == 1300


@pytest.mark.slow
async def test_an_export_that_was_cut_short_goes_on(tables: Tables) -> None:
    big = {"S": "x" * 390_000}
    await make_table(tables, *[{"pk": {"S": str(n)}, "v": big} for n in range(30)])
    request = {"TableArn": ARN + "source", "S3Bucket": "bucket"}
    arn = (await tables("ExportTableToPointInTime", **request))["ExportDescription"]["ExportArn"]
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await tables.work(writes=1)
    await tables.work()
    described = (await tables("DescribeExport", ExportArn=arn))["ExportDescription"]
    assert len(await lines(tables, described)) == 30
    assert len([key for key in await tables.keys() if "/data/" in key]) == 2


FAILURES = {
    "no such bucket": (
        {"S3BucketSource": {"S3Bucket": "another"}},
        "S3NoSuchBucket",
        "The specified bucket does not exist",
    ),
    "nothing there": (
        {"S3BucketSource": {"S3Bucket": "bucket", "S3KeyPrefix": "nothing"}},
        "S3NoSuchKey",
        "There is no object under the given prefix",
    ),
    "no items": (
        {"InputFormat": "ION"},
        "ItemValidationError",
        "Some of the items failed validation checks and were not imported. Please check CloudWatch error logs for more "
        "details.",
    ),
}


@pytest.mark.parametrize(("more", "code", "message"), FAILURES.values(), ids=FAILURES)
async def test_imports_that_fail(tables: Tables, more: Any, code: str, message: str) -> None:
    await tables.s3("PutObject", Key="in/1", Body=b"\xe0\x01\x00\xea\x20")
    described = await import_table(tables, **{"format": more.pop("InputFormat", "DYNAMODB_JSON"), **more})
    assert (described["ImportStatus"], described["FailureCode"], described["FailureMessage"]) == (
        "FAILED",
        code,
        message,
    )
    assert (await tables("DescribeTable", TableName="target"))["Table"]["TableStatus"] == "ACTIVE"


async def test_zstd(tables: Tables) -> None:
    body = b"".join([json.dumps({"Item": {"pk": {"S": str(n)}}}).encode() + b"\n" for n in range(1000)])
    await tables.s3("PutObject", Key="in/1", Body=zstd.compress(body))
    described = await import_table(tables, "DYNAMODB_JSON", InputCompressionType="ZSTD")
    assert counts(described) == ("COMPLETED", 1000, 1000, 0)
    assert described["ProcessedSizeBytes"] == len(body)


async def test_ion_in_its_binary_form(tables: Tables) -> None:
    await tables.s3("PutObject", Key="in/1.10n", Body=bytes.fromhex("e00100eaed8183da87b8844974656d82706bd58ad38b8161"))
    described = await import_table(tables, "ION")
    assert counts(described) == ("COMPLETED", 1, 1, 0)
    assert await target_items(tables) == [{"pk": {"S": "a"}}]


@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
async def test_what_is_not_compressed_fails(tables: Tables, compression: str) -> None:
    await tables.s3("PutObject", Key="in/1", Body=b"plain")
    described = await import_table(tables, "DYNAMODB_JSON", InputCompressionType=compression)
    assert (described["ImportStatus"], described["FailureCode"]) == ("FAILED", "InvalidCompression")


async def test_imports_are_listed(tables: Tables, refused: Any) -> None:
    await tables.s3("PutObject", Key="in/1", Body=b'{"Item":{"pk":{"S":"a"}}}')
    first = await import_table(tables, "DYNAMODB_JSON", ClientToken="token")
    tables.house.clock.advance(1)
    listed = await tables("ListImports", PageSize=1)
    assert [one["ImportArn"] for one in listed["ImportSummaryList"]] == [first["ImportArn"]]
    assert "NextToken" not in listed
    request = {
        "S3BucketSource": {"S3Bucket": "bucket"},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {"TableName": "target", **PK},
    }
    assert (await refused(tables("ImportTable", **request, ClientToken="token")))[0] == "ImportConflictException"
    assert await refused(tables("ImportTable", **request)) == ("ResourceInUseException", "Table already exists: target")
    request["TableCreationParameters"] = {"TableName": "other", **PK}
    await tables("ImportTable", **request)
    page = await tables("ListImports", PageSize=1)
    rest = await tables("ListImports", PageSize=1, NextToken=page["NextToken"])
    assert [one["TableArn"] for one in page["ImportSummaryList"] + rest["ImportSummaryList"]] == [
        ARN + "target",
        ARN + "other",
    ]


IMPORTS_REFUSED = {
    "options of another format": (
        {"InputFormatOptions": {"Csv": {"Delimiter": ";"}}},
        "ValidationException",
        "InputFormatOptions.Csv can only be specified when InputFormat is CSV",
    ),
    "a bad key": (
        {"TableCreationParameters": {"TableName": "target", **PK, "AttributeDefinitions": []}},
        "ValidationException",
        "Invalid KeySchema: Some index key attribute have no definition",
    ),
}


@pytest.mark.parametrize(("more", "code", "message"), IMPORTS_REFUSED.values(), ids=IMPORTS_REFUSED)
async def test_what_imports_refuse(tables: Tables, refused: Any, more: Any, code: str, message: str) -> None:
    request = {
        "S3BucketSource": {"S3Bucket": "bucket"},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {"TableName": "target", **PK},
        **more,
    }
    assert await refused(tables("ImportTable", **request)) == (code, message)
