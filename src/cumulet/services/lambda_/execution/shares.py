"""How processes divide a limit among them: who needs some of it takes a share, and gives back what others want. Pure.

A share is what a process may run without asking. The shares of all that live are never more than the limit, except for
what ran already when the limit was lowered.
"""

from collections.abc import Collection

from cumulet.services.lambda_.records import Shares


def take(
    shares: Shares, me: str, living: Collection[str], *, held: int, running: int, more: int, limit: int
) -> tuple[Shares, int]:
    """Return the shares after `me`, which has `held`, asked for `more`; and what it then has.

    What the dead had is free. If nothing is left, the rest are told that something is wanted.
    """
    others = {name: count for name, count in shares.holdings.items() if name in living and name != me}
    left = max(limit - sum(others.values()), 0)
    mine = max(min(held + more, left), running)
    wanted = mine <= running and any(others.values())
    return Shares(holdings={**others, **({me: mine} if mine else {})}, wanted=wanted), mine


def give_back(shares: Shares, me: str, running: int) -> Shares:
    """Return the shares after `me` gave back all but what it is using.

    A wish stands until somebody takes again: others have yet to hear of it.
    """
    others = {name: count for name, count in shares.holdings.items() if name != me}
    return Shares(holdings={**others, **({me: running} if running else {})}, wanted=shares.wanted and bool(others))
