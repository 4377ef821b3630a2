"""The store over PostgreSQL: lanes, retries and deadlines.

A transaction waits in line for a *lane*, a thread with a connection of its own, and runs there from begin to commit. On
the event loop nothing waits but futures.

- Writes are SERIALIZABLE. What they change is sent in one go with the COMMIT, so no lock outlives a round trip. A
  transaction that meets another is run again, after a pause that grows and is partly chance.
- Reads see a snapshot and meet nobody.
- Until its COMMIT is sent a transaction may be run again on another connection, and is, until its time is over: then it
  is StoreUnavailable. If the connection breaks after that, nobody knows what became of it: StoreOutcomeUnknown.
- A lane without a connection makes one when it next has work, so a node recovers by itself.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from cumulet.clock import SystemClock
from cumulet.errors import InvariantViolated
from cumulet.ids import RandomIds
from cumulet.store.api import (
    ReadTx,
    StoreClosed,
    StoreError,
    StoreOutcomeUnknown,
    StoreOverloaded,
    StoreUnavailable,
    StoreWriteFailed,
    WriteTx,
)
from cumulet.store.overlay import OverlayTx
from cumulet.store.postgres import schema
from cumulet.store.postgres.changes import plan_statements, touches_settled
from cumulet.store.postgres.hints import Hints
from cumulet.store.postgres.session import (
    ANSWER_SECONDS_MAX,
    RANGE_SECONDS_MAX,
    Lost,
    Refused,
    Session,
    Statement,
    Unreachable,
    connect,
)
from cumulet.store.postgres.settled import Settled
from cumulet.store.postgres.views import View

log = logging.getLogger("cumulet.store")

T = TypeVar("T")

LANES_MAX = 8
"""Connections of one node, besides the one for hints. PostgreSQL allows 100 in all unless it is told otherwise."""

WAITING_MAX = 16_384
"""More transactions than this in line are refused: they would time out at their clients anyway."""

TRY_SECONDS = 5.0
"""For so long a transaction waits for its turn, for a connection, or for others to get out of its way."""

WRITTEN_BYTES_PER_SECOND_MIN = 2 * 1024 * 1024
"""How slow a disk may be, and still nobody takes the server for dead while it writes a large archive."""

_STATEMENT_BYTES = 1024
_PAUSE_SECONDS_FIRST = 0.002
_PAUSE_SECONDS_MAX = 0.25
_RECONNECT_SECONDS = 0.25
_NEVER = threading.Event()
"""Waiting for it with a limit is how a lane pauses."""

_TOKEN_BYTES = 12

_MET_ANOTHER = ("40001", "40P01", "CR000", "55P03")
"""SQLSTATEs of serialization failures, deadlocks and locks in the way: run it again."""

_AMBIGUOUS = "40003"
"""statement_completion_unknown: CockroachDB says so when it does not know whether it has committed."""


def open_postgres(url: str) -> "PostgresStore":
    """Return the store in the database of a postgresql:// URL; its tables are made if they are not there.

    Raises StoreUnavailable, StoreTooNew or StoreUnreadable, with words for the person who gave the URL.
    """
    ids = RandomIds()
    conninfo, where = schema.understand(url)
    try:
        with connect(conninfo) as connection:
            schema.prepare(connection, where, lambda: ids.secret(_TOKEN_BYTES))
    except psycopg.Error as failure:
        raise schema.refusal(failure, where) from None
    return PostgresStore(conninfo, where)


class PostgresStore:
    """A store in a database that other nodes use too. Made by `open_postgres`; used from one event loop."""

    engine = "postgres"
    is_shared = True

    def __init__(self, conninfo: str, where: str) -> None:
        self.where = where
        """The database, without its password."""
        self._conninfo = conninfo
        self._clock = SystemClock()
        self._ids = RandomIds()
        self._settled = Settled()
        self._line: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lanes: list[threading.Thread] = []
        self._under_way = 0
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hints: Hints | None = None
        self._closing = False
        self._idle: asyncio.Event | None = None
        self._away_since_s: float | None = None

    @property
    def trouble(self) -> str | None:
        # Before that, transactions wait for the database. It is noticed without any, since nodes beat.
        since_s = self._away_since_s
        if since_s is None or (away_s := self._clock.monotonic_s() - since_s) < TRY_SECONDS:
            return None
        return f"The store's database {self.where} has been out of reach for {away_s:.0f} seconds."

    async def read(self, fn: Callable[[ReadTx], T]) -> T:
        def attempt(session: Session) -> T:
            view = View(session, self._settled, writes=False)
            try:
                return view.run(fn)
            finally:
                view.finish()

        result: T = await self._in_lane(attempt)
        return result

    async def write(self, fn: Callable[[WriteTx], T]) -> T:
        result: T = await self._in_lane(lambda session: self._write(session, fn))
        return result

    def listen(self, topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        self._listeners.setdefault(topic, []).append(wake)
        self._open_hints()
        return lambda: self._listeners[topic].remove(wake)

    async def close(self) -> None:
        """Finish the transactions that have begun or wait, and let go of the database."""
        if self._closing:
            return
        self._closing = True
        self._idle = asyncio.Event()
        if not self._under_way:
            self._idle.set()
        await self._idle.wait()
        for _ in self._lanes:
            self._line.put(None)
        await asyncio.to_thread(self._end_threads)

    def _end_threads(self) -> None:
        for lane in self._lanes:
            lane.join()
        if self._hints is not None:
            self._hints.close()

    # On the event loop

    async def _in_lane(self, attempt: "Callable[[Session], T]") -> T:
        if self._closing:
            raise StoreClosed("The store is closed.")
        if self._under_way >= WAITING_MAX:
            raise StoreOverloaded(f"{WAITING_MAX} transactions are waiting for their turn.")
        loop = self._loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        job = _Job(attempt, done, self._clock.monotonic_s() + TRY_SECONDS)
        if self._under_way >= len(self._lanes) and len(self._lanes) < LANES_MAX:
            self._open_lane()
        self._under_way += 1
        self._line.put(job)
        result: T = await done
        return result

    def _open_lane(self) -> None:
        lane = threading.Thread(target=self._run_lane, name=f"cumulet-lane-{len(self._lanes)}", daemon=True)
        lane.start()
        self._lanes.append(lane)

    def _answer(self, job: "_Job", result: Any, failure: BaseException | None) -> None:
        self._under_way -= 1
        if self._closing and not self._under_way and self._idle is not None:
            self._idle.set()
        if job.done.done():
            return  # the caller was cancelled; what it wrote is committed all the same
        if failure is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(failure)

    def _tell(self, topics: set[str]) -> None:
        for topic in topics:
            self._wake_listeners(topic)
        self._open_hints().tell(topics)

    def _open_hints(self) -> Hints:
        if self._hints is None:
            self._loop = asyncio.get_running_loop()
            self._hints = Hints(self._conninfo, self._heard)
        return self._hints

    def _wake_listeners(self, topic: str | None) -> None:
        for heard in list(self._listeners) if topic is None else (topic,):
            for wake in self._listeners.get(heard, ()):
                wake()

    # In other threads

    def _heard(self, topic: str | None) -> None:
        self._on_loop(self._wake_listeners, topic)

    def _on_loop(self, fn: Callable[..., None], *args: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before the store was closed
                self._loop.call_soon_threadsafe(fn, *args)

    def _run_lane(self) -> None:
        lane = _Lane(self._conninfo)
        while (job := self._line.get()) is not None:
            if job.done.cancelled():
                self._on_loop(self._answer, job, None, None)
                continue
            result, failure = None, None
            try:
                result = self._perform(lane, job)
            except BaseException as error:
                failure = error
                if not isinstance(error, Exception):
                    lane.drop()
                    self._on_loop(self._answer, job, None, error)
                    raise
            self._on_loop(self._answer, job, result, failure)
            del job, result, failure  # or they would live until the next job comes
        lane.drop()

    def _perform(self, lane: "_Lane", job: "_Job") -> Any:
        """Return what the job's transaction returns, run as often as it takes and its time allows."""
        pause_s = _PAUSE_SECONDS_FIRST
        if self._away_since_s is not None and self._clock.monotonic_s() >= job.deadline_s:
            # Others have tried while it stood in line; a line of thousands is not to wait for one attempt each.
            raise StoreUnavailable(
                f"The store's database {self.where} has been out of reach for {TRY_SECONDS:g} seconds."
            )
        while True:
            try:
                result = job.attempt(lane.session())
                self._away_since_s = None
                return result
            except Lost as lost:
                lane.drop()
                if self._is_time_over(job, lost):
                    raise StoreUnavailable(f"The store's database {self.where} is out of reach: {lost}.") from None
                _NEVER.wait(self._part_of(_RECONNECT_SECONDS if isinstance(lost, Unreachable) else pause_s))
            except Refused as refused:
                lane.undo()
                if refused.code not in _MET_ANOTHER:
                    raise _failed(refused) from refused
                if self._clock.monotonic_s() >= job.deadline_s:
                    raise StoreUnavailable(
                        f"The transaction met others for {TRY_SECONDS:g} seconds: {refused}."
                    ) from refused
                _NEVER.wait(self._part_of(pause_s))
                pause_s = min(pause_s * 2, _PAUSE_SECONDS_MAX)

    def _write(self, session: Session, fn: Callable[[WriteTx], T]) -> T:
        view = View(session, self._settled, writes=True)

        def body(view: View) -> tuple[OverlayTx, T, list[Statement]]:
            tx = OverlayTx(view)
            result = fn(tx)
            return tx, result, plan_statements(tx, view.get_row)

        try:
            tx, result, statements = view.run(body)
        except (Lost, Refused):
            raise
        except BaseException:
            view.finish(undo=True)
            raise
        if touches_settled(tx):
            statements.append((b"new generation", (self._ids.secret(_TOKEN_BYTES),)))
        if view.begun or statements:
            self._commit(session, view, statements, ranges=bool(tx.deleted_ranges))
        if tx.hints:
            self._on_loop(self._tell, tx.hints)  # from here, since the caller may have been cancelled
        return result

    def _commit(self, session: Session, view: View, statements: list[Statement], *, ranges: bool) -> None:
        if not view.begun:
            session.check_alive()  # since from here on nobody could tell whether the server has heard it
            statements.insert(0, (b"begin write", ()))
        statements.append((b"commit", ()))
        changes = len(statements) > 1
        try:
            answers = session.ask_all(statements, _patience(statements, ranges=ranges))
        except Lost as lost:
            if not changes:
                raise  # it has only read
            raise _unknown(lost) from lost
        except Refused as refused:
            if refused.code == _AMBIGUOUS:
                raise _unknown(refused) from refused
            raise
        if answers[-1].command_status != b"COMMIT":
            raise InvariantViolated(f"COMMIT was answered with {answers[-1].command_status!r}")

    def _part_of(self, seconds: float) -> float:
        """Return from half of the time to all of it, by chance: who met once should not meet again."""
        return seconds * (0.5 + self._ids.secret(1)[0] / 512)

    def _is_time_over(self, job: "_Job", lost: Lost) -> bool:
        now_s = self._clock.monotonic_s()
        if not isinstance(lost, Unreachable):
            return now_s >= job.deadline_s
        since_s = self._away_since_s
        if since_s is None:
            log.warning("the store cannot be reached", extra={"said": str(lost)})
            since_s = self._away_since_s = now_s
        # Who comes when nobody has reached it for that long need not wait as long again.
        return now_s >= job.deadline_s or now_s - since_s >= TRY_SECONDS


class _Job:
    """A transaction in line."""

    __slots__ = ("attempt", "deadline_s", "done")

    def __init__(self, attempt: Callable[[Session], Any], done: "asyncio.Future[Any]", deadline_s: float) -> None:
        self.attempt = attempt
        self.done = done
        self.deadline_s = deadline_s


class _Lane:
    """The connection of one thread, made when it is needed."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._session: Session | None = None

    def session(self) -> Session:
        """Return a session that was alive a moment ago. Raises Lost."""
        if self._session is None:
            self._session = Session(self._conninfo)
        else:
            self._session.check_alive()
        return self._session

    def undo(self) -> None:
        """End a transaction that was refused."""
        if self._session is not None:
            try:
                self._session.tell(b"rollback")
            except Lost:
                self.drop()

    def drop(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _patience(statements: list[Statement], *, ranges: bool) -> float:
    """Return for how many seconds the server may say nothing: it answers to all of them together."""
    size = sum(_STATEMENT_BYTES + sum(map(len, params)) for _, params in statements)
    return (RANGE_SECONDS_MAX if ranges else ANSWER_SECONDS_MAX) + size / WRITTEN_BYTES_PER_SECOND_MIN


def _unknown(failure: Exception) -> StoreOutcomeUnknown:
    return StoreOutcomeUnknown(
        "The connection to the store's database was lost during a commit, so nobody knows whether it took place:"
        f" {failure}."
    )


def _failed(refused: Refused) -> StoreError:
    if refused.code.startswith("57014"):
        return StoreUnavailable(f"The store's database took too long and was stopped: {refused}.")
    return StoreWriteFailed(f"The store's database refused, and nothing of this transaction was kept: {refused}.")
