"""What background work has to look after: a line for each stream, each table whose items expire, each copy under way.

The lines lie in the system scope, so that a sweep finds them without going through all accounts. Each is written in the
transaction that makes its subject.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from cumulet.scope import SYSTEM, Scope
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_CHORE
from cumulet.store.records import Records

Kind = Literal[
    "stream", "expiry", "change log", "copy", "index", "export", "import", "vector index", "remains", "system backup"
]


class Chore(msgspec.Struct, frozen=True):
    """One subject of background work."""

    account: str
    region: str
    subject: str
    position: bytes = b""
    """How far the work has come, where it goes in steps."""

    @property
    def scope(self) -> Scope:
        """Whose it is."""
        return Scope(self.account, self.region)


_CHORES = Records(DDB_CHORE, Chore)


def save_chore(tx: WriteTx, kind: Kind, scope: Scope, subject: str, position: bytes = b"") -> None:
    """Have the subject looked after, from this position on."""
    _CHORES.save(tx, SYSTEM, kind, *scope, subject, record=Chore(*scope, subject, position))


def find_chore(tx: ReadTx, kind: Kind, scope: Scope, subject: str) -> Chore | None:
    """Return the line of a subject, or None."""
    return _CHORES.find(tx, SYSTEM, kind, *scope, subject)


def delete_chore(tx: WriteTx, kind: Kind, scope: Scope, subject: str) -> None:
    """Have the subject looked after no longer."""
    _CHORES.delete(tx, SYSTEM, kind, *scope, subject)


def scan_chores(tx: ReadTx, kind: Kind) -> Iterator[Chore]:
    """Yield what there is to do of one kind, over all accounts and regions."""
    return _CHORES.scan(tx, SYSTEM, kind)
