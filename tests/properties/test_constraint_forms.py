"""A model's demands have two forms, one that tells what is wrong and one that only tells whether: they agree."""

from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.app import SERVICES
from cumulet.errors import ServiceError
from cumulet.wire.constraints import check
from cumulet.wire.model import Shape, load_service
from furnished import sample

DEPTH_MAX = 6
TEXTS = ("", "a", "table", "x!", "arn:aws:iam::000000000000:role/r", "y" * 300, "ACTIVE", "\x00", "2012-10-17")
NUMBERS = (-1, 0, 1, 7, 1000, 10**9)


class Maker:
    """Makes values of shapes, of which parts are wrong, null or missing: none, few or many."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._wrong = chance.choice((0.0, 0.02, 0.1))

    def value(self, shape: Shape, depth: int = 0) -> Any:
        chance = self._chance
        is_wrong = chance.random() < self._wrong
        if is_wrong and depth and chance.random() < 0.5:
            return None
        few = range(chance.choice((0, 1, 2, 3)) if is_wrong else 1) if depth < DEPTH_MAX else ()
        match shape.type:
            case "structure":
                names = [name for name in shape.members if name in shape.required or chance.random() < 0.4]
                return {name: self.value(shape.members[name].shape, depth + 1) for name in names if few}
            case "list":
                return [self.value(shape.member.shape, depth + 1) for _ in few]
            case "map":
                return {str(self.value(shape.key.shape)): self.value(shape.value.shape, depth + 1) for _ in few}
            case "string" if is_wrong:
                return chance.choice((*TEXTS, *(shape.enum or ())))
            case "integer" | "long" | "float" | "double" if is_wrong:
                return chance.choice(NUMBERS)
        return sample(shape)


@pytest.mark.parametrize("service", SERVICES)
@given(seed=st.integers(0, 2**32))
def test_both_forms_agree(service: str, seed: int) -> None:
    chance = Random(seed)
    model = load_service(service)
    for name in chance.sample(model.operation_names, min(40, len(model.operation_names))):
        operation = model.find_operation(name)
        assert operation is not None
        with suppress(ServiceError):
            check(operation, {})
        params = Maker(chance).value(operation.input) if operation.input is not None else {}
        if (compiled := operation.compiled["check"]) is None:
            continue
        errors: list[str] = []
        try:
            compiled.check(params, "", errors)
        except ServiceError as error:
            errors.append(str(error))
        assert compiled.hold(params) is not bool(errors), (name, params, errors)
