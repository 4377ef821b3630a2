"""/_cumulet: what it tells and does for whom."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from cumulet.edge.control import Control
from cumulet.store.memory import MemoryStore
from cumulet.store.nodes import NodeRecord
from cumulet.wire.message import Headers, Request, Response
from harness import House

ADVANCE = b'{"advance_seconds": 60}'
JSON = Headers([("content-type", "application/json")])


def body_of(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return msgspec.json.decode(response.body)


@pytest.mark.parametrize("client_ip", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_moves_the_clock_and_learns_where_the_server_is(client_ip: str) -> None:
    house = House()
    control, before_ms = Control(house.ground, house.node), house.clock.now_ms()
    moved = await control.answer(Request("POST", "/_cumulet/clock", "", JSON, ADVANCE, client_ip=client_ip), "clock")
    health = await control.answer(Request("GET", "/_cumulet/health", "", JSON, client_ip=client_ip), "health")
    assert moved.status == 200
    assert house.clock.now_ms() == before_ms + 60_000
    assert body_of(health).keys() >= {"status", "pid", "data_dir"}


@pytest.mark.parametrize("client_ip", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "nobody"])
async def test_others_see_only_that_it_is_alive(client_ip: str) -> None:
    house = House()
    control, before_ms = Control(house.ground, house.node), house.clock.now_ms()
    moved = await control.answer(Request("POST", "/_cumulet/clock", "", JSON, ADVANCE, client_ip=client_ip), "clock")
    health = await control.answer(Request("GET", "/_cumulet/health", "", JSON, client_ip=client_ip), "health")
    assert moved.status == 403
    assert house.clock.now_ms() == before_ms
    assert body_of(health)["status"] == "ok"
    assert not body_of(health).keys() & {"pid", "data_dir"}


@pytest.mark.parametrize("path", ["health", "status"])
async def test_a_store_that_refuses_work_is_no_health_and_why_is_for_this_machine(path: str) -> None:
    house = House()
    await house.node.start()
    control = Control(house.ground, house.node)
    house.store.trouble = "The disk failed."
    told = {}
    for client_ip in ("127.0.0.1", "192.0.2.7"):
        request = Request("GET", f"/_cumulet/{path}", "", JSON, client_ip=client_ip)
        answer = await control.answer(request, path)
        told[client_ip] = (answer.status, body_of(answer)["status"], body_of(answer)["message"])
    alive = await control.answer(Request("GET", "/_cumulet/alive", "", JSON), "alive")
    house.store.trouble = None
    again = await control.answer(Request("GET", f"/_cumulet/{path}", "", JSON), path)
    assert list(told.values()) == [
        (503, "failing", "The disk failed."),
        (503, "failing", "the store is not available"),
    ]
    assert alive.status == 200
    assert (again.status, body_of(again)["status"]) == (200, "ok")
    assert "message" not in body_of(again)


@pytest.mark.parametrize(("is_shared", "seconds", "status"), [(True, 9, 200), (True, 11, 503), (False, 3600, 200)])
async def test_a_shared_store_that_cannot_be_written_to_is_no_health(
    is_shared: bool, seconds: float, status: int
) -> None:
    house = House(store=MemoryStore(is_shared=is_shared))
    control = Control(house.ground, house.node)
    house.clock.advance(seconds)
    answer = await control.answer(Request("GET", "/_cumulet/health", "", JSON, client_ip="127.0.0.1"), "health")
    assert answer.status == status
    assert body_of(answer).get("message") == (
        None if status == 200 else "This server has not been able to write to its store for 11 seconds."
    )


async def test_the_clock_stays_where_dates_can_be_written() -> None:
    house = House()
    control = Control(house.ground, house.node)
    request = Request("POST", "/_cumulet/clock", "", JSON, b'{"advance_seconds": 300000000}')
    answers = [(await control.answer(request, "clock")).status for _ in range(200)]
    assert answers == sorted(answers)
    assert set(answers) == {200, 400}
    datetime.fromtimestamp(house.clock.now_ms() / 1000, UTC)


async def test_the_status_tells_this_machine_of_nodes_and_their_work() -> None:
    house = House()
    await house.node.start()
    assert await house.workers.take("a stack") is not None
    control = Control(house.ground, house.node)
    told = {}
    for client_ip in ("127.0.0.1", "192.0.2.7"):
        request = Request("GET", "/_cumulet/status", "", JSON, client_ip=client_ip)
        told[client_ip] = body_of(await control.answer(request, "status"))
    here, elsewhere = told.values()
    [node] = here["nodes"]
    assert (node["node_id"], node["answers_this"]) == ("node-1", True)
    assert node.keys() >= {"host", "pid", "address"}
    assert here["leases"] == [{"name": "a stack", "node_id": "node-1", "epoch": 1}]
    assert not elsewhere["nodes"][0].keys() & {"host", "pid", "address"}
    assert not elsewhere.keys() & {"leases", "pid", "data_dir"}
    await house.node.leave()


async def test_a_move_of_the_clock_that_a_node_does_not_follow_says_so() -> None:
    house = House()

    class Alone:
        node_id = "node-1"

        def silent_s(self) -> float:
            return 0.0

        async def advance_clock(self, seconds: float) -> list[NodeRecord]:
            return [NodeRecord(node_id="node-2", host="there", pid=7, address="a", version="0", started_ms=0)]

    request = Request("POST", "/_cumulet/clock", "", JSON, ADVANCE, client_ip="127.0.0.1")
    answer = await Control(house.ground, Alone()).answer(request, "clock")
    assert answer.status == 503
    assert body_of(answer)["message"].endswith("have not followed yet: node-2 (there, process 7)")


async def test_the_time_moved_outlives_the_server() -> None:
    house = House()
    await house.node.start()
    await house.node.advance_clock(3600)
    await house.node.leave()
    next_house = House(store=house.store, node_id="node-2")
    await next_house.node.start()
    assert next_house.clock.ahead_ms == 3_600_000
    await next_house.node.leave()
