"""What is remembered of a request's head is short: strangers choose it, and could fill the memory."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from cumulet.edge import connection, credentials, hosts
from cumulet.errors import ServiceError
from cumulet.services.iam import identify
from cumulet.services.kit import Principal
from cumulet.wire import sigv4
from cumulet.wire.message import Headers, Request
from cumulet.wire.model import load_service
from harness import House

LONG = "a" * 20_000


class Reader(connection.Connection):
    """A connection that is only parsed."""

    def _line_up(self, waiting: Any) -> None:
        pass


def read(head: str) -> None:
    config, loop = SimpleNamespace(loaded_app=None), SimpleNamespace(time=float, call_at=lambda *_: None)
    Reader(config, None, None, loop).data_received(head.encode())  # type: ignore[arg-type]


def authorization(key_id: str) -> Headers:
    credential = f"Credential={key_id}/20251009/us-east-1/dynamodb/aws4_request"
    signed = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature={'0' * 64}"
    return Headers([("authorization", signed), ("x-amz-date", "20251009T080000Z")])


def ask_for_age(timestamp: str) -> None:
    claim = sigv4.find_claim(Request("POST", "/", "", authorization("test")))
    assert claim is not None
    with pytest.raises(ServiceError):
        sigv4.check_fresh(
            msgspec.structs.replace(claim, timestamp="20150830T123600Z" if timestamp == "short" else timestamp), 0
        )


def verify(text: str) -> None:
    request = Request("POST", f"/{text}", "", authorization("test"), head_bytes=len(text))
    claim = sigv4.find_claim(request)
    assert claim is not None
    with pytest.raises(ServiceError):
        sigv4.verify(request, claim, "secret", 1_759_996_800_000)


REMEMBERED: dict[str, tuple[Any, Callable[[str], object]]] = {
    "a path": (connection._split_url, lambda text: read(f"GET /{text} HTTP/1.1\r\nHost: x\r\n\r\n")),
    "a name": (connection._field_name, lambda text: read(f"GET / HTTP/1.1\r\nHost: x\r\nx-{text}: 1\r\n\r\n")),
    "a door's path": (hosts._find_door, lambda text: hosts.find_door("x", f"/{text}")),
    "a door's host": (hosts._find_door, lambda text: hosts.find_door(text, "/")),
    "a domain": (hosts._possible_domain, lambda text: hosts.possible_domain(f"{text}.example")),
    "a claim": (sigv4._read_head, lambda text: sigv4.find_claim(Request("POST", "/", "", authorization(text)))),
    "a date": (sigv4._read_timestamp, ask_for_age),
    "what is signed": (sigv4._hash_head, verify),
}


@pytest.mark.parametrize("case", REMEMBERED)
def test_only_what_is_short_is_remembered(case: str) -> None:
    remembering, ask = REMEMBERED[case]
    remembering.cache_clear()
    ask("short")
    known = remembering.cache_info().currsize
    assert known
    ask(LONG)
    assert remembering.cache_info().currsize <= known


async def principal_of(key_id: str, region: str = "us-east-1") -> Principal:
    house = House()
    claim = sigv4.find_claim(Request("POST", "/", "", authorization(key_id)))
    assert claim is not None
    fresh = msgspec.structs.replace(claim, timestamp=sigv4._basic(house.clock.now_ms() // 1000), region=region)
    request = Request("POST", "/", "", Headers())
    return await credentials.find_principal(house.ground, identify, request, fresh, load_service("dynamodb"))


async def test_only_short_keys_are_remembered() -> None:
    credentials._root_of.cache_clear()
    credentials._may_be_issued.cache_clear()
    for key_id in ("test", LONG):
        assert (await principal_of(key_id)).access_key_id == key_id
    assert (credentials._root_of.cache_info().currsize, credentials._may_be_issued.cache_info().currsize) == (1, 0)


async def test_a_long_region_is_refused_and_not_remembered() -> None:
    await principal_of("test")
    known = credentials._is_region.cache_info().currsize
    with pytest.raises(ServiceError, match="Credential should be scoped to a valid region"):
        await principal_of("test", f"us-{LONG}")
    assert credentials._is_region.cache_info().currsize == known
