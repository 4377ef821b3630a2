"""The three engines are one, whatever is done to them; at once, it is as if in turn. The overlay is a sorted dict."""

import asyncio
import tempfile
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cumulet.store.api import ReadTx, Store, WriteTx
from cumulet.store.memory import MemoryStore
from cumulet.store.overlay import OverlayTx
from cumulet.store.postgres import open_postgres, views
from cumulet.store.postgres.long_keys import ROW_KEY_BYTES
from cumulet.store.sqlite import open_sqlite
from postgres import Cluster

pytestmark = pytest.mark.slow

# Behind the store's own record of its version.
TAILS = st.lists(st.sampled_from([0, 1, 97, 255]), max_size=3).map(bytes)
LONG = b"k" + b"a" * (ROW_KEY_BYTES - 1)
"""Where PostgreSQL's rows are shared. Many short keys are beginnings of it."""
SHORT_KEYS = TAILS.map(lambda tail: b"k" + tail)
KEYS = st.one_of(SHORT_KEYS, SHORT_KEYS, TAILS.map(lambda tail: LONG + tail), st.just(LONG[:-1]))
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
            case "copy":
                here, there = rest
                tx.put(there, (tx.get(here) or b"") + b"+")
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
    """Whatever one engine answers, the others answer too."""

    postgres_url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.oracle: Store = MemoryStore()
        self.sqlite: Store = open_sqlite(Path(self.folder.name), "memory")
        self.postgres: Store = open_postgres(self.postgres_url)
        self.loop.run_until_complete(self.postgres.write(lambda tx: tx.delete_range(b"k", b"l")))

    async def outcome(self, store: Store, bodies: list[tuple[list[tuple[Any, ...]], bool]], at_once: bool) -> list[Any]:
        seen: list[list[Any]] = [[] for _ in bodies]

        def write(number: int) -> Any:
            (steps, raises), see = bodies[number], seen[number]

            def body(tx: WriteTx) -> None:
                see.clear()  # this may be a second run
                body_of(steps, raises, see)(tx)

            return store.write(body)

        if at_once:
            done = await asyncio.gather(*[write(number) for number in range(len(bodies))], return_exceptions=True)
        else:
            done = []
            for number in range(len(bodies)):
                done += await asyncio.gather(write(number), return_exceptions=True)
        return [(type(result), see) for result, see in zip(done, seen, strict=True)]

    @rule(bodies=st.lists(BODIES, min_size=1, max_size=4))
    def write(self, bodies: list[tuple[list[tuple[Any, ...]], bool]]) -> None:
        async def everywhere() -> None:
            expected = await self.outcome(self.oracle, bodies, at_once=True)
            assert await self.outcome(self.sqlite, bodies, at_once=True) == expected
            # At once, these would come in an order of their own.
            assert await self.outcome(self.postgres, bodies, at_once=False) == expected

        self.loop.run_until_complete(everywhere())

    @rule(start=KEYS, end=KEYS, limit=LIMITS, reverse=st.booleans())
    def scan(self, start: bytes, end: bytes, limit: int | None, reverse: bool) -> None:
        async def everywhere() -> None:
            one, two, three = [
                await store.read(lambda tx: list(tx.scan(start, end, limit=limit, reverse=reverse)))
                for store in (self.oracle, self.sqlite, self.postgres)
            ]
            assert one == two
            assert one == three

        self.loop.run_until_complete(everywhere())

    @rule(durability=st.sampled_from(["fsync", "os", "memory", "memory", "memory"]))
    def reopen_sqlite(self, durability: Any) -> None:
        self.loop.run_until_complete(self.sqlite.close())
        self.sqlite = open_sqlite(Path(self.folder.name), durability)

    @rule()
    def reopen_postgres(self) -> None:
        self.loop.run_until_complete(self.postgres.close())
        self.postgres = open_postgres(self.postgres_url)

    @invariant()
    def hold_the_same(self) -> None:
        async def everywhere() -> None:
            expected = await self.oracle.read(everything)
            assert await self.sqlite.read(everything) == expected
            assert await self.postgres.read(everything) == expected

        self.loop.run_until_complete(everywhere())

    def teardown(self) -> None:
        self.loop.run_until_complete(self.sqlite.close())
        self.loop.run_until_complete(self.postgres.close())
        self.loop.close()
        self.folder.cleanup()


def test_the_engines_agree(postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PAGE_ROWS_FIRST", 2)  # so that scans have pages
    Engines.postgres_url = postgres.local_url(postgres.new_database())
    run_state_machine_as_test(Engines, settings=settings(max_examples=20, stateful_step_count=10, deadline=None))


STEPS_AT_ONCE = st.lists(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), SHORT_KEYS, st.binary(min_size=1, max_size=2)),
            st.tuples(st.just("delete"), SHORT_KEYS),
            st.tuples(st.just("get"), SHORT_KEYS),
            st.tuples(st.just("copy"), SHORT_KEYS, SHORT_KEYS),
            st.tuples(st.just("scan"), SHORT_KEYS, SHORT_KEYS, LIMITS, st.booleans()),
            st.tuples(st.just("delete_range"), SHORT_KEYS, SHORT_KEYS),
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=2,
    max_size=4,
)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_what_happens_at_once_happens_as_if_in_turn(engine: str, postgres: Cluster) -> None:
    url = postgres.local_url(postgres.new_database()) if engine == "postgres" else ""

    @settings(max_examples=40, deadline=None)
    @given(st.dictionaries(SHORT_KEYS, st.binary(max_size=2), max_size=4), STEPS_AT_ONCE)
    def check(committed: dict[bytes, bytes], bodies: list[list[tuple[Any, ...]]]) -> None:
        async def run(folder: str) -> tuple[list[list[Any]], dict[bytes, bytes]]:
            store: Store = open_postgres(url) if url else open_sqlite(Path(folder), "memory")
            try:
                await store.write(lambda tx: begin_with(tx, committed))
                seen = await asyncio.gather(*[store.write(reading_body(steps)) for steps in bodies])
                return seen, dict(await store.read(everything))
            finally:
                await store.close()

        with tempfile.TemporaryDirectory() as folder:
            outcome = asyncio.run(run(folder))
        assert any(in_turn(committed, bodies, order) == outcome for order in permutations(range(len(bodies))))

    check()


def begin_with(tx: WriteTx, committed: dict[bytes, bytes]) -> None:
    tx.delete_range(b"k", b"l")
    for key, value in committed.items():
        tx.put(key, value)


def reading_body(steps: list[tuple[Any, ...]]) -> Callable[[Any], list[Any]]:
    def body(tx: Any) -> list[Any]:
        seen: list[Any] = []
        perform(tx, steps, seen)
        return seen

    return body


def in_turn(
    committed: dict[bytes, bytes], bodies: list[list[tuple[Any, ...]]], order: tuple[int, ...]
) -> tuple[list[list[Any]], dict[bytes, bytes]]:
    """Return what the bodies see in this order, and what is there at the end."""
    naive = Naive(committed)
    seen: dict[int, list[Any]] = {number: reading_body(bodies[number])(naive) for number in order}
    return [seen[number] for number in range(len(bodies))], naive.pairs


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
