"""Streams: their records, their names, and how a table gets and loses one.

A stream outlives its table and its own end by 24 hours, and is read as before until then. Its changes lie in
`stream_log`, under the stream's id.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.chores import save_chore
from cumulet.services.dynamodb.core.capacity import partition_count
from cumulet.services.dynamodb.core.limits import STREAM_RETENTION_MS, STREAM_SHARDS_MAX
from cumulet.services.dynamodb.core.values import invalid, invalid_parameter
from cumulet.services.dynamodb.tables import Table, TableStream, arn_of
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_STREAM
from cumulet.store.records import Records

_STREAM_ARN = re.compile(
    r"arn:aws[a-z-]*:dynamodb:([a-z0-9-]+):([0-9]{12}):table/([a-zA-Z0-9_.-]{1,255})/stream/([0-9TZ:.-]+)"
).fullmatch
_SEQUENCE_BASE = 10**20


class Stream(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is recorded about one stream."""

    id: str
    table_name: str
    label: str
    view: str
    shards: int
    created_ms: int
    hash_name: str
    range_names: tuple[str, ...]
    disabled_ms: int | None = None

    def is_gone(self, now_ms: int) -> bool:
        """Return whether nothing of the stream can be read any more."""
        return self.disabled_ms is not None and self.disabled_ms + STREAM_RETENTION_MS <= now_ms

    def shard_id(self, shard: int) -> str:
        """Return the id of a shard. Ids are in the order of the shards' numbers."""
        return f"shardId-{self.created_ms:020d}-{shard:08x}"

    def find_shard(self, shard_id: str) -> int | None:
        """Return the number of the shard with this id, or None."""
        return next((shard for shard in range(self.shards) if self.shard_id(shard) == shard_id), None)


STREAMS = Records(DDB_STREAM, Stream, cached=256)


def sequence_text(shard: int, number: int) -> str:
    """Return a sequence number as AWS has it: 21 to 40 digits, growing."""
    return str((shard + 1) * _SEQUENCE_BASE + number)


def sequence_number(shard: int, text: str) -> int | None:
    """Return the place in the shard that a sequence number stands for; None if it is of no such shard."""
    if not (text.isascii() and text.isdecimal()):
        return None
    number = int(text) - (shard + 1) * _SEQUENCE_BASE
    return number if 0 <= number < _SEQUENCE_BASE else None


def stream_arn(scope: Scope, table_name: str, label: str) -> str:
    """Return the ARN of a stream."""
    return f"{arn_of(scope, table_name)}/stream/{label}"


class StreamName(NamedTuple):
    """What a stream's ARN says."""

    table_name: str
    label: str


def name_of_stream(call: Call, arn: str) -> StreamName:
    """Return the stream that an ARN names. Raises ValidationException for what is none of this region."""
    match = _STREAM_ARN(arn)
    if match is None:
        invalid(f"Invalid StreamArn: {arn}")
    region, account, table_name, label = match.groups()
    if account != call.scope.account:
        raise ServiceError(
            "AccessDeniedException",
            f"User: {call.principal.arn} is not authorized to access the resource {arn} because no resource-based "
            "policy allows it",
        )
    if region != call.scope.region:
        invalid(f"Region in ARN {arn} does not match the region of the request: {call.scope.region}")
    return StreamName(table_name, label)


def get_stream(tx: ReadTx, call: Call, arn: str) -> Stream:
    """Return the stream of that ARN. Raises ResourceNotFoundException if there is none, or it has ended for good."""
    stream = STREAMS.find(tx, call.scope, *name_of_stream(call, arn))
    if stream is None or stream.is_gone(call.now_ms):
        missing_stream(arn)
    return stream


def missing_stream(arn: str) -> NoReturn:
    """Raise what AWS says of a stream that is not there."""
    raise ServiceError("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")


def read_specification(given: Mapping[str, Any] | None, *, creating: bool) -> str | None:
    """Return the view type that a StreamSpecification asks for; None for no stream."""
    if given is None:
        return None
    view: str | None = given.get("StreamViewType")
    enabled = given["StreamEnabled"]
    if enabled and view is None:
        if creating:
            invalid_parameter("Table is being created with a stream enabled, UpdateViewType is required")
        invalid_parameter("If stream is being enabled then UpdateViewType is required")
    if view is not None and not enabled:
        if creating:
            invalid_parameter("Table is being created with a stream disabled, UpdateViewType should not be specified")
        invalid_parameter("If stream is being disabled, then UpdateViewType must not be specified")
    return view


def with_stream(tx: WriteTx, call: Call, record: Table, view: str) -> Table:
    """Return the record of a table that has a new stream from now on; the stream is made."""
    if record.stream is not None and record.stream.enabled:
        invalid(f"Table already has an enabled stream: TableName: {record.name}")
    at_ms = call.now_ms
    while STREAMS.find(tx, call.scope, record.name, _label(at_ms)) is not None:
        at_ms += 1  # two streams of a table in one millisecond still are two
    # AWS has a shard for each partition. An on-demand table begins with one here: then its reader sees every change in
    # the order in which it was made, and what writes cost does not depend on the number (decision 0016).
    partitions = (
        1
        if record.billing_mode == "PAY_PER_REQUEST"
        else partition_count(record.billing_mode, record.read_units, record.write_units)
    )
    stream = Stream(
        id=call.ids.uuid(),
        table_name=record.name,
        label=_label(at_ms),
        view=view,
        shards=min(partitions, STREAM_SHARDS_MAX),
        created_ms=call.now_ms,
        hash_name=record.hash_name,
        range_names=() if record.range_name is None else (record.range_name,),
    )
    STREAMS.save(tx, call.scope, stream.table_name, stream.label, record=stream)
    save_chore(tx, "stream", call.scope, f"{stream.table_name}/{stream.label}")
    return msgspec.structs.replace(record, stream=TableStream(stream.id, stream.label, view, stream.shards))


def without_stream(tx: WriteTx, call: Call, record: Table) -> Table:
    """Return the record of a table whose stream ends now. What the stream holds stays readable for 24 hours."""
    latest = record.stream
    if latest is None or not latest.enabled:
        invalid(f"Table has no stream to disable: TableName: {record.name}")
    stream = STREAMS.find(tx, call.scope, record.name, latest.label)
    if stream is not None:
        ended = msgspec.structs.replace(stream, disabled_ms=call.now_ms)
        STREAMS.save(tx, call.scope, stream.table_name, stream.label, record=ended)
    return msgspec.structs.replace(record, stream=msgspec.structs.replace(latest, enabled=False))


def render_table_stream(scope: Scope, record: Table) -> dict[str, Any]:
    """Return what a table's description says of its stream; of one that has ended, its name is left."""
    stream = record.stream
    if stream is None:
        return {}
    rendered: dict[str, Any] = {
        "LatestStreamLabel": stream.label,
        "LatestStreamArn": stream_arn(scope, record.name, stream.label),
    }
    if stream.enabled:
        rendered["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream.view}
    return rendered


def _label(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}"
