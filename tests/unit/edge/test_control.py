"""/_cumulet: what it tells and does for whom."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from cumulet.edge.control import Control
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


async def test_the_clock_stays_where_dates_can_be_written() -> None:
    house = House()
    control = Control(house.ground, house.node)
    request = Request("POST", "/_cumulet/clock", "", JSON, b'{"advance_seconds": 300000000}')
    answers = [(await control.answer(request, "clock")).status for _ in range(200)]
    assert answers == sorted(answers)
    assert set(answers) == {200, 400}
    datetime.fromtimestamp(house.clock.now_ms() / 1000, UTC)
