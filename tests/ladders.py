"""Ladders of faults: what is reported of a request with which several things are wrong.

A ladder has the faults of one operation in the order in which AWS looks for them. A request with any two of them gets
the answer to the upper one.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

V = "ValidationException"
INVALID = "One or more parameter values were invalid: "
MIXED = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
NOT_FOUND = ("ResourceNotFoundException", "Requested resource not found")
NO_NUMBER = (V, "The parameter cannot be converted to a numeric value: x")
MISFIT = (V, "The provided key element does not match the schema")


class Fault(NamedTuple):
    """One thing that is wrong: what it changes in the request (None takes a member away), and what AWS says to it."""

    name: str
    changes: dict[str, Any]
    answer: tuple[str, str]


class Ladder(NamedTuple):
    """The faults of one operation, from the first one reported to the last."""

    operation: str
    valid: dict[str, Any]
    faults: list[Fault]

    def ask(self, client: Any, *faults: Fault) -> tuple[str, str]:
        """Return the answer to a request with these faults; what two of them change is as the later one has it."""
        request = dict(self.valid)
        for fault in faults:
            request |= fault.changes
        given = {name: value for name, value in request.items() if value is not None}
        with pytest.raises(ClientError) as error:
            client._make_api_call(self.operation, given)
        return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


WRONG_TYPE = Fault(
    "a number for a text",
    {"ReturnConsumedCapacity": 5},
    ("SerializationException", "NUMBER_VALUE cannot be converted to String"),
)
NO_ENUM = Fault(
    "a word that is none",
    {"ReturnConsumedCapacity": "ALL"},
    (
        V,
        "1 validation error detected: Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: "
        "Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
    ),
)


def pairs(ladders: Sequence[Ladder]) -> dict[str, tuple[Ladder, Fault, Fault]]:
    """Return every two faults of each ladder, the upper one first, by a name."""
    return {
        f"{ladder.operation}: {upper.name} before {lower.name}": (ladder, upper, lower)
        for ladder in ladders
        for upper, lower in combinations(ladder.faults, 2)
    }


def alone(ladders: Sequence[Ladder]) -> dict[str, tuple[Ladder, Fault]]:
    """Return every fault of each ladder, by a name."""
    return {f"{ladder.operation}: {fault.name}": (ladder, fault) for ladder in ladders for fault in ladder.faults}
