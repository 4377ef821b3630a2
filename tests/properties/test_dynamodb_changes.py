"""What hangs on a table's items, after any sequence of writes: its stream, its index of expiring items, its past.

The model is a dict of items. Writes come through two servers over one store, whose clocks do not agree.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.clock import ManualClock
from cumulet.ids import CountingIds
from cumulet.services.dynamodb.change_log import Changes, Piece, read_as_of, read_changes
from cumulet.services.dynamodb.core.item_codec import decode_item
from cumulet.services.dynamodb.expiry import expires_s
from cumulet.services.dynamodb.stream_log import RECORDS, settle
from cumulet.services.dynamodb.streams import STREAMS
from cumulet.services.dynamodb.tables import OpenTable, find_table
from cumulet.services.kit import Call, Principal
from cumulet.store.api import ReadTx
from cumulet.store.keyspace import DDB_EXPIRING
from cumulet.store.tuples import pack
from harness import SCOPE, House

pytestmark = pytest.mark.slow

START_MS = 1_760_000_000_000
Item = dict[str, Any]
State = dict[str, Item]

PARTITIONS = ("a", "b", "c\x00d")
SORTS = ("1", "2")
KEYS = [(pk, sk) for pk in PARTITIONS for sk in SORTS]
VALUES = st.sampled_from(
    [
        {"N": "1"},
        {"N": str(START_MS // 1000 + 1)},
        {"N": "-5"},
        {"N": "1.5"},
        {"S": "text"},
        {"SS": ["x", "y"]},
        {"SS": ["y", "x"]},
        {"M": {"k": {"S": "v"}, "l": {"NULL": True}}},
        {"M": {"l": {"NULL": True}, "k": {"S": "v"}}},
    ]
)
ITEMS = st.dictionaries(st.sampled_from(("x", "expires")), VALUES, max_size=2)
WRITES = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), ITEMS),
    st.tuples(st.just("update"), st.sampled_from(KEYS), st.tuples(st.sampled_from(("x", "expires")), VALUES)),
    st.tuples(st.just("remove"), st.sampled_from(KEYS), st.sampled_from(("x", "expires"))),
    st.tuples(st.just("delete"), st.sampled_from(KEYS), st.none()),
)
BATCHES = st.tuples(
    st.sampled_from(("batch", "transaction")),
    st.lists(WRITES, min_size=1, max_size=4, unique_by=lambda write: write[1]),
    st.none(),
)
STEPS = st.lists(
    st.tuples(
        st.one_of(WRITES, WRITES, BATCHES), st.sampled_from((0, 1)), st.sampled_from((0.0, 0.001, 3.0, 90_000.0))
    ),
    max_size=14,
)
"""Each: a write, through which server, and how long nothing happens afterwards."""


def key_of(key: tuple[str, str]) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def name_of(item: Mapping[str, Any]) -> str:
    return f"{item['pk']['S']}/{item['sk']['S']}"


class World:
    """A table behind two servers."""

    def __init__(self, skew_ms: int) -> None:
        first = House("dynamodb", clock=ManualClock(START_MS))
        second = House("dynamodb", clock=ManualClock(START_MS + skew_ms), store=first.store, node_id="node-2")
        second.ids = CountingIds()
        self.houses = (first, second)
        self.store = first.store
        self.history: list[tuple[str, Item | None, Item | None]] = []
        """Every change of the model: of which item, from what, to what."""

    async def call(self, operation: str, server: int = 0, **params: Any) -> Any:
        return await self.houses[server].call("dynamodb", operation, params)

    async def create(self) -> None:
        await self.call(
            "CreateTable",
            TableName="tab",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        await self.call(
            "UpdateTimeToLive",
            TableName="tab",
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"},
        )
        await self.call(
            "UpdateContinuousBackups",
            TableName="tab",
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )

    async def write(self, write: Any, server: int) -> None:
        before = await self.state()
        kind, what, how = write
        if kind == "put":
            await self.call("PutItem", server, TableName="tab", Item={**key_of(what), **how})
        elif kind == "delete":
            await self.call("DeleteItem", server, TableName="tab", Key=key_of(what))
        elif kind in ("update", "remove"):
            await self.call("UpdateItem", server, TableName="tab", **update_of(write))
        elif kind == "batch":
            requests = [batch_request(one) for one in what if one[0] in ("put", "delete")]
            if requests:
                await self.call("BatchWriteItem", server, RequestItems={"tab": requests})
        else:
            await self.call("TransactWriteItems", server, TransactItems=[transact_item(one) for one in what])
        after = await self.state()
        for name in sorted(before.keys() | after.keys()):
            if not same(before.get(name), after.get(name)):
                self.history.append((name, before.get(name), after.get(name)))

    async def state(self) -> State:
        answer = msgspec.json.decode(msgspec.json.encode(await self.call("Scan", TableName="tab")))
        return {name_of(item): item for item in answer["Items"]}

    def make_call(self) -> Call:
        clock = self.houses[0].clock
        return Call(SCOPE, Principal.root(SCOPE.account), "request", clock.now_ms(), self.houses[0].ids)

    def advance(self, seconds: float) -> None:
        for house in self.houses:
            house.clock.advance(seconds)

    async def table(self) -> OpenTable:
        table = await self.store.read(lambda tx: find_table(tx, self.make_call(), "tab"))
        assert table is not None
        return table


def update_of(write: Any) -> Item:
    kind, key, how = write
    if kind == "remove":
        return {"Key": key_of(key), "UpdateExpression": f"REMOVE {how}"}
    name, value = how
    return {
        "Key": key_of(key),
        "UpdateExpression": f"SET {name} = :v",
        "ExpressionAttributeValues": {":v": value},
    }


def batch_request(write: Any) -> Item:
    kind, key, how = write
    if kind == "put":
        return {"PutRequest": {"Item": {**key_of(key), **how}}}
    return {"DeleteRequest": {"Key": key_of(key)}}


def transact_item(write: Any) -> Item:
    kind, key, how = write
    if kind == "put":
        return {"Put": {"TableName": "tab", "Item": {**key_of(key), **how}}}
    if kind == "delete":
        return {"Delete": {"TableName": "tab", "Key": key_of(key)}}
    return {"Update": {"TableName": "tab", **update_of(write)}}


def same(left: Item | None, right: Item | None) -> bool:
    """Return whether two images are equal as DynamoDB has it: sets have no order."""
    if left is None or right is None:
        return left is right
    return left.keys() == right.keys() and all(plain(left[name]) == plain(right[name]) for name in left)


def plain(value: Any) -> Any:
    return {"SS": sorted(value["SS"])} if "SS" in value else value


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


@settings(max_examples=40, deadline=None)
@given(STEPS, st.sampled_from((0, -5000, 7)), st.lists(st.integers(0, 14), max_size=3), st.integers(1, 4))
def test_the_stream_is_the_history_of_each_item_in_order(
    steps: list[Any], skew_ms: int, settled_after: list[int], settled_at_once: int
) -> None:
    async def scenario() -> None:
        world = World(skew_ms)
        await world.create()
        (stream,) = await world.store.read(lambda tx: list(STREAMS.scan(tx, SCOPE)))
        for place, (write, server, pause) in enumerate(steps):
            await world.write(write, server)
            world.advance(pause)
            if place in settled_after:
                await world.store.write(lambda tx: settle(tx, SCOPE, stream, 0, settled_at_once))
        while await world.store.write(lambda tx: settle(tx, SCOPE, stream, 0, settled_at_once)):
            pass
        records = await world.store.read(lambda tx: list(RECORDS.scan(tx, SCOPE, stream.id, 0)))
        told: list[tuple[str, Item | None, Item | None]] = []
        for record in records:
            old = msgspec.json.decode(record.old) if record.old else None
            new = msgspec.json.decode(record.new) if record.new else None
            assert record.name == ("INSERT" if old is None else "REMOVE" if new is None else "MODIFY")
            told.append((name_of(msgspec.json.decode(record.keys)), old, new))
        assert len(told) == len(world.history)
        for pk, sk in KEYS:
            name = f"{pk}/{sk}"
            expected = [change for change in world.history if change[0] == name]
            found = [change for change in told if change[0] == name]
            assert len(found) == len(expected)
            for (_, old, new), (_, old_told, new_told) in zip(expected, found, strict=True):
                assert same(old, old_told)
                assert same(new, new_told)
        assert [record.at_ms for record in records] == sorted(record.at_ms for record in records)
        replayed: State = {}
        for name, _, new in told:
            if new is None:
                del replayed[name]
            else:
                replayed[name] = new
        state = await world.state()
        assert replayed.keys() == state.keys()
        assert all(same(replayed[name], state[name]) for name in state)

    run(scenario)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_the_index_of_expiring_items_is_what_the_items_say(steps: list[Any]) -> None:
    async def scenario() -> None:
        world = World(0)
        await world.create()
        for write, server, _ in steps:
            await world.write(write, server)
        table = await world.table()

        def recompute(tx: ReadTx) -> tuple[set[bytes], set[bytes]]:
            indexed = {key for key, _ in tx.scan(*DDB_EXPIRING.range(SCOPE))}
            expected = set()
            for place, stored in tx.scan(table.prefix, table.prefix + b"\xff"):
                second = expires_s(decode_item(stored), "expires")
                if second is not None:
                    head = DDB_EXPIRING.key(SCOPE, table.record.table_id)
                    expected.add(head + pack((second,)) + place[len(table.prefix) :])
            return indexed, expected

        indexed, expected = await world.store.read(recompute)
        assert indexed == expected

    run(scenario)


@settings(max_examples=40, deadline=None)
@given(STEPS, STEPS, st.integers(1, 5), st.data())
def test_a_table_can_be_read_as_it_was(steps: list[Any], later: list[Any], limit: int, data: st.DataObject) -> None:
    async def scenario() -> None:
        world = World(0)
        await world.create()
        states = [(world.houses[0].clock.now_ms() - 1, await world.state())]
        for write, server, pause in steps:
            await world.write(write, server)
            if pause:
                states.append((world.houses[0].clock.now_ms(), await world.state()))
            world.advance(pause)
        world.advance(1)
        at_ms, expected = data.draw(st.sampled_from(states[1:] or states))
        read: State = {}
        position: bytes | None = b""
        changes = iter(later)
        while position is not None:
            piece = await world.store.read(partial(_read, world.make_call(), at_ms, position, limit))
            for _, stored in piece.items:
                item = decode_item(stored)
                assert name_of(item) not in read
                read[name_of(item)] = item
            position = piece.behind
            # Writes go on while the past is read.
            if (change := next(changes, None)) is not None:
                write, server, pause = change
                await world.write(write, server)
                world.advance(pause)
        assert read == expected

    run(scenario)


def _read(call: Call, at_ms: int, position: bytes, limit: int, tx: ReadTx) -> Piece:
    table = find_table(tx, call, "tab")
    assert table is not None
    return read_as_of(tx, table, at_ms, call.now_ms, position, limit)


@settings(max_examples=40, deadline=None)
@given(STEPS, STEPS, st.integers(1, 5), st.data())
def test_an_increment_is_the_difference_of_two_moments(
    steps: list[Any], later: list[Any], limit: int, data: st.DataObject
) -> None:
    async def scenario() -> None:
        world = World(0)
        await world.create()
        moments = [(world.houses[0].clock.now_ms() - 1, await world.state())]
        for write, server, pause in steps:
            await world.write(write, server)
            if pause:
                moments.append((world.houses[0].clock.now_ms(), await world.state()))
            world.advance(pause)
        world.advance(1)
        moments.append((world.houses[0].clock.now_ms() - 1, await world.state()))
        first = data.draw(st.integers(0, len(moments) - 2))
        (since_ms, before), (until_ms, after) = moments[first], data.draw(st.sampled_from(moments[first + 1 :]))
        found: dict[str, tuple[Item | None, Item | None]] = {}
        position: bytes | None = b""
        changes = iter(later)
        while position is not None:
            piece = await world.store.read(
                partial(_read_increment, world.make_call(), since_ms + 1, until_ms + 1, position, limit)
            )
            for one in piece.items:
                old, new = (decode_item(image) if image else None for image in (one.before, one.after))
                name = name_of(old or new or {})
                assert name not in found
                found[name] = old, new
                assert since_ms < one.changed_ms <= until_ms
            position = piece.behind
            if (change := next(changes, None)) is not None:
                write, server, pause = change
                await world.write(write, server)
                world.advance(pause)
        assert found == {name: (before.get(name), after.get(name)) for name in found}
        assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} <= found.keys()

    run(scenario)


def _read_increment(call: Call, since_ms: int, until_ms: int, position: bytes, limit: int, tx: ReadTx) -> Changes:
    table = find_table(tx, call, "tab")
    assert table is not None
    return read_changes(tx, table, since_ms, until_ms, call.now_ms, position, limit)
