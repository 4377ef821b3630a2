"""The life of an environment as a table: states, events, and what is not in the table is refused.

    starting --polled--> ready --assigned--> busy --polled--> ready
                           |                  ^
                         frozen -> FROZEN --assigned
    any living state --stopped--> stopping --died--> dead
    any living state --retired--> leaving --stopped--> stopping
    any living state, leaving --died--> dead

`polled` means that the runtime, and each extension if there are any, asked for its next event: the only sign that all
is well. An answer to an event does not end `busy`; the next poll does, since AWS counts what a runtime does after its
answer too. An environment that is `leaving` is in its SHUTDOWN phase, which only one with extensions has. Pure.
"""

from enum import Enum


class State(Enum):
    """What an environment is doing."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    FROZEN = "frozen"
    LEAVING = "leaving"
    STOPPING = "stopping"
    DEAD = "dead"

    __hash__ = object.__hash__
    """There is one of each, and every invocation looks them up: Python 3.11 would hash their names, in Python."""


class Event(Enum):
    """What can happen to an environment."""

    POLLED = "polled"
    ASSIGNED = "assigned"
    FROZEN = "frozen"
    RETIRED = "retired"
    STOPPED = "stopped"
    DIED = "died"

    __hash__ = object.__hash__


class TransitionRefused(Exception):
    """This cannot happen to an environment in this state."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"an environment that is {state.value} cannot be {event.value}")
        self.state = state
        self.event = event


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.STARTING, Event.POLLED): State.READY,
    (State.STARTING, Event.RETIRED): State.LEAVING,
    (State.STARTING, Event.STOPPED): State.STOPPING,
    (State.STARTING, Event.DIED): State.DEAD,
    (State.READY, Event.ASSIGNED): State.BUSY,
    (State.READY, Event.FROZEN): State.FROZEN,
    (State.READY, Event.RETIRED): State.LEAVING,
    (State.READY, Event.STOPPED): State.STOPPING,
    (State.READY, Event.DIED): State.DEAD,
    (State.BUSY, Event.POLLED): State.READY,
    (State.BUSY, Event.RETIRED): State.LEAVING,
    (State.BUSY, Event.STOPPED): State.STOPPING,
    (State.BUSY, Event.DIED): State.DEAD,
    (State.FROZEN, Event.ASSIGNED): State.BUSY,
    (State.FROZEN, Event.RETIRED): State.LEAVING,
    (State.FROZEN, Event.STOPPED): State.STOPPING,
    (State.FROZEN, Event.DIED): State.DEAD,
    (State.LEAVING, Event.STOPPED): State.STOPPING,
    (State.LEAVING, Event.DIED): State.DEAD,
    (State.STOPPING, Event.DIED): State.DEAD,
}

IDLE = frozenset({State.READY, State.FROZEN})
ALIVE = frozenset({State.STARTING, State.READY, State.BUSY, State.FROZEN})


def next_state(state: State, event: Event) -> State:
    """Return the state after `event`. Raises TransitionRefused for what the table does not have."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise TransitionRefused(state, event) from None
