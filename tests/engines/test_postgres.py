"""What the PostgreSQL engine promises beside being a store: isolation, settled values never stale, and failures."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from cumulet.scope import SYSTEM, Scope
from cumulet.store.api import (
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    ReadTx,
    Store,
    StoreClosed,
    StoreError,
    StoreOutcomeUnknown,
    StoreOverloaded,
    StoreTooNew,
    StoreUnavailable,
    StoreUnreadable,
    StoreWriteFailed,
    WriteTx,
)
from cumulet.store.keyspace import DDB_TABLE, STORE_META, STORE_VERSION
from cumulet.store.postgres import PostgresStore, engine, open_postgres, session, views
from cumulet.store.postgres.session import Session
from patience import until
from postgres import PASSWORD, Cluster

pytestmark = pytest.mark.slow

SETTLED = DDB_TABLE.key(Scope("000000000000", "us-east-1"), "orders")


@pytest.fixture
def database(postgres: Cluster) -> str:
    return postgres.new_database()


@pytest.fixture
async def stores(postgres: Cluster, database: str) -> AsyncIterator[Callable[[], PostgresStore]]:
    """Return a function that opens the store once more: each is a node of its own."""
    opened: list[PostgresStore] = []

    def open_another() -> PostgresStore:
        opened.append(open_postgres(postgres.local_url(database)))
        return opened[-1]

    yield open_another
    for store in opened:
        await store.close()


@pytest.fixture
def store(stores: Callable[[], PostgresStore]) -> PostgresStore:
    return stores()


async def get(store: Store, key: bytes) -> bytes | None:
    return await store.read(lambda tx: tx.get(key))


def put_all(tx: WriteTx, pairs: dict[bytes, bytes]) -> None:
    for key, value in pairs.items():
        tx.put(key, value)


async def put(store: Store, key: bytes, value: bytes = b"") -> None:
    await store.write(lambda tx: tx.put(key, value))


def increment(tx: WriteTx) -> int:
    count = int(tx.get(b"count") or b"0") + 1
    tx.put(b"count", b"%d" % count)
    return count


def put_and_raise(tx: WriteTx) -> None:
    tx.put(b"half", b"done")
    raise LookupError("no")


def statements_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with what is sent, one entry for each round trip."""
    sent: list[str] = []
    ask, ask_all, tell = Session.ask, Session.ask_all, Session.tell

    def noting_ask(self: Session, name: bytes, *rest: object) -> object:
        sent.append(name.decode())
        return ask(self, name, *rest)  # type: ignore[arg-type]

    def noting_ask_all(self: Session, statements: list[tuple[bytes, object]], *rest: object) -> object:
        sent.append(", ".join(name.decode() for name, _ in statements))
        return ask_all(self, statements, *rest)  # type: ignore[arg-type]

    def noting_tell(self: Session, name: bytes) -> None:
        sent.append(f"({name.decode()})")
        tell(self, name)

    monkeypatch.setattr(Session, "ask", noting_ask)
    monkeypatch.setattr(Session, "ask_all", noting_ask_all)
    monkeypatch.setattr(Session, "tell", noting_tell)
    return sent


# Transactions


async def test_counters_are_exact_however_many_nodes_count(stores: Callable[[], PostgresStore]) -> None:
    nodes = [stores(), stores()]

    results = await asyncio.gather(*[nodes[number % 2].write(increment) for number in range(60)])

    assert sorted(results) == list(range(1, 61))
    assert await get(nodes[0], b"count") == b"60"


async def test_write_skew_is_refused(store: PostgresStore) -> None:
    # Two doctors are on call, one has to stay, and both want to leave at once.
    async def round_of(number: int) -> int:
        ann, bob = b"ann %d" % number, b"bob %d" % number
        await store.write(lambda tx: put_all(tx, {ann: b"on", bob: b"on"}))
        both_have_looked = threading.Barrier(2)

        def leave(tx: WriteTx, who: bytes) -> bool:
            on_call = sum(tx.get(one) == b"on" for one in (ann, bob))
            with contextlib.suppress(threading.BrokenBarrierError):  # a second run is alone
                both_have_looked.wait(0.3)
            if on_call == 2:
                tx.put(who, b"off")
            return on_call == 2

        left = await asyncio.gather(
            store.write(lambda tx: leave(tx, ann)),
            store.write(lambda tx: leave(tx, bob)),
        )
        return sum(left)

    assert await asyncio.gather(*[round_of(number) for number in range(3)]) == [1, 1, 1]


async def test_phantoms_are_refused(store: PostgresStore) -> None:
    both_have_looked = threading.Barrier(2)

    def append(tx: WriteTx) -> int:
        count = len(list(tx.scan(b"list/", b"list0")))
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_looked.wait(0.3)
        tx.put(b"list/%d" % count, b"")
        return count

    assert sorted(await asyncio.gather(store.write(append), store.write(append))) == [0, 1]


async def test_a_body_that_raises_takes_nothing_with_it_but_its_own(store: PostgresStore) -> None:
    outcomes = await asyncio.gather(
        store.write(increment), store.write(put_and_raise), store.write(increment), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [int, LookupError, int]
    assert await get(store, b"half") is None
    assert await get(store, b"count") == b"2"


async def test_a_read_sees_one_moment_though_it_takes_several_round_trips(
    store: PostgresStore, stores: Callable[[], PostgresStore]
) -> None:
    other, loop = stores(), asyncio.get_running_loop()
    await store.write(lambda tx: put_all(tx, {b"a": b"0", b"b": b"0"}))
    runs = 0

    def read_both(tx: ReadTx) -> tuple[bytes | None, bytes | None, int]:
        nonlocal runs
        runs += 1
        a = tx.get(b"a")
        if runs < 3:
            value = b"%d" % runs
            asyncio.run_coroutine_threadsafe(
                other.write(lambda wtx: put_all(wtx, {b"a": value, b"b": value})), loop
            ).result(10)
        return a, tx.get(b"b"), len(list(tx.scan(b"a", b"c")))

    assert await store.read(read_both) == (b"1", b"1", 2)
    assert runs == 2  # what was read before the transaction began had changed; then it was seen in a snapshot


async def test_round_trips_are_few(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(store, SETTLED, b"table")
    await get(store, SETTLED)
    sent = statements_of(monkeypatch)

    async def trips(work: Awaitable[object]) -> list[str]:
        await work
        trips = sent.copy()
        sent.clear()
        return trips

    def item(tx: ReadTx) -> None:
        assert (tx.get(SETTLED), tx.get(b"item")) == (b"table", None)

    def put_item(tx: WriteTx) -> None:
        assert tx.get(SETTLED) == b"table"
        tx.put(b"item", tx.get(b"item") or b"new")

    assert await trips(get(store, SETTLED)) == ["generation"]
    assert await trips(store.read(item)) == ["generation and get"]
    assert await trips(store.read(lambda tx: tx.get(b"a") or tx.get(b"b"))) == [
        "generation and get",
        "begin read, generation and get, get",
        "(commit)",
    ]
    assert await trips(store.read(lambda tx: list(tx.scan(b"a", b"b")))) == [
        "begin read, generation, scan",
        "(commit)",
    ]
    assert await trips(store.write(put_item)) == ["begin write, generation and get", "put, commit"]
    assert await trips(put(store, b"blind")) == ["begin write, put, commit"]
    assert await trips(put(store, SETTLED)) == ["begin write, put, new generation, commit"]
    assert await trips(store.read(lambda tx: None)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"k" * (KEY_BYTES_MAX + 1), b""), (b"k", b"v" * (VALUE_BYTES_MAX + 1))],
    ids=["key", "value"],
)
async def test_what_is_too_large_is_refused(store: PostgresStore, key: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="at most"):
        await put(store, key, value)

    await put(store, key[:KEY_BYTES_MAX], value[:VALUE_BYTES_MAX])
    assert await get(store, key[:KEY_BYTES_MAX]) == value[:VALUE_BYTES_MAX]


async def test_large_scans_come_in_pages(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [struct.pack(">I", number) for number in range(3000)]
    await store.write(lambda tx: put_all(tx, dict.fromkeys(keys, b"v" * 100)))
    sent = statements_of(monkeypatch)

    assert await store.read(lambda tx: [key for key, _ in tx.scan(b"\x00", b"\x01")]) == keys
    pages = len(sent) - 1
    assert await store.read(lambda tx: [key for key, _ in tx.scan(b"\x00", b"\x01", reverse=True)]) == keys[::-1]
    assert await store.read(lambda tx: len(list(tx.scan(b"\x00", b"\x01", limit=1500)))) == 1500
    sent.clear()
    await store.read(lambda tx: next(tx.scan(b"\x00", b"\x01")))

    assert 4 <= pages <= 8
    assert sent == ["begin read, generation, scan", "(commit)"]  # the pages that nobody asked for were not fetched


async def test_pages_of_large_values_are_small(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.write(lambda tx: put_all(tx, {b"k%02d" % number: b"v" * 100_000 for number in range(60)}))
    monkeypatch.setattr(views, "PAGE_BYTES", 1_000_000)
    monkeypatch.setattr(views, "PAGE_ROWS_FIRST", 10)
    sent = statements_of(monkeypatch)

    assert await store.read(lambda tx: len(list(tx.scan(b"k", b"l")))) == 60
    assert len(sent) == 8  # six full pages, an empty one, the end


# Settled values


async def test_settled_values_are_never_stale_on_another_node(
    store: PostgresStore, stores: Callable[[], PostgresStore]
) -> None:
    other = stores()
    for number in range(20):
        value = b"%d" % number
        await put(store if number % 2 else other, SETTLED, value)
        assert [await get(node, SETTLED) for node in (store, other)] == [value, value]
    await store.write(lambda tx: tx.delete_range(SETTLED, SETTLED + b"\xff"))
    assert await get(other, SETTLED) is None
    await put(store, SETTLED, b"again")
    assert await get(other, SETTLED) == b"again"
    await store.write(lambda tx: tx.delete_range(b"\x00", b"\xfe"))
    assert await get(other, SETTLED) is None


async def test_what_a_body_raised_for_a_stale_value_does_not_count(
    store: PostgresStore, stores: Callable[[], PostgresStore]
) -> None:
    def find(tx: ReadTx) -> bytes:
        value = tx.get(SETTLED)
        if value is None:
            raise LookupError("no such table")
        return value

    with pytest.raises(LookupError):
        await store.read(find)
    await put(stores(), SETTLED, b"made by another node")

    assert await store.read(find) == b"made by another node"
    assert await store.write(find) == b"made by another node"


async def test_a_write_on_trust_in_a_settled_value_meets_who_changes_it(
    store: PostgresStore, stores: Callable[[], PostgresStore]
) -> None:
    other, loop = stores(), asyncio.get_running_loop()
    await put(store, SETTLED, b"active")
    await get(store, SETTLED)
    runs = 0

    def delete_table(tx: WriteTx) -> None:
        tx.put(SETTLED, b"deleting")
        tx.delete_range(b"i", b"j")

    def put_item(tx: WriteTx) -> bool:
        nonlocal runs
        runs += 1
        is_active = tx.get(SETTLED) == b"active"
        tx.get(b"item")
        if runs == 1:  # after this transaction has begun: the table is deleted with all its items
            asyncio.run_coroutine_threadsafe(other.write(delete_table), loop).result(10)
        if is_active:
            tx.put(b"item", b"")
        return is_active

    put_it = await store.write(put_item)

    # Either the item came first and is deleted, which the order of commits rules out, or the table was gone.
    assert put_it is False
    assert runs >= 2
    assert await get(store, b"item") is None


# Many nodes


async def test_many_nodes_may_open_an_empty_database_at_once(postgres: Cluster, database: str) -> None:
    opened = await asyncio.gather(*[asyncio.to_thread(open_postgres, postgres.local_url(database)) for _ in range(8)])

    await asyncio.gather(*[node.write(increment) for node in opened])
    assert await get(opened[0], b"count") == b"8"
    assert await get(opened[7], STORE_META.key(SYSTEM, "version")) == b"%d" % STORE_VERSION
    for node in opened:
        await node.close()


async def test_hints_wake_listeners_on_every_node_and_only_after_the_commit(
    store: PostgresStore, stores: Callable[[], PostgresStore], postgres: Cluster, database: str
) -> None:
    other = stores()
    woken: asyncio.Queue[str] = asyncio.Queue()
    stop = store.listen("topic", lambda: woken.put_nowait("here"))
    other.listen("topic", lambda: woken.put_nowait("there"))
    other.listen("another", lambda: woken.put_nowait("another"))
    await _until_listening(postgres, database, 2)

    def hinting(tx: WriteTx) -> None:
        tx.put(b"k", b"v")
        tx.hint("topic")

    def hinting_and_raising(tx: WriteTx) -> None:
        tx.hint("another")
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(hinting_and_raising)
    await store.write(hinting)
    assert {await asyncio.wait_for(woken.get(), 5) for _ in range(2)} == {"here", "there"}
    stop()
    await store.write(hinting)
    assert await asyncio.wait_for(woken.get(), 5) == "there"
    assert woken.empty()


async def test_the_hint_of_a_write_whose_caller_has_gone_is_heard(store: PostgresStore) -> None:
    woken = asyncio.Event()
    store.listen("topic", woken.set)
    began, goes_on = threading.Event(), threading.Event()

    def hinting(tx: WriteTx) -> None:
        began.set()
        assert goes_on.wait(5)
        tx.put(b"k", b"v")
        tx.hint("topic")

    caller = asyncio.ensure_future(store.write(hinting))
    assert await asyncio.to_thread(began.wait, 5)
    caller.cancel()
    goes_on.set()

    await asyncio.wait_for(woken.wait(), 5)
    assert caller.cancelled()
    assert await get(store, b"k") == b"v"


async def test_hints_come_back_after_their_connection_was_lost(
    store: PostgresStore, stores: Callable[[], PostgresStore], postgres: Cluster, database: str
) -> None:
    other = stores()
    woken = asyncio.Event()
    other.listen("topic", woken.set)
    await _until_listening(postgres, database, 1)
    postgres.cut_connections(database)

    await asyncio.wait_for(woken.wait(), 10)  # it may have missed a hint
    woken.clear()
    await store.write(lambda tx: tx.hint("topic"))
    await asyncio.wait_for(woken.wait(), 10)


async def _until_listening(postgres: Cluster, database: str, count: int) -> None:
    listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%'"
    async with asyncio.timeout(30):
        while (await asyncio.to_thread(postgres.execute, listening, database))[0][0] < count:
            await asyncio.sleep(0.02)


# Refusals at the start


async def test_a_newer_store_is_refused(store: PostgresStore, postgres: Cluster, database: str) -> None:
    await put(store, STORE_META.key(SYSTEM, "version"), b"%d" % (STORE_VERSION + 1))

    with pytest.raises(StoreTooNew, match=rf"version {STORE_VERSION + 1}.* up to {STORE_VERSION}\."):
        open_postgres(postgres.local_url(database))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TABLE recipes (title text)", "something else"),
        ("CREATE TABLE kv (k text, v text); CREATE TABLE generation (id integer)", "not a store|not Cumulet's"),
        (
            "CREATE TABLE kv (k bytea PRIMARY KEY, v bytea NOT NULL); INSERT INTO kv VALUES ('a', 'b');"
            " CREATE TABLE generation (id integer, token bytea)",
            "not a store",
        ),
    ],
    ids=["another program's", "another kv", "a kv without a version"],
)
def test_another_programs_database_is_refused(postgres: Cluster, database: str, statement: str, words: str) -> None:
    postgres.execute(statement, database=database)

    with pytest.raises(StoreUnreadable, match=words):
        open_postgres(postgres.local_url(database))


def test_who_cannot_log_in_is_told_why_and_no_password_is_shown(postgres: Cluster, database: str) -> None:
    cases: list[tuple[str, type[StoreError], str]] = [
        (postgres.url(database, password="wrong-" + PASSWORD), StoreUnreadable, "refuses the login"),
        (postgres.url("no_such_database"), StoreUnreadable, "There is no database no_such_database"),
        (postgres.url(database).replace(f":{postgres.port}/", ":1/"), StoreUnavailable, "cannot be reached"),
        (f"postgresql://user:{PASSWORD}%zz@host/x", StoreUnreadable, "cannot be read"),
    ]
    for url, kind, words in cases:
        with pytest.raises(kind, match=words) as raised:
            open_postgres(url)
        assert PASSWORD not in str(raised.value)
        assert raised.value.__cause__ is None


# Failures


async def test_a_cut_connection_is_made_anew(store: PostgresStore, postgres: Cluster, database: str) -> None:
    await asyncio.gather(*[store.write(increment) for _ in range(10)])
    assert postgres.cut_connections(database) > 0

    assert await get(store, b"count") == b"10"
    assert postgres.cut_connections(database) > 0
    assert await store.write(increment) == 11
    assert postgres.cut_connections(database) > 0
    await put(store, b"blind", b"v")
    assert await get(store, b"blind") == b"v"


async def test_a_line_does_not_wait_for_a_database_that_says_nothing_once_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "TRY_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = PostgresStore(
            session.complete(f"postgresql://user@127.0.0.1:{silent.getsockname()[1]}/db?connect_timeout=2"), "nowhere"
        )
        reads = [get(store, b"k") for _ in range(10 * engine.LANES_MAX)]
        async with asyncio.timeout(10):  # one attempt takes two seconds, ten take twenty
            outcomes = await asyncio.gather(*reads, return_exceptions=True)
        await store.close()

    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}


async def test_a_connection_cut_before_the_commit_costs_a_second_run(
    store: PostgresStore, postgres: Cluster, database: str
) -> None:
    runs = 0

    def count(tx: WriteTx) -> int:
        nonlocal runs
        runs += 1
        number = increment(tx)
        if runs == 1:
            postgres.cut_connections(database)
            tx.get(b"more")
        return number

    assert await store.write(count) == 1
    assert runs == 2
    assert await get(store, b"count") == b"1"


async def test_a_connection_lost_during_the_commit_leaves_the_outcome_unknown(
    store: PostgresStore, postgres: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(store, b"count", b"0")
    send = Session._send

    def send_and_cut(self: Session, seconds: float) -> None:
        send(self, seconds)
        monkeypatch.setattr(Session, "_send", send)
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'INSERT%%'",
            database,
        )

    def count(tx: WriteTx) -> None:
        increment(tx)
        monkeypatch.setattr(Session, "_send", send_and_cut)

    with postgres.connect(database) as blocker, blocker.transaction():  # so that the commit cannot be over before
        blocker.execute("SELECT v FROM kv WHERE k = 'count' FOR UPDATE")
        with pytest.raises(StoreOutcomeUnknown, match="nobody knows"):
            await store.write(count)

    assert await get(store, b"count") == b"0"
    assert await store.write(increment) == 1


async def test_a_restart_of_the_server_is_lived_through(postgres: Cluster) -> None:
    with Cluster.started() as own:
        node = open_postgres(own.local_url(own.new_database()))
        acknowledged = 0
        is_over = asyncio.Event()

        async def count() -> None:
            nonlocal acknowledged
            while not is_over.is_set():
                with contextlib.suppress(StoreOutcomeUnknown, StoreUnavailable):
                    await node.write(increment)
                    acknowledged += 1

        counting = [asyncio.ensure_future(count()) for _ in range(4)]
        for at_once in (False, True):
            enough = acknowledged + 20
            await until(lambda: acknowledged >= enough, "writes go on before a restart")  # noqa: B023  awaited at once
            await asyncio.to_thread(own.restart, at_once=at_once)
        enough = acknowledged + 20
        await until(lambda: acknowledged >= enough, "writes go on after the restarts")
        is_over.set()
        await asyncio.gather(*counting)
        counted = int(await get(node, b"count") or b"0")
        await node.close()

    assert acknowledged <= counted <= acknowledged + 8  # each restart may leave four outcomes unknown


async def test_a_server_that_is_gone_or_hangs_is_unavailable_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TRY_SECONDS", 0.5)
    monkeypatch.setattr(session, "ANSWER_SECONDS_MAX", 0.5)
    with Cluster.started() as own:
        node = open_postgres(own.local_url(own.new_database()))
        await put(node, b"k", b"v")

        own.stop()
        outcomes = await asyncio.wait_for(asyncio.gather(get(node, b"k"), put(node, b"k"), return_exceptions=True), 10)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable]
        own.start()
        assert await get(node, b"k") == b"v"

        own.hang()
        with pytest.raises(StoreUnavailable, match=r"did not answer|timeout"):
            await asyncio.wait_for(get(node, b"k"), 20)
        own.resume()
        assert await get(node, b"k") == b"v"
        await node.close()


async def test_every_lane_is_back_at_once_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TRY_SECONDS", 0.5)
    with Cluster.started() as own:
        node = open_postgres(own.local_url(own.new_database()))
        await asyncio.gather(*[node.write(increment) for _ in range(16)])  # all lanes have a connection
        own.stop()
        with pytest.raises(StoreUnavailable):
            await get(node, b"count")
        own.start()
        await asyncio.sleep(0.6)

        # Most of them find out only now that theirs is gone.
        assert await asyncio.gather(*[get(node, b"count") for _ in range(16)]) == [b"16"] * 16
        await node.close()


async def test_a_large_write_may_take_its_time(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ANSWER_SECONDS_MAX", 0.01)
    archive = {b"chunk %02d" % number: b"v" * 1024 * 1024 for number in range(24)}

    await store.write(lambda tx: put_all(tx, archive))

    assert await store.read(lambda tx: sum(len(value) for _, value in tx.scan(b"chunk", b"chunl"))) == 24 * 1024 * 1024


async def test_what_the_server_refuses_is_gone_and_the_lane_goes_on(
    store: PostgresStore, postgres: Cluster, database: str
) -> None:
    postgres.execute("ALTER TABLE kv ADD CONSTRAINT small CHECK (length(v) < 100)", database=database)

    with pytest.raises(StoreWriteFailed, match="small"):
        await store.write(lambda tx: put_all(tx, {b"a": b"ok", b"b": b"v" * 100}))

    assert await get(store, b"a") is None
    assert await store.write(increment) == 1


async def test_a_cancelled_caller_harms_nobody(store: PostgresStore) -> None:
    tasks = [asyncio.ensure_future(store.write(increment)) for _ in range(30)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()

    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert sum(isinstance(outcome, int) for outcome in done) == 20
    assert await store.write(increment) >= 21


async def test_the_line_has_an_end(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAITING_MAX", 3)

    outcomes = await asyncio.gather(*[store.write(increment) for _ in range(5)], return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["StoreOverloaded"] * 2 + ["int"] * 3
    assert isinstance(outcomes[-1], StoreOverloaded)


async def test_what_waits_at_the_end_is_written(postgres: Cluster, database: str) -> None:
    node = open_postgres(postgres.local_url(database))
    writes = [asyncio.ensure_future(node.write(increment)) for _ in range(20)]
    await asyncio.sleep(0)
    await node.close()

    assert sorted(await asyncio.gather(*writes)) == list(range(1, 21))
    for late in (put(node, b"late"), get(node, b"late")):
        with pytest.raises(StoreClosed):
            await late
    # A backend goes a moment after its connection is closed.
    async with asyncio.timeout(10):
        while postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", database) != [(0,)]:
            await asyncio.sleep(0.01)
