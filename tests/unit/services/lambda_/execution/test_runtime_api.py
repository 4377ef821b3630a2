"""The Runtime API over a socket, with a client that knows nothing but HTTP."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cumulet.services.lambda_.execution.limits import RESPONSE_BYTES_MAX
from cumulet.services.lambda_.execution.responses import NOT_FOUND
from cumulet.services.lambda_.execution.runtime_api import HEADER_BYTES_MAX, Delivery, RuntimeApi
from patience import until

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
EVENT = Delivery("id-1", 1234, "arn:aws:lambda:::function:f", "Root=1", '{"custom":\n{}}', b'{"a":1}')


def post(path: str, body: bytes = b"{}", headers: str = "") -> bytes:
    head = f"POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


class Told:
    """Writes down what the runtime says."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def on_poll(self) -> None:
        self.said.append(("poll",))

    def on_response(self, body: bytes) -> None:
        self.said.append(("response", body))

    def on_error(self, body: bytes, error_type: str) -> None:
        self.said.append(("error", body, error_type))

    def on_response_too_large(self) -> None:
        self.said.append(("too large",))

    def on_init_error(self, body: bytes, error_type: str) -> None:
        self.said.append(("init error", body, error_type))

    def on_other_request(
        self, connection: object, method: bytes, path: bytes, body: bytes, headers: dict[bytes, str]
    ) -> bytes:
        self.said.append(("other", method, path, body, headers))
        return NOT_FOUND

    def on_other_gone(self, connection: object) -> None:
        pass


class Client:
    """One connection of a runtime."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def receive(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def send(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        self.writer.write(request)
        return await self.receive()


class Bench:
    def __init__(self, api: RuntimeApi, told: Told, address: str) -> None:
        self.api = api
        self.told = told
        self._address = address
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        host, port = self._address.split(":")
        self.clients.append(Client(*await asyncio.open_connection(host, int(port))))
        return self.clients[-1]

    async def wait_for(self, *said: object) -> None:
        await until(lambda: said in self.told.said, f"{said} is said", every_s=0)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    told = Told()
    api = RuntimeApi(told)
    made = Bench(api, told, await api.open())
    yield made
    api.close()
    for client in made.clients:
        client.writer.close()


async def running(bench: Bench) -> Client:
    """Return a client that has just received EVENT."""
    client = await bench.connect()
    client.writer.write(NEXT)
    await bench.wait_for("poll")
    bench.api.deliver(EVENT)
    await client.receive()
    return client


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")
@pytest.mark.parametrize("is_own", [True, False])
async def test_it_is_for_one_user_alone(bench: Bench, is_own: bool) -> None:
    api = RuntimeApi(bench.told)
    other = Bench(api, bench.told, await api.open(os.geteuid() if is_own else os.geteuid() + 1))
    client = await other.connect()
    client.writer.write(b"GET /2018-06-01/none HTTP/1.1\r\n\r\n")
    try:
        assert (await client.receive())[0] == 404
        assert is_own
    except (asyncio.IncompleteReadError, ConnectionResetError):
        assert not is_own
    client.writer.close()
    api.close()


async def test_an_event_with_its_headers(bench: Bench) -> None:
    client = await bench.connect()
    client.writer.write(NEXT)
    await bench.wait_for("poll")
    bench.api.deliver(EVENT)
    assert await client.receive() == (
        200,
        {
            "content-type": "application/json",
            "lambda-runtime-aws-request-id": "id-1",
            "lambda-runtime-deadline-ms": "1234",
            "lambda-runtime-invoked-function-arn": "arn:aws:lambda:::function:f",
            "lambda-runtime-trace-id": "Root=1",
            "lambda-runtime-client-context": '{"custom": {}}',
            "content-length": "7",
        },
        b'{"a":1}',
    )


async def test_answers(bench: Bench) -> None:
    client = await running(bench)
    status, headers, body = await client.send(post("invocation/id-1/response", b"42"))
    assert (status, headers["content-type"], body) == (202, "application/json", b'{"status":"OK"}\n')
    client.writer.write(NEXT)
    await bench.wait_for("response", b"42")
    await until(lambda: bench.told.said.count(("poll",)) == 2, "it polls again", every_s=0)
    bench.api.deliver(EVENT)
    await client.receive()
    failed = post("invocation/id-1/error", b'{"errorType":"E"}', "Lambda-Runtime-Function-Error-Type: E\r\n")
    assert (await client.send(failed))[0] == 202
    assert bench.told.said[-1] == ("error", b'{"errorType":"E"}', "E")


async def test_an_answer_and_the_next_poll_in_one_write(bench: Bench) -> None:
    client = await running(bench)
    client.writer.write(post("invocation/id-1/response", b"1") + NEXT)
    expected = [("poll",), ("response", b"1"), ("poll",)]
    await until(lambda: bench.told.said == expected, "it has answered and polls again", every_s=0)
    bench.api.deliver(EVENT)
    assert (await client.receive())[0] == 202
    assert (await client.receive())[2] == b'{"a":1}'


async def test_the_id_of_another_event(bench: Bench) -> None:
    client = await running(bench)
    assert await client.send(post("invocation/id-2/response")) == (
        400,
        {"content-type": "application/json", "content-length": "69"},
        b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}\n',
    )
    assert (await client.send(post("invocation/id-1/response")))[0] == 202


NOT_ALLOWED = [
    ("an answer before the first poll", [], post("invocation/x/response"), "Started", "InvocationResponse"),
    ("an error before the first poll", [], post("invocation/x/error"), "Started", "InvocationErrorResponse"),
    ("a second answer", [post("invocation/id-1/response")], post("invocation/id-1/response"), "ResponseSent",
     "InvocationResponse"),
    ("a poll without an answer", ["run"], NEXT, "Running", "Ready"),
    ("an init error after init", ["run"], post("init/error"), "Running", "InitError"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "request_bytes", "state", "wanted"),
    [row[1:] for row in NOT_ALLOWED],
    ids=[row[0] for row in NOT_ALLOWED],
)
async def test_what_the_state_does_not_allow(
    bench: Bench, before: list[bytes | str], request_bytes: bytes, state: str, wanted: str
) -> None:
    client = await running(bench) if before else await bench.connect()
    for request in before:
        if isinstance(request, bytes):
            await client.send(request)
    status, _, body = await client.send(request_bytes)
    assert status == 403
    assert body.decode() == (
        f'{{"errorMessage":"State transition from {state} to {wanted} failed for runtime. '
        'Error: State transition is not allowed","errorType":"InvalidStateTransition"}\n'
    )


async def test_an_answer_that_is_too_large(bench: Bench) -> None:
    client = await running(bench)
    status, _, body = await client.send(post("invocation/id-1/response", b"x" * (RESPONSE_BYTES_MAX + 1)))
    assert status == 413
    assert body == (
        b'{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).",'
        b'"errorType":"RequestEntityTooLarge"}\n'
    )
    assert bench.told.said[-1] == ("too large",)


async def test_the_largest_answer(bench: Bench) -> None:
    client = await running(bench)
    assert (await client.send(post("invocation/id-1/response", b"x" * RESPONSE_BYTES_MAX)))[0] == 202


async def test_a_runtime_that_cannot_start(bench: Bench) -> None:
    client = await bench.connect()
    failed = post("init/error", b"{}", "Lambda-Runtime-Function-Error-Type: Runtime.X\r\n")
    assert (await client.send(failed))[0] == 202
    assert bench.told.said == [("init error", b"{}", "Runtime.X")]


async def test_a_client_that_asks_before_it_sends_a_large_body(bench: Bench) -> None:
    client = await running(bench)
    request = post("invocation/id-1/response", b"12", "Expect: 100-continue\r\n")
    client.writer.write(request[:-2])
    assert (await client.receive())[0] == 100
    assert (await client.send(request[-2:]))[0] == 202


async def test_a_broken_connection_gets_its_event_when_it_polls_again(bench: Bench) -> None:
    client = await bench.connect()
    client.writer.write(NEXT)
    await bench.wait_for("poll")
    client.writer.close()
    await until(lambda: not bench.api.connections, "the connection is gone", every_s=0)
    bench.api.deliver(EVENT)
    assert (await (await bench.connect()).send(NEXT))[2] == b'{"a":1}'


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (post("invocation/next"), 405),
        (b"GET /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (post("invocation/x/else"), 404),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_other_requests(bench: Bench, request_bytes: bytes, status: int) -> None:
    assert (await (await bench.connect()).send(request_bytes))[0] == status


@pytest.mark.parametrize("is_ours", [True, False])
async def test_a_fault_of_ours_is_told_to_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture, is_ours: bool
) -> None:
    class Broken(Told):
        def on_poll(self) -> None:
            raise RuntimeError("of ours")

    bench.api.listener = Broken()
    too_large = b"GET / HTTP/1.1\r\nX: " + b"x" * (HEADER_BYTES_MAX + 1) + b"\r\n\r\n"
    assert (await (await bench.connect()).send(NEXT if is_ours else too_large))[0] == 400
    assert ("RuntimeError: of ours" in caplog.text) is is_ours
    assert bool(caplog.records) is is_ours
