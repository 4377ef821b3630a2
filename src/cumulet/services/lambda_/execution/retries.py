"""When an event whose invocation did not succeed is tried again, and when no more. Pure.

A function that fails gets the event again after one minute and then after two. An invocation that could not begin, for
want of concurrency or because of a fault, is tried after one second, two, four ... five minutes, for as long as the
event may wait. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from dataclasses import dataclass
from typing import Literal

FAILED_DELAYS_S = (60, 120)
REFUSED_DELAY_S_MAX = 300

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded"]


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long and how often a function's events are tried."""

    retries_max: int
    age_s_max: int


@dataclass(frozen=True, slots=True)
class Tries:
    """What has become of an event so far."""

    accepted_ms: int
    failures: int = 0
    """Invocations that the function answered with an error."""
    refusals: int = 0
    """Invocations that did not begin."""


def is_too_old(tries: Tries, patience: Patience, now_ms: int) -> bool:
    """Tell whether an event has waited for longer than it may."""
    return now_ms - tries.accepted_ms >= patience.age_s_max * 1000


def next_try_ms(tries: Tries, patience: Patience, now_ms: int, *, refused: bool) -> int | None:
    """Return when an event is due again, None if its last try was the last one.

    `tries` counts that one too. An event that will be too old by then is due when it becomes so.
    """
    if refused:
        delay_s = min(1 << min(tries.refusals - 1, 16), REFUSED_DELAY_S_MAX)
    elif tries.failures > patience.retries_max:
        return None
    else:
        delay_s = FAILED_DELAYS_S[min(tries.failures, len(FAILED_DELAYS_S)) - 1]
    expires_ms = tries.accepted_ms + patience.age_s_max * 1000
    return min(now_ms + delay_s * 1000, max(expires_ms, now_ms))
