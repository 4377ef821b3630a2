"""One queue of connections for several processes: here for several ends in one process, over a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from cumulet.edge import sharing
from cumulet.edge.server import bind
from cumulet.edge.sharing import NOT_ACCEPTING, AcceptQueue, CountedConnections, Load
from patience import until


class Open(asyncio.Protocol):
    """A connection that counts itself, as `edge.connection.Connection` does."""

    def __init__(self, connections: CountedConnections) -> None:
        self._connections = connections
        self.transport: asyncio.BaseTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)


class End:
    """One process's end of the queue."""

    def __init__(self, listener: socket.socket, counts: memoryview, mine: int) -> None:
        self.load = Load(counts, mine)
        self.connections = CountedConnections(self.load)
        self._listener = listener.dup()  # the loop watches a descriptor once
        self.queue = AcceptQueue(self._listener, self.load, self.connections, lambda: Open(self.connections))

    def close(self) -> None:
        self.queue.stop()
        for connection in list(self.connections):
            connection.transport.abort()
        self._listener.close()


class Shared:
    """The socket, the counts, and whoever takes part."""

    def __init__(self) -> None:
        self.listener = bind("127.0.0.1", 0)
        self.counts = memoryview(bytearray(4 * 8)).cast("I")
        for number in range(8):
            self.counts[number] = NOT_ACCEPTING
        self.ends: list[End] = []
        self._clients: list[socket.socket] = []

    def open(self, number: int) -> End:
        self.ends.append(End(self.listener, self.counts, number))
        return self.ends[-1]

    async def connect(self, connections: int) -> None:
        loop = asyncio.get_running_loop()
        expected = sum(map(len, (end.connections for end in self.ends))) + connections
        for _ in range(connections):
            client = socket.socket()
            client.setblocking(False)
            await loop.sock_connect(client, self.listener.getsockname())
            self._clients.append(client)
        await until(lambda: sum(len(end.connections) for end in self.ends) >= expected, "all are accepted", every_s=0)

    async def close(self) -> None:
        for end in self.ends:
            end.close()
        await asyncio.sleep(0)
        for client in self._clients:
            client.close()
        self.listener.close()


@pytest.fixture
async def shared() -> AsyncIterator[Shared]:
    shared = Shared()
    yield shared
    await shared.close()


async def test_connections_go_to_who_has_fewer(shared: Shared) -> None:
    one, two = shared.open(1), shared.open(2)

    await asyncio.wait_for(shared.connect(16), 10)

    assert {len(one.connections), len(two.connections)} <= {7, 8, 9}
    assert list(shared.counts[1:3]) == [len(one.connections), len(two.connections)]


async def test_who_comes_later_catches_up(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sharing, "LEAVE_TO_OTHERS_S", 0.0
    )  # else a machine that pauses for longer counts as one's hanging
    one = shared.open(1)
    await asyncio.wait_for(shared.connect(6), 10)
    two = shared.open(2)

    await asyncio.wait_for(shared.connect(6), 10)

    assert (len(one.connections), len(two.connections)) == (6, 6)


async def test_a_connection_that_is_being_made_is_counted_once(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    one, told = shared.open(1), list[int]()
    monkeypatch.setattr(one.load, "tell", told.append)

    await asyncio.wait_for(shared.connect(3), 10)
    await until(lambda: one.queue.is_empty, "all are made", every_s=0)

    assert (max(told), told[-1]) == (3, 3)


async def test_a_process_that_hangs_keeps_no_connection_waiting(shared: Shared) -> None:
    one = shared.open(1)
    shared.counts[2] = 0  # says that it accepts, and never does

    await asyncio.wait_for(shared.connect(100), 5)

    assert len(one.connections) == 100


async def test_who_has_stopped_takes_nothing_and_is_not_waited_for(shared: Shared) -> None:
    one, two = shared.open(1), shared.open(2)
    await asyncio.wait_for(shared.connect(4), 10)
    before = len(one.connections)
    one.queue.stop()

    await asyncio.wait_for(shared.connect(4), 10)

    assert len(one.connections) == before
    assert shared.counts[1] == NOT_ACCEPTING
    assert not two.load.others_have_fewer()


async def test_a_lost_connection_is_no_longer_counted(shared: Shared) -> None:
    one = shared.open(1)
    await asyncio.wait_for(shared.connect(3), 10)
    next(iter(one.connections)).transport.abort()
    await until(lambda: len(one.connections) < 3, "one is lost", every_s=0)

    assert shared.counts[1] == 2
