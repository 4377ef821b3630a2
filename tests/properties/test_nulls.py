"""Nulls, wherever a request can have them: refused or taken for absent, and whatever comes of it can be read again.

Each operation is asked about something that is there. Then each of its members is given whole, and with one part of it
null: a member of a structure that is absent, an element of a list, a value of a map. What changes a record is followed
by all that the service can read.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from cumulet.app import SERVICES
from cumulet.errors import ServiceError
from cumulet.services.kit import Operation, Service
from cumulet.wire.model import Shape, load_service
from furnished import THEIRS, AllServices, Names, asked, furnish, sample

pytestmark = pytest.mark.slow

DEPTH_MAX = 5


def whole(shape: Shape, depth: int = 0) -> Any:
    """Return a value that has all members there are."""
    match shape.type:
        case "structure":
            return {name: whole(one.shape, depth + 1) for name, one in shape.members.items() if depth < DEPTH_MAX}
        case "list":
            return [whole(shape.member.shape, depth + 1)]
        case "map":
            return {sample(shape.key.shape): whole(shape.value.shape, depth + 1)}
    return sample(shape)


def with_nulls(shape: Shape, value: Any) -> Iterator[Any]:
    """Yield the value with each of its parts null in turn, or missing."""
    if shape.type == "structure" and isinstance(value, dict):
        yield {}
        for name in value.keys() & shape.members.keys():
            yield {other: part for other, part in value.items() if other != name}
            for part in with_nulls(shape.members[name].shape, value[name]):
                yield {**value, name: part}
    elif shape.type == "list" and isinstance(value, list):
        yield []
        yield [None]
        for part in with_nulls(shape.member.shape, value[0]):
            yield [part]
    elif shape.type == "map" and isinstance(value, dict):
        yield {}
        for key in value:
            yield {key: None}
            for part in with_nulls(shape.value.shape, value[key]):
                yield {key: part}


def requests(service: str, operation: Operation, names: Names) -> Iterator[dict[str, Any]]:
    """Yield requests for one operation."""
    asked_for = asked(service, operation, names)
    yield asked_for
    model = load_service(service).find_operation(operation.name)
    for name, member in (model.input.members if model is not None and model.input is not None else {}).items():
        if name in operation.params:
            value = asked_for.get(name, whole(member.shape))
            yield {**asked_for, name: value}
            for part in with_nulls(member.shape, value):
                yield {**asked_for, name: part}


@pytest.mark.parametrize("service", SERVICES)
async def test_nulls_break_nothing(service: str) -> None:
    house = AllServices()
    names = await furnish(house)
    found: Service = await house.dispatcher.service(service)
    readers = [(one.name, asked(service, one, names)) for one in found.operations.values() if one.kind == "read"]
    keys, values = list(house.store._keys), dict(house.store._values)

    async def answered(operation: str, params: dict[str, Any], after: Any = None) -> bool:
        try:
            await house.call(service, operation, params, scope=THEIRS)
        except ServiceError:
            return False
        except Exception as error:
            raise AssertionError(f"{operation} of {params} failed inside, after {after}") from error
        return True

    done = set()
    for operation in found.operations.values():
        for params in requests(service, operation, names):
            before = dict(house.store._values)
            if not await answered(operation.name, params):
                continue
            done.add(operation.name)
            if house.store._values != before:
                for reader, wanted in readers:
                    await answered(reader, wanted, (operation.name, params))
                house.store._keys, house.store._values = list(keys), dict(values)
    assert len(done) >= len(found.operations) // 3
    await house.dispatcher.stop()
