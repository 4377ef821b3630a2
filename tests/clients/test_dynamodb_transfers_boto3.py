"""Exports, imports and vector searches through boto3, done by the server's own background work."""

import gzip
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from backports import zstd
from botocore.exceptions import ClientError

PK = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def ddb(server: Any) -> Any:
    return server.client("dynamodb")


@pytest.fixture(scope="module")
def s3(server: Any) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"transfers-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    return name


def code_and_message(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**params)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def until_done(describe: Callable[[], dict[str, Any]], member: str) -> dict[str, Any]:
    """Return the description once it no longer says IN_PROGRESS. The server works on its own: there is no event."""
    deadline = time.monotonic() + 30
    while (described := describe())[member] == "IN_PROGRESS":
        assert time.monotonic() < deadline
    return described


@pytest.mark.slow
def test_a_table_goes_to_s3_and_comes_back(ddb: Any, s3: Any, bucket: str) -> None:
    name = f"source-{uuid.uuid4()}"
    ddb.create_table(TableName=name, **PK)
    arn = ddb.describe_table(TableName=name)["Table"]["TableArn"]
    assert code_and_message(ddb.export_table_to_point_in_time, TableArn=arn, S3Bucket=bucket) == (
        "PointInTimeRecoveryUnavailableException",
        f"Point in time recovery is not enabled for table '{name}'",
    )
    recovery = {"PointInTimeRecoveryEnabled": True}
    ddb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    items = [{"pk": {"S": "a"}, "raw": {"B": b"\x00\xff"}}, {"pk": {"S": "b"}, "n": {"N": "1.5"}}]
    for item in items:
        ddb.put_item(TableName=name, Item=item)

    exported = ddb.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket, S3Prefix="out")["ExportDescription"]
    assert exported["ExportStatus"] == "IN_PROGRESS"
    export_arn = exported["ExportArn"]
    done = until_done(lambda: ddb.describe_export(ExportArn=export_arn)["ExportDescription"], "ExportStatus")
    assert (done["ExportStatus"], done["ItemCount"]) == ("COMPLETED", 2)
    assert [one["ExportArn"] for one in ddb.list_exports(TableArn=arn)["ExportSummaries"]] == [export_arn]
    summary = json.loads(s3.get_object(Bucket=bucket, Key=done["ExportManifest"])["Body"].read())
    manifest = s3.get_object(Bucket=bucket, Key=summary["manifestFilesS3Key"])["Body"].read()
    data_key = json.loads(manifest)["dataFileS3Key"]
    lines = gzip.decompress(s3.get_object(Bucket=bucket, Key=data_key)["Body"].read()).splitlines()
    assert sorted(lines) == [
        b'{"Item":{"pk":{"S":"a"},"raw":{"B":"AP8="}}}',
        b'{"Item":{"pk":{"S":"b"},"n":{"N":"1.5"}}}',
    ]

    target = f"target-{uuid.uuid4()}"
    imported = ddb.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": data_key},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={"TableName": target, **PK},
    )["ImportTableDescription"]
    import_arn = imported["ImportArn"]
    done = until_done(lambda: ddb.describe_import(ImportArn=import_arn)["ImportTableDescription"], "ImportStatus")
    assert (done["ImportStatus"], done["ImportedItemCount"], done["ErrorCount"]) == ("COMPLETED", 2, 0)
    table_arn = ddb.describe_table(TableName=target)["Table"]["TableArn"]
    listed = ddb.list_imports(TableArn=table_arn)["ImportSummaryList"]
    assert [one["ImportArn"] for one in listed] == [import_arn]
    assert sorted(ddb.scan(TableName=target)["Items"], key=lambda item: item["pk"]["S"]) == items


@pytest.mark.slow
def test_what_is_no_item_is_told_in_the_logs(server: Any, ddb: Any, s3: Any, bucket: str) -> None:
    rows = b'{"Item":{"pk":{"S":"a"}}}\n{"Item":{"other":{"S":"b"}}}\n'
    s3.put_object(Bucket=bucket, Key="rows.zst", Body=zstd.compress(rows))
    imported = ddb.import_table(
        S3BucketSource={"S3Bucket": bucket},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="ZSTD",
        TableCreationParameters={"TableName": f"target-{uuid.uuid4()}", **PK},
    )["ImportTableDescription"]
    arn = imported["ImportArn"]
    done = until_done(lambda: ddb.describe_import(ImportArn=arn)["ImportTableDescription"], "ImportStatus")
    assert (done["ImportStatus"], done["FailureCode"], done["ErrorCount"]) == ("FAILED", "ItemValidationError", 1)
    group = done["CloudWatchLogGroupArn"].split(":")[-2]
    events = server.client("logs").get_log_events(
        logGroupName=group, logStreamName=f"{arn.rpartition('/')[2]}/error", startFromHead=True
    )["events"]
    assert [json.loads(event["message"]) for event in events] == [
        {
            "itemS3Pointer": {"bucket": bucket, "key": "rows.zst", "itemIndex": 1},
            "importArn": arn,
            "errorMessages": ["One or more parameter values were invalid: Missing the key pk in the item"],
        }
    ]


def test_an_incremental_export_needs_its_stretch_of_time(ddb: Any, bucket: str) -> None:
    name = f"source-{uuid.uuid4()}"
    arn = ddb.create_table(TableName=name, **PK)["TableDescription"]["TableArn"]
    recovery = {"PointInTimeRecoveryEnabled": True}
    ddb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    request = {"TableArn": arn, "S3Bucket": bucket, "ExportType": "INCREMENTAL_EXPORT"}
    assert code_and_message(ddb.export_table_to_point_in_time, **request) == (
        "ValidationException",
        "IncrementalExportSpecification must be specified when ExportType is INCREMENTAL_EXPORT",
    )
    period = {"ExportFromTime": 1_000_000, "ExportToTime": 1_003_600}
    assert code_and_message(ddb.export_table_to_point_in_time, **request, IncrementalExportSpecification=period) == (
        "InvalidExportTimeException",
        "The specified ExportFromTime is outside of the point in time recovery window.",
    )
    ddb.delete_table(TableName=name)
    (left,) = ddb.list_backups(TableName=name, BackupType="SYSTEM")["BackupSummaries"]
    assert left["BackupName"] == f"{name}$DeletedTableBackup"
    code, message = code_and_message(ddb.delete_backup, BackupArn=left["BackupArn"])
    assert code == "ValidationException"
    assert message.startswith("Invalid Request: User is not allowed to delete the system backup with arn ")


def test_what_is_not_there(ddb: Any) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/nothing"
    assert code_and_message(ddb.export_table_to_point_in_time, TableArn=arn, S3Bucket="bucket") == (
        "TableNotFoundException",
        f"Table not found: {arn}",
    )
    assert code_and_message(ddb.describe_export, ExportArn=f"{arn}/export/01700000000000-12345678") == (
        "ExportNotFoundException",
        f"Export not found: {arn}/export/01700000000000-12345678",
    )
    assert code_and_message(ddb.describe_import, ImportArn=f"{arn}/import/01700000000000-12345678") == (
        "ImportNotFoundException",
        f"Import not found: {arn}/import/01700000000000-12345678",
    )


def test_what_is_not_built_is_refused_by_its_name(ddb: Any) -> None:
    code, message = code_and_message(
        ddb.start_bulk_put_items,
        TableName="things",
        InputS3Configuration={"S3Bucket": "bucket", "InputFormat": "ION"},
        OutputS3Configuration={"OutputType": ["ERROR"]},
    )
    assert code == "NotImplementedException"
    assert message.startswith("dynamodb:StartBulkPutItems is not implemented by Cumulet")


def test_a_vector_search(ddb: Any) -> None:
    name = f"vectors-{uuid.uuid4()}"
    index = {
        "IndexName": "nearest",
        "VectorAttribute": {"AttributeName": "embedding"},
        "Dimensions": 2,
        "DistanceFunction": "EUCLIDEAN",
        "Projection": {"ProjectionType": "ALL"},
    }
    ddb.create_table(TableName=name, **PK, VectorIndexes=[index])
    for pk, numbers in {"near": ("1", "0"), "far": ("4", "4")}.items():
        embedding = {"L": [{"N": number} for number in numbers]}
        ddb.put_item(TableName=name, Item={"pk": {"S": pk}, "embedding": embedding})
    search: dict[str, Any] = {
        "TableName": name,
        "IndexName": "nearest",
        "SearchVector": [{"N": "1"}, {"N": "0"}],
        "TopK": 2,
    }
    assert ddb.search_vectors(**search)["SearchResults"] == [
        {"Item": {"pk": {"S": "near"}}, "Score": 0.0},
        {"Item": {"pk": {"S": "far"}}, "Score": 5.0},
    ]
    assert code_and_message(ddb.search_vectors, **{**search, "TopK": 101}) == (
        "ValidationException",
        "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive",
    )
