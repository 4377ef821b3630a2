"""What a transaction body sees, in as few round trips as can be.

A body reads through a view, and finds out only while it runs what else it wants. So the view begins late, and trusts
before it checks:

- Values of settled families come from memory, on trust in the generation that was seen last. The next round trip reads
  the generation's token too; if it is another, the body is run again (`Stale`). A body that needs no round trip at all
  gets one at its end, for the token alone.
- A reading body that wants a single other value gets it by one statement, which sees one moment by itself. If the body
  wants more, a transaction is begun with the second round trip, and that first value read again with it; if it has
  changed in between, the body is run again.
- A writing body's transaction begins with its first round trip, or with the one that applies its changes.

Nobody waits for the end of a transaction that changed nothing.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from psycopg.pq.abc import PGresult

from cumulet.errors import InvariantViolated
from cumulet.store.keyspace import is_settled
from cumulet.store.postgres import long_keys
from cumulet.store.postgres.session import Lost, Refused, Session, Statement
from cumulet.store.postgres.settled import Absent, Settled

T = TypeVar("T")

PAGE_ROWS_FIRST = 32
PAGE_ROWS_MAX = 1024
PAGE_BYTES = 2 * 1024 * 1024
"""A scan's pages grow up to so many rows, and hold about so many bytes."""

_GENERATION: Statement = (b"generation", ())


class Stale(Exception):
    """What the body saw on trust is no longer so; it has to be run again. Never leaves this engine."""


class View:
    """A `ReadTx` over a session. One view serves all runs of one body on one connection."""

    __slots__ = ("_first", "_generation", "_is_sure", "_session", "_settled", "_trusts", "begun", "writes")

    def __init__(self, session: Session, settled: Settled, *, writes: bool) -> None:
        self._session = session
        self._settled = settled
        self.writes = writes
        self.begun = False
        """Whether a transaction is open on the connection."""
        self._generation = settled.last
        self._is_sure = False
        """Whether the generation is the one of the snapshot."""
        self._trusts = False
        """Whether the body was given values of a generation that may be over."""
        self._first: tuple[bytes, bytes | None] | None = None
        """What was read before a transaction was begun."""

    def run(self, fn: Callable[["View"], T]) -> T:
        """Return what `fn` returns, or raise what it raises, once what it saw is certain."""
        while True:
            try:
                result = fn(self)
                self._make_sure()
                return result
            except Stale:
                self._start_over()
            except (Lost, Refused):
                raise
            except BaseException:
                # What it raised may be for what it saw: a table that another node has made meanwhile.
                if self._is_certain():
                    raise
                self._start_over()

    def get(self, key: bytes) -> bytes | None:
        if len(key) >= long_keys.ROW_KEY_BYTES:
            row, rest = long_keys.split(key)
            return long_keys.decode(self.get_row(row)).get(rest)
        if not is_settled(key):
            return self.get_row(key)
        kept = self._generation.find(key)
        if not isinstance(kept, Absent):
            self._trusts = True
            return kept
        value = self.get_row(key)
        self._generation.keep(key, value)
        return value

    def get_row(self, key: bytes) -> bytes | None:
        """Return the value of one row of the table, whatever its key stands for."""
        if self.begun:
            return _value(self._session.ask(b"get", (key,)))
        if self._first is not None:
            return _value(self._open((b"get", (key,))))
        both: Statement = (b"generation and get", (key,))
        if self.writes:
            answer = self._session.ask_all([(b"begin write", ()), both])[1]
            self.begun = True
        else:
            answer = self._session.ask(*both)
        self._see_token(answer)
        value = answer.get_value(0, 1)
        if not self.writes:
            self._first = key, value
        return value

    def scan(
        self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if start >= end or (limit is not None and limit <= 0):
            return
        rows = self._rows(*long_keys.row_range(start, end), limit, reverse)
        left = limit
        for pair in long_keys.pairs(rows, start, end, reverse):
            yield pair
            if left is not None:
                left -= 1
                if left == 0:
                    return

    def finish(self, *, undo: bool = False) -> None:
        """End the transaction, if one was begun, without waiting for that."""
        if self.begun:
            self.begun = False
            self._session.tell(b"rollback" if undo else b"commit")

    def _rows(self, start: bytes, end: bytes, limit: int | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        statement = b"scan back" if reverse else b"scan"
        count = PAGE_ROWS_FIRST if limit is None else min(limit, PAGE_ROWS_MAX)
        while True:
            params = (start, end, count.to_bytes(8, "big"))
            page = self._session.ask(statement, params) if self.begun else self._open((statement, params))
            size = 0
            key = b""
            for row in range(page.ntuples):
                key, value = _bytes(page.get_value(row, 0)), _bytes(page.get_value(row, 1))
                size += len(value)
                yield key, value
            if page.ntuples < count:
                return
            if reverse:
                end = key
            else:
                start = key + b"\x00"
            fitting = PAGE_BYTES // max(size // page.ntuples, 1)
            count = max(1, min(count * 4, fitting, PAGE_ROWS_MAX))

    def _open(self, *more: Statement) -> PGresult:
        """Begin the transaction, make sure of what was trusted, and return the answer to the last statement."""
        first = self._first
        known: Statement = _GENERATION if first is None else (b"generation and get", (first[0],))
        begin: Statement = (b"begin write" if self.writes else b"begin read", ())
        answers = self._session.ask_all([begin, known, *more])
        self.begun = True
        self._first = None
        if first is not None and answers[1].get_value(0, 1) != first[1]:
            self._is_sure = False
            raise Stale
        self._see_token(answers[1])
        return answers[-1]

    def _see_token(self, answer: PGresult) -> None:
        token = answer.get_value(0, 0) if answer.ntuples else None
        if token is None:
            raise InvariantViolated("the store has lost its generation")
        if token != self._generation.token:
            self._generation = self._settled.at(token)
            if self._trusts:
                raise Stale
        self._is_sure = True

    def _make_sure(self) -> None:
        if self._trusts and not self._is_sure:
            if self.writes:
                self._open()
            else:
                self._see_token(self._session.ask(b"generation"))

    def _is_certain(self) -> bool:
        try:
            self._make_sure()
        except Stale:
            return False
        return True

    def _start_over(self) -> None:
        """Pin the generation in an open transaction, so that nothing can be stale a second time."""
        self._first = None
        self._trusts = self._is_sure = False
        if self.begun:
            self._see_token(self._session.ask(b"generation"))
        else:
            self._open()


def _value(answer: PGresult) -> bytes | None:
    return answer.get_value(0, 0) if answer.ntuples else None


def _bytes(value: bytes | None) -> bytes:
    if value is None:
        raise InvariantViolated("a row of the store has no value")
    return value
