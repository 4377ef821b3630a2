"""Typed records over a family, and the families' keys."""

import msgspec
import pytest

from cumulet.errors import InvariantViolated
from cumulet.scope import SYSTEM, Scope
from cumulet.store.api import WriteTx
from cumulet.store.keyspace import Family, scope_range
from cumulet.store.memory import MemoryStore
from cumulet.store.records import Records

HERE = Scope("000000000000", "us-east-1")
ELSEWHERE = Scope("000000000000", "us-east-2")
PETS = Family(901, "pet", ("owner", "name"), "a pet")


class Pet(msgspec.Struct):
    name: str
    legs: int = 4


class PetWithAge(msgspec.Struct):
    name: str
    legs: int = 4
    age: int = 0


pets = Records(PETS, Pet)


async def stocked() -> MemoryStore:
    store = MemoryStore()

    def stock(tx: WriteTx) -> None:
        for owner, name in [("ann", "ant"), ("ann", "bee"), ("ann", "cat"), ("ann\x00", "dog"), ("anna", "eel")]:
            pets.save(tx, HERE, owner, name, record=Pet(name))
        pets.save(tx, ELSEWHERE, "ann", "fox", record=Pet("fox"))

    await store.write(stock)
    return store


@pytest.mark.parametrize(
    ("parts", "options", "expected"),
    [
        ((), {}, "ant bee cat dog eel"),
        (("ann",), {}, "ant bee cat"),
        (("ann",), {"reverse": True}, "cat bee ant"),
        (("ann",), {"limit": 2}, "ant bee"),
        (("ann",), {"behind": ("ann", "ant")}, "bee cat"),
        (("ann",), {"behind": ("ann", "b")}, "bee cat"),
        (("ann",), {"behind": ("ann", "cat"), "reverse": True}, "bee ant"),
        ((), {"behind": ("ann", "cat"), "limit": 1}, "dog"),
        (("nobody",), {}, ""),
    ],
)
async def test_a_scan_yields_what_begins_with_the_parts(
    parts: tuple[str, ...], options: dict[str, object], expected: str
) -> None:
    store = await stocked()

    found = await store.read(lambda tx: [pet.name for pet in pets.scan(tx, HERE, *parts, **options)])  # type: ignore[arg-type]

    assert found == expected.split()


async def test_delete_all_takes_one_prefix_in_one_scope() -> None:
    store = await stocked()

    await store.write(lambda tx: pets.delete_all(tx, HERE, "ann"))

    assert await store.read(lambda tx: [pet.name for pet in pets.scan(tx, HERE)]) == ["dog", "eel"]
    assert await store.read(lambda tx: pets.find(tx, ELSEWHERE, "ann", "fox")) == Pet("fox")


async def test_a_new_field_with_a_default_reads_old_records() -> None:
    store = await stocked()

    assert await store.read(lambda tx: Records(PETS, PetWithAge).find(tx, HERE, "ann", "ant")) == PetWithAge("ant")


async def test_another_version_is_not_guessed_at() -> None:
    store = await stocked()

    with pytest.raises(InvariantViolated, match="version 1, this program reads 2"):
        await store.read(lambda tx: Records(PETS, Pet, version=2).find(tx, HERE, "ann", "ant"))


def test_a_scope_holds_its_keys_and_no_others() -> None:
    start, end = scope_range(HERE)

    assert start <= PETS.key(HERE, "a") < end
    for other in (SYSTEM, ELSEWHERE, Scope("000000000000", "us-east-1\x00"), Scope("000000000001", "us-east-1")):
        assert not start <= PETS.key(other, "a") < end


def test_the_parts_of_a_key_come_back() -> None:
    assert PETS.parts_of(PETS.key(HERE, "ann", 7, None)) == ("ann", 7, None)
