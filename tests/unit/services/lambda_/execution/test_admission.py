"""Counting what runs: by pool, up to a limit."""

import pytest

from cumulet.errors import ServiceError
from cumulet.services.lambda_.execution.admission import Admission


def test_pools_are_counted_apart() -> None:
    admission = Admission()
    for pool in ("a", "a", "b"):
        admission.enter(pool, 2, "why")
    assert (admission.running("a"), admission.running("b"), admission.total()) == (2, 1, 3)
    with pytest.raises(ServiceError) as caught:
        admission.enter("a", 2, "why")
    assert (caught.value.code, caught.value.fields["Reason"]) == ("TooManyRequestsException", "why")
    admission.leave("a")
    admission.enter("a", 2, "why")
    for pool in ("a", "a", "b"):
        admission.leave(pool)
    assert admission.total() == 0


def test_a_reservation_of_none_lets_nobody_in() -> None:
    admission = Admission()
    with pytest.raises(ServiceError, match="Rate Exceeded"):
        admission.enter("off", 0, "why")
    assert admission.total() == 0
