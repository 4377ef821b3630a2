"""Reading streams: which there are, their shards, and what is in them.

DescribeStream, GetShardIterator and GetRecords first put in order what has just arrived (`stream_log.settle`), where
their answer depends on it.
"""

from functools import partial
from typing import Any, NamedTuple, NoReturn

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.core.limits import (
    STREAM_ITERATOR_MS,
    STREAM_LISTED_MAX,
    STREAM_PAGE_RECORDS_MAX,
    STREAM_RETENTION_MS,
)
from cumulet.services.dynamodb.core.schema import render_key_schema
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.stream_log import (
    Page,
    first_number,
    has_arrivals,
    last_number,
    read_page,
    render_record,
    settle,
)
from cumulet.services.dynamodb.streams import (
    STREAMS,
    Stream,
    get_stream,
    name_of_stream,
    sequence_number,
    sequence_text,
    stream_arn,
)
from cumulet.services.dynamodb.tables import arn_of
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx, Store


def streams_arn(call: Call, params: Params) -> str:
    """Return the ARN of the streams that ListStreams lists."""
    name = params.get("TableName")
    return "*" if name is None else f"{arn_of(call.scope, name)}/stream/*"


def given_arn(call: Call, params: Params) -> str:
    """Return the ARN that a request names."""
    arn: str = params["StreamArn"]
    return arn


def iterator_arn(call: Call, params: Params) -> str:
    """Return the ARN of the stream that an iterator leads to; it need not exist."""
    iterator: str = params["ShardIterator"]
    return iterator.partition("|")[0]


@operation("ListStreams", resource=streams_arn, params="TableName Limit ExclusiveStartStreamArn")
def list_streams(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the streams: those that are enabled, and for 24 hours those that were."""
    limit = _read_limit(params, STREAM_LISTED_MAX) or STREAM_LISTED_MAX
    table_name, start = params.get("TableName"), params.get("ExclusiveStartStreamArn")
    behind = None if start is None else name_of_stream(call, start)
    if behind is not None and table_name is not None and behind.table_name != table_name:
        invalid(f"Invalid StreamArn: {start} is not a stream of the table {table_name}")
    within = () if table_name is None else (table_name,)
    found: list[Stream] = []
    for stream in STREAMS.scan(tx, call.scope, *within, behind=behind):
        if not stream.is_gone(call.now_ms):
            found.append(stream)
        if len(found) > limit:
            break
    listed = [
        {
            "StreamArn": stream_arn(call.scope, stream.table_name, stream.label),
            "TableName": stream.table_name,
            "StreamLabel": stream.label,
        }
        for stream in found[:limit]
    ]
    if len(found) > limit:
        return {"Streams": listed, "LastEvaluatedStreamArn": listed[-1]["StreamArn"]}
    return {"Streams": listed}


@operation("DescribeStream", resource=given_arn, params="StreamArn Limit ExclusiveStartShardId ShardFilter")
async def describe_stream(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return a stream and a page of its shards. A shard ends only with its stream, so none has children."""
    limit = _read_limit(params, STREAM_LISTED_MAX) or STREAM_LISTED_MAX
    store = plane.ground.store
    stream = await store.read(lambda tx: get_stream(tx, call, params["StreamArn"]))
    shards = list(range(stream.shards))
    if (only := params.get("ShardFilter")) is not None:
        for member in ("Type", "ShardId"):
            if only.get(member) is None:
                invalid(f"ShardFilter.{member} must be specified when ShardFilter is present")
        if stream.find_shard(only["ShardId"]) is None:
            invalid(f"Invalid ShardFilter.ShardId: {only['ShardId']}")
        shards = []
    if (start := params.get("ExclusiveStartShardId")) is not None:
        shards = [shard for shard in shards if stream.shard_id(shard) > start]
    page = shards[:limit]
    last: dict[int, int] = {}
    if stream.disabled_ms is not None:
        for shard in page:
            last[shard] = await _settle_all(store, call.scope, stream, shard)
    description: dict[str, Any] = {
        "StreamArn": params["StreamArn"],
        "StreamLabel": stream.label,
        "StreamStatus": "ENABLED" if stream.disabled_ms is None else "DISABLED",
        "StreamViewType": stream.view,
        "CreationRequestDateTime": stream.created_ms / 1000,
        "TableName": stream.table_name,
        "KeySchema": render_key_schema((stream.hash_name,), stream.range_names),
        "Shards": [_render_shard(stream, shard, last.get(shard)) for shard in page],
    }
    if len(page) < len(shards):
        description["LastEvaluatedShardId"] = stream.shard_id(page[-1])
    return {"StreamDescription": description}


@operation(
    "GetShardIterator", resource=given_arn, params="StreamArn ShardId ShardIteratorType SequenceNumber Timestamp"
)
async def get_shard_iterator(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return an iterator that is good for 15 minutes."""
    kind, given = params["ShardIteratorType"], params.get("SequenceNumber")
    if kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        if given is None:
            invalid(f"SequenceNumber must be specified when ShardIteratorType is {kind}")
    elif given is not None:
        invalid(f"SequenceNumber cannot be specified when ShardIteratorType is {kind}")
    if (kind == "AT_TIMESTAMP") != (params.get("Timestamp") is not None):
        verb = "must" if kind == "AT_TIMESTAMP" else "cannot"
        invalid(f"Timestamp {verb} be specified when ShardIteratorType is {kind}")

    store, scope = plane.ground.store, call.scope
    stream = await store.read(lambda tx: get_stream(tx, call, params["StreamArn"]))
    shard = stream.find_shard(params["ShardId"])
    if shard is None:
        raise ServiceError("ResourceNotFoundException", "Requested resource not found: Shard does not exist")
    if kind == "TRIM_HORIZON":
        position = None
    elif kind == "LATEST":
        position = await _settle_all(store, scope, stream, shard) + 1
    elif kind == "AT_TIMESTAMP":
        last = await _settle_all(store, scope, stream, shard)
        since_ms = max(round(params["Timestamp"] * 1000), call.now_ms - STREAM_RETENTION_MS)
        position = await store.read(partial(_first_since, scope, stream, shard, since_ms, last))
    else:
        number = sequence_number(shard, given or "")
        page = await store.read(lambda tx: read_page(tx, scope, stream, shard, None, 1, call.now_ms))
        if number is None or number > page.last:
            invalid(f"Invalid SequenceNumber: {given}")
        position = max(1, number if kind == "AT_SEQUENCE_NUMBER" else number + 1)
        if position < page.first:
            _trimmed()
    return {"ShardIterator": _Iterator(params["StreamArn"], shard, position, call.now_ms).render()}


@operation("GetRecords", resource=iterator_arn, params="ShardIterator Limit")
async def get_records(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return the records behind an iterator, and an iterator behind them while there may be more."""
    limit = _read_limit(params, STREAM_PAGE_RECORDS_MAX) or STREAM_PAGE_RECORDS_MAX
    iterator = _parse_iterator(params["ShardIterator"])
    if iterator.issued_ms + STREAM_ITERATOR_MS < call.now_ms:
        raise ServiceError(
            "ExpiredIteratorException", "The provided iterator exceeds the maximum age allowed.", status=400
        )
    store, scope, shard = plane.ground.store, call.scope, iterator.shard

    def read(tx: ReadTx) -> tuple[Stream, Page, bool]:
        stream = get_stream(tx, call, iterator.stream_arn)
        if shard >= stream.shards:
            _bad_iterator()
        page = read_page(tx, scope, stream, shard, iterator.position, limit, call.now_ms)
        return stream, page, page.behind > page.last and has_arrivals(tx, scope, stream, shard)

    stream, page, more = await store.read(read)
    if more:
        await store.write(partial(settle, scope=scope, stream=stream, shard=shard))
        stream, page, more = await store.read(read)
    if page.behind < page.first:
        _trimmed()
    output: dict[str, Any] = {
        "Records": [render_record(scope, stream, shard, number, change) for number, change in page.records]
    }
    ended = stream.disabled_ms is not None and page.behind > page.last and not more
    if not ended:
        following = iterator._replace(position=page.behind, issued_ms=call.now_ms)
        output["NextShardIterator"] = following.render()
    return output


class _Iterator(NamedTuple):
    """A place in a shard."""

    stream_arn: str
    shard: int
    position: int | None
    """The number of the next record; None for the oldest that is there when somebody reads."""
    issued_ms: int

    def render(self) -> str:
        return f"{self.stream_arn}|1|{encode_token((self.shard, self.position, self.issued_ms))}"


def _parse_iterator(text: str) -> _Iterator:
    arn, _, rest = text.partition("|")
    version, _, token = rest.partition("|")
    decoded = decode_token(token, tuple[int, int | None, int], _invalid_iterator)
    if version != "1" or decoded is None or decoded[0] < 0:
        _bad_iterator()
    shard, position, issued_ms = decoded
    return _Iterator(arn, shard, position, issued_ms)


def _invalid_iterator() -> ServiceError:
    return ServiceError("ValidationException", "Invalid ShardIterator")


def _bad_iterator() -> NoReturn:
    raise _invalid_iterator()


def _trimmed() -> NoReturn:
    raise ServiceError("TrimmedDataAccessException", "The data you are trying to access has been trimmed", status=400)


def _first_since(scope: Scope, stream: Stream, shard: int, since_ms: int, last: int, tx: ReadTx) -> int:
    return first_number(tx, scope, stream, shard, since_ms, last)


async def _settle_all(store: Store, scope: Scope, stream: Stream, shard: int) -> int:
    """Put everything in order that has arrived; return the last number."""
    while await store.read(lambda tx: has_arrivals(tx, scope, stream, shard)):
        if not await store.write(partial(settle, scope=scope, stream=stream, shard=shard)):
            break
    return await store.read(lambda tx: last_number(tx, scope, stream, shard))


def _render_shard(stream: Stream, shard: int, last: int | None) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": sequence_text(shard, 0)}
    if last is not None:
        numbers["EndingSequenceNumber"] = sequence_text(shard, last)
    return {"ShardId": stream.shard_id(shard), "SequenceNumberRange": numbers}


def _read_limit(params: Params, most: int) -> int | None:
    limit: int | None = params.get("Limit")
    if limit is not None and limit > most:
        # The model knows no maximum; the words are those of AWS's model check.
        invalid(
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
            f"Member must have value less than or equal to {most}"
        )
    return limit
