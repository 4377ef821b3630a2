"""Every state of an extension with every event."""

import itertools

import pytest

from cumulet.services.lambda_.execution.extension import Event, State, TransitionRefused, next_state

ALLOWED = {
    ("STARTED", "REGISTERED"): "REGISTERED",
    ("STARTED", "NOT_LAUNCHED"): "LAUNCH_ERROR",
    ("REGISTERED", "RESTED"): "READY",
    ("REGISTERED", "INIT_FAILED"): "INIT_ERROR",
    ("REGISTERED", "FAILED"): "EXIT_ERROR",
    ("READY", "GIVEN"): "RUNNING",
    ("READY", "FAILED"): "EXIT_ERROR",
    ("RUNNING", "RESTED"): "READY",
    ("RUNNING", "FAILED"): "EXIT_ERROR",
    ("INIT_ERROR", "INIT_FAILED"): "INIT_ERROR",
    ("EXIT_ERROR", "FAILED"): "EXIT_ERROR",
    ("STARTED", "ENDED"): "EXITED",
    ("REGISTERED", "ENDED"): "EXITED",
    ("READY", "ENDED"): "EXITED",
    ("RUNNING", "ENDED"): "EXITED",
    ("INIT_ERROR", "ENDED"): "EXITED",
    ("EXIT_ERROR", "ENDED"): "EXITED",
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)), ids=lambda value: value.name)
def test_every_state_with_every_event(state: State, event: Event) -> None:
    expected = ALLOWED.get((state.name, event.name))
    if expected is None:
        with pytest.raises(TransitionRefused, match=f"that is {state.value} cannot become {event.value}"):
            next_state(state, event)
    else:
        assert next_state(state, event) is State[expected]
