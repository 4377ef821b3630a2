"""Whatever extensions ask for in whatever order, each event reaches each of them once, and who rests is known."""

import json
from itertools import count
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cumulet.services.lambda_.execution.extension import State
from cumulet.services.lambda_.execution.extensions import Extensions, Function

NAMES = ("agent", "scout")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["register", "next", "drop", "init/error", "exit/error", "invoke", "shutdown", "die"]),
        st.integers(0, 2),
    ),
    max_size=40,
)


class Line:
    """A connection of an extension."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []

    def send(self, data: bytes) -> None:
        self.received.append(json.loads(data.partition(b"\r\n\r\n")[2]))


class Life:
    """Three extensions, two of them external, that do as they like."""

    def __init__(self) -> None:
        numbers = count(1)  # nobody is the stranger whose number is 0
        self.extensions = Extensions(
            self, Function("f", "1", "h", "123456789012"), lambda: f"{next(numbers):036}", NAMES
        )
        self.lines = [Line() for _ in range(3)]
        self.heard: list[list[dict[str, Any]]] = [[], [], []]
        self.given = 0

    def on_extension_registered(self) -> None: ...
    def on_extension_rested(self) -> None: ...
    def on_extension_failed(self, error_type: str) -> None: ...
    def on_subscription(self, extension: str, body: bytes, *, to_logs: bool) -> bytes:
        raise AssertionError("nobody subscribes")

    def ask(self, who: int, method: bytes, action: str, body: bytes = b"") -> tuple[int, dict[str, Any]] | None:
        name = (*NAMES, "inner")[who]
        known = next((one for one in self.extensions.known if one.name == name), None)
        headers = {
            b"lambda-extension-name": name,
            b"lambda-extension-identifier": known.id if known else "0" * 36,
            b"lambda-extension-function-error-type": "x.Y",
        }
        path = f"/2020-01-01/extension/{action}".encode()
        response = self.extensions.handle(self.lines[who], method, path, body, headers)
        if not response:
            return None
        head, _, told = response.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(told)

    def take(self, step: str, who: int) -> None:
        if step == "register":
            events = b'{"events": ["INVOKE"]}' if who == 2 else b'{"events": ["INVOKE", "SHUTDOWN"]}'
            self.ask(who, b"POST", step, events)
        elif step == "next":
            answer = self.ask(who, b"GET", "event/next")
            if answer is not None and answer[0] == 200:
                self.heard[who].append(answer[1])
        elif step == "drop":
            self.extensions.forget(self.lines[who])
        elif step in ("init/error", "exit/error"):
            self.ask(who, b"POST", step)
        elif step == "invoke":
            if self.extensions.known and self.extensions.are_at_rest():
                self.given += 1
                self.extensions.invoke(deadline_ms=1, request_id=str(self.given), invoked_arn="a", trace_header="")
        elif step == "shutdown":
            self.extensions.shut_down("spindown", 1)
        elif who < 2 and self.extensions.known[who].state is not State.EXITED:
            self.extensions.ended(NAMES[who], "")

    def all_heard(self, who: int) -> list[dict[str, Any]]:
        return self.heard[who] + self.lines[who].received


@settings(deadline=None, max_examples=150)
@given(STEPS)
@example([("register", 1), ("next", 1), ("die", 1)])
def test_extensions(steps: list[tuple[str, int]]) -> None:
    life = Life()
    for step, who in steps:
        life.take(step, who)
        for one in life.extensions.known:
            # Who waits is at rest, and only who is at rest or busy has registered.
            assert one.waiting is None or one.state is State.READY
            assert one.state is not State.READY or one.undelivered is None
        rests = all(one.state is State.READY for one in life.extensions.known)
        assert life.extensions.are_at_rest() == rests
    for who in range(3):
        invoked = [event["requestId"] for event in life.all_heard(who) if event["eventType"] == "INVOKE"]
        assert len(invoked) == len(set(invoked))
        assert len(invoked) <= life.given
        if who == 2:
            assert all(event["eventType"] == "INVOKE" for event in life.all_heard(who))
