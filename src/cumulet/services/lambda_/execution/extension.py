"""The life of an extension as a table, and what is known of one.

    started --registered--> registered --rested--> ready --given--> running --rested--> ready
    registered --failed to initialise--> init error
    registered, ready, running --failed--> exit error
    started --not launched--> launch error
    any of them --ended--> exited

States and their names are those of AWS's own supervisor (aws/aws-lambda-runtime-interface-emulator), since its errors
and log lines tell them. `rested` means that the extension asked for its next event. Pure.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class State(Enum):
    """What an extension is doing."""

    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"
    LAUNCH_ERROR = "LaunchError"
    EXITED = "Exited"


class Event(Enum):
    """What can happen to an extension; the value is the state that AWS's errors say was wanted."""

    REGISTERED = "Registered"
    RESTED = "Ready"
    GIVEN = "Running"
    INIT_FAILED = "InitError"
    FAILED = "Exited"
    NOT_LAUNCHED = "LaunchError"
    ENDED = "ended"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.STARTED, Event.REGISTERED): State.REGISTERED,
    (State.STARTED, Event.NOT_LAUNCHED): State.LAUNCH_ERROR,
    (State.REGISTERED, Event.RESTED): State.READY,
    (State.REGISTERED, Event.INIT_FAILED): State.INIT_ERROR,
    (State.REGISTERED, Event.FAILED): State.EXIT_ERROR,
    (State.READY, Event.GIVEN): State.RUNNING,
    (State.READY, Event.FAILED): State.EXIT_ERROR,
    (State.RUNNING, Event.RESTED): State.READY,
    (State.RUNNING, Event.FAILED): State.EXIT_ERROR,
    (State.INIT_ERROR, Event.INIT_FAILED): State.INIT_ERROR,
    (State.EXIT_ERROR, Event.FAILED): State.EXIT_ERROR,
} | {(state, Event.ENDED): State.EXITED for state in State if state not in (State.LAUNCH_ERROR, State.EXITED)}


class TransitionRefused(Exception):
    """This cannot happen to an extension in this state."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"an extension that is {state.value} cannot become {event.value}")


def next_state(state: State, event: Event) -> State:
    """Return the state after `event`. Raises TransitionRefused for what the table does not have."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise TransitionRefused(state, event) from None


class Connection(Protocol):
    """Where an extension waits for its next event."""

    def send(self, data: bytes) -> None:
        """Send a response."""


@dataclass(slots=True, eq=False)
class Extension:
    """One extension of one environment."""

    id: str
    name: str
    is_external: bool
    """A process of its own, from /opt/extensions; an internal one is part of the runtime."""
    state: State = State.STARTED
    events: tuple[str, ...] = ()
    """What it registered for: INVOKE, SHUTDOWN."""
    error_type: str = ""
    waiting: Connection | None = None
    undelivered: bytes | None = None
    """An event for its next request."""

    def step(self, event: Event) -> None:
        """Let an event happen to it. Raises TransitionRefused."""
        self.state = next_state(self.state, event)

    def take_undelivered(self) -> bytes:
        """Return the event that it has not had yet."""
        event, self.undelivered = self.undelivered, None
        return event or b""
