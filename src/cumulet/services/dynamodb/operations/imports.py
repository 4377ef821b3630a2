"""ImportTable, DescribeImport and ListImports. The import itself is done in the background: `imports`."""

import hashlib
import re
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.dynamodb.chores import save_chore
from cumulet.services.dynamodb.copies import RESTORING_MS
from cumulet.services.dynamodb.core.limits import TRANSFER_TOKEN_MS, TRANSFERS_KEPT_MS, TRANSFERS_LISTED_MAX
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.exports import DYNAMODB_HOST, TRANSFERS_TOPIC
from cumulet.services.dynamodb.imports import IMPORTS, Import, render_import, render_summary
from cumulet.services.dynamodb.operations.tables import read_table
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.quotas import check_new_table
from cumulet.services.dynamodb.tables import TABLES, arn_of, find_table, name_of, transfer_arns
from cumulet.services.kit import Call, Output, Params, operation, unsupported
from cumulet.store.api import ReadTx, WriteTx

_IMPORT_ARN = re.compile(
    r"arn:aws[a-z-]*:dynamodb:([a-z0-9-]+):([0-9]{12}):table/([a-zA-Z0-9_.-]{1,255})/import/([0-9]+-[0-9a-f]+)"
).fullmatch
_CREATION = frozenset(
    (
        *("TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "ProvisionedThroughput"),
        *("OnDemandThroughput", "SSESpecification", "GlobalSecondaryIndexes", "VectorIndexes"),
    )
)
_TOKEN_BYTES_MIN = 56
_TOKEN_BLOCK = 8


def imported_arn(call: Call, params: Params) -> str:
    """Return the ARN of the table that is made."""
    return arn_of(call.scope, params["TableCreationParameters"]["TableName"])


def described_arn(call: Call, params: Params) -> str:
    """Return the ARN of the import that is described."""
    return str(params["ImportArn"])


@operation(
    "ImportTable",
    resource=imported_arn,
    params="ClientToken S3BucketSource InputFormat InputFormatOptions InputCompressionType TableCreationParameters",
)
async def import_table(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Make a table and record its import, to be done in the background."""
    creation = params["TableCreationParameters"]
    if more := unsupported(creation, _CREATION):
        raise NotImplementedHere(f"The parameter {more[0]} of dynamodb:ImportTable's TableCreationParameters")
    if params["InputFormat"] != "CSV" and (params.get("InputFormatOptions") or {}).get("Csv"):
        invalid("InputFormatOptions.Csv can only be specified when InputFormat is CSV")
    table = msgspec.structs.replace(
        read_table(call, creation),
        ready_ms=RESTORING_MS,
        collection_bytes_max=plane.ground.settings.dynamodb_item_collection_bytes_max,
    )
    digest = hashlib.sha256(msgspec.json.encode(dict(params), order="deterministic")).digest()
    token = params.get("ClientToken")
    record = Import(
        id=f"{call.now_ms:014d}-{call.ids.token(8, '0123456789abcdef')}",
        table_name=table.name,
        table_id=table.table_id,
        caller=call.principal.through(DYNAMODB_HOST),
        digest=digest,
        client_token=token,
        started_ms=call.now_ms,
        request={name: value for name, value in params.items() if name != "ClientToken" and value is not None},
    )

    def begin(tx: WriteTx) -> Output:
        if token is not None and (same := _find_same(tx, call, token)) is not None:
            if same.digest != digest:
                raise ServiceError(
                    "ImportConflictException",
                    "An import with the same client token but other parameters exists: "
                    f"{arn_of(call.scope, same.table_name)}/import/{same.id}",
                )
            return {"ImportTableDescription": render_import(call, same)}
        if find_table(tx, call, table.name) is not None:
            raise ServiceError("ResourceInUseException", f"Table already exists: {table.name}")
        check_new_table(tx, call, table)
        TABLES.save(tx, call.scope, table.name, record=table)
        IMPORTS.save(tx, call.scope, table.name, record.id, record=record)
        save_chore(tx, "import", call.scope, f"{table.name}/{record.id}")
        tx.hint(TRANSFERS_TOPIC)
        return {"ImportTableDescription": render_import(call, record)}

    return await plane.ground.store.write(begin)


@operation("DescribeImport", resource=described_arn, params="ImportArn")
def describe_import(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return how an import stands."""
    arn = params["ImportArn"]
    match = _IMPORT_ARN(arn)
    if match is None:
        invalid("Invalid Import ARN")
    region, account, table_name, import_id = match.groups()
    record = IMPORTS.find(tx, call.scope, table_name, import_id) if (account, region) == call.scope else None
    if record is None:
        raise ServiceError("ImportNotFoundException", f"Import not found: {arn}")
    return {"ImportTableDescription": render_import(call, record)}


@operation("ListImports", resource=transfer_arns("import"), params="TableArn PageSize NextToken")
def list_imports(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the imports of the last 90 days, into one table or into all."""
    limit = params.get("PageSize") or TRANSFERS_LISTED_MAX
    behind = _read_token(params.get("NextToken"))
    within = () if params.get("TableArn") is None else (name_of(call, params["TableArn"]),)
    found: list[Import] = []
    for record in IMPORTS.scan(tx, call.scope, *within, behind=behind, reverse=True):
        if record.started_ms > call.now_ms - TRANSFERS_KEPT_MS:
            found.append(record)
        if len(found) > limit:
            break
    output: dict[str, Any] = {"ImportSummaryList": [render_summary(call, record) for record in found[:limit]]}
    if len(found) > limit:
        output["NextToken"] = _write_token((found[limit - 1].table_name, found[limit - 1].id))
    return output


def _find_same(tx: ReadTx, call: Call, token: str) -> Import | None:
    since_ms = call.now_ms - TRANSFER_TOKEN_MS
    return next(
        (one for one in IMPORTS.scan(tx, call.scope) if one.client_token == token and one.started_ms > since_ms), None
    )


def _write_token(position: tuple[str, str]) -> str:
    """Return a token as the model wants it: hexadecimal digits in blocks of 16, at least 112 of them."""
    packed = msgspec.msgpack.encode(position)
    size = max(_TOKEN_BYTES_MIN, len(packed) + 2)
    size += -size % _TOKEN_BLOCK
    return (len(packed).to_bytes(2, "big") + packed).ljust(size, b"\0").hex()


def _read_token(token: str | None) -> tuple[str, str] | None:
    if token is None:
        return None
    try:
        data = bytes.fromhex(token)
        position = msgspec.msgpack.decode(data[2 : 2 + int.from_bytes(data[:2], "big")], type=tuple[str, str])
    except (ValueError, msgspec.DecodeError):
        position = None
    if position is None or _write_token(position) != token:
        invalid("Invalid NextToken")
    return position
