"""Functions that were created while their image was still being unpacked, and whoever did that has gone."""

from typing import Any

import pytest

from cumulet.scope import SYSTEM, Scope
from cumulet.services.lambda_.execution.snapshots import Snapshots
from cumulet.services.lambda_.readiness import note_snapshot
from cumulet.services.lambda_.records import FUNCTIONS, LATEST, READINESS, FunctionRecord, ImageUse, VersionRecord
from cumulet.store.memory import MemoryStore
from harness import House

SCOPE = Scope("123456789012", "eu-west-1")


class Kitchen:
    """A store with one function, and what nodes do for it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.house = House(store=self.store)
        self.prepared: list[str] = []
        self.snapshots = Snapshots(self.house.ground, self)  # type: ignore[arg-type]

    def prepare(self, version: VersionRecord) -> None:
        self.prepared.append(version.function_name)

    async def write(self, body: Any) -> Any:
        """As the lease of the loop does."""
        return await self.store.write(body)

    async def put(self, state: str) -> None:
        image = ImageUse(uri="a", resolved_uri="a", digest="d" * 64, image_id="d" * 64, size=1, architecture="x86_64")
        version = VersionRecord(
            function_name="notes",
            arn="arn:aws:lambda:eu-west-1:123456789012:function:notes",
            revision_id="r",
            runtime="",
            handler="",
            role="",
            code_sha256="",
            code_size=0,
            last_modified_ms=self.house.clock.now_ms(),
            image=image,
            state=state,
        )
        record = FunctionRecord(latest=version, code_url_secret=b"")
        await self.store.write(lambda tx: FUNCTIONS.save(tx, SCOPE, "notes", record=record))

    async def look(self) -> None:
        await self.snapshots._work(self)  # type: ignore[arg-type]

    async def noted(self) -> list[tuple[str, ...]]:
        return [one.snapshots for one in await self.store.read(lambda tx: list(READINESS.scan(tx, SYSTEM)))]


@pytest.fixture
async def kitchen() -> Kitchen:
    made = Kitchen()
    await made.put("Pending")
    await made.store.write(lambda tx: note_snapshot(tx, SCOPE, "notes", LATEST))
    return made


async def test_its_image_is_unpacked_by_a_later_process_once(kitchen: Kitchen) -> None:
    await kitchen.look()
    await kitchen.look()
    assert (kitchen.prepared, await kitchen.noted()) == (["notes"], [("$LATEST",)])


@pytest.mark.parametrize("state", ["", "Failed"])
async def test_nothing_is_left_to_do_when_it_is_no_longer_pending(kitchen: Kitchen, state: str) -> None:
    await kitchen.put(state)
    await kitchen.look()
    assert (kitchen.prepared, await kitchen.noted()) == ([], [])


async def test_among_several_processes_it_is_first_given_the_time_that_unpacking_takes(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kitchen.store, "is_shared", True)
    await kitchen.look()
    assert (kitchen.prepared, await kitchen.noted()) == ([], [("$LATEST",)])
    kitchen.house.clock.move_to(15 * 60 * 1000)
    await kitchen.look()
    assert kitchen.prepared == ["notes"]
