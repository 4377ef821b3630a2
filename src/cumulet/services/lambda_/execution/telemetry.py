"""Telemetry on its way from an environment's journal to the extensions that subscribed: buffered, bounded, retried.

Nothing is sent while the environment is frozen, since nobody would read it. Whoever is too slow, or gone, loses events,
and is told how many.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence

from cumulet.services.lambda_.execution import limits, platform_events
from cumulet.services.lambda_.execution.platform_events import Event
from cumulet.services.lambda_.execution.subscription import Destination, Subscription, forms_of

Dropped = Callable[[int, int, str], None]
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
FELL_BEHIND = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."


class Telemetry:
    """The subscribers of one environment."""

    def __init__(self, address: str, on_dropped: Dropped) -> None:
        """`address`: where the environment's processes listen. `on_dropped` gets records, bytes and the reason."""
        self._address = address
        self._on_dropped = on_dropped
        self._subscribers: dict[str, Subscriber] = {}

    def find(self, extension: str) -> Subscription | None:
        """Return what an extension subscribed."""
        found = self._subscribers.get(extension)
        return None if found is None else found.subscription

    def add(self, extension: str, subscription: Subscription, early: Sequence[Event]) -> None:
        """Tell an extension what it asks for, from what has come on; instead of what it asked for before."""
        if (earlier := self._subscribers.pop(extension, None)) is not None:
            earlier.close()
        subscriber = self._subscribers[extension] = Subscriber(subscription, self._address, self._on_dropped)
        for event in early:
            subscriber.tell(event)

    def tell(self, event: Event) -> None:
        """Have an event sent to those who want its kind."""
        for subscriber in self._subscribers.values():
            subscriber.tell(event)

    def freeze(self) -> None:
        """Send nothing until `thaw`."""
        for subscriber in self._subscribers.values():
            subscriber.freeze()

    def thaw(self) -> None:
        """Send again."""
        for subscriber in self._subscribers.values():
            subscriber.thaw()

    async def flush(self, allowed_s: float) -> None:
        """Return when all that was told is sent, or the time is over."""
        sending = [subscriber.flush() for subscriber in self._subscribers.values()]
        if sending:
            await asyncio.wait(sending, timeout=allowed_s)

    def close(self) -> None:
        """Send nothing more."""
        for subscriber in self._subscribers.values():
            subscriber.close()


class Subscriber:
    """One extension's buffer, and the task that empties it."""

    def __init__(self, subscription: Subscription, address: str, on_dropped: Dropped) -> None:
        self.subscription = subscription
        self._sink = Sink(subscription.destination, address)
        self._on_dropped = on_dropped
        self._pending: deque[str] = deque()
        self._pending_bytes = 0
        self._lost_records = self._lost_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._awake = asyncio.Event()
        self._awake.set()

    def tell(self, event: Event) -> None:
        """Take an event, if it is of a kind that was asked for."""
        if self.subscription.wants(event):
            for form in forms_of(event, self.subscription):
                self._add(platform_events.render(form))

    def _add(self, line: str) -> None:
        size = len(line)
        if (
            self._pending_bytes + size > limits.TELEMETRY_BACKLOG_BATCHES * self.subscription.bytes_max
            or len(self._pending) >= limits.TELEMETRY_BACKLOG_BATCHES * self.subscription.items_max
        ):
            self._lost_records += 1
            self._lost_bytes += size
            return
        self._pending.append(line)
        self._pending_bytes += size
        is_full = (
            len(self._pending) >= self.subscription.items_max or self._pending_bytes >= self.subscription.bytes_max
        )
        if is_full:
            self._send_now()
        elif self._timer is None and self._sending is None:
            self._timer = self._loop.call_later(self.subscription.timeout_ms / 1000, self._send_now)

    def _send_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is None and self._pending:
            self._sending = self._loop.create_task(self._send())

    def flush(self) -> asyncio.Future[None]:
        """Begin to send what there is, and return what is done when it is sent."""
        self._send_now()
        if self._sending is None:
            done = self._loop.create_future()
            done.set_result(None)
            return done
        return self._sending

    def freeze(self) -> None:
        """Begin no more sending."""
        self._awake.clear()

    def thaw(self) -> None:
        """Send again."""
        self._awake.set()

    def close(self) -> None:
        """Send nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()
        self._sink.close()

    async def _send(self) -> None:
        delay_s = limits.TELEMETRY_RETRY_S
        while self._pending:
            await self._awake.wait()
            batch = self._next_batch()
            try:
                await self._sink.send(batch)
            except (OSError, EOFError, asyncio.LimitOverrunError):
                # Nobody listens yet, or it answered with an error: it gets the same again.
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, limits.TELEMETRY_RETRY_S_MAX)
                continue
            delay_s = limits.TELEMETRY_RETRY_S
            for _ in batch:
                self._pending_bytes -= len(self._pending.popleft())
            if self._lost_records:
                records, lost_bytes, self._lost_records, self._lost_bytes = self._lost_records, self._lost_bytes, 0, 0
                self._on_dropped(records, lost_bytes, FELL_BEHIND)
        self._sending = None

    def _next_batch(self) -> list[str]:
        batch: list[str] = []
        size = 0
        for line in self._pending:
            if batch and (size + len(line) > self.subscription.bytes_max or len(batch) >= self.subscription.items_max):
                break
            batch.append(line)
            size += len(line)
        return batch


class Sink:
    """Where one subscriber listens."""

    def __init__(self, destination: Destination, address: str) -> None:
        self._destination = destination
        self._host = destination.host or address
        self._open: asyncio.StreamWriter | None = None

    async def send(self, lines: Sequence[str]) -> None:
        """Return when the events have arrived. Raises OSError, EOFError or LimitOverrunError if they have not."""
        if self._destination.method:
            await self._post("[" + ",".join(lines) + "]")
        else:
            await self._write("\n".join(lines) + "\n")

    async def _post(self, body: str) -> None:
        data = body.encode()
        reader, writer = await asyncio.open_connection(self._host, self._destination.port)
        try:
            writer.write(
                f"{self._destination.method} {self._destination.path} HTTP/1.1\r\n"
                f"Host: sandbox.localdomain:{self._destination.port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode()
                + data
            )
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            # The rest too: who has not yet written it would see a broken connection.
            if size := _CONTENT_LENGTH.search(head):
                await reader.readexactly(min(int(size[1]), limits.TELEMETRY_ANSWER_BYTES_MAX))
            if head[9:10] not in (b"2", b"3"):
                raise ConnectionError("telemetry was not accepted")
        finally:
            writer.close()

    async def _write(self, text: str) -> None:
        if self._open is None or self._open.is_closing():
            _, self._open = await asyncio.open_connection(self._host, self._destination.port)
        self._open.write(text.encode())
        await self._open.drain()

    def close(self) -> None:
        """Let go of the connection that stays open."""
        if self._open is not None:
            self._open.close()
