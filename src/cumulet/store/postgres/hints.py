"""Wake-ups between nodes: one connection in a thread of its own, on which topics are told and heard.

NOTIFY is not a part of the transaction that hints: inside it would make the commits of all nodes wait for each other
(PostgreSQL takes a lock for the order of notifications, and holds it until the commit is on disk). What gathers while
one NOTIFY is under way goes with the next, each topic once. A hint is lost when this node ends right after its commit
or while the connection is down; after a reconnection every listener is woken, since it may have missed one.
"""

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Iterable

import psycopg

from cumulet.store.postgres.session import connect, first_line

log = logging.getLogger("cumulet.store")

CHANNEL = "cumulet_hints"

PAYLOAD_BYTES_MAX = 7_000
"""PostgreSQL takes less than 8,000 in one notification. Longer lists of topics go in several."""

TOPICS_WAITING_MAX = 10_000
"""More than this, while the database is away, are forgotten: listeners poll as well."""

RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

CLOSE_SECONDS_MAX = 5.0

_CHECK_SECONDS = 10.0
"""A connection on which nothing was heard for so long is asked whether it is still there."""


class Hints:
    """Tells other nodes of topics, and calls `heard` with theirs; with None for "any of them may have been missed"."""

    def __init__(self, conninfo: str, heard: Callable[[str | None], None]) -> None:
        self._conninfo = conninfo
        self._heard = heard
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._closing = threading.Event()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        self._thread = threading.Thread(target=self._run, name="cumulet-hints", daemon=True)
        self._thread.start()

    def tell(self, topics: Iterable[str]) -> None:
        """Have the other nodes' listeners of these topics woken, soon. Any thread may call this."""
        with self._lock:
            first = not self._waiting
            if len(self._waiting) < TOPICS_WAITING_MAX:
                self._waiting.update(topics)
        if first:
            self._wake()

    def close(self) -> None:
        """Tell what is waiting if the connection stands, and end the thread."""
        self._closing.set()
        self._wake()
        self._thread.join(CLOSE_SECONDS_MAX)
        if self._thread.is_alive():
            return  # it hangs with its server, and ends with the process
        os.close(self._wake_out)
        os.close(self._wake_in)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is being woken already
            os.write(self._wake_in, b"!")

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                with connect(self._conninfo) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    if failures:
                        log.info("hints between nodes are back")
                        self._heard(None)
                    failures = 0
                    self._serve(connection)
            except (psycopg.errors.FeatureNotSupported, psycopg.errors.SyntaxError) as failure:
                log.warning(
                    "the database has no LISTEN and NOTIFY: other nodes find work by looking", extra={"said": failure}
                )
                self._forget_until_closing()
            except psycopg.Error as failure:
                if failures == 0:
                    log.warning("hints between nodes are interrupted", extra={"said": first_line(failure)})
                self._closing.wait(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
                failures += 1

    def _serve(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        own = connection.info.backend_pid
        while True:
            self._tell_waiting(connection)
            for notification in connection.notifies(timeout=0):
                if notification.pid != own:
                    for topic in notification.payload.split("\n"):
                        self._heard(topic)
            if self._closing.is_set():
                return
            ready = self._wait(_CHECK_SECONDS, connection.fileno())
            if not ready:
                connection.execute("SELECT 1")

    def _tell_waiting(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        with self._lock:
            topics, self._waiting = self._waiting, set()
        for payload in payloads(topics):
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    def _wait(self, seconds: float, *descriptors: int) -> bool:
        """Return whether something came before the time was over."""
        poll = select.poll()
        for descriptor in (*descriptors, self._wake_out):
            poll.register(descriptor, select.POLLIN)
        ready = poll.poll(seconds * 1000)
        if any(descriptor == self._wake_out for descriptor, _ in ready):
            os.read(self._wake_out, 4096)
        return bool(ready)

    def _forget_until_closing(self) -> None:
        while not self._closing.is_set():
            self._wait(60)
            with self._lock:
                self._waiting.clear()


def payloads(topics: Iterable[str]) -> list[str]:
    """Return the topics in as few texts as fit one notification each."""
    payloads: list[str] = []
    size = PAYLOAD_BYTES_MAX
    for topic in sorted(topics):
        length = len(topic.encode()) + 1
        if length > PAYLOAD_BYTES_MAX:
            continue  # longer than any topic is; its listeners poll
        if size + length > PAYLOAD_BYTES_MAX:
            payloads.append(topic)
            size = length
        else:
            payloads[-1] += "\n" + topic
            size += length
    return payloads
