"""How many synchronous invocations begin in a second: ten for each that may run at once.

A function's reservation says how many may; functions without one share what the account has. Events are not counted:
AWS lets as many begin as concurrency allows. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html

A process counts what comes to it, in memory. Decision 0024 says why not all processes together.
"""

from cumulet.clock import Clock
from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.lambda_.execution.limits import RATE_BURST_S, RATES_KEPT_MAX
from cumulet.services.lambda_.limits import CONCURRENT_EXECUTIONS_MAX, REQUESTS_PER_S_OF_CONCURRENCY

_TOLERANCE_S = 1e-6
"""Of what adds up from many small parts."""


class Rates:
    """The rates of all functions with a reservation, and of the accounts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._paid_s: dict[str | Scope, float] = {}
        """By function or account, when what it has used of its rate is paid back: so far ahead as it has used it."""

    def spend(self, scope: Scope, function_arn: str, reserved: int | None) -> None:
        """Count one more. Raises TooManyRequestsException if there were too many."""
        who: str | Scope = scope if reserved is None else function_arn
        concurrency = CONCURRENT_EXECUTIONS_MAX if reserved is None else reserved
        now_s = self._clock.monotonic_s()
        paid_s = self._paid_s.get(who, now_s)
        if paid_s < now_s:
            paid_s = now_s
        paid_s += 1 / (concurrency * REQUESTS_PER_S_OF_CONCURRENCY)
        if paid_s - now_s > RATE_BURST_S + _TOLERANCE_S:
            raise throttled(
                "FunctionInvocationRateLimitExceeded"
                if reserved is None
                else "ReservedFunctionInvocationRateLimitExceeded"
            )
        if len(self._paid_s) >= RATES_KEPT_MAX:
            self._paid_s = {who: paid_s for who, paid_s in self._paid_s.items() if paid_s > now_s}
        self._paid_s[who] = paid_s


def throttled(reason: str) -> ServiceError:
    """Return AWS's error for an invocation that is too many."""
    return ServiceError("TooManyRequestsException", "Rate Exceeded.", Reason=reason, Type="User", retryAfterSeconds="1")
