"""Every state with every event."""

import itertools

import pytest

from cumulet.services.lambda_.execution.environment import ALIVE, IDLE, Event, State, TransitionRefused, next_state

ALLOWED = {
    ("starting", "polled"): "ready",
    ("starting", "retired"): "leaving",
    ("starting", "stopped"): "stopping",
    ("starting", "died"): "dead",
    ("ready", "assigned"): "busy",
    ("ready", "frozen"): "frozen",
    ("ready", "retired"): "leaving",
    ("ready", "stopped"): "stopping",
    ("ready", "died"): "dead",
    ("busy", "polled"): "ready",
    ("busy", "retired"): "leaving",
    ("busy", "stopped"): "stopping",
    ("busy", "died"): "dead",
    ("frozen", "assigned"): "busy",
    ("frozen", "retired"): "leaving",
    ("frozen", "stopped"): "stopping",
    ("frozen", "died"): "dead",
    ("leaving", "stopped"): "stopping",
    ("leaving", "died"): "dead",
    ("stopping", "died"): "dead",
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)), ids=lambda value: value.value)
def test_every_state_with_every_event(state: State, event: Event) -> None:
    expected = ALLOWED.get((state.value, event.value))
    if expected is None:
        with pytest.raises(TransitionRefused, match=f"that is {state.value} cannot be {event.value}"):
            next_state(state, event)
    else:
        assert next_state(state, event) is State(expected)


def test_only_what_is_idle_can_be_assigned() -> None:
    assert {state for state in State if (state.value, "assigned") in ALLOWED} == IDLE


def test_everything_alive_can_be_stopped_and_everything_but_the_dead_can_die() -> None:
    assert {state for state in State if (state.value, "stopped") in ALLOWED} == ALIVE | {State.LEAVING}
    assert {state for state in State if (state.value, "retired") in ALLOWED} == ALIVE
    assert {state for state in State if (state.value, "died") in ALLOWED} == set(State) - {State.DEAD}
