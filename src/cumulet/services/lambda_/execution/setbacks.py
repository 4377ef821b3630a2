"""When a revision whose snapshot could not be copied is tried again, since what stood in the way may pass. Pure.

Meanwhile its environments each initialise themselves. Each time in a row the pause is twice as long: code that cannot
be copied costs a needless try now and then, and what was refused for want of memory or processes is soon tried again.
"""

import msgspec

from cumulet.services.lambda_.execution import limits


class Setback(msgspec.Struct, frozen=True):
    """That a revision could not be copied, how often in a row, and until when it is left alone."""

    revision_id: str
    snapshot: int
    """Which of its snapshots it was, the last time."""
    times: int
    until_s: float

    def is_in_force(self, revision_id: str, now_s: float) -> bool:
        """Tell whether a revision is left alone."""
        return self.revision_id == revision_id and now_s < self.until_s


def set_back(before: Setback | None, revision_id: str, snapshot: int, now_s: float) -> Setback:
    """Return the setback after a snapshot could not be copied; of one it may be said several times."""
    times = 1
    if before is not None and before.revision_id == revision_id:
        if before.snapshot == snapshot:
            return before
        times = before.times + 1
    pause_s = min(limits.SNAPSHOT_AGAIN_S * 2 ** min(times - 1, 32), limits.SNAPSHOT_AGAIN_S_MAX)
    return Setback(revision_id, snapshot, times, now_s + pause_s)
