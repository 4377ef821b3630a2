"""How many synchronous invocations begin in a second."""

import pytest

from cumulet.clock import ManualClock
from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.lambda_.execution import rates
from cumulet.services.lambda_.execution.rates import Rates

SCOPE, OTHER = Scope("123456789012", "eu-west-1"), Scope("123456789012", "us-east-1")


def spend(counted: Rates, times: int, reserved: int | None, who: str = "arn:notes", scope: Scope = SCOPE) -> int:
    """Return how many of so many are let in at once."""
    for number in range(times):
        try:
            counted.spend(scope, who, reserved)
        except ServiceError as refused:
            assert refused.code == "TooManyRequestsException"
            return number
    return times


@pytest.mark.parametrize("reserved", [1, 3, 7, 100])
def test_ten_a_second_for_each_that_may_run_at_once(reserved: int) -> None:
    clock = ManualClock()
    counted = Rates(clock)
    assert spend(counted, 5000, reserved) == 10 * reserved
    clock.advance(0.5)
    assert spend(counted, 5000, reserved) == 5 * reserved
    clock.advance(60)
    assert spend(counted, 5000, reserved) == 10 * reserved


def test_each_function_has_a_rate_of_its_own() -> None:
    counted = Rates(ManualClock())
    assert spend(counted, 20, 1, "arn:one") == spend(counted, 20, 1, "arn:two") == 10


def test_functions_without_a_reservation_share_that_of_their_account() -> None:
    counted = Rates(ManualClock())
    assert spend(counted, 6000, None, "arn:one") + spend(counted, 6000, None, "arn:two") == 10_000
    assert spend(counted, 1, None, "arn:one", OTHER) == 1


@pytest.mark.parametrize(
    ("reserved", "reason"),
    [(1, "ReservedFunctionInvocationRateLimitExceeded"), (None, "FunctionInvocationRateLimitExceeded")],
)
def test_the_refusal_says_why(reserved: int | None, reason: str) -> None:
    counted = Rates(ManualClock())
    spend(counted, 10_000, reserved)
    with pytest.raises(ServiceError, match=r"Rate Exceeded\.") as caught:
        counted.spend(SCOPE, "arn:notes", reserved)
    assert caught.value.fields == {"Reason": reason, "Type": "User", "retryAfterSeconds": "1"}


def test_those_that_have_paid_back_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "RATES_KEPT_MAX", 3)
    clock = ManualClock()
    counted = Rates(clock)
    for who in ("one", "two", "three"):
        spend(counted, 1, 1, who)
    clock.advance(1)
    assert spend(counted, 20, 1, "four") == 10
    assert len(counted._paid_s) == 1
