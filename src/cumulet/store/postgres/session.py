"""One connection as the lanes use it: prepared statements, pipelines, and a limit on every wait.

This works on libpq's own functions, which psycopg exposes: a prepared point read through them costs half of what it
costs through a cursor. Waiting is a poll with a limit, so that a server that hangs holds nobody for long.
"""

import select
from collections.abc import Sequence
from typing import TypeAlias

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGresult

from cumulet.errors import InvariantViolated

Statement: TypeAlias = tuple[bytes, Sequence[bytes]]
"""The name of a prepared statement, and its parameters in PostgreSQL's binary form."""

ANSWER_SECONDS_MAX = 5.0
"""How long a statement may take before its connection is given up. Each concerns one record or one page of them."""

RANGE_SECONDS_MAX = 60.0
"""The same for deleting a range, whose work grows with the data. The server is told to stop then, too."""

CONNECTION_DEFAULTS = {
    "connect_timeout": "3",
    # A peer that is gone without a word is noticed within about ten seconds, by us here and by the kernel.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "application_name": "cumulet",
}
"""What the URL does not say."""

_BYTEA, _INT8 = 17, 20

_STATEMENTS: tuple[tuple[bytes, bytes, tuple[int, ...]], ...] = (
    (b"begin read", b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ()),
    (b"begin write", b"BEGIN ISOLATION LEVEL SERIALIZABLE", ()),
    (b"commit", b"COMMIT", ()),
    (b"rollback", b"ROLLBACK", ()),
    (b"generation", b"SELECT token FROM generation WHERE id = 1", ()),
    (b"get", b"SELECT v FROM kv WHERE k = $1", (_BYTEA,)),
    # One statement sees one state: both values are of the same moment without a transaction around them.
    (
        b"generation and get",
        b"SELECT (SELECT token FROM generation WHERE id = 1), (SELECT v FROM kv WHERE k = $1)",
        (_BYTEA,),
    ),
    (b"scan", b"SELECT k, v FROM kv WHERE k >= $1 AND k < $2 ORDER BY k LIMIT $3", (_BYTEA, _BYTEA, _INT8)),
    (b"scan back", b"SELECT k, v FROM kv WHERE k >= $1 AND k < $2 ORDER BY k DESC LIMIT $3", (_BYTEA, _BYTEA, _INT8)),
    (
        b"put",
        b"INSERT INTO kv (k, v) VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
        (_BYTEA, _BYTEA),
    ),
    (b"delete", b"DELETE FROM kv WHERE k = $1", (_BYTEA,)),
    (b"delete range", b"DELETE FROM kv WHERE k >= $1 AND k < $2", (_BYTEA, _BYTEA)),
    (b"new generation", b"UPDATE generation SET token = $1 WHERE id = 1", (_BYTEA,)),
)

_SESSION_SETTINGS = {
    "statement_timeout": f"{RANGE_SECONDS_MAX:.0f}s",
    "idle_in_transaction_session_timeout": f"{RANGE_SECONDS_MAX:.0f}s",
    # A scan of the whole table, which PostgreSQL prefers while it is small, would make a serializable transaction
    # conflict with every other; and every plan here is a walk of the one index.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    # YugabyteDB keeps a table in the order of its keys only when told so before the table is made.
    "yb_use_hash_splitting_by_default": "off",
}

_BINARY = (1, 1, 1)
_READABLE = select.POLLIN
_BOTH = select.POLLIN | select.POLLOUT


class Lost(Exception):
    """The connection is gone, or was given up because no answer came in time."""


class Unreachable(Lost):
    """No connection could be made."""


class Refused(Exception):
    """The server refused a statement. The connection is as good as before."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
        """The SQLSTATE."""


def first_line(failure: psycopg.Error) -> str:
    """Return what happened; libpq's further lines guess at why."""
    lines = str(failure).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else "no reason given"


def complete(url: str) -> str:
    """Return the connection string of a store's URL with our defaults. Raises psycopg.ProgrammingError for nonsense."""
    given = conninfo_to_dict(url)
    return make_conninfo(url, **{name: value for name, value in CONNECTION_DEFAULTS.items() if name not in given})


def connect(conninfo: str) -> "psycopg.Connection[tuple[object, ...]]":
    """Return a new connection with our session settings. Raises psycopg.Error."""
    connection = psycopg.connect(conninfo, autocommit=True)
    try:
        values = ", ".join(f"('{name}', '{value}')" for name, value in _SESSION_SETTINGS.items())
        # Other databases do not know all of these; what they do not know they are not asked to set.
        connection.execute(
            "SELECT set_config(known.name, wanted.value, false)"
            f" FROM pg_settings AS known JOIN (VALUES {values}) AS wanted (name, value) ON wanted.name = known.name"
        )
    except BaseException:
        connection.close()
        raise
    return connection


class Session:
    """A connection with our statements prepared. Used by one thread at a time. Raises Lost and Refused.

    Raises Unreachable if it cannot be made.
    """

    def __init__(self, conninfo: str) -> None:
        try:
            self._connection = connect(conninfo)
            try:
                self._pg = self._connection.pgconn
                for name, text, types in _STATEMENTS:
                    self._check(self._pg.prepare(name, text, types))
            except BaseException:
                self._connection.close()
                raise
        except psycopg.Error as failure:
            raise Unreachable(first_line(failure)) from failure
        except Refused as failure:
            raise Unreachable(f"the store's tables cannot be used: {failure}") from failure
        self._pg.nonblocking = 1
        self._poll = select.poll()
        self._poll.register(self._pg.socket, _READABLE)
        self._owed = False

    def close(self) -> None:
        """Let go of the connection; what was not committed is gone."""
        self._connection.close()

    def check_alive(self) -> None:
        """Raise Lost if the server has already let go of the connection, as it does when it restarts."""
        if self._owed:
            self._settle()
        try:
            while self._poll.poll(0):
                self._pg.consume_input()
        except psycopg.Error as failure:
            raise self._lost(failure) from failure

    def ask(self, name: bytes, params: Sequence[bytes] = ()) -> PGresult:
        """Return the answer to one statement."""
        if self._owed:
            self._settle()
        try:
            self._pg.send_query_prepared(name, params, _BINARY[: len(params)], 1)
        except psycopg.Error as failure:
            raise self._lost(failure) from failure
        self._send(ANSWER_SECONDS_MAX)
        return self._check(self._answer(ANSWER_SECONDS_MAX))

    def tell(self, name: bytes) -> None:
        """Send a statement whose answer nobody waits for."""
        if self._owed:
            self._settle()
        try:
            self._pg.send_query_prepared(name, (), (), 1)
        except psycopg.Error as failure:
            raise self._lost(failure) from failure
        self._owed = True

    def ask_all(self, statements: Sequence[Statement], seconds: float = ANSWER_SECONDS_MAX) -> list[PGresult]:
        """Return the answers to statements that travel together. The first that is refused ends them all."""
        if self._owed:
            self._settle()
        pg = self._pg
        answers: list[PGresult] = []
        refused: Refused | None = None
        try:
            pg.enter_pipeline_mode()
            for name, params in statements:
                pg.send_query_prepared(name, params, _BINARY[: len(params)], 1)
            pg.pipeline_sync()
        except psycopg.Error as failure:
            raise self._lost(failure) from failure
        self._send(seconds)
        while (answer := self._next(seconds)) is None or answer.status != pq.ExecStatus.PIPELINE_SYNC:
            if answer is None or answer.status == pq.ExecStatus.PIPELINE_ABORTED:
                continue  # the end of one statement; or one that was passed over, since one before it was refused
            try:
                answers.append(self._check(answer))
            except Refused as failure:
                refused = failure
        try:
            pg.exit_pipeline_mode()
        except psycopg.Error as failure:
            raise self._lost(failure) from failure
        if refused is not None:
            raise refused
        return answers

    def _settle(self) -> None:
        self._owed = False
        self._send(ANSWER_SECONDS_MAX)
        self._answer(ANSWER_SECONDS_MAX)

    def _send(self, seconds: float) -> None:
        try:
            if not self._pg.flush():
                return
            self._poll.modify(self._pg.socket, _BOTH)
            while self._pg.flush():
                [(_, events)] = self._poll.poll(seconds * 1000) or [(0, 0)]
                if not events:
                    raise self._given_up(seconds)
                if events & ~select.POLLOUT:
                    self._pg.consume_input()  # or both sides might wait for the other to read
            self._poll.modify(self._pg.socket, _READABLE)
        except psycopg.Error as failure:
            raise self._lost(failure) from failure

    def _answer(self, seconds: float) -> PGresult:
        """Return the answer to the one statement that is under way."""
        answer = None
        while (more := self._next(seconds)) is not None:
            answer = more
        if answer is None:
            raise InvariantViolated("a statement was not answered at all")
        return answer

    def _next(self, seconds: float) -> PGresult | None:
        """Return what comes next, None at the end of a statement."""
        pg = self._pg
        try:
            # Else it would wait inside libpq, without end, and with the interpreter's lock in its hands.
            while pg.is_busy():
                if not self._poll.poll(seconds * 1000):
                    raise self._given_up(seconds)
                pg.consume_input()
            return pg.get_result()
        except psycopg.Error as failure:
            raise self._lost(failure) from failure

    def _check(self, answer: PGresult) -> PGresult:
        if answer.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            return answer
        code = (answer.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        text = (answer.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or answer.error_message).decode(errors="replace")
        if self._pg.status != pq.ConnStatus.OK or not code or code.startswith(_CONNECTION_ENDS):
            raise Lost(text.strip().rstrip("."))
        raise Refused(code, text.strip())

    def _lost(self, failure: psycopg.Error) -> Lost:
        return Lost(first_line(failure))

    def _given_up(self, seconds: float) -> Lost:
        return Lost(f"the server did not answer for {seconds:g} seconds")


_CONNECTION_ENDS = (
    "08",  # connection exceptions
    "57P",  # the server shuts down, or has not started up yet
    "25006",  # a server that only reads: after a failover, another one is in charge
    "26",  # our prepared statements are gone: somebody between us and the server took another connection
)
"""SQLSTATEs, or their beginnings, after which the connection is of no use any more."""
