"""From a body's changes to statements: order, whole ranges, and the rows that long keys share."""

from collections.abc import Callable

import pytest

from cumulet.scope import SYSTEM, Scope
from cumulet.store import keyspace
from cumulet.store.api import WriteTx
from cumulet.store.overlay import OverlayTx
from cumulet.store.postgres.changes import plan_statements, touches_settled
from cumulet.store.postgres.long_keys import ROW_KEY_BYTES, encode

HERE = Scope("000000000000", "us-east-1")
ROW = b"k" * ROW_KEY_BYTES
SHARED = {ROW: encode({b"": b"0", b"a": b"1", b"b": b"2"})}


def changed(*bodies: Callable[[WriteTx], None]) -> OverlayTx:
    tx = OverlayTx(None)  # type: ignore[arg-type]  # these bodies do not read
    for body in bodies:
        body(tx)
    return tx


def test_ranges_come_first_then_rows_in_the_order_of_their_keys() -> None:
    tx = changed(
        lambda tx: tx.put(b"c", b"3"),
        lambda tx: tx.delete_range(b"x", b"y"),
        lambda tx: tx.delete_range(b"y", b"x"),
        lambda tx: tx.delete(b"b"),
        lambda tx: tx.put(b"a", b"1"),
    )
    assert plan_statements(tx, SHARED.get) == [
        (b"delete range", (b"x", b"y")),
        (b"put", (b"a", b"1")),
        (b"delete", (b"b",)),
        (b"put", (b"c", b"3")),
    ]


@pytest.mark.parametrize(
    ("bodies", "statements"),
    [
        (
            [lambda tx: tx.put(ROW + b"c", b"3"), lambda tx: tx.delete(ROW)],
            [(b"put", (ROW, encode({b"a": b"1", b"b": b"2", b"c": b"3"})))],
        ),
        ([lambda tx: [tx.delete(ROW + rest) for rest in (b"", b"a", b"b")]], [(b"delete", (ROW,))]),
        (
            [lambda tx: tx.delete_range(ROW + b"a", ROW + b"b")],
            [(b"put", (ROW, encode({b"": b"0", b"b": b"2"})))],
        ),
        (
            [lambda tx: tx.delete_range(b"j", ROW + b"b")],
            [(b"delete range", (b"j", ROW)), (b"put", (ROW, encode({b"b": b"2"})))],
        ),
        (
            [lambda tx: tx.delete_range(ROW + b"a", b"l")],
            [(b"delete range", (ROW + b"\x00", b"l")), (b"put", (ROW, encode({b"": b"0"})))],
        ),
        (
            [lambda tx: tx.delete_range(b"j", b"l"), lambda tx: tx.put(ROW + b"c", b"3")],
            [(b"delete range", (b"j", b"l")), (b"put", (ROW, encode({b"c": b"3"})))],
        ),
        (
            [lambda tx: tx.delete_range(b"j", b"l"), lambda tx: tx.delete_range(ROW + b"a", b"l")],
            [(b"delete range", (b"j", b"l")), (b"delete range", (ROW + b"\x00", b"l")), (b"delete", (ROW,))],
        ),
    ],
    ids=[
        "one more and one less",
        "none left",
        "a range inside the row",
        "a range that ends in the row",
        "a range that begins in the row",
        "put into a row that a range has deleted",
        "a part of a row that a range has deleted",
    ],
)
def test_long_keys_change_what_is_left_of_their_row(
    bodies: list[Callable[[WriteTx], None]], statements: list[tuple[bytes, tuple[bytes, ...]]]
) -> None:
    assert plan_statements(changed(*bodies), SHARED.get) == statements


@pytest.mark.parametrize(
    ("body", "settled"),
    [
        (lambda tx: tx.put(keyspace.DDB_TABLE.key(HERE, "orders"), b""), True),
        (lambda tx: tx.delete(keyspace.IAM_USER.key(HERE, "bob")), True),
        (lambda tx: tx.put(keyspace.DDB_ITEM.key(HERE, "id", 1, "a", "b"), b""), False),
        (lambda tx: tx.delete_range(*keyspace.DDB_ITEM.range(HERE, "id")), False),
        (lambda tx: tx.delete_range(keyspace.DDB_ITEM.key(HERE, "id", 1), keyspace.DDB_ITEM.key(HERE, "id", 9)), False),
        (lambda tx: tx.delete_range(*keyspace.REST_RESOURCE.range(HERE, "api")), True),
        (lambda tx: tx.delete_range(*keyspace.scope_range(HERE)), True),
        (lambda tx: tx.delete_range(b"", b"\xff"), True),
        (lambda tx: tx.delete_range(*keyspace.BLOB_CHUNK.range(SYSTEM, "digest")), False),
        (lambda tx: tx.put(b"k", b""), False),
    ],
    ids=[
        "a table",
        "a user goes",
        "an item",
        "all items",
        "some items",
        "all resources",
        "a scope",
        "everything",
        "a blob",
        "no key of ours",
    ],
)
def test_only_changes_of_settled_families_end_a_generation(body: Callable[[WriteTx], None], settled: bool) -> None:
    assert touches_settled(changed(body)) is settled


def test_whether_a_key_is_settled_is_told_by_its_family_in_every_scope() -> None:
    for family in keyspace.FAMILIES.values():
        told = {
            keyspace.is_settled(key)
            for scope in (SYSTEM, HERE)
            for key in (family.key(scope), family.key(scope, "part"), *family.range(scope, 7))
        }
        assert len(told) == 1, family.name
    assert not any(map(keyspace.is_settled, (b"", b"k", b"\x00", b"\x00\x00", b"\x00\x00\x15", b"\x15\x01")))
