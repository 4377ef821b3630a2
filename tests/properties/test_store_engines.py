"""The SQLite engine is the memory engine, whatever is done to both; the overlay is a sorted dict."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cumulet.store.api import ReadTx, Store, WriteTx
from cumulet.store.memory import MemoryStore
from cumulet.store.overlay import OverlayTx
from cumulet.store.sqlite import open_sqlite

pytestmark = pytest.mark.slow

# Behind the store's own record of its version.
KEYS = st.lists(st.sampled_from([0, 1, 97, 255]), max_size=3).map(lambda tail: b"k" + bytes(tail))
VALUES = st.one_of(st.binary(max_size=4), st.integers(2000, 9000).map(lambda size: b"v" * size))
LIMITS = st.one_of(st.none(), st.integers(0, 4))

PUT = st.tuples(st.just("put"), KEYS, VALUES)
STEPS = st.one_of(
    PUT,
    PUT,
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("delete_range"), KEYS, KEYS),
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("scan"), KEYS, KEYS, LIMITS, st.booleans()),
    st.tuples(st.just("begin a scan"), KEYS, KEYS),
)
BODIES = st.tuples(st.lists(STEPS, max_size=6), st.booleans())


class Unwanted(Exception):
    """What a body raises to undo itself."""


def perform(tx: Any, steps: list[tuple[Any, ...]], seen: list[Any]) -> None:
    """Do the steps and note what the reads among them saw."""
    for what, *rest in steps:
        match what:
            case "put":
                tx.put(*rest)
            case "delete":
                tx.delete(*rest)
            case "delete_range":
                tx.delete_range(*rest)
            case "get":
                seen.append(tx.get(*rest))
            case "scan":
                start, end, limit, reverse = rest
                seen.append(list(tx.scan(start, end, limit=limit, reverse=reverse)))
            case "begin a scan":
                seen.append(next(tx.scan(*rest), None))


def body_of(steps: list[tuple[Any, ...]], raises: bool, seen: list[Any]) -> Callable[[WriteTx], None]:
    def body(tx: WriteTx) -> None:
        perform(tx, steps, seen)
        if raises:
            raise Unwanted

    return body


def everything(tx: ReadTx) -> list[tuple[bytes, bytes]]:
    return list(tx.scan(b"k", b"l"))


class Engines(RuleBasedStateMachine):
    """Whatever one engine answers, the other answers too."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.oracle: Store = MemoryStore()
        self.store: Store = open_sqlite(Path(self.folder.name), "memory")

    async def outcome(self, store: Store, bodies: list[tuple[list[tuple[Any, ...]], bool]]) -> list[Any]:
        seen: list[list[Any]] = [[] for _ in bodies]
        done = await asyncio.gather(
            *[store.write(body_of(steps, raises, see)) for (steps, raises), see in zip(bodies, seen, strict=True)],
            return_exceptions=True,
        )
        return [(type(result), see) for result, see in zip(done, seen, strict=True)]

    @rule(bodies=st.lists(BODIES, min_size=1, max_size=4))
    def write_at_once(self, bodies: list[tuple[list[tuple[Any, ...]], bool]]) -> None:
        async def both() -> None:
            assert await self.outcome(self.store, bodies) == await self.outcome(self.oracle, bodies)

        self.loop.run_until_complete(both())

    @rule(start=KEYS, end=KEYS, limit=LIMITS, reverse=st.booleans())
    def scan(self, start: bytes, end: bytes, limit: int | None, reverse: bool) -> None:
        async def both() -> None:
            ours, theirs = [
                await store.read(lambda tx: list(tx.scan(start, end, limit=limit, reverse=reverse)))
                for store in (self.store, self.oracle)
            ]
            assert ours == theirs

        self.loop.run_until_complete(both())

    @rule(durability=st.sampled_from(["fsync", "os", "memory", "memory", "memory"]))
    def reopen(self, durability: Any) -> None:
        self.loop.run_until_complete(self.store.close())
        self.store = open_sqlite(Path(self.folder.name), durability)

    @invariant()
    def hold_the_same(self) -> None:
        async def both() -> None:
            assert await self.store.read(everything) == await self.oracle.read(everything)

        self.loop.run_until_complete(both())

    def teardown(self) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.close()
        self.folder.cleanup()


def test_the_engines_agree() -> None:
    run_state_machine_as_test(Engines, settings=settings(max_examples=40, stateful_step_count=12, deadline=None))


class Naive:
    """A transaction over a sorted dict: what the overlay must look like."""

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self.pairs = dict(pairs)

    def get(self, key: bytes) -> bytes | None:
        return self.pairs.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.pairs[key] = value

    def delete(self, key: bytes) -> None:
        self.pairs.pop(key, None)

    def delete_range(self, start: bytes, end: bytes) -> None:
        self.pairs = {key: value for key, value in self.pairs.items() if not start <= key < end}

    def scan(self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False) -> Any:
        return iter([p for p in sorted(self.pairs.items(), reverse=reverse) if start <= p[0] < end][:limit])


@given(st.dictionaries(KEYS, st.binary(max_size=2)), st.lists(STEPS, max_size=15))
@settings(max_examples=300, deadline=None)
def test_an_overlay_looks_like_the_changed_map(committed: dict[bytes, bytes], steps: list[tuple[Any, ...]]) -> None:
    base, naive = Naive(committed), Naive(committed)
    overlay = OverlayTx(base)
    ours: list[Any] = []
    theirs: list[Any] = []

    perform(overlay, steps, ours)
    perform(naive, steps, theirs)

    assert ours == theirs
    assert dict(overlay.scan(b"k", b"l")) == naive.pairs
    assert base.pairs == committed
